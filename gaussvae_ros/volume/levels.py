"""The levels of a chunk's voxels to bits and back: values in equal steps.

Each is predicted from those before it. What remains is coded bit by bit: whether it is zero, its
sign, its size. How likely a bit is says a table of the record, by how hard the voxel is to predict,
and it adapts within a chunk. Blocks of 8x8x8 that have one level say only that. All of it is in
integers, so that records mean the same on every machine.
"""

import numpy as np

from gaussvae_ros.kernels import kernel, leaf
from gaussvae_ros.volume.padding import BEFORE, distances, index, shape_of
from gaussvae_ros.volume.prediction import (
    CLASSES,
    FINE,
    KEPT,
    NEIGHBOURS,
    PREDICTORS,
    begin_row,
    gather,
    note,
    note_nothing,
    predict,
)
from gaussvae_ros.volume.ranges import HALF, READS, bit
from gaussvae_ros.volume.transform import SIDE

PARTS = 8  # of a level, where between two of them a guess may be
SIZES = 12  # that are asked for one by one
SIGN = CLASSES * PARTS
SIZE = SIGN + CLASSES * PARTS
FLAT = SIZE + CLASSES * SIZES
CONTEXTS = FLAT + 8 + 4
# Chances of 0 that a table may begin with, in parts of 2^16.
LIKELY = np.array([round(65536 / (1 + 2 ** (-k / 2))) for k in range(-23, 24)])
_FAST, _SLOW = 5, 8  # by 2^-these of what is left, an answer moves the two halves of its chance


@kernel(error_model="numpy")
def code(state, data, table, plan, top, known, q, rows, counts):
    """Write or read the levels of a chunk, 0 to `top`, of the first `rows` voxels along z.

    `table` uint8 [CONTEXTS] are the chances to begin with, as places in LIKELY, `plan` int64 [PLAN]
    says how to predict; `known` uint8 [z, y, x] which voxels are known, or empty where all are.
    `q` int16 is what `padding.padded` makes, `counts` int64 [CONTEXTS, 2] counts the answers,
    unless it is empty.
    """
    chance = np.empty((CONTEXTS, 2), np.int64)
    for k in range(CONTEXTS):
        chance[k] = LIKELY[table[k]]
    depth, height, width = shape_of(q)
    flat = np.zeros((-(-depth // SIDE), -(-height // SIDE), -(-width // SIDE)), np.int64)
    for bz in range(flat.shape[0]):
        for by in range(flat.shape[1]):
            for bx in range(flat.shape[2]):
                flat[bz, by, bx] = _whole(
                    state, data, chance, top, known, q, flat, bz, by, bx, counts
                )
    if flat.min() > 0:
        return
    levels, reach = q.reshape(-1), distances(q, NEIGHBOURS)
    near, guesses = np.zeros(len(NEIGHBOURS), np.int64), np.zeros(PREDICTORS, np.int64)
    wide = (width + 2) * KEPT if plan[0] else 0
    errors, before = np.zeros((2, height + 2, wide), np.int16), np.zeros(wide, np.int16)
    for z in range(min(rows, depth)):
        for y in range(height):
            at = index(q, z, y, 0)
            if plan[0]:
                begin_row(errors, z, y, before)
            for x in range(width):
                if flat[z // SIDE, y // SIDE, x // SIDE]:
                    if plan[0]:
                        note_nothing(errors, z, y, x)
                elif known.size == 0 or known[z, y, x]:
                    gather(levels, at + x, reach, top, near)
                    guess, kind = predict(plan, near, errors, before, z, y, x, top, guesses)
                    level = _level(state, data, chance, guess, kind, top, levels[at + x], counts)
                    levels[at + x] = level
                    if plan[0]:
                        note(guesses, guess, level, errors, z, y, x)


@kernel(error_model="numpy")
def _whole(state, data, chance, top, known, q, flat, bz, by, bx, counts):
    """Code whether the known voxels of a block have one level, and that; one more than it, or 0."""
    z, y, x = SIDE * bz, SIDE * by, SIDE * bx
    before = np.zeros(3, np.int64)
    before[0] = flat[bz, by, bx - 1] if bx else 0
    before[1] = flat[bz, by - 1, bx] if by else 0
    before[2] = flat[bz - 1, by, bx] if bz else 0
    guess = before.max() if before.max() else top + 1
    value = 0
    inside = q[BEFORE:-1, BEFORE:-1, BEFORE:-1]
    part = inside[z : z + SIDE, y : y + SIDE, x : x + SIDE]
    there = known[z : z + SIDE, y : y + SIDE, x : x + SIDE]
    if not state[READS]:
        least, most = top, 0
        for voxel in np.ndindex(part.shape):
            if known.size == 0 or there[voxel]:
                least, most = min(least, part[voxel]), max(most, part[voxel])
        value = guess if least > most else (least + 1 if least == most else 0)
    alike = (before > 0).sum()
    if put(state, data, 0 if value else 1, chance, FLAT + alike, counts):
        return 0
    if put(state, data, 0 if value == guess else 1, chance, FLAT + 4 + alike, counts):
        value = _number(state, data, value - 1, top) + 1
    else:
        value = guess
    for voxel in np.ndindex(part.shape):
        if known.size == 0 or there[voxel]:
            part[voxel] = value - 1
    return value


@leaf
def _level(state, data, chance, guess, kind, top, level, counts):
    """Code a level, given a guess in parts of FINE."""
    nearest = (guess + FINE // 2) // FINE
    off = guess - FINE * nearest
    at = kind * PARTS + (off + FINE // 2) * PARTS // FINE
    if not put(state, data, 0 if level == nearest else 1, chance, at, counts):
        return nearest
    up = off >= 0
    if nearest == 0 or nearest == top:
        up = nearest == 0
    elif put(state, data, 0 if (level > nearest) == up else 1, chance, SIGN + at, counts):
        up = not up
    size, at = 1, SIZE + kind * SIZES
    while size <= SIZES and put(
        state, data, 0 if abs(level - nearest) == size else 1, chance, at + size - 1, counts
    ):
        size += 1
    if size > SIZES:
        size += _number(state, data, abs(level - nearest) - size, top)
    return min(max(nearest + size if up else nearest - size, 0), top)


@leaf
def _number(state, data, value, most):
    """Code a number from 0 to `most`, all as likely."""
    found, bits = 0, 0
    while most >> bits:
        bits += 1
    for k in range(bits - 1, -1, -1):
        found = 2 * found + bit(state, data, value >> k & 1, HALF)
    return min(found, most)


@leaf
def put(state, data, value, chance, at, counts):
    """Code a bit of a context, and move its chances, int64 [CONTEXTS, 2]: a quick and a slow one
    whose mean is the chance of 0.
    """
    if len(counts):
        counts[at, value] += 1
    quick, slow = chance[at, 0], chance[at, 1]
    value = bit(state, data, value, min(max((quick + slow) >> 1, 24), 65512))
    aim = 0 if value else 65536
    chance[at, 0] = quick + ((aim - quick) >> _FAST if aim else -(quick >> _FAST))
    chance[at, 1] = slow + ((aim - slow) >> _SLOW if aim else -(slow >> _SLOW))
    return value
