"""The coefficients of a chunk's blocks to bits and back, under a learned prior.

Blocks follow each other in order of z, y, x. A block says how many of its coefficients are not
zero at the end, then each from the last to the first: whether it is zero, larger than one, and
so on, then its sign. What a bit is likely to be, its context says: the coefficients of higher
frequency in its block, and those of the blocks before it along each axis. The lowest coefficients
are coded as what is left of a prediction from these blocks.
"""

import numpy as np

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume.contexts import (
    BLOCK_LEVEL,
    CLASSES,
    ESCAPE,
    FEATURES,
    LAST,
    MORE,
    NEAR,
    NEAR_LEVEL,
    ONE_MORE,
    PREDICTED,
    SHARE,
    UNIT,
    WITHIN,
    ZERO,
    ZONES,
)
from gaussvae_ros.volume.ranges import HALF, READS, bit
from gaussvae_ros.volume.transform import SIZE

LARGEST = 30000  # of a coefficient, in steps


@kernel(error_model="numpy")
def code(state, data, prior, shape, q, low, real, choose, counts, price):
    """Write or read the blocks of a chunk, or choose their coefficients.

    Args:
        state, data: a coder of `ranges`.
        prior: (zero int64 [CONTEXTS], weights int64 [8, PREDICTED, FEATURES], bias int64
            [ZONES, 2], costs float32 [CONTEXTS, 2], in bits).
        shape: blocks along z, y, x.
        q: int16 [blocks, SIZE + 1], what is coded; the last column is 0.
        low: int32 [blocks, PREDICTED], the lowest coefficients, in 1 / UNIT of a step.
        real: float32 [blocks, SIZE], the coefficients in steps, if they are to be chosen.
        choose: whether to choose `q` by distortion and `price` times bits, and write nothing.
        counts: int64 [CONTEXTS, 2], where the bits are counted that a choice would write.
    """
    before = np.zeros(3, np.int64)
    features = np.zeros(FEATURES, np.int64)
    guess = np.zeros(PREDICTED, np.int64)
    sizes = np.zeros(shape[0] * shape[1] * shape[2], np.int64)  # classes of the blocks
    step_y, step_z = shape[2], shape[1] * shape[2]
    block = 0
    for bz in range(shape[0]):
        for by in range(shape[1]):
            for bx in range(shape[2]):
                before[0] = block - 1 if bx else -1
                before[1] = block - step_y if by else -1
                before[2] = block - step_z if bz else -1
                predict(prior[1], low, before, block, features, guess)
                _one(
                    state, data, prior, before, block, q, low, guess, real, choose, counts, price,
                    sizes,
                )  # fmt: skip
                block += 1


@kernel(error_model="numpy")
def _put(state, data, value, zero, at, choose, counts):
    if choose:
        counts[at, value] += 1
        return value
    return bit(state, data, value, zero[at])


@kernel(error_model="numpy")
def predict(weights, low, before, block, features, guess):
    """What the blocks before one make of its lowest coefficients."""
    pattern, base = 0, 0
    features[:] = 0
    for axis in range(2, -1, -1):
        if before[axis] >= 0:
            pattern |= 1 << axis
            base = low[before[axis], 0]
    for axis in range(3):
        if before[axis] >= 0:
            first = axis * PREDICTED
            features[first] = low[before[axis], 0] - base
            for k in range(1, PREDICTED):
                features[first + k] = low[before[axis], k]
    row = block - before[1]  # from a block to the one before it along y
    if pattern & 3 == 3:
        features[3 * PREDICTED] = low[before[1] - 1, 0] - base
    if pattern & 5 == 5:
        features[3 * PREDICTED + 1] = low[before[2] - 1, 0] - base
    if pattern & 6 == 6:
        features[3 * PREDICTED + 2] = low[before[2] - row, 0] - base
    if pattern == 7:
        features[3 * PREDICTED + 3] = low[before[2] - row - 1, 0] - base
    for k in range(PREDICTED):
        total = SHARE // 2
        for f in range(FEATURES):
            total += weights[pattern, k, f] * features[f]
        guess[k] = total >> 10
    guess[0] += base


@kernel(error_model="numpy")
def _one(
    state, data, prior, before, block, q, low, guess, real, choose, counts, price, sizes
):  # fmt: skip
    """Write, read or choose one block."""
    zero, _, bias, costs = prior
    own = q[block]
    around, total, known = 0, 0, 0
    for axis in range(3):
        if before[axis] >= 0:
            known += 1
            total += sizes[before[axis]]
    if known:
        around = 1 + (known - 1) * 2 * CLASSES + (2 * total + known // 2) // known
    size = 0
    if choose:
        size = _cut(real[block], own, guess, price)
    elif not state[READS]:
        size = SIZE
        while size and own[size - 1] == 0:
            size -= 1
    size = _size(state, data, zero, around, size, choose, counts)
    kind = 0
    while 1 << kind < 2 * size:
        kind += 1
    sizes[block] = kind
    if state[READS]:
        own[:] = 0
    for k in range(size - 1, -1, -1):
        near = 0
        for j in range(9):
            near += abs(own[NEAR[k, j]]) * (2 if j < 3 else 1)
        near = NEAR_LEVEL[min(near, 63)]
        beside, zone = 0, ZONES[k]
        if known:
            for axis in range(3):
                if before[axis] >= 0:
                    other = q[before[axis]]
                    beside += 2 * abs(other[k])
                    for j in range(3):
                        beside += abs(other[NEAR[k, j]])
            beside = 1 + BLOCK_LEVEL[min(beside * 3 // known, 63)]
        at_one = ONE_MORE + (zone * 8 + near) * 7 + beside
        is_last = k == size - 1
        behind = size - 1 - k
        at = (
            ZERO
            + ((zone * 8 + near) * 7 + beside) * 3
            + (0 if behind < 3 else 1 if behind < 16 else 2)
        )  # noqa: E501
        if choose:
            own[k] = _best(real[block, k], guess[k] if k < PREDICTED else 0, own[k],
                           bias[zone], costs, at, at_one, is_last, price)  # fmt: skip
        value = abs(own[k])
        if not is_last and _put(state, data, 1 if value else 0, zero, at, choose, counts) == 0:
            continue
        own[k] = _magnitude(state, data, own[k], zero, at_one, near, choose, counts)
    for k in range(PREDICTED):
        v = own[k]
        low[block, k] = guess[k] + v * UNIT
        if v:
            shift = bias[ZONES[k], 1 if abs(v) > 1 else 0]
            low[block, k] -= shift if v > 0 else -shift


@kernel(error_model="numpy")
def _magnitude(state, data, signed, zero, at, near, choose, counts):
    """Code a coefficient that is not zero."""
    value, size = abs(signed), 1
    if _put(state, data, 1 if value > 1 else 0, zero, at, choose, counts):
        size = 2
        while size < 15 and _put(
            state, data, 1 if value > size else 0, zero, MORE + near * 14 + size - 2, choose, counts
        ):
            size += 1
        if size == 15:
            rest, length = value - 15, 0
            while length < 20 and _put(
                state, data, 1 if rest + 1 >> length + 1 else 0, zero, ESCAPE + length, choose,
                counts,
            ):  # fmt: skip
                length += 1
            made = 1
            for k in range(length - 1, -1, -1):
                digit = rest + 1 >> k & 1
                made = made << 1 | (digit if choose else bit(state, data, digit, HALF))
            size = 15 + made - 1
    sign = 1 if signed < 0 else 0
    if not choose:
        sign = bit(state, data, sign, HALF)
    size = min(size, LARGEST)
    return -size if sign else size


@kernel(error_model="numpy")
def _size(state, data, zero, around, size, choose, counts):
    """Code how many coefficients a block has."""
    kind, wanted = 0, 0
    while 1 << wanted < 2 * size:
        wanted += 1
    while kind < CLASSES - 1 and _put(
        state, data, 1 if wanted > kind else 0, zero, LAST + around * CLASSES + kind, choose, counts
    ):
        kind += 1
    if kind < 2:
        return kind
    rest, low = 0, 1 << kind - 2  # low + 1 .. 2 * low
    for k in range(kind - 3, -1, -1):
        at = WITHIN + kind * 4 + min(kind - 3 - k, 3)
        rest = rest << 1 | _put(state, data, size - 1 - low >> k & 1, zero, at, choose, counts)
    return low + rest + 1


@kernel(error_model="numpy")
def _cut(real, own, guess, price):
    """Round a block's coefficients, and say how many are worth their bits, about."""
    best, gain, cut = 0.0, 0.0, 0
    own[:] = 0
    if real[0] != real[0]:  # a block of which nothing is known
        return 0
    for k in range(SIZE):
        off = real[k] - (guess[k] / UNIT if k < PREDICTED else 0.0)
        value = int(min(abs(off) + 0.4, LARGEST))
        if value:
            own[k] = value if off > 0 else -value
            gain += off * off - (abs(off) - value) ** 2 - price * (6 + 2 * np.log2(value))
        gain -= price * 0.2
        if own[k] and gain > best:
            best, cut = gain, k + 1
    own[cut:] = 0
    return cut


@kernel(error_model="numpy")
def _best(real, guess, start, bias, costs, at, at_one, is_last, price):
    """The cheapest of a coefficient's values, by squared error and bits."""
    if start == 0:
        return start
    off = abs(real - guess / UNIT)
    most, best, chosen = abs(start), 1e30, 0
    for value in range(max(most - 2, 1 if is_last else 0), most + 1):
        made, bits = 0.0, 0.0
        if value == 0:
            bits = costs[at, 0]
        else:
            made = value - bias[1 if value > 1 else 0] / UNIT
            bits = costs[at, 1] + 1 + costs[at_one, 1 if value > 1 else 0]
            if value > 1:
                bits += 1 + 2 * np.log2(value - 1.0)
        loss = (off - made) ** 2 + price * bits
        if loss < best:
            best, chosen = loss, value
    return chosen if start > 0 else -chosen
