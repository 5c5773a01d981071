"""Frames of earlier visits to a place, from which a new frame may be predicted."""

from collections.abc import Iterator

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank, Pose
from gaussvae_ros.poses import angles
from gaussvae_ros.recognition.kinds import kind_of

RADIUS = 1.0  # m between two views of one place
TURN = 0.35  # rad by which one is turned from the other
APART_NS = 5 * 10**9  # nearer frames of the same drive are no visit
LOOKED_AT = 16  # frames that are found, among which there may be one that stands alone


def earlier_view(
    bank: MemoryBank,
    camera: str,
    size: tuple[int, int],  # (w, h) px
    stamp_ns: int,
    pose: Pose | None,
    descriptor: bytes | None,
    map_id: str = "",
) -> Frame | None:
    """The stored frame, with a record that needs no other, that shows the most of what a camera
    sees from `pose` (in the map `map_id`, or in any if that is empty), or (without one) of what
    looks like `descriptor`; None if there is none.

    Raises:
        BankError: the bank cannot be read.
    """
    for frame in _near(bank, camera, pose, descriptor, map_id or None):
        apart = abs(frame.stamp_ns - stamp_ns) >= APART_NS
        if apart and not frame.needed and frame.size == size:
            return frame
    return None


def _near(
    bank: MemoryBank,
    camera: str,
    pose: Pose | None,
    descriptor: bytes | None,
    map_id: str | None,
) -> Iterator[Frame]:
    """Candidates, best first."""
    if pose is not None:
        for frame in bank.find(
            near=pose.position,
            radius=RADIUS,
            reference=pose.reference,
            camera=camera,
            map_id=map_id,
            nearest_first=True,
            limit=LOOKED_AT,
        ):
            if frame.pose is not None and turned(frame.pose, pose) <= TURN:
                yield frame
    elif descriptor is not None:
        for frame, likeness in bank.find_like(descriptor, limit=LOOKED_AT, camera=camera):
            if likeness >= kind_of(len(descriptor)).alike:
                yield frame


def turned(one: Pose, other: Pose) -> float:
    """The angle between two orientations, rad."""
    return float(angles(np.array(one.orientation), np.array(other.orientation)))
