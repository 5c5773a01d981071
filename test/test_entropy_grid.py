"""What a record can say: sizes, angles and places on the grid."""

import numpy as np
import pytest
from grids import IMAGES, random_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.entropy import cells, grid, prior
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.raster import cpu
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, morton_order

USED = range(112, 145)  # what encoders use lies inside: test_quantise.py sees to it
EVERY_SHAPE = tuple(a.ravel() for a in np.mgrid[: grid.SIZES, : grid.ASPECTS])  # scales, aspects


def test_precisions_are_eighths_of_octaves():
    np.testing.assert_allclose(
        [grid.factor(p) for p in range(256)], 2 ** ((np.arange(256) - 128) / 8), rtol=1e-15
    )
    assert [grid.factor(p) for p in (112, 120, 128, 136, 144)] == [0.25, 0.5, 1, 2, 4]


@pytest.mark.parametrize("precision", [USED[0], 128, USED[-1]])
def test_the_nearest_size_is_found(precision):
    scale = np.arange(grid.SIZES)
    log_size = grid.log_size(scale, (640, 480), precision)
    assert (np.diff(log_size) > 0).all()
    unit = grid.unit((640, 480), 500) - grid.unit((640, 480), len(scale))
    assert (grid.scale_index(log_size + unit, (640, 480), 500, precision) == scale).all()
    assert grid.scale_index(np.array([-100.0, 100.0]), (640, 480), 500, precision).tolist() == [
        0,
        grid.SIZES - 1,
    ]


@pytest.mark.parametrize("precision", [0, *USED[::5], 255])
def test_the_nearest_angle_is_found(precision):
    scale, aspect = EVERY_SHAPE
    sectors, fine = grid.angles(scale, aspect, precision)
    assert (
        sectors.min() >= 1
        and sectors.max() <= grid.SECTORS
        and fine.min() >= 1
        and fine.max() <= grid.FINE
    )
    assert (sectors[aspect == 0] == 1).all() and (fine[aspect == 0] == 1).all()
    theta = np.random.default_rng(precision).uniform(0, np.pi, len(scale))
    theta[:3] = 0, np.nextafter(np.pi, 0), np.pi
    index = grid.angle_index(theta, scale, aspect, precision)
    assert (index >= 0).all() and (index < sectors * fine).all()
    back = grid.theta(scale, aspect, index, precision)
    away = np.abs((back - theta + np.pi / 2) % np.pi - np.pi / 2)
    assert (back < np.pi).all() and (away <= np.pi / (sectors * fine) / 2 + 1e-12).all()
    assert (grid.angle_index(back, scale, aspect, precision) == index).all()


def test_a_thin_splat_has_fine_angles():
    """Where neither limit is reached, a step turns a splat no more than the docstring allows."""
    scale, aspect = EVERY_SHAPE
    k = grid.shape_step(scale, 128)
    count = np.multiply(*grid.angles(scale, aspect, 128))
    moved = 2 * np.sinh(aspect * k * grid.ASPECT_STEP) * np.pi / count
    free = (count > 1) & (count < grid.SECTORS * grid.FINE)
    assert (moved[free] <= grid.ANGLE_STEP * k[free] * 1.5).all()


@settings(max_examples=60, deadline=None)
@given(
    IMAGES,
    st.integers(1, 300),
    st.sampled_from([0, *USED, 255]),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_what_a_record_says_is_finite_and_canonical(size, n, precision, channels, seed):
    g = random_grid(np.random.default_rng(seed), size, n, precision, channels)
    splats = grid.to_splats(g)
    p = splats.params
    assert splats.size == size and p.shape == (n, 5 + channels) and p.dtype == np.float32
    assert np.isfinite(p).all() and np.isfinite(grid.geometry(g)).all()
    assert (
        (p[:, LOG_S1] >= p[:, LOG_S2]).all()
        and (p[:, THETA] >= 0).all()
        and (p[:, THETA] < np.pi).all()
    )
    assert np.array_equal(p, splats.canonical().params)
    corner, side = cells.corner(g.cell, size, n)
    xy = grid.geometry(g)[:, :2]
    assert (xy >= corner - 1e-9 * max(size)).all() and (xy <= corner + side * (1 + 1e-9)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 300), st.sampled_from(USED), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1)
)
def test_geometry_is_that_of_the_splats(n, precision, channels, seed):
    """The encoder's view of a grid and the decoder's are the same splats, but for rounding."""
    g = random_grid(np.random.default_rng(seed), (640, 480), n, precision, channels)
    g.aspect = np.minimum(g.aspect, 6)  # thinner ones turn a rounding of theta into a large shear
    g.angle %= np.multiply(*grid.angles(g.scale, g.aspect, precision))
    g.shift %= grid.shifts(
        g.scale, grid.shape(g.scale, g.aspect, g.angle, g.size, precision), g.size, precision
    )
    splats, placed = grid.to_splats(g), grid.geometry(g)
    order = morton_order(placed[:, :2].astype(np.float32), g.size)
    drawn, colour = cpu.split(splats.params)
    thin = np.exp(splats.params[:, LOG_S1] - splats.params[:, LOG_S2]).max() ** 2
    np.testing.assert_allclose(drawn, placed[order], rtol=1e-5 * thin, atol=1e-5 * thin)
    expected = (
        0.5
        + (g.colour * grid.colour_step(g.scale, precision)[:, None])[order]
        @ grid.OPPONENT[:channels]
    )
    np.testing.assert_allclose(colour, expected, rtol=1e-5, atol=1e-5)


def test_mono_is_the_light_of_colour():
    g = random_grid(np.random.default_rng(0), n=50)
    g.colour[:, 1:] = 0
    grey = Grid(g.size, g.precision, g.cell, g.scale, g.aspect, g.angle, g.shift, g.colour[:, :1])
    rgb, mono = grid.to_splats(g).params, grid.to_splats(grey).params
    for channel in (5, 6, 7):
        np.testing.assert_allclose(rgb[:, channel], mono[:, 5], rtol=1e-6)


def test_the_angles_of_every_shape_are_far_from_where_rounding_turns():
    """sinh may differ between machines in its last bits; the number of angles must not."""
    for precision in range(
        121, 137
    ):  # two octaves: others differ by powers of two, which are exact
        k = grid.shape_step(EVERY_SHAPE[0], precision)
        count = 2 * np.pi / grid.ANGLE_STEP * np.sinh(EVERY_SHAPE[1] * k * grid.ASPECT_STEP) / k
        rounded = count[count < grid.SECTORS * grid.FINE + 1]
        assert np.abs(rounded % 1 - 0.5).min() > 1e-9


def test_the_table_of_axes_is_far_from_where_rounding_turns():
    turn = 2 * np.pi * (np.arange(grid.SECTORS) + 0.5) / np.arange(1, grid.SECTORS + 1)[:, None]
    for f in (np.cos, np.sin):
        assert np.abs(f(turn) * 2**20 % 1 - 0.5).min() > 1e-7
    for table, f in zip(prior.axes(), (np.cos, np.sin), strict=True):
        assert (table * 2**20 % 1 == 0).all()
        np.testing.assert_allclose(table[1:], f(turn), atol=2**-21 + 1e-12)
