"""Voxels to the coefficients of blocks, where some voxels are free."""

import numpy as np

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume.transform import ORDER, SIZE, backward, forward

ROUNDS = 4  # of fitting free voxels
DEAD = 0.4  # what is added before a coefficient is cut to an integer


@kernel(error_model="numpy")
def analyse(voxels, z, y, x, step, real):
    """The coefficients of the block at voxel (z, y, x), in steps, into `real` [SIZE].

    `voxels` are float32 in 0..1, NaN where unknown. Voxels that are unknown, or beyond the
    edges, may become anything, those at 0 and 1 anything beyond, since a decoder clips: they take
    the values that need the fewest bits.
    """
    block, other = np.empty(SIZE, np.float32), np.empty(SIZE, np.float32)
    given = np.empty(SIZE, np.float32)
    total, known, fixed = np.float32(0), 0, 0
    depth, height, width = voxels.shape
    for k in range(SIZE):
        zz, yy, xx = z + k // 64, y + k // 8 % 8, x + k % 8
        v = np.float32(np.nan)
        if zz < depth and yy < height and xx < width:
            v = voxels[zz, yy, xx]
        given[k] = v
        if v == v:
            total += v
            known += 1
            if 0 < v < 1:
                fixed += 1
    if known == 0:
        real[:] = np.nan
        return
    mean = total / np.float32(known)
    for k in range(SIZE):
        block[k] = given[k] if given[k] == given[k] else mean
    low, high = mean == 0, mean == 1
    rounds = 0 if fixed == SIZE or ((low or high) and fixed == 0) else ROUNDS
    for _ in range(rounds):
        forward(block, other)
        for k in range(SIZE):
            c = block[k] / step
            cut = np.float32(int(abs(c) + DEAD))
            block[k] = (cut if c > 0 else -cut) * step
        backward(block, other)
        for k in range(SIZE):
            v = given[k]
            if v <= 0:
                block[k] = min(block[k], np.float32(0))
            elif v >= 1:
                block[k] = max(block[k], np.float32(1))
            elif v == v:
                block[k] = v
    forward(block, other)
    for k in range(SIZE):
        real[k] = block[ORDER[k]] / step
