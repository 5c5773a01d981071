"""Frames that look as those with a label do: learned from their descriptors within a question.

A ridge regression in the space of a Gaussian kernel says +1 for frames with the label, and -1 for
those with other labels and for some of all the rest, which may well look so, too, and count less.
A logistic function, fitted to places and scenes that are known, makes a probability of what it says
and of how far that is from what it says of most frames; docs/recognition.md has the figures.
Descriptors are taken as they are stored, of any length, each length on its own.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.frame import checked_label
from gaussvae_ros.bank.likeness.alike import meeting_conditions
from gaussvae_ros.bank.likeness.descriptors import Block, Descriptors, taken
from gaussvae_ros.errors import BankError

SHARPNESS = 2.0  # of the kernel exp(SHARPNESS (cosine - 1))
SMOOTHNESS = 0.1  # of the regression
LABELLED, REST = 100, 200  # frames with the label, with others, and of the rest, at most
REST_SHARE = 0.1  # of the weight of all that say -1, where there are other labels
USUAL = 1000  # frames without a label, at most, that say what is usual
NARROWEST = 0.03  # spread of what is said of them, at least
# Of the logistic function: by how many spreads above the usual, by what is said itself, and by
# log(frames with the label).
OFFSET, ABOVE, SAID, COUNTED = -1.3, 1.0, 3.6, -0.75
LIKE = "~"  # before a label, in a question, where frames are meant that look so
SEED = 0  # of which frames are taken where there are too many


@dataclass(frozen=True)
class Likeness:
    """What was learned: `probability` of descriptors."""

    known: np.ndarray  # float32 [S, N], of length 1
    weights: np.ndarray  # float32 [S]
    offset: float

    def probability(self, rows: np.ndarray) -> np.ndarray:  # int8 [M, N] -> float32 [M]
        """That frames with these descriptors have the label."""
        logits = _kernel(_unit(rows), self.known) @ self.weights + self.offset
        return (1 / (1 + np.exp(-np.clip(logits, -50, 50)))).astype(np.float32)


def learn(having: np.ndarray, others: np.ndarray, free: np.ndarray) -> Likeness:
    """Learn from descriptors, int8 [M, N]: of frames with the label (one at least), with other
    labels, and without any."""
    rest, usual = _some(free, REST), _some(free, USUAL)
    known = np.concatenate([_unit(rows) for rows in (having, others, rest)])
    wanted = np.repeat([1.0, -1.0], [len(having), len(others) + len(rest)])
    share = REST_SHARE if len(others) and len(rest) else float(len(rest) > 0)
    parts = ((having, 1.0), (others, 1 - share), (rest, share))
    weights = np.concatenate([np.full(len(rows), part / max(len(rows), 1)) for rows, part in parts])
    # with a constant beside the kernel: (K + smoothness / weight) a + b = wanted, sum of a = 0
    matrix = _kernel(known, known).astype(float) + np.diag(2 * SMOOTHNESS / weights)
    solved, ones = np.linalg.solve(matrix, np.stack([wanted, np.ones(len(known))], 1)).T
    constant = solved.sum() / ones.sum()
    solved -= constant * ones
    middle, spread = 0.0, 1.0
    if len(usual):
        said = _kernel(_unit(usual), known) @ solved + constant
        low, middle, high = np.percentile(said, (25, 50, 75))
        spread = max(high - low, NARROWEST)
    slope = ABOVE / spread + SAID
    offset = OFFSET + COUNTED * np.log(len(having)) + slope * constant - ABOVE / spread * middle
    return Likeness(known, (slope * solved).astype(np.float32), float(offset))


def labelled_alike(
    db: Database, descriptors: Descriptors, label: str, **conditions: object
) -> Iterator[tuple[int, float]]:
    """(frame id, probability) of the frames without any label that look as those with `label` do
    and meet all conditions, see `MemoryBank.find`, the likeliest first, then by id.

    Raises:
        BankError: no frame has the label, or none of them a descriptor.
    """
    sql = "SELECT frame, label = ? FROM labels ORDER BY frame"
    rows = db.execute(sql, [checked_label(label)]).fetchall()
    labelled = np.array([frame_id for frame_id, _ in rows], np.int64)
    has = np.array([has for _, has in rows], bool)
    if not has.any():
        raise BankError(f"no frame has the label {label!r}, which is learned from such frames")
    blocks, learned = descriptors.blocks(db), {}
    for length, some in blocks.items():
        ids = np.concatenate([block.ids for block in some])
        groups = *(np.isin(ids, labelled[of]) for of in (has, ~has)), ~np.isin(ids, labelled)
        having, others, free = (
            taken(some, _some(np.flatnonzero(group), most))[1]
            for group, most in zip(groups, (LABELLED, LABELLED, USUAL))
        )
        if len(having):
            learned[length] = learn(having, others, free)
    if not learned:
        raise BankError(f"no frame with the label {label!r} was stored with a descriptor")

    def ranked(among: list[int] | None, within: object) -> Iterator[tuple[int, float]]:
        each = (_ranked(blocks[length], said, labelled, among) for length, said in learned.items())
        return heapq.merge(*each, key=lambda found: (-found[1], found[0]))

    yield from meeting_conditions(db, ranked, **conditions)


def _ranked(
    blocks: list[Block],
    learned: Likeness,
    labelled: np.ndarray,
    among: list[int] | None,
) -> Iterator[tuple[int, float]]:
    """(frame id, probability) of the frames in blocks that have no label, the likeliest first."""
    found = []
    for block in blocks:
        left = ~np.isin(block.ids, labelled)
        if among is not None:
            left &= np.isin(block.ids, among)
        some = block.only(left)
        found.append((some.ids, learned.probability(some.numbers())))
    ids, scores = (np.concatenate(parts) for parts in zip(*found))
    for at in np.lexsort((ids, -scores)):
        yield int(ids[at]), float(scores[at])


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(SEED).choice(len(rows), most, replace=False))]


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1)


def _kernel(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.exp(SHARPNESS * (some @ others.T - 1))
