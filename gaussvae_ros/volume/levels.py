"""The levels of a chunk's voxels to bits and back: values in equal steps.

Each is predicted from those before it. What remains is coded bit by bit: whether it is zero, its
sign, its size. How likely a bit is says a table of the record, by how hard the voxel is to predict,
and it adapts within a chunk. Blocks of 8x8x8 that have one level say only that. All of it is in
integers, so that records mean the same on every machine.
"""

import numpy as np

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume.padding import BEFORE, distances, place, shape_of
from gaussvae_ros.volume.prediction import (
    CLASSES,
    COUNTS,
    FINE,
    LANES,
    NEIGHBOURS,
    PREDICTORS,
    add_up,
    gather,
    note,
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
    levels, reach = q.reshape(-1), distances(q, NEIGHBOURS)
    near, guesses = np.zeros(len(NEIGHBOURS), np.int64), np.zeros(PREDICTORS, np.int64)
    long = (width + 2) * LANES if plan[0] else 0
    errors, before = np.zeros((2, height + 2, long), np.int16), np.zeros(long, np.int16)
    for z in range(min(rows, depth)):
        for y in range(height):
            row = errors[z % 2, y + 1]
            if plan[0]:
                up = errors[(z + 1) % 2]
                add_up(errors[z % 2, y], up[y + 1], up[y], up[y + 2], before)
                for x in range(width):
                    row[LANES * (x + 1) : LANES * (x + 2)] = 0
                    row[LANES * (x + 1) + COUNTS] = flat[z // SIDE, y // SIDE, x // SIDE] > 0
            at = place(q, z, y, 0) - 1
            for x in range(width):
                at += 1
                if flat[z // SIDE, y // SIDE, x // SIDE] or (known.size and known[z, y, x] == 0):
                    continue
                gather(levels, at, reach, top, near)
                guess, kind = predict(plan, near, before, row, x, top, guesses)
                level = _level(state, data, chance, guess, kind, top, levels[at], counts)
                levels[at] = level
                if plan[0]:
                    note(guesses, guess, level, row, x)


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
        for place in np.ndindex(part.shape):
            if known.size == 0 or there[place]:
                least, most = min(least, part[place]), max(most, part[place])
        value = guess if least > most else (least + 1 if least == most else 0)
    alike = (before > 0).sum()
    if put(state, data, 0 if value else 1, chance, FLAT + alike, counts):
        return 0
    if put(state, data, 0 if value == guess else 1, chance, FLAT + 4 + alike, counts):
        value = _number(state, data, value - 1, top) + 1
    else:
        value = guess
    for place in np.ndindex(part.shape):
        if known.size == 0 or there[place]:
            part[place] = value - 1
    return value


@kernel(error_model="numpy")
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


@kernel(error_model="numpy")
def _number(state, data, value, most):
    """Code a number from 0 to `most`, all as likely."""
    found, bits = 0, 0
    while most >> bits:
        bits += 1
    for k in range(bits - 1, -1, -1):
        found = 2 * found + bit(state, data, value >> k & 1, HALF)
    return min(found, most)


@kernel(error_model="numpy")
def put(state, data, value, chance, at, counts):
    """Code a bit of a context, and move its chances, int64 [CONTEXTS, 2]: a quick and a slow one
    whose mean is the chance of 0.
    """
    if len(counts):
        counts[at, value] += 1
    value = bit(state, data, value, min(max((chance[at, 0] + chance[at, 1]) >> 1, 24), 65512))
    for k in range(2):
        rate = _FAST if k == 0 else _SLOW
        if value:
            chance[at, k] -= chance[at, k] >> rate
        else:
            chance[at, k] += (65536 - chance[at, k]) >> rate
    return value
