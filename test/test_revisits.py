"""Earlier visits to a place, as references for new frames."""

import cv2
import numpy as np
import pytest
from references import record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.revisits import earlier_view, turned
from gaussvae_ros.sequence import SequenceEncoder

SECOND = 10**9


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "memory.db") as bank:
        yield bank


def pose(x: float, yaw: float = 0.0) -> Pose:
    return Pose(x, 0, 0, 0, 0, np.sin(yaw / 2), np.cos(yaw / 2))


def store(bank, number: int, x: float, yaw: float = 0.0, **more) -> int:
    more = {"stamp_ns": number * SECOND, "camera": "front", "pose": pose(x, yaw)} | more
    return bank.add(record(number), **more)


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


def test_only_key_records_of_the_camera_and_of_the_size_serve(bank):
    key = store(bank, 1, x=0.0)
    store(bank, 2, x=0.3, camera="rear")
    bank.add(
        record(5, record(1)), stamp_ns=3 * SECOND, camera="front", pose=pose(0.3), reference=key
    )
    assert bank.get(3).needed and ask(bank, x=0.3) == 1
    assert ask(bank, x=0.3, size=(7, 5)) is None


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


def test_a_group_goes_on_from_an_earlier_visit_where_that_costs_less():
    codec, rng = FrameCodec(device="cpu"), np.random.default_rng(0)
    coarse = rng.integers(40, 220, (12, 16, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)
    old = codec.encode(picture, 60)
    for earlier, needed in ((old, (old,)), (None, ())):
        encoder = SequenceEncoder(codec, ahead=0)
        [first] = encoder.encode(picture, 40, earlier=lambda earlier=earlier: earlier)
        assert first.needed == needed
        [second] = encoder.encode(picture, 40)
        assert second.needed[:1] == (needed or (first.data,))
    noise = rng.integers(0, 256, picture.shape).astype(np.uint8)
    [alone] = SequenceEncoder(codec, ahead=0).encode(noise, 40, earlier=lambda: old)
    assert alone.needed == ()
