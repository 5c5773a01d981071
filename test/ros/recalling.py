"""A visual_recall, a memory for it, and requests to it."""

import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from conftest import START
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.srv import FindFrames, RecallFrame, RecallFrames
from geometry_msgs.msg import PoseStamped
from graph import Ros
from oldrecords import splats_record
from sensor_msgs.msg import CameraInfo

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.nodes import convert
from gaussvae_ros.record import Record, pack, unpack

NODE = "visual_recall"
MONO, FOREIGN, DAMAGED, BARE = 13, 14, 15, 16  # frames that `make_memory` adds
HUGE = 0xFFFFFFFF
TALLY = {"received": 40, "gated": 25, "dropped": 2, "poses_missing": 1}
CODEC = FrameCodec(device="cpu")


def make_memory(path: Path, finished: Path, frames: list[np.ndarray]) -> None:
    """A copy of `finished`, 12 frames of a drive, and in another session a mono one with the label
    "dock", one of another model, a damaged one, and one of splats without pose and descriptor.
    """
    shutil.copy(finished, path)
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
        bare = splats_record(frames[6], 512)
        bank.add(bare, stamp_ns=START + 4 * 10**12, camera="camera")
    with closing(sqlite3.connect(path)) as db:
        [[data]] = db.execute("SELECT record FROM records WHERE frame = ?", [DAMAGED])
        db.execute(
            "UPDATE records SET record = ? WHERE frame = ?", [data[:20] + b"?" + data[21:], DAMAGED]
        )
        db.commit()


def start(ros: Ros, memory: Path) -> None:
    """An active recall node on a memory."""
    ros.run("recall_node", "--ros-args", "-p", f"bank:={memory}")
    assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")


def move(ros: Ros, path: Path) -> None:
    """Let the node look at another memory."""
    assert ros.transition(NODE, "deactivate") and ros.transition(NODE, "cleanup")
    assert ros.set_parameter(NODE, "bank", str(path)) == ""
    assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")


def frame(ros: Ros, **request: object) -> RecallFrame.Response:
    return ros.call(RecallFrame, f"{NODE}/recall_frame", **request)


def frames_of(ros: Ros, **request: object) -> RecallFrames.Response:
    return ros.call(RecallFrames, f"{NODE}/recall_frames", **request)


def find(ros: Ros, **request: object) -> FindFrames.Response:
    return ros.call(FindFrames, f"{NODE}/find_frames", **request)


def stamp(seconds: float) -> Time:
    return convert.to_time(START + round(seconds * 1e9))


def stored(path: Path, frame_id: int) -> tuple[object, bytes]:
    """What the memory holds: a MemoryFrame of age 0 and the record."""
    with MemoryBank(path, readonly=True) as bank:
        found = bank.get(frame_id)
    return convert.memory_frame(found, found.stamp_ns), found.data


def ageless(frame: MemoryFrame) -> MemoryFrame:
    """An answered frame as it would be told at its stamp."""
    frame.age = Duration()
    return frame


def near(x: float, y: float = 0.0, yaw: float = 0.0, reference: str = "map") -> PoseStamped:
    pose = PoseStamped()
    pose.header.frame_id = reference
    pose.pose.position.x, pose.pose.position.y = x, y
    pose.pose.orientation.z, pose.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return pose
