"""A frame between the camera and the memory file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gaussvae_ros.bank import Pose


@dataclass(eq=False)
class PendingFrame:
    """A frame on its way into the memory."""

    camera: str
    session: int  # its number in this recording, see sessions.py
    stamp_ns: int
    image: np.ndarray | None  # uint8 [H, W, 3] RGB or [H, W]; None once it is encoded
    descriptor: bytes
    frame_id: str  # the camera's coordinate frame, empty where not known
    pose: Pose | None = None
    odometry: np.ndarray | None = None  # [7], the camera in odometry's frame, where that is known
    map_id: str = ""  # the map that the pose is in
    settled: bool = True  # False: `settle` is still to say whether there is a pose
    data: bytes = b""  # the record, once it is encoded and until it is stored
    before: PendingFrame | None = None  # whose record that one needs
    encode_s: float = 0.0  # that it took
    needed: tuple[bytes, ...] = ()  # the records that it needs, which go with it elsewhere
    id: int | None = None  # in the bank, once it is there
    bank_session: int = 0  # likewise
    file: int = 0  # which of the recorder's files that is, one after the other
    counted: bool = False  # as one with a pose or without
