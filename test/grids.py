"""Random grids of splats, for the tests of both tiers' streams."""

import numpy as np

from gaussvae_ros.entropy import cells, grid
from gaussvae_ros.entropy.grid import Grid


def random_grid(rng, size=(640, 480), n=100, precision=128, channels=3) -> Grid:
    """Any indices that a record can hold, most of them near to the typical."""
    cell = np.sort(cells.cell_of(rng.uniform(0, 1, (n, 2)) ** rng.uniform(0.5, 4) * size, size, n))
    scale = np.clip(rng.poisson(rng.uniform(1, 20), n), 0, grid.SIZES - 1)
    aspect = np.clip(rng.poisson(rng.uniform(0.1, 20), n), 0, grid.ASPECTS - 1)
    angle = rng.integers(0, np.multiply(*grid.angles(scale, aspect, precision)))
    shapes = grid.shape(scale, aspect, angle, size, precision)
    shift = rng.integers(0, grid.shifts(scale, shapes, size, precision))
    half = grid.COLOURS // 2
    colour = np.clip(np.round(rng.standard_cauchy((n, channels)) * 8), -half, half - 1).astype(
        np.int64
    )
    return Grid(size, precision, cell, scale, aspect, angle, shift, colour)
