"""The parts of the CPU fit: descent, seeds and re-seeding, against independent formulas."""

import numpy as np
import pytest
import torch
from fits import a_descent, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.fit import adam, reseeding, seeding, to_splats
from gaussvae_ros.raster import BACKGROUND, EPS, cpu, reference

# --- the descent


def moved(geometry: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [2] and covariance [2, 2] after a step (delta, M): m + L delta, L exp(M) L'; float64."""
    root = np.array([[geometry[2], geometry[3] * geometry[4]], [0, geometry[4]]])
    values, vectors = np.linalg.eigh(np.array([[step[2], step[3]], [step[3], step[4]]]))
    grown = vectors * np.exp(values) @ vectors.T
    return geometry[:2] + root @ step[:2], root @ grown @ root.T


def as_params(mean: np.ndarray, covariance: np.ndarray, colour: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.array(
        [*mean, *np.log(values[::-1]) / 2, np.arctan2(vectors[1, 1], vectors[0, 1]), *colour]
    )


def draw_all(
    state: adam.Descent, size: tuple[int, int], i: int = 0, step=np.zeros(8)
) -> np.ndarray:
    """The picture by the float64 reference, with splat `i` moved by `step`."""
    rows = [
        as_params(*moved(g, step if j == i else np.zeros(8)), c + (step[5:] if j == i else 0))
        for j, (g, c) in enumerate(zip(state.geometry, state.colour.astype(float), strict=True))
    ]
    return reference.rasterize(torch.tensor(np.array(rows)), size).numpy()


def gradient(state: adam.Descent, target: np.ndarray) -> np.ndarray:  # [N, 8]
    """The descent's own gradient of half the squared error, by (delta, M, colour)."""
    height, width = target.shape[:2]
    canvas, moments = cpu.planes((width, height)), np.empty((len(state.geometry), 8), np.float32)
    cpu.draw(state.geometry, state.colour, canvas, width)
    background = EPS * BACKGROUND
    error = sum(cpu.slopes(canvas, y, target[y], background) for y in range(height))
    np.testing.assert_allclose(
        error, np.square(draw_all(state, (width, height)) - target).sum(), rtol=1e-4
    )
    cpu._gather(state.geometry, state.colour, canvas, width, moments)
    grad = np.empty_like(moments)
    for i in range(len(grad)):
        adam._whiten(state.geometry[i], moments[i], grad[i])
    return grad


@pytest.mark.parametrize("width", range(1, 36))
def test_a_row_of_slopes_is_what_its_formulas_say(width):
    """Of any width; what lies behind the row's end is neither read nor left over."""
    rng = np.random.default_rng(width)
    canvas = cpu.planes((width, 3))
    canvas[:] = rng.random(canvas.shape)
    whole = rng.random((3, width, 3)).astype(np.float32)
    target = np.concatenate([whole[1].ravel(), np.full(64, np.nan, np.float32)])[: 3 * width]
    before, sums = canvas.copy(), canvas[1, :, :width].astype(float)
    error = cpu.slopes(canvas, 1, target.reshape(width, 3), 0.3)
    weight = sums[0] + EPS
    apart = (sums[1:] + 0.3) / weight - whole[1].T
    np.testing.assert_allclose(error, np.square(apart).sum(), rtol=1e-4)
    np.testing.assert_allclose(canvas[1, 1:, :width], apart / weight, rtol=1e-3, atol=1e-4)
    slope = (apart * (apart + whole[1].T)).sum(0) / weight
    np.testing.assert_allclose(canvas[1, 0, :width], slope, rtol=1e-3, atol=1e-4)
    assert not canvas[1, :, width:].any()
    np.testing.assert_array_equal(canvas[[0, 2]], before[[0, 2]])


def test_the_gradient_is_that_of_the_squared_error():
    size = 31, 22
    state = a_descent(6, size, seed=1)
    target = np.random.default_rng(2).random((22, 31, 3)).astype(np.float32)

    def loss(i, step):
        return 0.5 * np.square(draw_all(state, size, i, step) - target).sum()

    numeric, h = np.empty((6, 8)), 1e-5
    for i in range(6):
        for k, unit in enumerate(np.eye(8) * h):
            numeric[i, k] = (loss(i, unit) - loss(i, -unit)) / (2 * h)
    analytic = gradient(state, target)
    for columns in (slice(0, 2), slice(2, 5), slice(5, 8)):
        error = np.linalg.norm(analytic[:, columns] - numeric[:, columns])
        assert error < 1e-3 * np.linalg.norm(numeric[:, columns])


def test_the_first_step_goes_down_every_coordinate_at_its_rate():
    """Adam's first step is the rate times the gradient's sign, whatever the gradient's size."""
    size = 40, 30
    state = a_descent(5, size, seed=3)
    # No centre meets the border.
    state.geometry[:, :2] = state.geometry[:, :2] * 0.5 + np.array(size) / 4
    before = adam.Descent(state.geometry.copy(), state.colour.copy())
    target = np.random.default_rng(4).random((30, 40, 3)).astype(np.float32)
    step = -0.1 * adam.RATES * np.sign(gradient(before, target))
    state.run(target[None], np.array([0.1]))
    for i in range(5):
        g = state.geometry[i]
        mean, covariance = moved(before.geometry[i], step[i].astype(float))
        np.testing.assert_allclose(g[:2], mean, rtol=1e-5)
        np.testing.assert_allclose(g[2] ** 2 + (g[3] * g[4]) ** 2, covariance[0, 0], rtol=1e-3)
        np.testing.assert_allclose(g[3] * g[4] ** 2, covariance[0, 1], atol=1e-3 * covariance[1, 1])
        np.testing.assert_allclose(g[4] ** 2, covariance[1, 1], rtol=1e-3)
    np.testing.assert_allclose(state.colour, before.colour + step[:, 5:], atol=1e-5)


def test_a_descent_descends():
    target = scene(64, 48).astype(np.float32) / 255
    state, errors = a_descent(60, (64, 48)), []
    for _ in range(5):
        state.run(target[None], np.full(10, 0.3))
        errors.append(state.error)
    assert state.count == 50
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 2


@pytest.mark.parametrize("scale", [(2, 2), (0.5, 3), (1, 0.25)])
def test_a_level_of_other_size_has_the_same_ellipses(scale):
    state = a_descent(9, (40, 30))
    expected = [moved(g, np.zeros(8)) for g in state.geometry]
    state.rescale(*scale)
    for g, (mean, covariance) in zip(state.geometry, expected, strict=True):
        got_mean, got_covariance = moved(g, np.zeros(8))
        np.testing.assert_allclose(got_mean, mean * scale)
        np.testing.assert_allclose(got_covariance, covariance * np.outer(scale, scale))


def test_splats_of_a_descent_are_its_ellipses():
    state = a_descent(12, (40, 30), seed=6)
    drawn = cpu.forward(to_splats(state, (40, 30), 3).params, (40, 30))
    np.testing.assert_allclose(drawn, draw_all(state, (40, 30)), atol=1e-4)


# --- seeds


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_place_gives_exactly_n_pixels(height, width, n, seed):
    rng = np.random.default_rng(seed)
    density = rng.random((height, width)) ** rng.integers(0, 9)
    points = seeding.place(density, n, rng)
    assert points.shape == (n, 2) and (points >= 0).all() and (points < (width, height)).all()


def test_places_follow_the_density_closely():
    """In every block of 16 x 16 px within 3 of what the density asks; chance strays by more."""
    x, y = np.meshgrid(np.linspace(0, 1, 128), np.linspace(0, 1, 96))
    density = 3 + 3 * x + 2 * np.cos(5 * y)
    density[:48, 32:64] += 8
    points = seeding.place(density, 1500, np.random.default_rng(0))
    placed = np.zeros((96, 128))
    np.add.at(placed, (points[:, 1], points[:, 0]), 1)
    assert placed.max() <= 2

    def blocks(a):
        return a.reshape(6, 16, 8, 16).sum((1, 3))

    asked = blocks(density / density.sum() * 1500)
    strayed = np.abs(blocks(placed) - asked)
    assert strayed.max() < 7 and strayed.mean() < 0.5 * np.sqrt(asked.mean()) * np.sqrt(2 / np.pi)


def test_places_where_nothing_is_or_all_is_in_one_pixel():
    for density in (np.zeros((9, 7)), np.eye(1, 63).reshape(9, 7)):
        assert len(seeding.place(density, 50, np.random.default_rng(0))) == 50


def test_seeds_lie_along_an_edge_and_crowd_there():
    image = np.zeros((60, 80, 3), np.float32)
    image[:, 40:] = 1
    geometry, colour = seeding.seed_splats(image, 64, np.random.default_rng(0))
    near = np.abs(geometry[:, 0] - 40) < 3
    assert near.mean() > 0.5  # 6 of 80 columns
    assert (geometry[near, 4] > 2 * geometry[near, 2]).all()
    assert np.isfinite(geometry).all() and (colour[geometry[:, 0] < 35] < 0.01).all()


# --- re-seeding


@pytest.mark.parametrize("size", [(33, 26), (16, 9), (70, 5), (1, 1)], ids=str)
def test_the_worth_of_a_splat_is_the_error_it_spares(size):
    """Each is taken away, and the picture drawn again: thin ones, ones half outside, one unseen."""
    state = a_descent(9, size, seed=7)
    state.geometry[:4, 2:] = [[9, 0.5, 4], [0.3, 9.0, 6], [5, -1, 0.3], [0.3, 0, 0.3]]
    state.geometry[2, :2] = 0, size[1]
    target = np.random.default_rng(8).random((*size[::-1], 3)).astype(np.float32)
    worth = reseeding._worth(*drawn(state, target))
    with_all = np.square(draw_all(state, size) - target).sum()
    for i in range(9):
        others = adam.Descent(np.delete(state.geometry, i, 0), np.delete(state.colour, i, 0))
        expected = np.square(draw_all(others, size) - target).sum() - with_all
        np.testing.assert_allclose(worth[i], expected, rtol=2e-3, atol=2e-3)


def drawn(state: adam.Descent, target: np.ndarray) -> tuple:
    """What `_worth` is asked with, from the reference's picture."""
    height, width = target.shape[:2]
    canvas, error = cpu.planes((width, height)), cpu.planes((width, height))
    cpu.draw(state.geometry, state.colour, canvas, width)
    canvas[:, 0, width:] = np.inf
    canvas[:, 0] += np.float32(EPS)
    image = draw_all(state, (width, height)).astype(np.float32)
    canvas[:, 1:, :width] = image.transpose(0, 2, 1)
    error[:, 1:, :width] = (image - target).transpose(0, 2, 1)
    return state.geometry, state.colour, canvas, error, width


def test_reseeding_moves_what_is_idle_and_what_harms_to_what_is_missing():
    x, y = np.meshgrid(np.arange(4, 64, 8), np.arange(4, 64, 8))
    grid = np.stack([x.ravel(), y.ravel(), *np.broadcast_to([[5], [0], [5]], (3, 64))], 1).astype(
        float
    )
    colour = np.random.default_rng(0).uniform(0, 0.6, (64, 3)).astype(np.float32)
    target = draw_all(adam.Descent(grid, colour), (64, 64)).astype(np.float32)
    target[20:22, 40:42] = target[50:52, 10:12] = 1  # what is missing
    idle, harmful = [30, 30, 0.3, 0, 0.3], [50, 40, 2, 0, 2]
    colours = np.concatenate([colour, target[None, 29, 30], [[1, 1, 1]]]).astype(np.float32)
    state = adam.Descent(np.array([*grid, idle, harmful]), colours)
    state.first[:] = state.second[:] = 1
    reseeding.reseed(state, target, share=2 / 66)
    np.testing.assert_array_equal(state.geometry[:64], grid)
    assert {tuple(np.round(xy / 3)) for xy in state.geometry[64:, :2]} == {(4, 17), (14, 7)}
    assert (state.colour[64:] > colour.max()).all()
    assert (
        (state.first[64:] == 0).all()
        and (state.second[64:] == 0).all()
        and (state.first[:64] == 1).all()
    )


def test_reseeding_leaves_a_perfect_picture_alone():
    state = a_descent(20, (40, 30), seed=9)
    canvas = cpu.planes((40, 30))
    cpu.draw(state.geometry, state.colour, canvas, 40)
    target = np.empty((30, 40, 3), np.float32)
    cpu.normalise(canvas, target)
    before = state.geometry.copy()
    reseeding.reseed(state, target, share=0.0)
    np.testing.assert_array_equal(state.geometry, before)
