"""The labels of a chunk's voxels to bits and back, exactly: which voxels are known, or free,
unknown and occupied ones of a map.

A label is found by asking whether it is the first, then the second that voxels before it suggest,
and so on. What the answer is likely to be, the pattern of those says that have the label asked
for; it is learned, and adapts within a chunk. Blocks of 8x8x8 that have one label say only that.
"""

import numpy as np

from gaussvae_ros.kernels import kernel, leaf
from gaussvae_ros.volume.format import MOST_LABELS
from gaussvae_ros.volume.ranges import HALF, READS, bit
from gaussvae_ros.volume.transform import SIDE

NEIGHBOURS = np.array(  # z, y, x steps to voxels that come before in a chunk; the first vote
    [
        (-1, 0, 0), (0, -1, 0), (0, 0, -1),
        (0, -1, -1), (0, -1, 1), (-1, 0, -1), (-1, 0, 1), (-1, -1, 0), (-1, 1, 0),
        (0, 0, -2), (0, -2, 0), (-2, 0, 0),
    ]
)  # fmt: skip
_VOTES = np.array([5, 5, 5, 2, 2, 2, 2, 2, 2, 1, 1, 1])
PATTERNS = 1 << len(NEIGHBOURS)
FLAGS = 3 * PATTERNS  # where the contexts of blocks of one label begin
CONTEXTS = FLAGS + 32
ADAPTS = 5  # by 2^-ADAPTS of what is left, an answer moves its probability


@kernel(error_model="numpy")
def code(state, data, learned, labels, count, counts):
    """Write or read the labels uint8 [z, y, x] of a chunk, each below `count`.

    `counts` int64 [CONTEXTS, 2] counts the answers, for training, unless it is empty.
    """
    zero = learned.copy()
    depth, height, width = labels.shape
    flags = np.zeros(
        (-(-depth // SIDE), -(-height // SIDE), -(-width // SIDE)), np.int64
    )  # one more than the label of a block of one
    near = np.zeros(len(NEIGHBOURS), np.int64)
    votes = np.zeros(MOST_LABELS, np.int64)
    for bz in range(flags.shape[0]):
        for by in range(flags.shape[1]):
            for bx in range(flags.shape[2]):
                part = labels[
                    SIDE * bz : SIDE * bz + SIDE,
                    SIDE * by : SIDE * by + SIDE,
                    SIDE * bx : SIDE * bx + SIDE,
                ]
                flags[bz, by, bx] = _whole(
                    state, data, zero, flags, bz, by, bx, part, count, counts
                )
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if flags[z // SIDE, y // SIDE, x // SIDE] == 0:
                    _gather(labels, z, y, x, near)
                    labels[z, y, x] = _ask(
                        state, data, zero, near, votes, 0, labels[z, y, x], count, counts
                    )


@kernel(error_model="numpy")
def _whole(state, data, zero, flags, bz, by, bx, part, count, counts):
    """Code whether a block has one label, and that; one more than it, or 0."""
    value = 0
    if not state[READS]:
        value = part[0, 0, 0] + 1
        for label in part.flat:
            if label != value - 1:
                value = 0
                break
    x = flags[bz, by, bx - 1] if bx else 0
    y = flags[bz, by - 1, bx] if by else 0
    z = flags[bz - 1, by, bx] if bz else 0
    around = (x > 0) + (y > 0) + (z > 0) + 4 * ((bx > 0) + (by > 0) + (bz > 0))
    if _put(state, data, 0 if value else 1, zero, FLAGS + around, counts):
        return 0
    guess = max(x, y, z, 1)
    if (x == y or x == z) and x:
        guess = x
    elif y == z and y:
        guess = y
    alike = (x == guess) + (y == guess) + (z == guess)
    if _put(state, data, 0 if value == guess else 1, zero, FLAGS + 16 + alike, counts):
        value = _rest(state, data, guess - 1, value - 1, count) + 1
    else:
        value = guess
    if state[READS]:
        part[:] = value - 1
    return value


@leaf
def _gather(labels, z, y, x, near):
    """The labels of the voxels before one; for those outside, what is nearest, or 0."""
    depth, height, width = labels.shape
    spare = 0
    if x:
        spare = labels[z, y, x - 1]
    elif y:
        spare = labels[z, y - 1, x]
    elif z:
        spare = labels[z - 1, y, x]
    for k in range(len(NEIGHBOURS)):
        zz, yy, xx = z + NEIGHBOURS[k, 0], y + NEIGHBOURS[k, 1], x + NEIGHBOURS[k, 2]
        inside = zz >= 0 and 0 <= yy < height and 0 <= xx < width
        near[k] = labels[zz, yy, xx] if inside else spare


@leaf
def _ask(state, data, zero, near, votes, told, label, count, counts):
    votes[:] = 0
    for k in range(len(NEIGHBOURS)):
        votes[near[k]] += _VOTES[k]
    for question in range(2):
        best = 0
        for k in range(1, count):
            if votes[k] > votes[best]:
                best = k
        if votes[best] <= 0:
            break
        votes[best] = -1
        pattern = 0
        for k in range(len(NEIGHBOURS)):
            pattern |= (near[k] == best) << k
        at = pattern + question * PATTERNS
        if count == 2:
            at += (1 + best) * PATTERNS if best else 0
        if not _put(state, data, 0 if label == best else 1, zero, at, counts):
            return best
        if count == 2:
            return 1 - best
    for k in range(count):  # all others are as likely
        if votes[k] >= 0:
            others = 0
            for j in range(k + 1, count):
                others += votes[j] >= 0
            if others == 0 or bit(state, data, 1 if label == k else 0, HALF):
                return k
    return 0


@leaf
def _rest(state, data, excluded, value, count):
    """Code a label other than one that it is not."""
    last = max(count - 1 if excluded != count - 1 else count - 2, 0)
    for k in range(last):
        if k != excluded and bit(state, data, 1 if value == k else 0, HALF):
            return k
    return last


@leaf
def _put(state, data, value, zero, at, counts):
    if len(counts):
        counts[at, value] += 1
    value = bit(state, data, value, zero[at])
    if value:
        zero[at] -= zero[at] >> ADAPTS
    else:
        zero[at] += 65536 - zero[at] >> ADAPTS
    zero[at] = min(max(zero[at], 24), 65512)
    return value
