"""The chances with which the coder of levels begins each chunk: counted in a volume, and a part of
its record.
"""

import numpy as np

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume.levels import CONTEXTS, FLAT, LIKELY, PARTS, SIGN, SIZE, SIZES, put
from gaussvae_ros.volume.ranges import (
    HALF,
    STATE,
    begin_reading,
    begin_writing,
    bit,
    finish,
)

EVEN = len(LIKELY) // 2  # the place of one half in LIKELY
_FEW = 16  # answers, of which less is known than what others suggest


def even() -> np.ndarray:
    """The table of somebody who knows nothing."""
    return np.full(CONTEXTS, EVEN, np.uint8)


def of_counts(counts: np.ndarray) -> np.ndarray:
    """Places in LIKELY, uint8 [CONTEXTS], of counted answers int64 [CONTEXTS, 2]."""
    share = (counts[:, 0] + 0.4) / (counts.sum(axis=1) + 0.8)
    places = np.rint(2 * np.log2(share / (1 - share))).astype(np.int64) + EVEN
    table = np.clip(places, 0, len(LIKELY) - 1).astype(np.uint8)
    for at in np.flatnonzero(counts.sum(axis=1) < _FEW):
        table[at] = _suggested(table, at)
    return table


def pack(table: np.ndarray) -> bytes:
    """A table as bytes."""
    state, data = np.zeros(STATE, np.int64), np.zeros(4 * CONTEXTS, np.uint8)
    begin_writing(state)
    _code(state, data, table.copy())
    return data[: finish(state, data)].tobytes()


def unpack(data: bytes) -> np.ndarray:
    """The table, whatever the bytes are."""
    state, table = np.zeros(STATE, np.int64), np.zeros(CONTEXTS, np.uint8)
    begin_reading(state, np.frombuffer(data or b"\0", np.uint8).copy(), 0, len(data))
    _code(state, np.frombuffer(data or b"\0", np.uint8).copy(), table)
    return table


@kernel(error_model="numpy")
def _suggested(table, at):
    """Where a context is likely to be, by those before it: of a part or a class less."""
    if at >= FLAT:
        return EVEN
    if at >= SIZE:
        return int(table[at - SIZES]) if at >= SIZE + SIZES else EVEN
    if at % PARTS:
        return int(table[at - 1])
    return int(table[at - PARTS]) if at % SIGN else EVEN


@kernel(error_model="numpy")
def _code(state, data, table):
    """Write or read a table, each place as its distance from the one that is suggested."""
    chance, last = np.full((len(LIKELY), 2), HALF, np.int64), len(LIKELY) - 1
    for at in range(CONTEXTS):
        suggested = _suggested(table, at)
        off = int(table[at]) - suggested
        size = 0
        while size < last and put(
            state, data, 0 if abs(off) == size else 1, chance, size, np.zeros((0, 2), np.int64)
        ):
            size += 1
        if size and bit(state, data, 1 if off < 0 else 0, HALF):
            size = -size
        table[at] = min(max(suggested + size, 0), last)
