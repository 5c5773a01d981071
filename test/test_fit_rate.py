"""The gradient of a splat's bits in a descent, against bits stated anew in plain numpy."""

import numpy as np
import pytest
from fits import a_descent, scene
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_fit_descent import moved

from gaussvae_ros.entropy import grid
from gaussvae_ros.fit import adam, rate
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.raster import BACKGROUND

PARTS = rate.PARTS


def some_table(rng: np.random.Generator, u: float) -> np.ndarray:  # [ROW]
    """Mixtures as `rate_tables` makes them, near to what a splat of relative size u may hold."""
    table = np.empty((rate.KINDS, PARTS, 3))
    places = [(u, 0.3), (0, 0.4), (0, 0.1), (0, 0.05), (1.0, 0.7)]
    for kind, (middle, unit) in enumerate(places):
        width = unit * 2 ** rng.uniform(-2, 2, PARTS)
        table[kind, :, 0] = middle + unit * rng.uniform(-2, 2, PARTS)
        table[kind, :, 1], table[kind, :, 2] = 1 / width, rng.dirichlet(np.ones(PARTS)) / width
    table[5, :, :2] = rng.uniform(-3, 3, (PARTS, 2))
    table[5, :, 2] = rng.dirichlet(np.ones(PARTS))
    return table.ravel().astype(np.float32)


def bits(covariance: np.ndarray, colour: np.ndarray, table: np.ndarray, unit: float) -> float:
    """What a splat costs, up to a constant: -log2(density step) of each of its numbers."""
    table = table.astype(float).reshape(rate.KINDS, PARTS, 3)
    (s2, s1), vectors = np.sqrt(np.linalg.eigvalsh(covariance)), np.linalg.eigh(covariance)[1]
    theta, ratio, size = np.arctan2(vectors[1, 1], vectors[0, 1]), np.log(s1 / s2), np.sqrt(s1 * s2)
    u = np.exp(grid.POWER * (np.log(size) - unit)) / grid.TYPICAL

    def student(kind, v):
        place, inverse, weight = table[kind].T
        return (weight / (1 + ((v - place) * inverse) ** 2) ** 2).sum()

    a, b, weight = table[5].T
    length = 1 + np.hypot(a, b)
    away = length - a * np.cos(2 * theta) - b * np.sin(2 * theta)
    axial = (weight * length / away**2).sum()
    shape_step = 1 / min(u, grid.LARGE)
    colour_step = max(u, 0) ** -2.0 if u < rate.FINE_COLOUR else rate.FINE_COLOUR**-2.0
    angle_step = shape_step / np.sinh(ratio)
    steps = [1, colour_step, colour_step, colour_step, shape_step, angle_step]
    steps += [shape_step * size] * 2  # of the place in a cell, along both axes
    opponent = grid.OPPONENT @ (colour - BACKGROUND)
    densities = [student(0, u), *(student(1 + k, opponent[k]) for k in range(3))]
    densities += [student(4, ratio), axial, 1, 1]
    return -np.log2(np.array(densities) * steps).sum()


def gradients(geometry, colour, table, unit) -> tuple[np.ndarray, np.ndarray]:  # [8], [8]
    """By `add_rate`, and by finite differences in the descent's whitened frame."""
    got, expected, h = np.zeros(8), np.empty(8), 1e-5
    rate.add_rate(geometry, colour.astype(np.float32), table, 1.0, unit, got)
    for k, step in enumerate(np.eye(8) * h):
        up, down = (
            bits(moved(geometry, sign * step)[1], colour + sign * step[5:], table, unit)
            for sign in (1, -1)
        )
        expected[k] = (up - down) / (2 * h)
    return got, expected


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1.5, 1.5), st.floats(0.4, 3), st.floats(0, 3.1))
def test_the_gradient_is_that_of_the_bits(seed, log_size, ratio, theta):
    """Sizes on both sides of where steps end to shrink, any shape that is not round, any axis."""
    rng, unit = np.random.default_rng(seed), 2.0
    u = np.exp(grid.POWER * log_size) / grid.TYPICAL
    assume(min(abs(u - grid.LARGE), abs(u - rate.FINE_COLOUR)) > 1e-3)
    assume(np.sinh(ratio) * u > 1.1 * rate.ROUND)
    middle = unit + log_size
    shape = grid.root(*(np.array([v]) for v in (middle + ratio / 2, middle - ratio / 2, theta)))
    geometry = np.array([5.0, 7.0, *shape[0]])
    colour, table = rng.uniform(-0.2, 1.2, 3).astype(np.float32).astype(float), some_table(rng, u)
    got, expected = gradients(geometry, colour, table, unit)
    assert (got[:2] == 0).all()
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-3)


def test_of_a_round_splat_neither_axis_nor_angle_counts():
    """But its size, its colour and, in every direction alike, how thin it is."""
    rng = np.random.default_rng(3)
    table, got = some_table(rng, 1.0), np.zeros(8)
    rate.add_rate(np.array([5.0, 7, 4, 0, 4]), np.ones(3, np.float32), table, 1.0, 2.0, got)
    assert np.isfinite(got).all() and got[3] == pytest.approx(0, abs=1e-6)
    assert got[2] != 0 and got[5:].all()


def test_the_price_multiplies_and_adds_to_the_gradient():
    rng = np.random.default_rng(4)
    table, state = some_table(rng, 1.0), a_descent(1, (40, 30), seed=2)
    once, twice = np.zeros(8), np.ones(8)
    for price, grad in ((1.0, once), (2.0, twice)):
        rate.add_rate(state.geometry[0], state.colour[0], table, price, 2.0, grad)
    np.testing.assert_allclose(twice, 1 + 2 * once, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1e-3, 0, 1e3), (1e3, 5, 0.3), (0.3, -1e3, 300), (1, 0, 1)])
def test_extreme_shapes_have_a_finite_gradient(shape):
    table, got = some_table(np.random.default_rng(5), 1.0), np.zeros(8)
    colour = np.array([1e3, -1e3, 0], np.float32)
    rate.add_rate(np.array([0.0, 0, *shape]), colour, table, 1.0, 2.0, got)
    assert np.isfinite(got).all()


def test_a_descent_with_a_price_has_fewer_bits_and_a_larger_error():
    image = scene(96, 72)
    target, unit = Levels(image, 60).at(1e9), 0.5 * np.log(96 * 72 / 60)
    table = np.tile(some_table(np.random.default_rng(6), 1.0), (60, 1))
    ends = {}
    for price in (0.0, 1.0):
        state = a_descent(60, (96, 72), seed=1)
        state.run(target, np.full(60, 0.3), (table, price))
        total = sum(
            bits(moved(g, np.zeros(8))[1], c.astype(float), t, unit)
            for g, c, t in zip(state.geometry, state.colour, table, strict=True)
        )
        ends[price] = total, state.error
    assert ends[1.0][0] < ends[0.0][0] - 60 and ends[1.0][1] > ends[0.0][1]


def test_without_a_price_it_is_the_descent_by_error_alone():
    target = Levels(scene(48, 36), 20).at(1e9)
    one, other = a_descent(20, (48, 36)), a_descent(20, (48, 36))
    one.run(target, np.full(5, 0.3))
    other.run(target, np.full(5, 0.3), (np.zeros((20, rate.ROW), np.float32), 0.0))
    assert np.array_equal(one.geometry, other.geometry) and one.error == other.error
    assert isinstance(one, adam.Descent)
