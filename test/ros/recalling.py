"""A visual_recall for the tests of a module, its memory, and requests to it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import START
from graph import Ros
from sensor_msgs.msg import CameraInfo

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.nodes import convert
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.srv import FindFrames, RecallFrame, RecallFrames

NODE = "visual_recall"
# Frames that `memory` adds to the 12 of `finished_bank`.
MONO, FOREIGN, DAMAGED, BARE = (13, 14, 15, 16)
TALLY = {"received": 40, "gated": 25, "dropped": 2, "poses_missing": 1}
CODEC = FrameCodec(device="cpu")


@pytest.fixture(scope="module")
def memory(
    finished_bank: Path, frames: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """12 frames of a drive and, in another session: a mono one labelled "dock", one of another
    model, a damaged one, and one in the splats tier without pose and descriptor.
    """
    path = tmp_path_factory.mktemp("memory") / "memory.db"
    shutil.copy(finished_bank, path)
    k = [190.0, 0.0, 79.5, 0.0, 190.0, 59.5, 0.0, 0.0, 1.0]
    info = CameraInfo(
        width=160,
        height=120,
        k=k,
        r=np.eye(3).ravel(),
        p=np.eye(3, 4).ravel(),
        d=[0.1, 0.0, 0.0, 0.0, 0.0],
    )
    with MemoryBank(path) as bank:
        session = bank.begin_session("second", start_ns=START + 10**12)
        bank.set_calibration("camera", convert.calibration(info), session=1)
        bank.set_tally(session, TALLY)
        grey = cv2.cvtColor(frames[3], cv2.COLOR_RGB2GRAY)
        bank.add(
            CODEC.encode(grey),
            stamp_ns=START + 10**12,
            camera="rear",
            label="dock",
            frame_id="rear_optical_frame",
        )
        record = unpack(CODEC.encode(frames[0]))
        foreign = pack(Record(record.tier, record.size, b"\xff\xfe\xfd" + record.payload[3:]))
        bank.add(foreign, stamp_ns=START + 2 * 10**12, camera="camera")
        bank.add(CODEC.encode(frames[1]), stamp_ns=START + 3 * 10**12, camera="camera")
        bank.add(
            CODEC.encode(frames[6], tier="splats"), stamp_ns=START + 4 * 10**12, camera="camera"
        )
    with closing(sqlite3.connect(path)) as db:
        [[data]] = db.execute("SELECT record FROM records WHERE frame = ?", [DAMAGED])
        db.execute(
            "UPDATE records SET record = ? WHERE frame = ?", [data[:20] + b"?" + data[21:], DAMAGED]
        )
        db.commit()
    return path


@pytest.fixture(scope="module")
def node(shared_ros: Ros, memory: Path) -> Ros:
    """A graph with an active recall node on `memory`."""
    shared_ros.run("recall_node", "--ros-args", "-p", f"bank:={memory}")
    assert shared_ros.transition(NODE, "configure") and shared_ros.transition(NODE, "activate")
    return shared_ros


@pytest.fixture
def elsewhere(node: Ros, memory: Path, tmp_path: Path):
    """A path without a memory, which the node of `node` looks at for one test."""
    move(node, tmp_path / "other.db")
    yield tmp_path / "other.db"
    move(node, memory)


def move(ros: Ros, path: Path) -> None:
    assert ros.transition(NODE, "deactivate") and ros.transition(NODE, "cleanup")
    assert ros.set_parameter(NODE, "bank", str(path)) == ""
    assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")


def frame(ros: Ros, **request: object) -> RecallFrame.Response:
    return ros.call(RecallFrame, f"{NODE}/recall_frame", **request)


def frames_of(ros: Ros, **request: object) -> RecallFrames.Response:
    return ros.call(RecallFrames, f"{NODE}/recall_frames", **request)


def find(ros: Ros, **request: object) -> FindFrames.Response:
    return ros.call(FindFrames, f"{NODE}/find_frames", **request)
