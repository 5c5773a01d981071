"""Chunks of voxels to bytes and back, many at a time, shared out among threads."""

import numpy as np

from gaussvae_ros.kernels import kernel, parallel, prange
from gaussvae_ros.volume import blocks, labels, levels, smoothing
from gaussvae_ros.volume.analysis import analyse
from gaussvae_ros.volume.contexts import CONTEXTS, PREDICTED
from gaussvae_ros.volume.padding import BEFORE, padded
from gaussvae_ros.volume.ranges import STATE, begin_reading, begin_writing, finish
from gaussvae_ros.volume.transform import SIDE, SIZE

CHUNK = 32
PRICE = 0.12  # squared steps that a bit is worth
MOST = CHUNK**3 * 4 + 1024  # bytes of a chunk


@parallel(error_model="numpy")
def write(voxels, known, tables, step, first, out, ends):
    """Encode the chunks `first`, `first` + 1, ... of a layer, one for each row of `out`.

    `voxels` float32 [z, y, x] in 0..1, NaN where unknown; `known` uint8, as large where voxels may
    be unknown, else empty; `tables` as VolumeModel.tables; `out` uint8 [n, MOST]; `ends` int64
    [n] gets the lengths.
    """
    prior, learned = tables
    wide = -(-voxels.shape[2] // CHUNK)
    for n in prange(len(out)):
        y, x = (first + n) // wide * CHUNK, (first + n) % wide * CHUNK
        shape = np.empty(3, np.int64)
        shape[0] = -(-voxels.shape[0] // SIDE)
        shape[1] = -(-min(voxels.shape[1] - y, CHUNK) // SIDE)
        shape[2] = -(-min(voxels.shape[2] - x, CHUNK) // SIDE)
        count = shape[0] * shape[1] * shape[2]
        real = np.empty((count, SIZE), np.float32)
        q = np.zeros((count, SIZE + 1), np.int16)
        low = np.zeros((count, PREDICTED), np.int32)
        for k in range(count):
            bx, by, bz = k % shape[2], k // shape[2] % shape[1], k // shape[2] // shape[1]
            analyse(voxels, SIDE * bz, y + SIDE * by, x + SIDE * bx, step, real[k])
        state, data = np.zeros(STATE, np.int64), out[n]
        counts = np.zeros((CONTEXTS, 2), np.int64)
        blocks.code(state, data, prior, shape, q, low, real, True, counts, PRICE)
        begin_writing(state)
        if known.size:
            part = known[:, y : y + CHUNK, x : x + CHUNK].copy()
            labels.code(state, data, learned, part, 2, counts[:0])
        blocks.code(state, data, prior, shape, q, low, real, False, counts, PRICE)
        ends[n] = finish(state, data)


@parallel(error_model="numpy")
def read(data, starts, tables, chunks, box, q, low, known):
    """Decode chunks of a record into the coefficients of their blocks.

    `chunks` int64 [n, 4]: each one's number and its first voxel's z, y, x; `box` the volume's
    shape; `q` int16 [Z, Y, X, SIZE + 1], `low` int32 [Z, Y, X, PREDICTED] and `known` uint8 (or
    empty) begin at the first one's.
    """
    prior, learned = tables
    for n in prange(len(chunks)):
        number, start = chunks[n, 0], chunks[n, 1:]
        size = np.minimum(box - start, CHUNK)
        shape = -(-size // SIDE)
        count = shape[0] * shape[1] * shape[2]
        mine = np.zeros((count, SIZE + 1), np.int16)
        lowest = np.zeros((count, PREDICTED), np.int32)
        state = np.zeros(STATE, np.int64)
        counts = np.zeros((0, 2), np.int64)
        begin_reading(state, data, starts[number], starts[number + 1])
        z, y, x = start - chunks[0, 1:]
        if known.size:
            part = np.zeros((size[0], size[1], size[2]), np.uint8)
            labels.code(state, data, learned, part, 2, counts)
            known[z : z + size[0], y : y + size[1], x : x + size[2]] = part
        real = np.zeros((1, SIZE), np.float32)
        blocks.code(state, data, prior, shape, mine, lowest, real, False, counts, 0.0)
        z, y, x = z // SIDE, y // SIDE, x // SIDE
        place(mine, lowest, shape, q, low, z, y, x)


@kernel(error_model="numpy")
def place(mine, lowest, shape, q, low, z, y, x):
    """Put what the blocks of a chunk of `shape` (in blocks) hold where it lies in the volume."""
    at = 0
    for k in range(shape[0]):
        for j in range(shape[1]):
            for i in range(shape[2]):
                q[z + k, y + j, x + i] = mine[at]
                low[z + k, y + j, x + i] = lowest[at]
                at += 1


@parallel(error_model="numpy")
def write_labels(voxels, learned, count, first, out, ends):
    """As `write`, for a layer of labels below `count`."""
    wide = -(-voxels.shape[2] // CHUNK)
    for n in prange(len(out)):
        y, x = (first + n) // wide * CHUNK, (first + n) % wide * CHUNK
        state = np.zeros(STATE, np.int64)
        begin_writing(state)
        part = voxels[:, y : y + CHUNK, x : x + CHUNK].copy()
        labels.code(state, out[n], learned, part, count, np.zeros((0, 2), np.int64))
        ends[n] = finish(state, out[n])


@parallel(error_model="numpy")
def read_labels(data, starts, learned, count, chunks, box, out):
    """As `read`, into the labels uint8 `out`."""
    for n in prange(len(chunks)):
        number, start = chunks[n, 0], chunks[n, 1:]
        size = np.minimum(box - start, CHUNK)
        z, y, x = start - chunks[0, 1:]
        state = np.zeros(STATE, np.int64)
        begin_reading(state, data, starts[number], starts[number + 1])
        part = np.zeros((size[0], size[1], size[2]), np.uint8)
        labels.code(state, data, learned, part, count, np.zeros((0, 2), np.int64))
        out[z : z + size[0], y : y + size[1], x : x + size[2]] = part


@parallel(error_model="numpy")
def write_levels(voxels, known, learned, table, plan, top, first, out, ends):
    """As `write`, for voxels whose levels are 0 to `top`, see levels.code."""
    wide = -(-voxels.shape[2] // CHUNK)
    for n in prange(len(out)):
        y, x = (first + n) // wide * CHUNK, (first + n) % wide * CHUNK
        state = np.zeros(STATE, np.int64)
        counts = np.zeros((0, 2), np.int64)
        begin_writing(state)
        mask = known[:, y : y + CHUNK, x : x + CHUNK].copy()
        if known.size:
            labels.code(state, out[n], learned, mask, 2, counts)
        q = quantised(voxels[:, y : y + CHUNK, x : x + CHUNK], top)
        levels.code(state, out[n], table, plan, top, mask, q, CHUNK, counts)
        ends[n] = finish(state, out[n])


@kernel(error_model="numpy")
def quantised(voxels, top):
    """Voxels in 0..1, NaN where unknown, as levels with a border, see `padding.padded`."""
    q = padded(*voxels.shape)
    for z in range(voxels.shape[0]):
        for y in range(voxels.shape[1]):
            for x in range(voxels.shape[2]):
                if voxels[z, y, x] == voxels[z, y, x]:
                    level = int(voxels[z, y, x] * top + np.float32(0.5))
                    q[z + BEFORE, y + BEFORE, x + BEFORE] = level
    return q


@parallel(error_model="numpy")
def read_levels(data, starts, learned, table, plan, weights, top, unknown, chunks, box, begin, out):
    """As `read`, the voxels from `begin` on into float32 `out` in 0..1, NaN where unknown."""
    for n in prange(len(chunks)):
        number, start = chunks[n, 0], chunks[n, 1:]
        size = np.minimum(box - start, CHUNK)
        first = np.maximum(begin - start, 0)
        last = np.minimum(begin + np.array(out.shape) - start, size)
        state = np.zeros(STATE, np.int64)
        counts = np.zeros((0, 2), np.int64)
        begin_reading(state, data, starts[number], starts[number + 1])
        known = np.zeros((size[0], size[1], size[2]) if unknown else (0, 0, 0), np.uint8)
        if unknown:
            labels.code(state, data, learned, known, 2, counts)
        q = padded(size[0], size[1], size[2])
        rows = last[0] + 1  # as smoothing looks at the next one
        levels.code(state, data, table, plan, top, known, q, rows, counts)
        z, y, x = start + first - begin
        depth, height, width = last - first
        part = out[z : z + depth, y : y + height, x : x + width]
        smoothing.smooth(q, weights, top, first, part)
