"""A memory of a drive for tests of exports, and what an export of it came to."""

from pathlib import Path

import numpy as np
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.exports import format_of
from gaussvae_ros.exports.writing import Exported, export

START, STEP = 1_700_000_000_000_000_000, 100_000_000  # ns
INFO = {
    "width": 64,
    "height": 48,
    "distortion_model": "plumb_bob",
    "d": [0.1, 0.0, 0.0, 0.0, 0.0],
    "k": [50.0, 0, 32, 0, 50, 24, 0, 0, 1],
    "r": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
    "p": [50.0, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0],
    "binning": [0, 0],
    "roi": [0, 0, 0, 0],
    "do_rectify": False,
}


def picture(level: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """One grey, as RGB."""
    return np.full((size[1], size[0], 3), level % 256, np.uint8)


def heading(yaw: float) -> tuple[float, float, float, float]:
    """The quaternion of an angle from x towards y, rad."""
    return 0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2))


def pose_of(i: int) -> Pose | None:
    """Along a bend; the fourth frame has none."""
    return None if i == 3 else Pose(1.0 + i, 0.5 * i, 0.6, *heading(0.2 * i))


def add(bank: MemoryBank, i: int, **how: object) -> int:
    """Frame `i` of the drive."""
    size = how.pop("size", (64, 48))
    facts = {"camera": "front", "pose": pose_of(i), "frame_id": "front_optical_frame"}
    return bank.add(
        JpegCodec().encode(picture(20 * i, size)), stamp_ns=START + i * STEP, **{**facts, **how}
    )


def make(path: Path, count: int = 6) -> Path:
    """A memory of `count` frames of one camera, in one session and map."""
    with MemoryBank(path) as bank:
        bank.begin_session("tour", start_ns=START, map_id="hall")
        for i in range(count):
            add(bank, i, label="dock" if i == 2 else None)
        bank.set_calibration("front", INFO)
    return path


def write(path: Path, out: Path, form: str, codec: object = None, **how: object) -> Exported:
    """Export a memory."""
    with MemoryBank(path, readonly=True) as bank:
        return export(bank, out, format_of(form), codec or JpegCodec(), **how)
