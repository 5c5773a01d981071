"""What the networks of positions read, and the distributions that they make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gaussvae_ros.entropy import cells
from gaussvae_ros.entropy.coder import Meter
from gaussvae_ros.entropy.contexts import NEAR
from gaussvae_ros.vae import positions
from gaussvae_ros.vae.contexts import BASE, MOST, ONE, OUTPUTS, POWERS, VALUES

# --- halves of cells


def asked(size, n, seed) -> list[tuple]:
    """What `code_cells` asks of a model at each level, for n random points."""
    questions, rng = [], np.random.default_rng(seed)
    cell = np.sort(cells.cell_of(rng.uniform(0, 1, (n, 2)) ** 2 * size, size, n))

    def halving(*question):
        questions.append(question)
        return np.ones(len(question[0])), np.ones(len(question[0]))

    cells.code_cells(Meter(), size, n, cell, halving)
    return questions


@pytest.mark.parametrize("size, n", [((640, 480), 60), ((3, 700), 40), ((1, 1), 32)], ids=str)
def test_a_node_reads_the_counts_of_the_nodes_beside_it(size, n):
    """Against a dictionary of nodes by column and row."""
    for nodes, counts, level, wide, tall, share, expected in asked(size, n, seed=1):
        rows = positions.split_features(nodes, counts, level, wide, tall, share, expected)
        assert np.isfinite(rows).all() and rows.shape == (len(nodes), positions.SPLIT_FEATURES)
        across, down = 2 ** ((level + 2) // 2), 2 ** ((level + 1) // 2)
        x, y = cells.coordinates(nodes << level + 1)
        at = {(c // across, r // down): k for c, r, k in zip(x, y, counts, strict=True)}
        assert len(at) == len(nodes) and sum(counts) == n
        for row, c, r, k, usual in zip(rows, x // across, y // down, counts, expected, strict=True):
            beside = [at.get((c + dx, r), 0) for dx in (-1, 1)]
            stacked = [at.get((c, r + dy), 0) for dy in (-1, 1)]
            first, second = stacked if level % 2 else beside  # along the cut
            others = sum(beside if level % 2 else stacked)
            usual += 0.5
            assert row[7] == pytest.approx((first - second) / (first + second + 1))
            assert row[8] == pytest.approx(first / (first + usual))
            assert row[9] == pytest.approx(second / (second + usual))
            assert row[10] == pytest.approx(others / (others + 2 * usual))
            assert row[11] == pytest.approx((first - second) / (k + usual))


def outputs_of(rng, n) -> np.ndarray:
    return rng.integers(-MOST, MOST + 1, (n, OUTPUTS)).astype(np.int32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
def test_halves_are_beta_binomial_and_sum_to_one(seed, most):
    rng, n = np.random.default_rng(seed), 8
    outputs, share, m = outputs_of(rng, n), rng.uniform(0.01, 0.99, n), rng.integers(1, most + 1, n)
    alpha, beta = positions.beta_parameters(outputs, share, POWERS)
    skew, strength = 2 ** (outputs[:, 0] / ONE), 2 ** (outputs[:, 1] / ONE)
    one, two = share * skew, (1 - share) / skew
    total = positions.CONCENTRATION * strength / (one + two)
    bounds = positions.LEAST, positions.LARGEST
    np.testing.assert_allclose(alpha, np.clip(one * total, *bounds), rtol=1e-9)
    np.testing.assert_allclose(beta, np.clip(two * total, *bounds), rtol=1e-9)
    p = cells.beta_binomial(m, alpha, beta)
    p /= p.sum(1, keepdims=True)
    for i in range(n):
        k = np.arange(m[i] + 1)
        expected = stats.betabinom.pmf(k, m[i], alpha[i], beta[i])
        assert expected.sum() == pytest.approx(1)
        np.testing.assert_allclose(p[i, : m[i] + 1], expected, rtol=1e-6, atol=1e-12)


def test_with_8192_splats_no_term_overflows():
    ends = np.array([positions.LEAST, 1.0, positions.LARGEST])
    alpha, beta = (a.ravel() for a in np.meshgrid(ends, ends))
    p = cells.beta_binomial(np.full(9, 8192), alpha, beta)
    assert np.isfinite(p).all() and (p >= 0).all() and np.isfinite(p.sum(1)).all()
    # Beyond what a float holds, smallest terms may be zero; the coder has a sliver for each.
    assert (p.sum(1) > 0).all() and ((p > 0).mean(1) > 0.5).all()


def test_a_network_that_says_nothing_spreads_splats_by_area():
    share = np.array([0.1, 0.5, 0.9])
    alpha, beta = positions.beta_parameters(np.zeros((3, OUTPUTS), np.int32), share, POWERS)
    np.testing.assert_allclose(alpha / (alpha + beta), share)
    np.testing.assert_allclose(alpha + beta, positions.CONCENTRATION)


# --- places in cells


def lone_neighbour(kind: int, axis: float, dx: int, dy: int, known: bool) -> np.ndarray:
    """Features of splat 0 beside splat 1 at (dx, dy) cells from it, a thin one along `axis` rad."""
    values = np.zeros((2, VALUES))
    values[1, 4:7] = 3, 3 * np.cos(2 * axis), 3 * np.sin(2 * axis)
    x, y = np.array([50, 50 + dx]), np.array([60, 60 + dy])
    sets = np.full((2, 2, NEAR), -1)
    sets[0 if known else 1, 0, 0] = 1
    off, parts = np.array([[0.0, 0.25], [0.125, -0.25]]), np.array([[4, 8], [4, 8]])
    return positions.shift_features(
        kind, np.array([0]), values, np.zeros((2, BASE)), np.ones(2), *sets, x, y, off, parts
    )[0]


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("axis", [0.0, 0.4, 1.3, 2.0, 3.0])
def test_a_splat_reads_how_far_it_is_from_its_neighbours_line(kind, known, axis):
    """The vector to the nearest point of the line through the neighbour along its axis."""
    row = lone_neighbour(kind, axis, 3, -2, known)
    at = BASE + positions.OWN + (0 if known else NEAR * positions.PER_NEIGHBOUR)
    own = np.array([0, 0.25 if kind else 0])  # what is known of its own place
    other = np.array([3.0, -2.0])
    if kind or known:
        other[1] -= 0.25
    if kind and known:
        other[0] += 0.125
    away = other - own
    along = np.array([np.cos(axis), np.sin(axis)])
    expected = away - along * (along @ away)
    np.testing.assert_allclose(row[at + 3 : at + 5], away, atol=1e-12)
    np.testing.assert_allclose(row[at + 5 : at + 7], expected, atol=1e-9)
    assert row[BASE + 7] == (0.25 if kind else 0.125)  # 1 / parts of x (1) and y (0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1]), st.integers(1, 60))
def test_features_of_places_are_finite_and_read_nothing_to_come(seed, kind, n):
    """A pass sees of other splats' places only what passes before it have coded."""
    from gaussvae_ros.entropy import contexts

    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 20, (2, n))
    known, around = contexts.neighbours(x, y)
    values = rng.normal(0, 2, (n, VALUES))
    args = values, np.zeros((n, BASE)), contexts.spacing(x, y, around), known, around, x, y
    off, parts, done = rng.uniform(-0.5, 0.5, (n, 2)), rng.integers(1, 9, (n, 2)), set()
    for rows in contexts.rounds(n):
        made = positions.shift_features(kind, rows, *args, off, parts)
        assert np.isfinite(made).all()
        other = off.copy()
        later = np.setdiff1d(np.arange(n), list(done))
        other[later, 1 - kind] = rng.uniform(-0.5, 0.5, len(later))
        if kind == 0:
            other[:, 0] = 7  # x comes after y
        again = positions.shift_features(kind, rows, *args, other, parts)
        np.testing.assert_array_equal(made, again)
        done |= set(rows.tolist())
