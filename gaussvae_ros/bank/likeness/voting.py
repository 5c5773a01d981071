"""Where several frames in a row were taken before: they vote along the rows of stored ones.

One picture of a corridor looks like many others; ten in a row look like ten in a row at one place
only (Milford and Wyeth, SeqSLAM, ICRA 2012). The likest frames of each one asked about lead to the
stretches of stored frames that are looked at whole: there every frame is tried as the last one,
with those before it, or, for a way back, after it, at several paces.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.likeness.alike import alike
from gaussvae_ros.bank.likeness.descriptors import Descriptors
from gaussvae_ros.bank.search import stamps
from gaussvae_ros.bank.search.matching import meeting
from gaussvae_ros.likeness import likeness

LEADS = 30  # likest frames of each one asked about, that are followed
PACES = 0.5, 0.75, 1.0, 1.5, 2.0  # stored frames for each one asked about
MET = 1000  # frames that are held against conditions at once
_FRAME = "SELECT session, camera, stamp_ns FROM frames WHERE id = ?"


def voted(
    db: Database, descriptors: Descriptors, asked: Sequence[bytes], **conditions: object
) -> Iterator[tuple[int, float]]:
    """(frame id, mean likeness along its row) of the frames that meet all conditions and end a row
    like the one asked about, whose last frame comes last; best first, then by id.
    """
    queries = np.stack([np.frombuffer(one, np.int8) for one in asked])
    best: dict[int, float] = {}
    for ids in _stretches(db, descriptors, asked, **conditions):
        rows, there = descriptors.rows(np.array(ids, np.int64), queries.shape[1])
        for frame_id, score in zip(ids, _scores(rows, there, queries).tolist()):
            if score > best.get(frame_id, 0):
                best[frame_id] = score
    order = iter(sorted(best.items(), key=lambda found: (-found[1], found[0])))
    while some := list(islice(order, MET)):
        ids = [frame_id for frame_id, _ in some]
        if any(value is not None for value in conditions.values()):
            met = meeting(db, ids, **conditions)
            some = [found for found in some if found[0] in met]
        yield from some


def _stretches(
    db: Database, descriptors: Descriptors, asked: Sequence[bytes], **conditions: object
) -> list[list[int]]:
    """Ids of frames in a row, each of one camera and session, around those that lead there."""
    reach = round(max(PACES) * (len(asked) - 1))
    stretches: list[list[int]] = []
    inside: set[int] = set()  # frames whose rows, and those of frames around them, are whole
    # Conditions are about the last frame of a row; those that lead to it need not meet them.
    questions = [(one, {}) for one in asked]
    if any(value is not None for value in conditions.values()):
        questions.append((asked[-1], conditions))
    leads = dict.fromkeys(
        frame_id
        for one, which in questions
        for frame_id, _ in islice(alike(db, descriptors, one, **which), LEADS)
    )
    for frame_id in leads:
        row = db.execute(_FRAME, [frame_id]).fetchone()
        if row is None or frame_id in inside:
            continue
        before, after = (_beside(db, frame_id, *row, 3 * reach, end) for end in ("before", "after"))
        stretches.append([*reversed(before), frame_id, *after])
        near = slice(max(len(before) - reach, 0), len(before) + reach + 1)
        inside.update(stretches[-1][near])
    return stretches


def _beside(
    db: Database, frame_id: int, session: int, camera: str, stamp_ns: int, most: int, end: str
) -> list[int]:
    """Ids of the frames right "before" or "after" one, of its session and camera, nearest first."""
    back = end == "before"
    where = f"(f.stamp_ns, f.id) {'<' if back else '>'} (?, ?)"
    of = {"camera": camera, "sessions": [session], end: stamp_ns, "backwards": back}
    with closing(stamps.walk(db, where, (stamp_ns, frame_id), **of)) as walk:
        return [other for _, other in islice(walk, most)]


def _scores(
    rows: np.ndarray, there: np.ndarray, asked: np.ndarray
) -> np.ndarray:  # int8 [N, L], bool [N], int8 [K, L] -> float64 [N]
    """How like the row that ends with each of these frames is to the one asked about; `there` says
    which frames have a descriptor.
    """
    table = np.zeros((len(asked), len(rows) + 1))  # frames beyond the ends are like none
    table[:, :-1] = [likeness(one, rows) * there for one in asked[::-1]]
    back, last = np.arange(len(asked))[:, None], np.arange(len(rows))
    best = np.zeros(len(rows))
    for pace in (*PACES, *(-pace for pace in PACES)):
        at = last - np.rint(back * pace).astype(int)
        at[(at < 0) | (at >= len(rows))] = len(rows)
        best = np.maximum(best, table[back, at].mean(0))
    return np.where(there, best, 0.0)
