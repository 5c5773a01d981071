"""Coefficients of blocks to voxels: the decoder.

A linear part turns each block's coefficients back, as `transform` says. A network adds what they,
and those of the six blocks around it, tell of the rest: what fell below a step, and the seams
between blocks, which it has learned to close. It adds nothing to blocks of one value among blocks
of the same.
"""

import numpy as np

from gaussvae_ros.kernels import kernel, parallel, prange
from gaussvae_ros.volume.contexts import PREDICTED, UNIT, ZONES
from gaussvae_ros.volume.transform import ORDER, SIDE, SIZE, backward

OWN = 64  # lowest coefficients of a block that the network reads, but the first
INPUTS = OWN - 1 + 6 * PREDICTED + 2
_SIDES = np.array([(0, 0, -1), (0, 0, 1), (0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0)])


@kernel(error_model="numpy")
def _value(q, low, bias, k):
    """A coefficient in steps, as decoded."""
    if k < PREDICTED:
        return low[k] / UNIT
    value = q[k]
    if value == 0:
        return 0.0
    shift = bias[ZONES[k], 1 if abs(value) > 1 else 0] / UNIT
    return value - shift if value > 0 else value + shift


@kernel(error_model="numpy")
def gather(q, low, bias, step, z, begin, end, inputs, places):
    """What the network reads of the blocks `begin`..`end` (y, x) of layer `z`.

    Into `inputs` float32 [n, INPUTS], of those blocks that are not of one value among such,
    whose places in the layer (y, x) go into `places`. Returns how many these are.
    """
    count = 0
    for y in range(begin[0], end[0]):
        for x in range(begin[1], end[1]):
            row, active = inputs[count], False
            row[:] = 0
            for k in range(1, OWN):
                value = _value(q[z, y, x], low[z, y, x], bias, k)
                row[k - 1] = np.arcsinh(value)
                active |= value != 0
            for k in range(OWN, SIZE):
                active |= q[z, y, x, k] != 0
            at = OWN - 1
            for side in range(6):
                zz, yy, xx = z + _SIDES[side, 0], y + _SIDES[side, 1], x + _SIDES[side, 2]
                if 0 <= zz < q.shape[0] and 0 <= yy < q.shape[1] and 0 <= xx < q.shape[2]:
                    for k in range(PREDICTED):
                        value = low[zz, yy, xx, k] - (low[z, y, x, 0] if k == 0 else 0)
                        row[at + k] = np.arcsinh(value / UNIT)
                        active |= value != 0
                at += PREDICTED
            row[at] = low[z, y, x, 0] / UNIT * step / SIDE**1.5
            row[at + 1] = np.log2(step)
            if active:
                places[count, 0], places[count, 1] = y, x
                count += 1
    return count


def correct(network: list[np.ndarray], inputs: np.ndarray) -> np.ndarray:  # float32 [n, SIZE]
    """What the network adds to blocks, in steps."""
    hidden = inputs
    for weight, bias in zip(network[:-2:2], network[1:-2:2]):
        hidden = hidden @ weight + bias
        np.maximum(hidden, 0.1 * hidden, out=hidden)
    return hidden @ network[-2] + network[-1]


@parallel(error_model="numpy")
def draw(q, low, bias, step, z, begin, end, numbers, corrections, out):
    """The voxels of the blocks `begin`..`end` (y, x) of layer `z` into `out` [8, Y, X], 0..1.

    `numbers` [y, x]: each block's row of `corrections`, or -1.
    """
    wide = end[1] - begin[1]
    for n in prange((end[0] - begin[0]) * wide):
        block, other = np.empty(SIZE, np.float32), np.empty(SIZE, np.float32)
        y, x = begin[0] + n // wide, begin[1] + n % wide
        for k in range(SIZE):
            block[ORDER[k]] = _value(q[z, y, x], low[z, y, x], bias, k) * step
        backward(block, other)
        row = numbers[y - begin[0], x - begin[1]]
        for k in range(SIZE):
            v = block[k]
            if row >= 0:
                v += corrections[row, k] * step
            out[
                k // 64, (y - begin[0]) * SIDE + k // 8 % 8, (x - begin[1]) * SIDE + k % 8
            ] = min(max(v, np.float32(0)), np.float32(1))  # fmt: skip
