"""Random grids of splats, for the tests of all that codes them."""

import numpy as np
from hypothesis import strategies as st

from gaussvae_ros.entropy import cells, grid, stream
from gaussvae_ros.entropy.coder import Reader
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.record import MAX_SIDE

SIDES = st.one_of(st.integers(1, 1000), st.sampled_from([1, 2, 3, 640, MAX_SIDE - 1, MAX_SIDE]))
IMAGES = st.tuples(SIDES, SIDES)  # sizes (w, h) px


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


def fields(g: Grid) -> list:
    """All that a grid says, to compare."""
    return [
        g.size,
        g.precision,
        *(a.tolist() for a in (g.cell, g.scale, g.aspect, g.angle, g.shift, g.colour)),
    ]


def decoded(payload: bytes, size: tuple[int, int]) -> Grid:
    """What a reader of a payload of the splats tier gets, before it is turned into splats."""
    count = payload[1] | payload[2] << 8
    reader, channels = Reader(payload[3:]), 1 if count & stream.MONO else 3
    return stream.code(reader, size, count & ~stream.MONO, payload[0], channels, None)
