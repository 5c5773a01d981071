"""Loop candidates: where a frame may have been taken before, with how likely that is.

The likeness of a picture to one other says little where corridors repeat. So the frames around
both are compared, too, in the same or in the opposite order (after Milford and Wyeth, SeqSLAM,
ICRA 2012), and the mean is turned into a probability by a logistic function that was fitted to
sequences with known places; docs/bank.md says to which, and how right it was on others.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank import stamps
from gaussvae_ros.bank.alike import alike
from gaussvae_ros.bank.descriptors import Descriptors, read_descriptor
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.queries import DamagedFrame
from gaussvae_ros.bank.schema import has_corrections, placed
from gaussvae_ros.likeness import likeness
from gaussvae_ros.recognition.kinds import kind_of

STEPS, STEP_NS = 3, 10**9  # neighbours on each side that are compared, and the time between them
SAME_M = 2.0  # m within which two frames are of one place
LOOKED_AT = 20_000  # frames, the likest ones, that are looked at for places
PLACES = 30  # that are compared with their neighbours, at least
_FACTS = """
    SELECT f.stamp_ns, f.camera, f.session, {map_id}, {x}, {y}, {z}, {reference}
    FROM frames f JOIN sessions s ON s.id = f.session
        LEFT JOIN poses p ON p.frame = f.id {moved} WHERE f.id = ?
"""


@dataclass(frozen=True)
class Spot:
    """When and where a frame was taken."""

    frame_id: int
    stamp_ns: int
    camera: str
    session: int
    map_id: str
    position: tuple[float, float, float] | None
    reference: str | None

    def follows(self, other: "Spot", apart_ns: int) -> bool:
        """Whether the two were taken one after the other."""
        return self.session == other.session and abs(self.stamp_ns - other.stamp_ns) < apart_ns

    def is_near(self, other: "Spot", apart_ns: int) -> bool:
        """Whether the two were taken one after the other, or by their poses at one place."""
        if self.follows(other, apart_ns):
            return True
        if self.session != other.session and (not self.map_id or self.map_id != other.map_id):
            return False
        posed = self.position and other.position and self.reference == other.reference
        return bool(posed) and math.dist(self.position, other.position) < SAME_M


def candidates(
    db: Database,
    descriptors: Descriptors,
    of: int | bytes,
    count: int,
    apart_ns: int,
    **conditions: object,
) -> list[tuple[int, float]]:
    """(frame id, probability of the same place) of the best `count` places for a frame, or for a
    descriptor, the likeliest first; see `MemoryBank.loop_candidates`.
    """
    asked, around = None, {0: of}
    if isinstance(of, int):
        asked = _spot(db, of)
        around = _neighbours(db, asked)
    if around.get(0) is None:
        return []
    places: list[Spot] = []
    for number, (frame_id, _) in enumerate(alike(db, descriptors, around[0], **conditions)):
        if len(places) >= max(PLACES, 2 * count) or number >= LOOKED_AT:
            break
        spot = _spot(db, frame_id)
        if spot is None or (asked and spot.follows(asked, apart_ns)):
            continue
        if not any(spot.is_near(place, apart_ns) for place in places):
            places.append(spot)
    scores = [(_alike(around, _neighbours(db, place)), place.frame_id) for place in places]
    best = sorted(scores, key=lambda scored: (-scored[0], scored[1]))[:count]
    length = len(around[0])
    return [(frame_id, probability(score, length)) for score, frame_id in best]


def probability(score: float, length: int) -> float:
    """That two frames are of one place, by the mean likeness of their neighbours and themselves, by
    descriptors of `length` bytes.
    """
    kind = kind_of(length)
    return 1 / (1 + math.exp(-(kind.offset + kind.slope * score)))


def _spot(db: Database, frame_id: int) -> Spot | None:
    moved, columns = placed(db)
    map_id = "s.map_id" if has_corrections(db) else "''"
    names = {name: columns[name] for name in ("x", "y", "z", "reference")}
    row = db.execute(_FACTS.format(map_id=map_id, moved=moved, **names), [frame_id]).fetchone()
    if row is None:
        return None
    stamp_ns, camera, session, map_id, *position, reference = row
    posed = tuple(position) if reference is not None else None
    return Spot(frame_id, stamp_ns, camera, session, map_id, posed, reference)


def _neighbours(db: Database, spot: Spot) -> dict[int, bytes]:
    """The descriptors of a frame, under 0, and of those about so many steps before and after: the
    nearest within half a step.
    """
    reach, half = STEPS * STEP_NS, STEP_NS // 2
    ends = max(spot.stamp_ns - reach - half, -INT64), min(spot.stamp_ns + reach + half, INT64 - 1)
    of = {"camera": spot.camera, "sessions": [spot.session]}
    nearest: dict[int, tuple[int, int]] = {}  # by step: how far from it, and the frame
    for stamp_ns, frame_id in stamps.walk(db, after=ends[0], before=ends[1], **of):
        step, off = divmod(stamp_ns - spot.stamp_ns + half, STEP_NS)
        if abs(step) <= STEPS:
            far = abs(off - half), frame_id
            nearest[step] = min(nearest.get(step, far), far)
    nearest[0] = 0, spot.frame_id
    found = {}
    for step, (_, frame_id) in sorted(nearest.items()):
        try:
            if (known := read_descriptor(db, frame_id)) is not None:
                found[step] = known
        except DamagedFrame:
            continue
    return found


def _alike(some: dict[int, bytes], others: dict[int, bytes]) -> float:
    """The mean likeness of neighbours, in the same order or in the opposite one."""
    return max(_mean(some, others, sign) for sign in (1, -1))


def _mean(some: dict[int, bytes], others: dict[int, bytes], sign: int) -> float:
    pairs = _pairs(some, others, sign)
    return float(np.mean([likeness(one, other[None])[0] for one, other in pairs]))


def _pairs(
    some: dict[int, bytes], others: dict[int, bytes], sign: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for step, descriptor in some.items():
        other = others.get(sign * step, b"")
        if len(other) == len(descriptor):
            yield np.frombuffer(descriptor, np.int8), np.frombuffer(other, np.int8)
