"""Loop candidates: where a frame may have been taken before, with how likely that is.

The likeness of a picture to one other says little where corridors repeat. So the frames around
both are compared, too, in the same or in the opposite order (after Milford and Wyeth, SeqSLAM,
ICRA 2012), and the mean is turned into a probability by a logistic function that was fitted to
sequences with known places; docs/bank.md says to which, and how right it was on others.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import has_corrections, placed
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.likeness.alike import alike
from gaussvae_ros.bank.likeness.descriptors import Descriptors, read_descriptor
from gaussvae_ros.bank.search import stamps
from gaussvae_ros.bank.search.queries import DamagedFrame
from gaussvae_ros.likeness import likeness
from gaussvae_ros.recognition.kinds import kind_of

STEPS, STEP_NS = 3, 10**9  # neighbours on each side that are compared, and the time between them
SAME_M = 2.0  # m within which two frames are of one place
LOOKED_AT = 20_000  # frames, the likest ones, that are looked at for places
PLACES = 30  # that are compared with their neighbours, at least
FIRST, TOGETHER = 64, 1024  # frames that are looked up at once, at first and at most
_FACTS = """
    SELECT f.id, f.stamp_ns, f.camera, f.session, {map_id}, {x}, {y}, {z}, {reference}
    FROM json_each(?) asked CROSS JOIN frames f ON f.id = asked.value
        JOIN sessions s ON s.id = f.session LEFT JOIN poses p ON p.frame = f.id {moved}
    ORDER BY asked.key
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


class Spots:
    """Those of many frames, as columns: so that ten thousand of one place are found to be so in
    milliseconds.
    """

    def __init__(self, spots: Sequence[Spot]):
        self.spots = spots
        self._stamps = np.array([spot.stamp_ns for spot in spots], np.int64)
        self._sessions = np.array([spot.session for spot in spots], np.int64)
        self._maps = np.array([spot.map_id for spot in spots], object)
        self._references = np.array([spot.reference for spot in spots], object)
        nowhere = (math.nan,) * 3
        self._positions = np.array([spot.position or nowhere for spot in spots], float)

    def follow(self, other: Spot, apart_ns: int) -> np.ndarray:  # bool [N]
        """Which were taken shortly before or after another one."""
        stamp = np.int64(other.stamp_ns)
        later, earlier = np.maximum(self._stamps, stamp), np.minimum(self._stamps, stamp)
        apart = later.view(np.uint64) - earlier.view(np.uint64)  # of any two stamps
        near = apart < np.uint64(min(max(apart_ns, 0), 2**64 - 1))
        return (self._sessions == other.session) & near

    def near(self, other: Spot, apart_ns: int) -> np.ndarray:  # bool [N]
        """Which were taken shortly before or after another one, or by their poses at its place."""
        found = self.follow(other, apart_ns)
        if other.position is None:
            return found
        placed = self._references == other.reference
        if other.map_id:
            placed &= (self._sessions == other.session) | (self._maps == other.map_id)
        else:
            placed &= self._sessions == other.session
        off = np.linalg.norm(self._positions - other.position, axis=1)
        return found | (placed & (off < SAME_M))


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
        asked = next(iter(_spots(db, [of])), None)
        around = _neighbours(db, asked)
    if around.get(0) is None:
        return []
    places: list[Spot] = []
    likest = (frame_id for frame_id, _ in alike(db, descriptors, around[0], **conditions))
    likest, enough, size = islice(likest, LOOKED_AT), max(PLACES, 2 * count), FIRST
    while len(places) < enough and (ids := list(islice(likest, size))):
        some, size = Spots(_spots(db, ids)), min(2 * size, TOGETHER)
        left = np.ones(len(some.spots), bool)
        if asked:
            left &= ~some.follow(asked, apart_ns)
        for place in places:
            left &= ~some.near(place, apart_ns)
        while len(places) < enough and left.any():
            first = int(np.argmax(left))
            places.append(some.spots[first])
            left[first] = False
            left &= ~some.near(places[-1], apart_ns)
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


def _spots(db: Database, ids: Sequence[int]) -> list[Spot]:
    """Those of frames, in their order; frames that are gone are left out."""
    moved, columns = placed(db)
    map_id = "s.map_id" if has_corrections(db) else "''"
    names = {name: columns[name] for name in ("x", "y", "z", "reference")}
    sql = _FACTS.format(map_id=map_id, moved=moved, **names)
    spots = []
    for frame_id, stamp_ns, camera, session, map_id, *position, reference in db.execute(
        sql, [json.dumps(list(ids))]
    ).fetchall():
        posed = tuple(position) if reference is not None else None
        spots.append(Spot(frame_id, stamp_ns, camera, session, map_id, posed, reference))
    return spots


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
