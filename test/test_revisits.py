"""Earlier visits to a place, as references for new frames."""

import cv2
import numpy as np
import pytest
from references import record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.sequence import SequenceEncoder
from gaussvae_ros.sequence.revisits import earlier_view, records_by_id, turned

SECOND = 10**9


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "memory.db") as bank:
        yield bank


def pose(x: float, yaw: float = 0.0) -> Pose:
    return Pose(x, 0, 0, 0, 0, np.sin(yaw / 2), np.cos(yaw / 2))


def store(bank, number: int, x: float, yaw: float = 0.0, **more) -> int:
    more = {"stamp_ns": number * SECOND, "camera": "front", "pose": pose(x, yaw)} | more
    return bank.add(more.pop("data", None) or record(number), **more)


def ask(bank, x: float, yaw: float = 0.0, at: int = 1000, map_id: str = "", size=None):
    size = size or bank.get(1).size
    found = earlier_view(bank, "front", size, at * SECOND, pose(x, yaw), None, map_id)
    return found and found.id


def test_the_nearest_view_with_the_same_heading_is_found(bank):
    store(bank, 1, x=0.0)
    store(bank, 2, x=0.5)
    store(bank, 3, x=0.45, yaw=1.5)
    store(bank, 4, x=5.0)
    assert ask(bank, x=0.4) == 2
    assert ask(bank, x=0.1) == 1
    assert ask(bank, x=0.4, yaw=1.4) == 3
    assert ask(bank, x=2.5) is None


def test_frames_of_just_now_are_no_visit(bank):
    store(bank, 1, x=0.0)
    store(bank, 2, x=0.3)
    assert ask(bank, x=0.3, at=4) is None and ask(bank, x=0.3, at=6) == 1


def test_records_of_the_camera_and_of_the_size_serve_that_need_one_other_at_most(bank):
    key = store(bank, 1, x=0.0)
    store(bank, 2, x=0.5, camera="rear")
    for number in (3, 4):
        data = record(number, bank.get(key).data)
        key = store(bank, number, x=(number - 1) / 4, reference=key, data=data)
    assert [len(bank.get(n).needed) for n in (1, 3, 4)] == [0, 1, 2]
    assert ask(bank, x=0.5) == 3 and ask(bank, x=0.75) == 3 and ask(bank, x=0.1) == 1
    assert records_by_id(bank.get(3)) == {1: bank.get(1).data, 3: bank.get(3).data}
    assert records_by_id(bank.get(1)) == {1: bank.get(1).data}
    assert ask(bank, x=0.3, size=(7, 5)) is None


def test_turning_counts_as_well_as_distance(bank):
    store(bank, 1, x=0.0, yaw=0.3)
    store(bank, 2, x=0.3)
    assert ask(bank, x=0.0) == 2 and ask(bank, x=0.0, yaw=0.3) == 1


def test_many_frames_of_just_now_hide_no_visit(bank):
    store(bank, 1, x=0.2)
    for number in range(50):
        store(bank, 2, x=0.001 * number, stamp_ns=100 * SECOND + number)
    assert ask(bank, x=0.0, at=101) == 1


def test_a_visit_may_have_a_later_stamp(bank):
    store(bank, 50, x=0.0)
    assert ask(bank, x=0.0, at=10) == 1


def test_poses_of_another_map_are_no_places_here(bank):
    bank.begin_session("one", start_ns=0, map_id="ground floor")
    store(bank, 1, x=0.0)
    assert ask(bank, x=0.0, map_id="ground floor") == 1
    assert ask(bank, x=0.0, map_id="first floor") is None


def test_without_a_pose_likeness_says_what_is_a_visit(bank):
    one, other = bytes(range(64)), bytes(range(64, 0, -1))
    store(bank, 1, x=0.0, descriptor=one)
    store(bank, 2, x=0.0, descriptor=other)
    size = bank.get(1).size
    assert earlier_view(bank, "front", size, 99 * SECOND, None, other).id == 2
    assert earlier_view(bank, "front", size, 99 * SECOND, None, None) is None


def test_angles_between_poses():
    assert turned(pose(0), pose(0, 0.7)) == pytest.approx(0.7)
    assert turned(pose(0, 3.0), pose(0, -3.0)) == pytest.approx(2 * np.pi - 6, abs=1e-6)


@pytest.fixture(scope="module")
def codec():
    return FrameCodec(device="cpu")


def views(count: int) -> list[np.ndarray]:
    """A camera that moves along a wall, 8 px a frame."""
    coarse = np.random.default_rng(0).integers(40, 220, (12, 24, 3)).astype(np.uint8)
    wall = cv2.resize(coarse, (480, 240), interpolation=cv2.INTER_CUBIC)
    return [np.ascontiguousarray(wall[:, 8 * k : 8 * k + 320]) for k in range(count)]


def test_a_group_goes_on_from_an_earlier_visit_where_that_costs_less(codec):
    [picture] = views(1)
    old = codec.encode(picture, 60)
    for earlier, needed in (([old], (old,)), ([], ())):
        encoder = SequenceEncoder(codec, ahead=0)
        [first] = encoder.encode(picture, 40, earlier=lambda earlier=earlier: earlier)
        assert first.needed == needed
        [second] = encoder.encode(picture, 40)
        assert second.needed[:1] == (needed or (first.data,))
    noise = np.random.default_rng(1).integers(0, 256, picture.shape).astype(np.uint8)
    [alone] = SequenceEncoder(codec, ahead=0).encode(noise, 40, earlier=lambda: [old])
    assert alone.needed == ()


def test_frames_are_predicted_from_an_earlier_visit_s_predicted_record(codec):
    one, two = views(2)
    key = codec.encode(one, 60)
    before = [key, codec.predict(two, 50, key).data]
    encoder = SequenceEncoder(codec, ahead=0)
    [first] = encoder.encode(two, 40, earlier=lambda: before)
    [second] = encoder.encode(two, 40)
    assert first.needed == second.needed == tuple(before)
    error = codec.decode(first.records).astype(float) - two
    assert np.sqrt(np.mean(error**2)) < 8


def test_the_frame_that_would_be_the_key_record_is_asked_for_as_well(codec):
    one, two = views(2)
    old = codec.encode(two, 60)
    encoder = SequenceEncoder(codec, ahead=1)
    assert encoder.encode(one, 40, tag=1) == []
    first, second = encoder.encode(two, 40, earlier=lambda: [old], tag=2)
    assert (first.tag, first.needed) == (2, (old,))
    assert (second.tag, second.needed) == (1, (old, first.data))


def test_an_earlier_visit_that_costs_more_than_frames_did_is_left(codec, monkeypatch):
    """It serves where it costs less than the frames of the last group, new key included."""
    [picture] = views(1)
    old = codec.encode(picture, 60)
    for share, needed in ((1.0, (old,)), (0.01, ())):
        encoder = SequenceEncoder(codec, ahead=0)
        monkeypatch.setattr(encoder, "_share", share)
        [first] = encoder.encode(picture, 40, earlier=lambda: [old])
        assert first.needed == needed
