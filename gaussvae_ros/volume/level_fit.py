"""How the levels of a volume are best predicted, coded and smoothed, as found in a part of it."""

from dataclasses import dataclass

import numpy as np

from gaussvae_ros.kernels import kernel
from gaussvae_ros.volume import level_table, levels, prediction, smoothing
from gaussvae_ros.volume.chunks import CHUNK, MOST, quantised
from gaussvae_ros.volume.padding import distances
from gaussvae_ros.volume.ranges import STATE, begin_writing, finish

_RIDGE = 1e-6  # keeps neighbours that are always alike from upsetting the fit


@dataclass(frozen=True)
class Fit:
    """What a record of levels says before its chunks: the last level, `plan` int64
    [prediction.PLAN], `table` uint8 [levels.CONTEXTS], `weights` int8 [smoothing.WEIGHTS].
    """

    top: int
    plan: np.ndarray
    table: np.ndarray
    weights: np.ndarray


def fit(cubes: list[tuple[np.ndarray, np.ndarray]], top: int) -> Fit:
    """`cubes` are voxels float32 [z, y, x] in 0..1, NaN where unknown, at most as large as a chunk,
    and which of them are known, uint8, empty where all are; `top` is the last level.
    """
    quantum = [(quantised(voxels, top), known) for voxels, known in cubes]
    near = np.zeros((len(prediction.NEIGHBOURS) + 1,) * 2)
    squares = np.zeros((2, smoothing.TERMS, smoothing.TERMS))
    products = np.zeros((2, smoothing.TERMS))
    for (voxels, _), (q, known) in zip(cubes, quantum):
        _add_neighbours(q, top, near)
        smoothing.add_normal(q, voxels * np.float32(top), top, squares, products)
    plan = np.zeros(prediction.PLAN, np.int64)
    plan[prediction.SUM : prediction.OFF] = _weights(near)
    sums = np.zeros(prediction.PREDICTORS + 1, np.int64)
    for q, _ in quantum:
        _add_errors(q, plan, top, sums)
    plan[prediction.OFF :] = sums[:-1] // max(sums[-1], 1)
    size, table = _counted(quantum, plan, top)
    blended = plan.copy()
    blended[0] = 1
    other, its_table = _counted(quantum, blended, top)
    if other < size:
        plan, table = blended, its_table
    return Fit(top, plan, table, smoothing.solve(squares, products))


def _weights(near: np.ndarray) -> np.ndarray:
    squares, products = near[:-1, :-1], near[:-1, -1]
    ridge = _RIDGE * max(np.trace(squares), 1.0) / len(squares) * np.eye(len(squares))
    found = np.linalg.solve(squares + ridge, products) * prediction.UNIT
    return np.clip(np.rint(found), -(1 << 15), (1 << 15) - 1).astype(np.int64)


def _counted(quantum: list, plan: np.ndarray, top: int) -> tuple[int, np.ndarray]:
    """How many bytes cubes take whose chances begin even, and the chances that they have."""
    counts, size, even = np.zeros((levels.CONTEXTS, 2), np.int64), 0, level_table.even()
    for q, known in quantum:
        size += _count(q.copy(), known, even, plan, top, counts)
    return size, level_table.of_counts(counts)


@kernel(error_model="numpy")
def _count(q, known, table, plan, top, counts):
    data, state = np.zeros(MOST, np.uint8), np.zeros(STATE, np.int64)
    begin_writing(state)
    levels.code(state, data, table, plan, top, known, q, CHUNK, counts)
    return finish(state, data)


@kernel(error_model="numpy")
def _add_neighbours(q, top, near):
    """Add a cube's voxels to the squares of their neighbours' levels, then of their own; those that
    say nothing left out.
    """
    row = np.zeros(len(near), np.int64)
    levels, reach = q.reshape(-1), distances(q, prediction.NEIGHBOURS)
    for at in range(len(levels)):
        if levels[at] >= 0:
            prediction.gather(levels, at, reach, top, row[:-1])
            row[-1] = levels[at]
            if row[:-1].min() < row[:-1].max():
                for k in range(len(row)):
                    for j in range(len(row)):
                        near[k, j] += row[k] * row[j]


@kernel(error_model="numpy")
def _add_errors(q, plan, top, sums):
    """Add by how much each predictor is off in a cube, and over how many voxels."""
    near = np.zeros(len(prediction.NEIGHBOURS), np.int64)
    guesses = np.zeros(prediction.PREDICTORS, np.int64)
    levels, reach = q.reshape(-1), distances(q, prediction.NEIGHBOURS)
    for at in range(len(levels)):
        if levels[at] >= 0:
            prediction.gather(levels, at, reach, top, near)
            if near.min() < near.max():
                prediction.each(plan, near, guesses)
                for k in range(len(guesses)):
                    off = abs(guesses[k] - prediction.FINE * levels[at])
                    sums[k] += min(off, prediction.WORST)
                sums[-1] += 1
