"""Frames into the bank through the memory node's recorder, with a real codec and a real bank."""

import numpy as np
import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.likeness import describe
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.nodes.recorder import Recorder
from gaussvae_ros.nodes.session_facts import LIVE

T = 1_700_000_000_000_000_000  # ns


@pytest.fixture(scope="module")
def codec():
    return FrameCodec(device="cpu")


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "memory.db") as bank:
        yield bank


class Setup:
    def __init__(self, bank, codec, name="drive", wants_poses=True):
        self.counters, self.stored = Counters(["camera", "rear"]), []
        encoding = {"quality": 0, "effort": "fast", "predict": False}
        self.recorder = Recorder(
            bank,
            codec,
            self.counters,
            name,
            encoding,
            self.stored.extend,
            lambda: T + 10**9,
            wants_poses,
        )

    def counts(self, camera="camera"):
        return {what: n for what, n in self.counters.of_camera(camera).items() if n}


def pending(number=0, camera="camera", session=0, **more):
    y, x = np.mgrid[:32, :48]
    image = np.uint8(np.stack([5 * x, 7 * y, 3 * (x + y) + number], -1) % 256)
    return PendingFrame(
        camera, session, T + number * 10**8, image, describe(image).tobytes(), "lens", **more
    )


def test_a_frame_is_stored_as_the_codec_encodes_it(bank, codec):
    it, one = Setup(bank, codec), pending(pose=Pose(1, 2, 3))
    image = one.image
    it.recorder.work(one)
    assert it.stored == [], "told before the commit"
    assert it.recorder.commit()
    [frame] = it.stored
    assert frame == bank.get(1)
    assert frame.data == codec.encode(image, 0)
    assert (frame.stamp_ns, frame.camera, frame.frame_id, frame.pose) == (
        T,
        "camera",
        "lens",
        Pose(1, 2, 3),
    )
    assert bank.descriptor(1) == describe(image).tobytes()
    assert it.counts() == {"stored": 1, "with_pose": 1}
    assert it.counters.median("camera", "latency") == 1.0
    assert it.counters.median("camera", "encode") > 0
    assert one.image is None, "a stored frame's pixels are kept for nothing"


def test_a_pose_may_come_before_or_after_the_frame_is_stored_or_not_at_all(bank, codec):
    it = Setup(bank, codec)
    early, late, never = (pending(i, settled=False) for i in range(3))
    it.recorder.settle(early, Pose(1, 0, 0))
    for one in (early, late, never):
        it.recorder.work(one)
    it.recorder.commit()
    assert it.counts() == {"stored": 3, "with_pose": 1}
    it.recorder.settle(late, Pose(2, 0, 0))
    it.recorder.settle(never, None)
    it.recorder.commit()
    assert [bank.get(i).pose for i in (1, 2, 3)] == [Pose(1, 0, 0), Pose(2, 0, 0), None]
    assert it.counts() == {"stored": 3, "with_pose": 2, "poses_missing": 1}


def test_frames_that_lie_in_the_bank_with_their_pose_are_told_once(bank, codec):
    it, told = Setup(bank, codec), []
    it.recorder.placed = lambda frame: told.append((frame.id, frame.bank_session, frame.pose))
    now, early, late, never = (pending(i, settled=not i, map_id="attic") for i in range(4))
    now.pose = Pose(0, 0, 0)
    it.recorder.settle(early, Pose(1, 0, 0))
    for one in (now, early, late, never):
        it.recorder.work(one)
    assert told == [(1, 1, Pose(0, 0, 0)), (2, 1, Pose(1, 0, 0))]
    it.recorder.settle(late, Pose(2, 0, 0))
    it.recorder.settle(never, None)
    assert it.recorder.commit()
    assert told[2:] == [(3, 1, Pose(2, 0, 0))]
    assert {frame.map_id for frame in bank} == {"attic"}


def test_the_pose_of_a_frame_that_was_dropped_is_nobodys(bank, codec):
    it = Setup(bank, codec)
    it.recorder.settle(pending(settled=False), None)
    assert it.counts() == {}


def test_nobody_misses_poses_that_are_not_wanted(bank, codec):
    it = Setup(bank, codec, wants_poses=False)
    it.recorder.work(pending())
    it.recorder.commit()
    assert it.counts() == {"stored": 1}


def test_each_lap_is_a_session_with_its_tally(bank, codec):
    it = Setup(bank, codec, name="")
    for number, (session, camera) in enumerate(
        [(0, "camera"), (0, "rear"), (1, "camera"), (0, "rear")]
    ):
        for what in ("received", "received", "gated"):
            it.counters.count(camera, session, what)
        it.recorder.work(pending(number, camera, session))
    it.recorder.commit()
    assert it.recorder.behind
    it.recorder.tally()
    it.recorder.commit()
    assert not it.recorder.behind
    assert [bank.get(i).session for i in (1, 2, 3, 4)] == [1, 1, 2, 1]
    first, second = bank.info()["sessions"]
    assert (first["received"], first["gated"], first["dropped"], first["poses_missing"]) == (
        6,
        3,
        0,
        3,
    )
    assert (second["received"], second["gated"], second["dropped"], second["poses_missing"]) == (
        2,
        1,
        0,
        1,
    )
    assert first["start_ns"] == T and second["start_ns"] == T + 2 * 10**8
    assert first["name"].count(":") == 2, "named by the time"


def test_sessions_that_are_over_cost_no_memory(bank, codec):
    it = Setup(bank, codec)
    for session in range(LIVE + 4):
        it.counters.count("camera", session, "received")
        it.recorder.work(pending(session, session=session))
    assert it.counters.sessions() == list(range(3, LIVE + 4))
    it.recorder.tally()
    it.recorder.commit()
    tallies = [s["received"] for s in bank.info()["sessions"]]
    assert tallies == [1] * (LIVE + 4), "tallies of sessions that are over were lost"


def test_clocks_that_alternate_go_back_to_their_sessions(bank, codec):
    it = Setup(bank, codec)
    for i in range(12):
        it.recorder.work(pending(i, session=(0, 5, 9)[i % 3]))
    it.recorder.commit()
    assert [bank.get(i).session for i in range(1, 13)] == [1, 2, 3] * 4


def test_calibrations_go_with_every_session(bank, codec):
    it = Setup(bank, codec)
    it.recorder.calibrate("camera", {"k": 1})
    it.recorder.work(pending(0))
    it.recorder.work(pending(1, session=1))
    it.recorder.calibrate("camera", {"k": 2})
    it.recorder.commit()
    assert (bank.calibration(1, "camera"), bank.calibration(2, "camera")) == ({"k": 1}, {"k": 2})


def test_a_calibration_goes_with_a_clock_that_returns_to_its_session(bank, codec):
    it = Setup(bank, codec)
    it.recorder.work(pending(0))
    it.recorder.work(pending(1, session=1))  # one wild stamp
    it.recorder.calibrate("camera", {"k": 1})
    it.recorder.work(pending(2))
    it.recorder.calibrate("camera", {"k": 2})
    it.recorder.commit()
    assert (bank.calibration(1, "camera"), bank.calibration(2, "camera")) == ({"k": 2}, {"k": 1})


def test_a_frame_that_cannot_be_encoded_costs_itself_only(bank, codec, caplog):
    it, bad = Setup(bank, codec), pending(1)
    bad.image = bad.image.astype(np.float64)
    for one in (pending(0), bad, pending(2)):
        it.recorder.work(one)
    assert it.recorder.commit()
    assert it.counts() == {"stored": 2, "poses_missing": 2, "failed": 1}
    assert "could not be encoded" in caplog.text
    assert it.recorder.refusal == "", "the bank is not to blame"
    it.recorder.tally()
    assert bank.info()["sessions"][0]["dropped"] == 1
