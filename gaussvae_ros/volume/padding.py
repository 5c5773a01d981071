"""The levels of a chunk with a border around them, so that kernels find neighbours by their
distance in memory and need not ask where the chunk ends. They index by unsigned numbers, of which
numba does not ask whether they count from the end.
"""

import numpy as np

from gaussvae_ros.kernels import kernel, leaf

BEFORE, AFTER = 2, 1  # voxels of the border along each axis, as far as neighbours are looked for
NONE = -1  # level where no voxel is, and of one that is unknown or not read yet


@kernel(error_model="numpy")
def padded(depth, height, width):
    """Levels int16 of a chunk of so many voxels, and its border, all of them NONE."""
    more = BEFORE + AFTER
    return np.full((depth + more, height + more, width + more), NONE, np.int16)


@leaf
def shape_of(q):
    """Voxels along z, y, x of a chunk whose levels `q` have a border."""
    more = BEFORE + AFTER
    return q.shape[0] - more, q.shape[1] - more, q.shape[2] - more


@leaf
def index(q, z, y, x):
    """Where voxel z, y, x is in `q`, laid out flat."""
    return ((z + BEFORE) * q.shape[1] + y + BEFORE) * q.shape[2] + x + BEFORE


@kernel(error_model="numpy")
def distances(q, steps):
    """How far voxels are in `q`, laid out flat, from one that is `steps` int64 [n, 3] (z, y, x)
    before them.
    """
    found = np.empty(len(steps), np.int64)
    for k in range(len(steps)):
        found[k] = (steps[k, 0] * q.shape[1] + steps[k, 1]) * q.shape[2] + steps[k, 2]
    return found
