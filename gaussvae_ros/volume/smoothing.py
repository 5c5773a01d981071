"""Levels to values: what the levels around a voxel tell of where within its step its value lay.

Weighted sums of how far opposite neighbours' levels are from its own, cut off at one level and at
four, and of whether it is the first or last level, as video's adaptive loop filters have them. The
weights are fitted to each volume by least squares and stand in its record: on distances near a
surface they take away half to four fifths of the squared error. A voxel whose six neighbours have
its level keeps it. Neighbours in other chunks are not looked at, so that a chunk decodes alone.
"""

import numpy as np

from gaussvae_ros.kernels import kernel, leaf
from gaussvae_ros.volume.padding import distances, index

PAIRS = np.array(  # z, y, x steps to one of two opposite neighbours
    [
        (0, 0, 1), (0, 1, 0), (1, 0, 0),
        (0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1), (1, 1, 0), (1, -1, 0),
        (1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1),
    ]
)  # fmt: skip
_CUTS = np.array([1, 4])  # levels
TERMS = len(_CUTS) * len(PAIRS) + 2
_STEEP = 4  # levels, summed over six neighbours, from which other weights hold
WEIGHTS = 2 * TERMS  # of a record
UNIT = 128  # of a weight in a record
_RIDGE = 1e-5  # keeps terms that are always zero from upsetting the fit


@leaf
def gather(levels, at, reach, top, terms):
    """The terms of the voxel at `levels[at]` as whole numbers, int64 [TERMS], and which weights
    hold: 0 or 1, -1 for none. `reach` are the distances to one of two opposite neighbours.
    """
    own, around = levels[at], 0
    for k in range(3):
        one, other = levels[np.uint64(at + reach[k])], levels[np.uint64(at - reach[k])]
        around += abs(one - own) if one >= 0 else 0
        around += abs(other - own) if other >= 0 else 0
    if around == 0:
        return -1
    for k in range(len(PAIRS)):
        one, other = levels[np.uint64(at + reach[k])], levels[np.uint64(at - reach[k])]
        one = one - own if one >= 0 else 0
        other = other - own if other >= 0 else 0
        for cut in range(len(_CUTS)):
            most = _CUTS[cut]
            term = min(max(one, -most), most) + min(max(other, -most), most)
            terms[cut * len(PAIRS) + k] = term
    terms[TERMS - 2], terms[TERMS - 1] = own == 0, own == top
    return 0 if around < _STEEP else 1


@kernel(error_model="numpy")
def add_normal(q, wanted, top, squares, products):
    """Add what every other voxel of a chunk says to the normal equations of the weights.

    `q` int16 are levels as `padding.padded` makes them, `wanted` float32 [z, y, x] the values in
    levels, NaN where unknown; `squares` float64 [2, TERMS, TERMS], of which the lower half is
    filled, `products` float64 [2, TERMS].
    """
    terms = np.zeros(TERMS, np.int64)
    levels, reach = q.reshape(-1), distances(q, PAIRS)
    for z in range(wanted.shape[0]):
        for y in range(wanted.shape[1]):
            for x in range((z + y) % 2, wanted.shape[2], 2):
                at = index(q, z, y, x)
                off = wanted[z, y, x] - levels[at]
                if off != off:
                    continue
                which = gather(levels, at, reach, top, terms)
                if which >= 0:
                    for k in range(TERMS):
                        if terms[k] != 0:
                            products[which, k] += np.float32(terms[k]) * off
                            for j in range(k + 1):
                                squares[which, k, j] += terms[k] * terms[j]


def solve(squares: np.ndarray, products: np.ndarray) -> np.ndarray:
    """The weights of a record, int8 [WEIGHTS]."""
    made = []
    for square, product in zip(squares, products):
        square = np.tril(square) + np.tril(square, -1).T
        ridge = _RIDGE * max(np.trace(square), 1.0) * np.eye(TERMS)
        made.append(np.linalg.solve(square + ridge, product))
    return np.clip(np.rint(UNIT * np.ravel(made)), -127, 127).astype(np.int8)


@kernel(error_model="numpy")
def smooth(q, weights, top, begin, out):
    """The values of a chunk's voxels from `begin` on, z y x, into float32 `out`: in 0..1, NaN where
    unknown. `q` are levels as `padding.padded` makes them, `weights` int64 [2, TERMS] those of a
    record, empty where each voxel keeps its level.
    """
    terms = np.zeros(TERMS, np.int64)
    levels, reach = q.reshape(-1), distances(q, PAIRS)
    for z in range(out.shape[0]):
        for y in range(out.shape[1]):
            at = index(q, begin[0] + z, begin[1] + y, begin[2])
            for x in range(out.shape[2]):
                level = levels[at + x]
                value = np.float32(level)
                if level < 0:
                    value = np.float32(np.nan)
                elif weights.size:
                    which = gather(levels, at + x, reach, top, terms)
                    if which >= 0:
                        added = 0
                        for k in range(TERMS):
                            added += weights[which, k] * terms[k]
                        moved = UNIT * level + min(max(added, -UNIT), UNIT)
                        value = np.float32(min(max(moved, 0), UNIT * top)) / np.float32(UNIT)
                out[z, y, x] = value / np.float32(top)
