"""Levels to values: what the levels around a voxel tell of where within its step its value lay.

Weighted sums of how far opposite neighbours' levels are from its own, cut off at one level and at
four, and of whether it is the first or last level, as video's adaptive loop filters have them. The
weights are fitted to each volume by least squares and stand in its record: on distances near a
surface they take away half to four fifths of the squared error. A voxel whose six neighbours have
its level keeps it. Neighbours in other chunks are not looked at, so that a chunk decodes alone.
"""

import numpy as np

from gaussvae_ros.kernels import kernel

_PAIRS = np.array(  # z, y, x steps to one of two opposite neighbours
    [
        (0, 0, 1), (0, 1, 0), (1, 0, 0),
        (0, 1, 1), (0, 1, -1), (1, 0, 1), (1, 0, -1), (1, 1, 0), (1, -1, 0),
        (1, 1, 1), (1, 1, -1), (1, -1, 1), (1, -1, -1),
    ]
)  # fmt: skip
_CUTS = np.array([1, 4])  # levels
TERMS = len(_CUTS) * len(_PAIRS) + 2
_STEEP = 4  # levels, summed over six neighbours, from which other weights hold
WEIGHTS = 2 * TERMS  # of a record
UNIT = 128  # of a weight in a record
_RIDGE = 1e-5  # keeps terms that are always zero from upsetting the fit


@kernel(error_model="numpy")
def gather(q, known, z, y, x, top, terms):
    """The terms of a voxel, float32 [TERMS], and which weights hold: 0 or 1, -1 for none."""
    depth, height, width = q.shape
    own, around = q[z, y, x], 0
    terms[:] = 0
    for k in range(len(_PAIRS)):
        for side in range(-1, 2, 2):
            zz, yy = z + side * _PAIRS[k, 0], y + side * _PAIRS[k, 1]
            xx = x + side * _PAIRS[k, 2]
            if not (0 <= zz < depth and 0 <= yy < height and 0 <= xx < width):
                continue
            if known.size and known[zz, yy, xx] == 0:
                continue
            off = q[zz, yy, xx] - own
            for cut in range(len(_CUTS)):
                most = _CUTS[cut]
                terms[cut * len(_PAIRS) + k] += min(max(off, -most), most)
            if k < 3:
                around += abs(off)
        if k == 2 and around == 0:
            return -1
    terms[TERMS - 2], terms[TERMS - 1] = own == 0, own == top
    return 0 if around < _STEEP else 1


@kernel(error_model="numpy")
def add_normal(q, known, wanted, top, squares, products):
    """Add what every other voxel of a chunk says to the normal equations of the weights.

    `wanted` float32 [z, y, x] are the values in levels, NaN where unknown; `squares` float64 [2,
    TERMS, TERMS], of which the lower half is filled, `products` float64 [2, TERMS].
    """
    terms = np.zeros(TERMS, np.float32)
    for z in range(q.shape[0]):
        for y in range(q.shape[1]):
            for x in range((z + y) % 2, q.shape[2], 2):
                off = wanted[z, y, x] - q[z, y, x]
                if off != off:
                    continue
                which = gather(q, known, z, y, x, top, terms)
                if which >= 0:
                    for k in range(TERMS):
                        if terms[k] != 0:
                            products[which, k] += terms[k] * off
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
def smooth(q, known, weights, top, out):
    """The values of a chunk's voxels float32 in 0..1, NaN where unknown; `weights` float32 [2,
    TERMS], empty where each voxel keeps its level.
    """
    terms = np.zeros(TERMS, np.float32)
    for z in range(q.shape[0]):
        for y in range(q.shape[1]):
            for x in range(q.shape[2]):
                value = np.float32(q[z, y, x])
                if known.size and known[z, y, x] == 0:
                    value = np.float32(np.nan)
                elif weights.size:
                    which = gather(q, known, z, y, x, top, terms)
                    if which >= 0:
                        added = np.float32(0)
                        for k in range(TERMS):
                            added += weights[which, k] * terms[k]
                        value += min(max(added, np.float32(-1)), np.float32(1))
                        value = min(max(value, np.float32(0)), np.float32(top))
                out[z, y, x] = value / np.float32(top)
