"""What a format of an export is: it gets frames with their pictures, in order, and writes files."""

import io
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np
from PIL import Image

from gaussvae_ros.bank import Frame, MemoryBank, Pose, Volume
from gaussvae_ros.errors import BankError
from gaussvae_ros.exports import PICTURES
from gaussvae_ros.poses import OPTICAL_IN_BODY, compose

QUALITY = 95  # of JPEG
PACKED = 1  # PNG, of 9: three times as fast as the usual 6, for a third more bytes


class Format:
    """Writes an export into an empty folder. `add` gets the frames, by stamp, or if `by_session`
    one session after the other; then comes `finish`.

    Where `needs_pose`, frames without a pose are left out; where `one_map`, all poses must be in
    one coordinate frame of one map; where `one_camera` or `one_session`, all frames must be of one.
    """

    needs_pose = one_map = one_camera = one_session = by_session = False
    pictures = "png"  # of PICTURES, unless one asks for another

    def __init__(self, folder: Path, bank: MemoryBank, pictures: str | None) -> None:
        self.folder, self.bank = folder, bank
        self.kind = pictures or self.pictures
        self.ending = PICTURES[self.kind]
        self.problems: list[str] = []  # what is to be said of the export
        self.files = ExitStack()  # to be closed in any case

    def add(self, frame: Frame, image: np.ndarray) -> None:
        """Write a frame and its picture, uint8 [H, W, 3] RGB or [H, W]."""
        raise NotImplementedError

    def add_volume(self, volume: Volume) -> bool:
        """Write a volume; False where the format has no place for it."""
        return False

    def finish(self) -> None:
        """All frames came."""

    def text(self, name: str) -> TextIO:
        """A text file to write line by line."""
        return self.files.enter_context(open(self.folder / name, "w", newline=""))

    def picture(self, image: np.ndarray) -> bytes:
        """A picture as a file."""
        out = io.BytesIO()
        Image.fromarray(image).save(out, self.kind, quality=QUALITY, compress_level=PACKED)
        return out.getvalue()


def optical(pose: Pose) -> np.ndarray:
    """The pose [7] of a camera in optical axes (x right, y down, z ahead); memory files have it in
    those of REP 103's bodies (x ahead, y left, z up).
    """
    return compose(pose.array, OPTICAL_IN_BODY)


def seconds(stamp_ns: int) -> str:
    """A stamp as a decimal number of seconds, exactly."""
    whole, rest = divmod(abs(stamp_ns), 10**9)
    return f"{'-' * (stamp_ns < 0)}{whole}.{rest:09d}"


def calibration_of(bank: MemoryBank, frame: Frame) -> dict:
    """What the file knows of the camera of a frame; empty where that is nothing, or damaged."""
    try:
        return bank.calibration(frame.session, frame.camera) or {}
    except BankError:
        return {}
