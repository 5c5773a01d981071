"""What a descent follows is what records are coded with, but for rounding."""

import numpy as np
import pytest
from grids import random_grid
from priors import random_prior

from gaussvae_ros.entropy import contexts as passes
from gaussvae_ros.entropy import grid
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.rate import KINDS as TABLED
from gaussvae_ros.fit.rate import PARTS, ROW
from gaussvae_ros.raster import BACKGROUND
from gaussvae_ros.vae.contexts import FLOOR, KINDS
from gaussvae_ros.vae.prior import RANGES, code
from gaussvae_ros.vae.rate import rate_tables


class Noting:
    """A coder for writing that keeps the bits of each symbol by part."""

    reads, part = False, ""

    def __init__(self):
        self.bits: dict[str, np.ndarray] = {}

    def symbols(self, values, probabilities):
        p = probabilities / probabilities.sum(1, keepdims=True)
        self.bits[self.part] = -np.log2(p[np.arange(len(p)), values])
        return values

    def uniform(self, values, sizes):
        return values


def state_of(g: grid.Grid, order: np.ndarray) -> Descent:
    """A fit that is on the grid, its splats in another order."""
    colour = g.colour * grid.colour_step(g.scale, g.precision)[:, None] @ grid.OPPONENT
    colour = (BACKGROUND + colour).astype(np.float32)
    return Descent(grid.geometry(g)[order], colour[order])


@pytest.mark.parametrize("size", [(640, 480), (97, 333)], ids=str)
def test_bits_by_the_tables_are_those_of_the_record(size):
    prior, rng = random_prior(3), np.random.default_rng(1)
    g = random_grid(rng, size, 120, 132)
    order = rng.permutation(120)
    tables = np.empty((120, ROW))
    tables[order] = rate_tables(state_of(g, order), size, g.precision, prior)
    noted = Noting()
    code(noted, prior, size, 120, g.precision, 3, g)
    colour_step = grid.colour_step(g.scale, g.precision)
    steps = [np.full(120, grid.SIZE_STEP * grid.POWER * grid.factor(g.precision))]
    steps += [colour_step] * 3
    steps += [grid.shape_step(g.scale, g.precision) * grid.ASPECT_STEP]
    indices = [g.scale + 1, *g.colour.T, g.aspect]
    written = np.concatenate(passes.rounds(120))  # the order in which splats are coded
    for kind, (step, index) in enumerate(zip(steps, indices, strict=True)):
        exact = np.empty(120)
        exact[written] = noted.bits[KINDS[kind]]
        part = tables[:, 3 * PARTS * kind : 3 * PARTS * (kind + 1)].reshape(120, PARTS, 3)
        place, inverse, weight = part.transpose(2, 0, 1)
        low, count = RANGES[kind]
        values = (np.arange(low, low + count) * step[:, None])[..., None]
        z = (values - place[:, None]) * inverse[:, None]
        p = (weight[:, None] / (1 + z * z) ** 2).sum(2) * step[:, None] + FLOOR
        got = -np.log2(p[np.arange(120), index - low] / p.sum(1))
        off = np.abs(got - exact)
        # The descent's colours are float32, so that a feature may be rounded the other way.
        assert np.median(off) < 1e-3 and np.quantile(off, 0.8) < 0.1, KINDS[kind]


def test_tables_have_weights_that_sum_to_one_and_finite_numbers():
    prior, rng = random_prior(4), np.random.default_rng(2)
    g = random_grid(rng, n=50)
    state = state_of(g, np.arange(50))
    state.geometry[0, 2:] = 1e-3, 0, 1e3  # as no record would hold it
    state.geometry[1, 2:] = 4, 0, 4  # round
    tables = rate_tables(state, g.size, 130, prior)
    assert tables.shape == (50, ROW) and tables.dtype == np.float32 and np.isfinite(tables).all()
    parts = tables.reshape(50, TABLED, PARTS, 3)
    weights = parts[..., 2].copy()
    weights[:, :5] /= parts[:, :5, :, 1]  # those of values are over their widths
    np.testing.assert_allclose(weights.sum(2), 1, rtol=1e-4)
    assert (parts[:, :5, :, 1] > 0).all()
