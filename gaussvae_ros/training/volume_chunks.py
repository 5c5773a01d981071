"""What training does with all chunks of a volume: analyse, choose, and look at their contexts."""

import numpy as np

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume import blocks, labels
from gaussvae_ros.volume.analysis import analyse
from gaussvae_ros.volume.chunks import PRICE, place
from gaussvae_ros.volume.contexts import FEATURES, PREDICTED
from gaussvae_ros.volume.ranges import STATE, begin_writing
from gaussvae_ros.volume.transform import SIDE, SIZE

BLOCKS = 4  # of a chunk along each axis


@kernel(error_model="numpy")
def coefficients(voxels, step, real):
    """Coefficients of all blocks into `real` [Z, Y, X, SIZE]."""
    for z in range(real.shape[0]):
        for y in range(real.shape[1]):
            for x in range(real.shape[2]):
                analyse(voxels, SIDE * z, SIDE * y, SIDE * x, step, real[z, y, x])


@kernel(error_model="numpy")
def choose(real, prior, counts, q, low):
    """What an encoder chooses for all blocks, and the bits that it would write, counted."""
    state, data = np.zeros(STATE, np.int64), np.zeros(0, np.uint8)
    for z in range(0, real.shape[0], BLOCKS):
        for y in range(0, real.shape[1], BLOCKS):
            for x in range(0, real.shape[2], BLOCKS):
                part = real[z : z + BLOCKS, y : y + BLOCKS, x : x + BLOCKS].copy()
                shape = np.array(part.shape[:3])
                count = shape[0] * shape[1] * shape[2]
                mine = np.zeros((count, SIZE + 1), np.int16)
                lowest = np.zeros((count, PREDICTED), np.int32)
                blocks.code(
                    state, data, prior, shape, mine, lowest, part.reshape(count, SIZE), True,
                    counts, PRICE,
                )  # fmt: skip
                place(mine, lowest, shape, q, low, z, y, x)


@kernel(error_model="numpy")
def predictions(low, patterns, features, targets):
    """What each block's lowest coefficients can be predicted from, and these themselves; `low`
    int32 [Z, Y, X, PREDICTED], the others have a row for each block."""
    before, guess = np.zeros(3, np.int64), np.zeros(PREDICTED, np.int64)
    found, nothing = np.zeros(FEATURES, np.int64), np.zeros((8, PREDICTED, FEATURES), np.int64)
    n = 0
    for z in range(0, low.shape[0], BLOCKS):
        for y in range(0, low.shape[1], BLOCKS):
            for x in range(0, low.shape[2], BLOCKS):
                part = low[z : z + BLOCKS, y : y + BLOCKS, x : x + BLOCKS].copy()
                shape = part.shape
                mine = part.reshape(shape[0] * shape[1] * shape[2], PREDICTED)
                for k in range(len(mine)):
                    i, j, up = k % shape[2], k // shape[2] % shape[1], k // (shape[2] * shape[1])
                    before[0] = k - 1 if i else -1
                    before[1] = k - shape[2] if j else -1
                    before[2] = k - shape[1] * shape[2] if up else -1
                    blocks.predict(nothing, mine, before, k, found, guess)
                    features[n], targets[n] = found, mine[k]
                    targets[n, 0] -= guess[0]
                    patterns[n] = (i > 0) + 2 * (j > 0) + 4 * (up > 0)
                    n += 1


@kernel(error_model="numpy")
def count_labels(voxels, learned, count, counts):
    """Count the answers that labels uint8 [z, y, x] would need."""
    state, data = np.zeros(STATE, np.int64), np.zeros(1 << 18, np.uint8)
    for z in range(0, voxels.shape[0], 32):
        for y in range(0, voxels.shape[1], 32):
            for x in range(0, voxels.shape[2], 32):
                begin_writing(state)
                part = voxels[z : z + 32, y : y + 32, x : x + 32].copy()
                labels.code(state, data, learned, part, count, counts)
