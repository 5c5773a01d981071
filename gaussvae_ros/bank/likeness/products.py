"""How alike a descriptor is to many, by kernels that take them as a memory file stores them.

A kernel of its own takes a quarter of the time of NumPy, which makes 32-bit numbers of all rows
first; and a product by BLAS takes two threads that wait for each other, ten times as long where the
cores are busy.
"""

from collections.abc import Iterable

import numpy as np

from gaussvae_ros.kernels import kernel

# The sums are of whole numbers up to 2^24, so exact in any order.
_ANY_ORDER = {"reassoc", "contract"}


def cosines(query: np.ndarray, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Those of a descriptor to the rows of some blocks, one after the other; 1 for rows of nothing.

    Args:
        query: float32 [N], of a length other than 0.
        blocks: of each the rows, int8 [M, N], or, packed, uint8 [M, N / 2]; and float32 [M], the
            inverses of their lengths, 0 where those are 0.

    Returns:
        float32 [sum of M].
    """
    inverse = np.float32(1 / np.sqrt(np.square(query, dtype=np.float64).sum()))
    firsts, seconds = query[::2].copy(), query[1::2].copy()
    found = []
    for rows, inverses in blocks:
        found.append(np.empty(len(rows), np.float32))
        if rows.dtype == np.uint8:
            _packed(rows, inverses, firsts, seconds, inverse, found[-1])
        else:
            _plain(rows, inverses, query, inverse, found[-1])
    return np.concatenate(found)


@kernel(fastmath=_ANY_ORDER)
def _plain(rows, inverses, query, inverse, out):
    for i in range(len(rows)):
        total = np.float32(0)
        for j in range(len(query)):
            total += np.float32(rows[i, j]) * query[j]
        out[i] = total * inverses[i] * inverse if inverses[i] else np.float32(1)


@kernel(fastmath=_ANY_ORDER)
def _packed(rows, inverses, firsts, seconds, inverse, out):
    none = np.float32(0)
    for j in range(len(firsts)):
        none += np.float32(8) * (firsts[j] + seconds[j])
    for i in range(len(rows)):
        total = np.float32(0)
        for j in range(len(firsts)):
            first, second = np.uint8(rows[i, j] >> 4), np.uint8(rows[i, j] & 15)
            total += np.float32(first) * firsts[j] + np.float32(second) * seconds[j]
        out[i] = (total - none) * inverses[i] * inverse if inverses[i] else np.float32(1)
