"""What a predicted record says: how the splats of another record become those of this frame.

All splats move with a field (motion.py). Then each one stays as it is, is changed, or leaves for a
new one. Changes are integers in steps that follow the splat's size, as entropy/grid.py has them;
new splats are those of a record alone, among as many as the reference has.
"""

from dataclasses import dataclass

import numpy as np

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.motion import SMALLEST, Motion, moved
from gaussvae_ros.kernels import kernel

KEPT, CHANGED, NEW = range(3)
SHAPE_STEP = 0.3  # of a typical splat's log covariance at precision 1
MOVES, SHAPES, COLOURS = 63, 31, 63  # largest index either way
MOST_STRETCH = 2.0  # bound of a log covariance's entries, so that no record overflows
SMALLEST_U = 0.05  # relative size below which steps grow no more
UNIT = 1024.0  # steps are multiples of 1 / UNIT px, those of shapes and colours of 1 / UNIT


@dataclass(frozen=True)
class Decoded:
    """Splats in the order of their record, as the kernels of raster/cpu.py take them."""

    size: tuple[int, int]  # (w, h) px
    geometry: np.ndarray  # [N, 5] float64, px
    colour: np.ndarray  # [N, 3] float64, 0 to 1
    channels: int  # 1 (mono, three equal colours) or 3
    precision: int  # of the record alone that all began with, which tells its error

    @classmethod
    def of(cls, g: Grid) -> "Decoded":
        """The splats of a record alone."""
        colour = np.broadcast_to(grid.rgb(g), (len(g.cell), 3))
        return cls(g.size, grid.geometry(g), colour, g.colour.shape[1], g.precision)


@dataclass
class Changes:
    """Integers of a predicted record; rows are those of the reference's splats."""

    precision: int  # index of the steps' factor, see grid.factor
    motion: Motion
    kind: np.ndarray  # [N] KEPT, CHANGED or NEW
    move: np.ndarray  # [N, 2] x (beside the slant of y) and y, zero where not CHANGED
    shape: np.ndarray  # [N, 3] log covariance m11, m12, m22 in the splat's own frame
    colour: np.ndarray  # [N, 1 or 3] opponent colours
    new: Grid  # the new splats, in Z-order, for the rows that are NEW


@dataclass(frozen=True)
class Steps:
    """The steps of each splat's changes: `move` [N, 2] px, `shape` [N], `colour` [N]."""

    move: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    u: np.ndarray  # [N] relative size, see grid.py


def steps(geometry: np.ndarray, size: tuple[int, int], precision: int) -> Steps:
    """The steps for splats of `geometry` [N, 5] px, rounded so that they are alike everywhere."""
    n = len(geometry)
    middle = 0.5 * np.log(geometry[:, 2] * geometry[:, 4])
    u = np.exp(grid.POWER * (middle - grid.unit(size, n))) / grid.TYPICAL
    u = np.round(np.clip(u, SMALLEST_U, 50) * 64) / 64
    factor = grid.factor(precision)
    k = factor / np.clip(u, SMALLEST_U, grid.LARGE)
    colour = np.maximum(grid.COLOUR_STEP * factor / np.maximum(u, SMALLEST_U) ** 2, 0.004)
    return Steps(
        _rounded(k[:, None] * grid.SHIFT_STEP * geometry[:, [2, 4]]),
        _rounded(k * SHAPE_STEP),
        _rounded(colour),
        u,
    )


def _rounded(steps: np.ndarray) -> np.ndarray:
    return np.clip(np.round(steps * UNIT), 1, 1 << 24) / UNIT


def applied(reference: Decoded, changes: Changes) -> Decoded:
    """The splats of the frame."""
    size, n = reference.size, len(reference.geometry)
    geometry = moved(reference.geometry, changes.motion, size)
    step = steps(geometry, size, changes.precision)
    geometry = changed(geometry, changes.move * step.move, changes.shape * step.shape[:, None])
    shift = changes.colour * step.colour[:, None]
    colour = reference.colour + shift @ grid.OPPONENT[: reference.channels]
    rows = changes.kind == NEW
    if rows.any():
        geometry[rows] = grid.geometry(changes.new, n)
        colour[rows] = grid.rgb(changes.new)
    return Decoded(size, geometry, colour, reference.channels, reference.precision)


@kernel()
def changed(geometry, move, shape):
    """Geometry [N, 5] moved by `move` [N, 2] px and stretched by exp of `shape` [N, 3], in the
    frame of the splat's own root."""
    out = np.empty_like(geometry)
    for i in range(len(geometry)):
        x, y, lxx, shear, lyy = geometry[i]
        dy = move[i, 1]
        out[i, 0], out[i, 1] = x + move[i, 0] + shear * dy, y + dy
        if shape[i, 0] == 0 and shape[i, 1] == 0 and shape[i, 2] == 0:
            out[i, 2:] = geometry[i, 2:]
            continue
        a = min(max(shape[i, 0], -MOST_STRETCH), MOST_STRETCH)
        b = min(max(shape[i, 1], -MOST_STRETCH), MOST_STRETCH)
        d = min(max(shape[i, 2], -MOST_STRETCH), MOST_STRETCH)
        half, scale = (a - d) / 2, np.exp((a + d) / 2)
        r = np.sqrt(half * half + b * b)
        even, odd = scale * np.cosh(r), scale * (np.sinh(r) / r if r > 1e-9 else 1.0)
        e11, e12, e22 = even + odd * half, odd * b, even - odd * half
        u22 = np.sqrt(e22)  # upper triangular root of exp(M)
        u12 = e12 / u22
        u11 = np.sqrt(max(e11 - u12 * u12, 1e-6))
        out[i, 2] = max(lxx * u11, SMALLEST)
        out[i, 4] = max(lyy * u22, SMALLEST)
        out[i, 3] = (lxx * u12 + shear * lyy * u22) / (lyy * u22)
    return out


def difference(
    before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # move [N, 2] px, shape [N, 3]
    """What `changed` takes to make geometry `after` [N, 5] of `before` [N, 5]."""
    lxx, shear, lyy = before[:, 2:].T
    dy = after[:, 1] - before[:, 1]
    move = np.stack([after[:, 0] - before[:, 0] - shear * dy, dy], 1)
    u11, u22 = after[:, 2] / lxx, after[:, 4] / lyy
    u12 = (after[:, 3] - shear) * after[:, 4] / lxx
    e11, e12, e22 = u11 * u11 + u12 * u12, u12 * u22, u22 * u22
    # the logarithm of a symmetric matrix, from its eigenvalues mean +- spread
    mean, half = (e11 + e22) / 2, (e11 - e22) / 2
    spread = np.hypot(half, e12)
    high, low = np.log(mean + spread), np.log(np.maximum(mean - spread, 1e-12))
    even, odd = (
        (high + low) / 2,
        np.where(
            spread > 1e-9, (high - low) / 2 / np.maximum(spread, 1e-9), 1 / np.maximum(mean, 1e-9)
        ),
    )
    return move, np.stack([even + odd * half, odd * e12, even - odd * half], 1)


def none_new(size: tuple[int, int], precision: int, channels: int) -> Grid:
    """A grid of no splats."""
    return Grid(
        size,
        precision,
        *(np.zeros(0, np.int64) for _ in range(4)),
        np.zeros((0, 2), np.int64),
        np.zeros((0, channels), np.int64),
    )
