"""Frames of earlier visits to a place, from which a new frame may be predicted."""

from collections.abc import Iterator

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank, Pose
from gaussvae_ros.poses import angles
from gaussvae_ros.recognition.kinds import kind_of
from gaussvae_ros.record import LONGEST_CHAIN

RADIUS = 1.0  # m between two views of one place
TURN = 0.35  # rad by which one is turned from the other
PER_RADIAN = 2.0  # m away that hide as much of what a view shows as a radian turned does
APART_NS = 5 * 10**9  # nearer frames of the same drive are no visit
LOOKED_AT = 16  # frames that are found, among which there may be one that serves


def earlier_view(
    bank: MemoryBank,
    camera: str,
    size: tuple[int, int],  # (w, h) px
    stamp_ns: int,
    pose: Pose | None,
    descriptor: bytes | None,
    map_id: str = "",
) -> Frame | None:
    """The stored frame, whose record needs one other at most, that shows the most of what a camera
    sees from `pose` (in the map `map_id`, or in any if that is empty), or (without one) of what
    looks like `descriptor`; None if there is none.

    Raises:
        BankError: the bank cannot be read.
    """
    for time in ({"before": stamp_ns - APART_NS}, {"after": stamp_ns + APART_NS}):
        for frame in _near(bank, camera, pose, descriptor, map_id or None, time):
            if len(frame.needed) < LONGEST_CHAIN - 1 and frame.size == size:
                return frame
    return None


def records_by_id(frame: Frame) -> dict[int, bytes]:
    """The records of a frame that needs one other at most, in their order."""
    if not frame.needed:
        return {frame.id: frame.data}
    return {frame.reference: frame.needed[0], frame.id: frame.data}


def _near(
    bank: MemoryBank,
    camera: str,
    pose: Pose | None,
    descriptor: bytes | None,
    map_id: str | None,
    time: dict[str, int],
) -> Iterator[Frame]:
    """Candidates, best first."""
    conditions = {"camera": camera, "limit": LOOKED_AT, **time}
    if pose is not None:
        ball = {"near": pose.position, "radius": RADIUS, "reference": pose.reference}
        found = bank.find(**ball, map_id=map_id, nearest_first=True, **conditions)
        views = [frame for frame in found if frame.pose and turned(frame.pose, pose) <= TURN]
        yield from sorted(views, key=lambda frame: _apart(frame.pose, pose))
    elif descriptor is not None:
        for frame, likeness in bank.find_like(descriptor, **conditions):
            if likeness >= kind_of(len(descriptor)).alike:
                yield frame


def _apart(one: Pose, other: Pose) -> float:  # m
    away = float(np.linalg.norm(np.subtract(one.position, other.position)))
    return away + PER_RADIAN * turned(one, other)


def turned(one: Pose, other: Pose) -> float:
    """The angle between two orientations, rad."""
    return float(angles(np.array(one.orientation), np.array(other.orientation)))
