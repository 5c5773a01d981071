"""A range coder of single bits, for kernels: each bit under a probability that may depend on all
bits before it, as contexts of voxels need (entropy/coder.py takes symbols by the thousand, whose
probabilities are known beforehand).

All of it is in integers, so that a stream means the same on every machine. A coder is an array of
numbers and a buffer; `bit` writes or reads, as the coder was begun, so that a format is stated
once.
"""

import numpy as np

from gaussvae_ros.kernels import leaf

LOW, RANGE, PLACE, READS, END = range(5)  # what a coder's numbers are
STATE = 5
ONE = 1 << 16  # probabilities are in parts of it, 1..ONE-1
HALF = ONE // 2
_TOP = 1 << 24
_MASK = (1 << 32) - 1


@leaf
def begin_writing(state):
    state[:] = 0
    state[RANGE] = _MASK


@leaf
def begin_reading(state, data, start, end):
    """Begin at `data[start]`; what lies behind `end` reads as zeros."""
    state[RANGE], state[READS], state[END] = _MASK, 1, end
    code = 0
    for place in range(start, start + 4):
        code = code << 8 | (data[place] if place < end else 0)
    state[LOW], state[PLACE] = code, start + 4


@leaf
def bit(state, data, value, zero):
    """Write `value` (0 or 1), or read it; `zero` is how likely 0 is, in parts of ONE."""
    bound = (state[RANGE] >> 16) * zero
    if state[READS]:
        value = 0 if state[LOW] < bound else 1
    if value:
        state[RANGE] -= bound
        state[LOW] += -bound if state[READS] else bound
    else:
        state[RANGE] = bound
    if state[LOW] > _MASK:  # only ever of a writer
        state[LOW] &= _MASK
        back = state[PLACE] - 1
        while data[back] == 255:
            data[back] = 0
            back -= 1
        data[back] += 1
    while state[RANGE] < _TOP:
        state[RANGE] <<= 8
        place = state[PLACE]
        if state[READS]:
            state[LOW] = state[LOW] << 8 | (data[place] if place < state[END] else 0)
        else:
            data[place] = state[LOW] >> 24
            state[LOW] = state[LOW] << 8 & _MASK
        state[PLACE] += 1
    return value


@leaf
def finish(state, data):
    """End a stream that began at `data[0]`; returns its length, trailing zeros left out."""
    value, spare = state[LOW], 24
    while spare >= 0:  # the number of the last range that ends with the most zeros
        value = (state[LOW] + (1 << spare) - 1) >> spare << spare
        if value < state[LOW] + state[RANGE]:
            break
        spare -= 8
    end = state[PLACE]
    if value > _MASK:
        value &= _MASK
        back = end - 1
        while data[back] == 255:
            data[back] = 0
            back -= 1
        data[back] += 1
    for k in range(4):
        data[end + k] = value >> (24 - 8 * k) & 255
    end += 4
    while end and data[end - 1] == 0:
        end -= 1
    return end


def new_state() -> np.ndarray:
    """The numbers of a coder."""
    return np.zeros(STATE, np.int64)
