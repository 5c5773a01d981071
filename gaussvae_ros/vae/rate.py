"""What each number of a splat would cost under the learned prior, as mixtures
that a descent can follow.

The prior's networks say, for every splat, how its numbers are distributed given the splats around
it. While a fit descends, those distributions are taken from its state every REFRESH steps and held
in between; fit/rate.py adds the gradient of their bits to that of the error. They are those that a
record of the same splats would be coded with, but for rounding: the differentiable side of the
prior, the exact one being prior.py.
"""

import numpy as np

from gaussvae_ros.entropy import cells, grid
from gaussvae_ros.entropy import contexts as passes
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.rate import ROW
from gaussvae_ros.raster import BACKGROUND
from gaussvae_ros.vae import contexts
from gaussvae_ros.vae.contexts import ANGLE, KINDS, MOST, NARROWEST, ONE, PARTS, POWERS, THIN, UNITS
from gaussvae_ros.vae.prior import Prior
from gaussvae_ros.vae.quantise import axes, log_size


def rate_tables(
    state: Descent, size: tuple[int, int], precision: int, prior: Prior
) -> np.ndarray:  # float32 [N, ROW] as fit/rate.py reads them
    """The mixtures of each splat's size, colours, aspect and angle, for a fit in px of a
    frame of `size` (w, h) px."""
    n = len(state.geometry)
    cell = cells.cell_of(state.geometry[:, :2], size, n)
    order = np.argsort(cell, kind="stable")
    values = _values(state, size)[order]
    x, y = cells.coordinates(cell[order])
    known, around = passes.neighbours(x, y)
    spacing = passes.spacing(x, y, around)
    side = max(size) / 2 ** cells.depth(size, n)  # px
    base = contexts.base(x, y, spacing, size[0] / side, size[1] / side, precision)
    steps = _steps(values[:, 0], precision)
    sorted_, tables = np.empty((n, ROW), np.float32), np.empty((n, ROW), np.float32)
    for kind, name in enumerate(KINDS):
        features, middle = contexts.features(
            kind, np.arange(n), values, base, spacing, known, around, x, y
        )
        outputs = prior.outputs(name, features)
        weight = POWERS[outputs[:, 2::3] + MOST]
        weight = weight / weight.sum(1, keepdims=True)
        table = sorted_[:, 3 * PARTS * kind : 3 * PARTS * (kind + 1)]
        if kind == ANGLE:
            table[:, 0::3], table[:, 1::3] = (
                outputs[:, 0::3] * (4 / ONE),
                outputs[:, 1::3] * (4 / ONE),
            )
            table[:, 2::3] = weight
        else:
            width = UNITS[kind] * POWERS[outputs[:, 1::3] + MOST]
            width = np.sqrt(width**2 + NARROWEST * steps[kind][:, None] ** 2)
            table[:, 0::3] = middle[:, None] + UNITS[kind] * outputs[:, 0::3] / ONE
            table[:, 1::3], table[:, 2::3] = 1 / width, weight / width
    tables[order] = sorted_
    return tables


def _values(state: Descent, size: tuple[int, int]) -> np.ndarray:  # [N, VALUES] as in contexts.py
    """The numbers that a record would hold, not rounded."""
    n = len(state.geometry)
    ratio, theta = axes(state.geometry)
    strength = np.minimum(ratio, THIN)
    values = np.empty((n, contexts.VALUES))
    unit = grid.unit(size, n)
    values[:, 0] = np.exp(grid.POWER * (log_size(state.geometry) - unit)) / grid.TYPICAL
    values[:, 1:4] = (state.colour - BACKGROUND) @ grid.OPPONENT.T
    values[:, 4] = ratio
    values[:, 5], values[:, 6] = np.cos(2 * theta) * strength, np.sin(2 * theta) * strength
    return values


def _steps(u: np.ndarray, precision: int) -> list[np.ndarray]:
    """Steps [N] of the first five kinds, for splats of relative size u [N]."""
    factor, u = grid.factor(precision), np.maximum(u, 0.05)
    colour = np.maximum(grid.COLOUR_STEP * factor / u**2, 2 * grid.OVERSHOOT / grid.COLOURS)
    aspect = factor / np.minimum(u, grid.LARGE) * grid.ASPECT_STEP
    return [np.full(len(u), grid.SIZE_STEP * grid.POWER * factor), colour, colour, colour, aspect]


def own_bits(g: Grid, tables: np.ndarray) -> np.ndarray:  # [N]
    """What each splat of a grid takes under its own mixtures, `tables` [N,
    ROW], but for its cell."""
    n = tables.shape[0]
    shapes = grid.shape(g.scale, g.aspect, g.angle, g.size, g.precision, n)
    tables = np.tile(tables, (len(g.cell) // n, 1))
    colour_step = grid.colour_step(g.scale, g.precision)
    aspect_step = grid.shape_step(g.scale, g.precision) * grid.ASPECT_STEP
    bits = _bits(tables, 0, grid.relative_size(g.scale, g.precision), 1.0)
    for k in range(g.colour.shape[1]):
        bits += _bits(tables, 1 + k, g.colour[:, k] * colour_step, colour_step)
    bits += _bits(tables, 4, g.aspect * aspect_step, aspect_step)
    sectors, fine = grid.angles(g.scale, g.aspect, g.precision)
    twice = 2 * grid.theta(g.scale, g.aspect, g.angle, g.precision)
    a, b, weight = _parts(tables, ANGLE)
    length = 1 + np.hypot(a, b)
    away = length - a * np.cos(twice)[:, None] - b * np.sin(twice)[:, None]
    density = np.log2((weight * length / away**2).sum(1))
    bits += np.where(sectors > 1, np.log2(sectors) - density, 0) + np.log2(fine)
    return bits + np.log2(grid.shifts(g.scale, shapes, g.size, g.precision, n)).sum(1)


def _parts(tables: np.ndarray, kind: int) -> list[np.ndarray]:  # three of [N, PARTS]
    return [tables[:, 3 * PARTS * kind + k : 3 * PARTS * (kind + 1) : 3] for k in range(3)]


def _bits(tables: np.ndarray, kind: int, values: np.ndarray, steps) -> np.ndarray:  # [N]
    """Bits of values [N] in steps, under the mixtures of a kind."""
    place, inverse, weight = _parts(tables, kind)
    q = 1 + ((values[:, None] - place) * inverse) ** 2
    return -np.log2(((weight / q**2).sum(1) + 1e-9) * steps)
