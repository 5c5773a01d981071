"""What is known of a splat from its neighbours, and the probabilities of the splats tier."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gaussvae_ros.entropy import contexts, grid, prior


def some_cells(seed, n, side):
    """Columns and rows [n] of cells, some of them taken twice."""
    return tuple(np.random.default_rng(seed).integers(0, side, (2, n)))


def pass_of(n) -> np.ndarray:
    out = np.full(n, -1)
    for number, rows in enumerate(contexts.rounds(n)):
        assert (out[rows] == -1).all()
        out[rows] = number
    return out


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 100, 513])
def test_every_splat_has_its_round(n):
    assert len(contexts.rounds(n)) == contexts.PASSES
    assert (pass_of(n) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 150), st.sampled_from([1, 3, 40, 1 << 15]))
def test_neighbours_are_the_nearest(seed, n, side):
    x, y = some_cells(seed, n, side)
    distance = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    np.fill_diagonal(distance, 1 << 40)
    later = pass_of(n)[None] >= pass_of(n)[:, None]
    expected = [_first(np.where(later, 1 << 40, distance)), _first(distance)]
    assert [a.tolist() for a in contexts.neighbours(x, y)] == expected


def _first(distance):
    """The nearest of each row, the first of equals; -1 where there is none."""
    order = np.argsort(distance, 1, kind="stable")[:, : contexts.NEAR]
    order = np.where(np.take_along_axis(distance, order, 1) < 1 << 40, order, -1)
    return np.pad(order, ((0, 0), (0, contexts.NEAR - order.shape[1])), constant_values=-1).tolist()


@pytest.mark.parametrize("n", [2, 60])
def test_features_are_weighted_means_and_spreads(n):
    x, y = some_cells(n, n, 9)
    rng = np.random.default_rng(0)
    values, extra, rows = rng.normal(0, 1, n), rng.normal(0, 1, (n, 2)), contexts.rounds(n)[4]
    known, around = contexts.neighbours(x, y)
    out = contexts.features(rows, values, extra, known, x, y)
    for r, i in enumerate(rows):
        near = known[i][known[i] >= 0]
        w = 1 / ((x[near] - x[i]) ** 2 + (y[near] - y[i]) ** 2 + 0.5)
        mean = np.average(values[near], weights=w) if len(near) else 0.0
        spread = np.average(abs(values[near] - mean), weights=w) if len(near) else 0.0
        np.testing.assert_allclose(out[r], [1, mean, spread, *extra[i]], rtol=1e-12, atol=1e-12)
    expected = [
        np.hypot(x[a[a >= 0]] - x[i], y[a[a >= 0]] - y[i]).sum() / contexts.NEAR
        for i, a in enumerate(around)
    ]
    np.testing.assert_allclose(contexts.spacing(x, y, around), expected, rtol=1e-12)


def test_student_is_students_distribution():
    """Three degrees of freedom: t = sqrt(3) (v - m) / s."""
    rng = np.random.default_rng(0)
    features, step = rng.normal(0, 1, (30, 4)), rng.uniform(0.1, 2, 30)
    centre, width = rng.normal(0, 2, 4), np.abs(rng.normal(0, 2, 4))
    p = contexts.student(features, centre, width, step, -20, 41)
    m, s = features @ centre, np.maximum(features @ width, 0.33 * step)
    expected = stats.t.pdf(
        np.sqrt(3) * (np.arange(-20, 21) * step[:, None] - m[:, None]) / s[:, None], 3
    )
    np.testing.assert_allclose(p, expected / stats.t.pdf(0, 3) + 1e-6, rtol=1e-9)


def test_directions_by_hand():
    """A splat whose neighbours left and right have its colour, those above and below not."""
    x, y = np.array([5, 4, 6, 5, 5]), np.array([5, 5, 5, 4, 6])
    colour = np.array([[0.0], [0.0], [0.0], [1.0], [-1.0]])
    cosine, sine, strength = (
        np.array(v, float) for v in ([0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [9, 3, 1, 0, 0])
    )
    known = around = np.array([[1, 2, 3, 4]] + [[-1] * 4] * 4)
    out = contexts.directions(np.array([0, 1]), cosine, sine, strength, colour, known, around, x, y)
    np.testing.assert_allclose(out[0], [0.75, 0.25, 1, 0], atol=1e-6)  # along x: double angle 0
    assert not out[1].any()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 80))
def test_directions_are_never_longer_than_one(seed, n):
    rng = np.random.default_rng(seed)
    x, y = some_cells(seed, n, 12)
    turn, colour = rng.uniform(0, 2 * np.pi, n), rng.normal(0, 1, (n, 3)) * rng.integers(0, 2)
    args = (
        np.cos(turn),
        np.sin(turn),
        rng.uniform(0, 5, n) * rng.integers(0, 2),
        colour,
        *contexts.neighbours(x, y),
    )
    out = contexts.directions(np.arange(n), *args, x, y)
    assert (np.hypot(out[:, 0], out[:, 1]) < 1 + 1e-9).all() and (
        np.hypot(out[:, 2], out[:, 3]) < 1 + 1e-9
    ).all()


def test_axial_is_its_formula():
    rng = np.random.default_rng(0)
    guesses, counts = rng.uniform(-0.5, 0.5, (20, 4)), rng.integers(1, grid.SECTORS + 1, 20)
    weights = np.array([0.7, 0.3, 0.2])
    p = contexts.axial(guesses, counts, weights, *prior.axes(), grid.SECTORS)
    for row, count, guess in zip(p, counts, guesses):
        turn = 2 * np.pi * (np.arange(count) + 0.5) / count
        v = 0.7 * guess[:2] + 0.3 * guess[2:]
        np.testing.assert_allclose(
            row[:count], (1.2 - np.cos(turn) * v[0] - np.sin(turn) * v[1]) ** -2, rtol=1e-4
        )
        assert not row[count:].any()


def test_a_strong_pull_on_an_angle_is_no_certainty():
    """Weights whose guesses point beyond the circle still leave every angle a probability."""
    guesses, counts = np.array([[1.0, 0, 1, 0], [-1, 0, -1, 0]]), np.array([grid.SECTORS, 5])
    p = contexts.axial(guesses, counts, np.array([1.5, 0.5, 0.1]), *prior.axes(), grid.SECTORS)
    assert np.isfinite(p).all() and (p[0] > 0).all() and (p[1, :5] > 0).all() and p[0].argmax() == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_shipped_weights_give_probabilities_for_any_context(seed):
    """Finite, not negative, and some of each row above zero: else the coder refuses them."""
    rng = np.random.default_rng(seed)
    law, big = prior.load(), 10 ** rng.uniform(-3, 6)
    for later in (False, True):
        turn = rng.uniform(0, 2 * np.pi, (9, 2))
        guesses = np.column_stack(
            [f(turn[:, k]) for k in (0, 1) for f in (np.cos, np.sin)]
        ) * rng.uniform(0, 1)
        made = [law.angle(later, guesses, rng.integers(1, grid.SECTORS + 1, 9))]
        for kind in prior.LINEAR:
            features = rng.normal(0, big, (9, len(law.weights[kind][later][0])))
            made.append(law.linear(kind, later, features, 10 ** rng.uniform(-3, 6, 9), -64, 128))
        assert all(np.isfinite(p).all() and (p >= 0).all() and (p.sum(1) > 0).all() for p in made)
