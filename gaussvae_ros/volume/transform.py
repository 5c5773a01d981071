"""Blocks of 8x8x8 voxels to coefficients and back: the linear part of the encoder and decoder.

The cosines along each axis are the principal components of smooth blocks. The coefficients are in
the order of their frequencies, so that the first ones say most.
"""

import numpy as np

from gaussvae_ros.kernels import kernel

SIDE = 8  # voxels of a block along each axis
SIZE = SIDE**3
_k, _x = np.mgrid[:SIDE, :SIDE]
COSINES = np.cos(np.pi * _k * (_x + 0.5) / SIDE) * np.where(_k == 0, 1, 2**0.5) / SIDE**0.5
COSINES = COSINES.astype(np.float32)  # [frequency, voxel], orthonormal
TRANSPOSED = np.ascontiguousarray(COSINES.T)

_places = np.indices((SIDE,) * 3).reshape(3, -1).T
_order = np.lexsort((*_places.T, _places.sum(1), (_places**2).sum(1)))
FREQUENCIES = _places[_order]  # [512, 3] of the coefficients, in their order
ORDER = np.ravel_multi_index(tuple(FREQUENCIES.T), (SIDE,) * 3)  # their places in a block


@kernel(error_model="numpy")
def forward(block, other):
    """The cosine transform of `block` [512] float32, z y x, in place; `other` is as large."""
    along(block, other, COSINES)
    along(other, block, COSINES)
    along(block, other, COSINES)
    block[:] = other


@kernel(error_model="numpy")
def backward(block, other):
    """The inverse of `forward`."""
    along(block, other, TRANSPOSED)
    along(other, block, TRANSPOSED)
    along(block, other, TRANSPOSED)
    block[:] = other


@kernel(error_model="numpy", fastmath={"contract", "reassoc"})
def along(source, out, matrix):
    """`matrix` times the first axis of `source`, which becomes the last of `out`."""
    line = np.empty(64, np.float32)
    for k in range(SIDE):
        line[:] = 0
        for x in range(SIDE):
            weight = matrix[k, x]
            for i in range(64):
                line[i] += weight * source[64 * x + i]
        for i in range(64):
            out[8 * i + k] = line[i]
