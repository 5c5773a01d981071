"""The CPU fit: what it promises for any image, and its parts against independent formulas."""

import threading
import time

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.errors import ImageError
from gaussvae_ros.fit import (
    EFFORTS,
    MAX_SPLATS,
    MIN_SPLATS,
    Plan,
    adam,
    descend,
    fit,
    reseeding,
    seeding,
    to_splats,
)
from gaussvae_ros.raster import cpu, reference
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, Splats, morton_order
from threaded import kernel_threads


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def scene(width: int = 320, height: int = 240) -> np.ndarray:  # uint8 [h, w, 3]
    """Gradients, edges in many directions, a texture, thin lines and fractal noise, at any size."""
    x, y = np.meshgrid(np.linspace(0, 4, width), np.linspace(0, 3, height))
    image = np.stack([60 + 40 * x, 90 + 30 * y, 150 - 20 * x], 2)
    image[np.hypot(x - 1, y - 1) < 0.6] = 220, 60, 40
    image[(x + y > 4.5) & (2 * x - y < 5)] = 30, 50, 90
    image[np.abs(y - 0.4 * x - 1.6) < 0.03] = 250
    image[y < 0.6] += 25 * np.sin(30 * x[y < 0.6])[:, None]
    image = cv2.GaussianBlur(image, (0, 0), width / 400)
    rng = np.random.default_rng(0)
    for octave in range(2, 8):  # amplitudes halve as frequencies double, as in photographs
        waves = rng.normal(0, 120 / 2**octave, (3 * 2**octave, 4 * 2**octave, 3))
        image += cv2.resize(waves, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image, 0, 255).astype(np.uint8)


def psnr(image: np.ndarray, splats: Splats) -> float:  # dB
    drawn = np.clip(np.rint(cpu.forward(splats.params, splats.size) * 255), 0, 255)
    error = np.square(drawn - image.reshape(drawn.shape).astype(float)).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


def check(splats: Splats, image: np.ndarray, n: int) -> None:
    """What every fit promises: finite, canonical, of the image's size and channels, centred inside."""
    height, width = image.shape[:2]
    p = splats.params
    assert splats.size == (width, height)
    assert p.shape == (n, 5 + (3 if image.ndim == 3 else 1)) and p.dtype == np.float32
    assert np.isfinite(p).all()
    assert (p[:, :2] >= 0).all() and (p[:, :2] <= splats.size).all()
    assert (p[:, LOG_S1] >= p[:, LOG_S2]).all()
    assert (p[:, THETA] >= 0).all() and (p[:, THETA] < np.float32(np.pi)).all()
    np.testing.assert_array_equal(morton_order(p[:, :2], splats.size), np.arange(n))
    assert np.isfinite(cpu.forward(p, splats.size)).all()


SHAPES = [
    (1, 1),
    (1, 2),
    (2, 2),
    (1, 64),
    (64, 1),
    (32, 32),
    (33, 71),
    (5, 2000),
    (2000, 3),
    (97, 640),
]


@pytest.mark.parametrize("n", [32, 512])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sizes(shape, n):
    for image in (noise(*shape, 3), noise(*shape)):
        check(fit(image, n), image, n)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 48),
    st.integers(1, 48),
    st.sampled_from([1, 3]),
    st.integers(32, 200),
    st.integers(0, 2**32 - 1),
)
def test_any_small_image(height, width, channels, n, seed):
    image = noise(height, width, channels, seed=seed)
    image = image[..., 0] if channels == 1 else image
    check(fit(image, n, seed=seed), image, n)


@pytest.mark.parametrize("n", [MIN_SPLATS, MAX_SPLATS])
def test_the_fewest_and_the_most_splats(n):
    image = scene()
    splats = fit(image, n)
    check(splats, image, n)
    assert psnr(image, splats) > {MIN_SPLATS: 16, MAX_SPLATS: 32}[n]


def test_more_splats_than_pixels():
    image = scene(32, 24)
    splats = fit(image, 2048)
    check(splats, image, 2048)
    assert psnr(image, splats) > 30


def test_more_splats_fit_better():
    image = scene()
    values = [psnr(image, fit(image, n)) for n in (64, 256, 1024)]
    assert np.diff(values).min() > 1.5, values


def test_4k_takes_little_longer_than_vga():
    image, small = scene(3840, 2160), scene(640, 360)
    fit(small)
    seconds = {}
    for _ in range(3):
        for name, frame in (("4K", image), ("VGA", small)):
            start = time.process_time()
            fit(frame)
            seconds.setdefault(name, []).append(time.process_time() - start)
    assert min(seconds["4K"]) < 9 * min(seconds["VGA"]), seconds  # it has 36 times the pixels
    splats = fit(image)
    check(splats, image, 512)
    assert psnr(image, splats) > psnr(small, fit(small)) - 0.5


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("value", [0, 77, 128, 255])
def test_constant_images(value, effort):
    for image in (np.full((96, 128, 3), value, np.uint8), np.full((33, 71), value, np.uint8)):
        for n in (32, 256):
            splats = fit(image, n, effort)
            check(splats, image, n)
            assert psnr(image, splats) >= 45


@pytest.mark.parametrize("effort", EFFORTS)
def test_noise_and_checkers(effort):
    checker = (np.indices((65, 87)).sum(0) % 2 * 255).astype(np.uint8)
    for image in (checker, np.repeat(checker[..., None], 3, 2), noise(60, 80, 3)):
        splats = fit(image, 128, effort)
        check(splats, image, 128)
        assert psnr(image, splats) >= 0.99 * psnr(
            image, fit(np.full_like(image, 127), 128)
        )  # as good as flat grey


def test_mono_is_the_fit_of_three_equal_channels():
    mono = scene()[..., 1]
    one, three = fit(mono, 128).params, fit(np.repeat(mono[..., None], 3, 2), 128).params
    np.testing.assert_allclose(three, one[:, [0, 1, 2, 3, 4, 5, 5, 5]], atol=1e-4)


def test_the_same_arguments_give_the_same_bits():
    image = scene()
    first = fit(image, 256, seed=5).params
    np.testing.assert_array_equal(fit(image, 256, seed=5).params, first)
    np.testing.assert_array_equal(fit(np.asfortranarray(image), 256, seed=5).params, first)
    assert not np.array_equal(fit(image, 256, seed=6).params, first)
    for threads in (1, 2):
        with kernel_threads(threads):
            np.testing.assert_array_equal(fit(image, 256, seed=5).params, first)


@pytest.mark.parametrize("count", [1, 2])
def test_callers_in_several_threads_get_what_one_gets(count):
    images = [scene()[:, i * 10 :] for i in range(4)]
    expected, got = [fit(image, 64).params for image in images], [None] * 4

    def work(k):
        for _ in range(5):
            got[k] = fit(images[k], 64).params

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    with kernel_threads(count):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "image, message",
    [
        ([[1, 2], [3, 4]], "not list"),
        (None, "not NoneType"),
        (np.zeros((8, 8)), "float64"),
        (np.zeros((8, 8, 3), np.uint16), "uint16"),
        (np.zeros((8, 8, 4), np.uint8), r"\[8, 8, 4\]"),
        (np.zeros((8, 8, 1), np.uint8), r"\[8, 8, 1\]"),
        (np.zeros(8, np.uint8), r"\[8\]"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"\[2, 8, 8, 3\]"),
        (np.zeros((0, 8, 3), np.uint8), "empty"),
        (np.zeros((8, 0), np.uint8), "empty"),
    ],
    ids=str,
)
def test_what_is_no_image_is_an_error(image, message):
    with pytest.raises(ImageError, match=message):
        fit(image)


def test_wrong_arguments_are_errors():
    for n in (MIN_SPLATS - 1, MAX_SPLATS + 1, 0, -5):
        with pytest.raises(ValueError, match=str(n)):
            fit(noise(8, 8), n)
    with pytest.raises(ValueError, match="slow"):
        fit(noise(8, 8), effort="slow")


def test_the_fast_fit_keeps_up_with_a_plain_one_of_300_steps():
    image = scene(640, 480)
    plain = to_splats(descend(image, 512, Plan(((np.inf, 300),))), (640, 480), 3)
    assert psnr(image, fit(image)) >= psnr(image, plain) - 1.0


def test_more_effort_is_better():
    image = scene()
    assert psnr(image, fit(image, 256, "best")) > psnr(image, fit(image, 256)) + 0.5


# --- the descent


def a_descent(n: int, size: tuple[int, int], seed: int = 0) -> adam.Descent:
    """Random splats of 2 to 6 px with some shear, in the descent's own form."""
    rng = np.random.default_rng(seed)
    geometry = np.stack(
        [
            *(rng.uniform(0, 1, (n, 2)) * size).T,
            rng.uniform(2, 6, n),
            rng.uniform(-1, 1, n),
            rng.uniform(2, 6, n),
        ],
        1,
    )
    return adam.Descent(geometry, rng.uniform(0, 1, (n, 3)).astype(np.float32))


def moved(geometry: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [2] and covariance [2, 2] after a step (delta, M): m + L delta, L exp(M) L'; float64, by eigenvalues."""
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
    error = adam._residual(canvas, target, 0, height)
    np.testing.assert_allclose(
        error, np.square(draw_all(state, (width, height)) - target).sum(), rtol=1e-4
    )
    cpu._gather(state.geometry, state.colour, canvas, width, moments)
    grad = np.empty_like(moments)
    for i in range(len(grad)):
        adam._whiten(state.geometry[i], moments[i], grad[i])
    return grad


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
    state.geometry[:, :2] = (
        state.geometry[:, :2] * 0.5 + np.array(size) / 4
    )  # no centre meets the border
    before = adam.Descent(state.geometry.copy(), state.colour.copy())
    target = np.random.default_rng(4).random((30, 40, 3)).astype(np.float32)
    step = -0.1 * adam.RATES * np.sign(gradient(before, target))
    state.run(target, np.array([0.1]))
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
    state = a_descent(60, (64, 48))
    errors = [state.run(target, np.full(10, 0.3)) for _ in range(5)]
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
    """In every block of 16 x 16 px within 3 of what the density asks, where chance alone would stray by more."""
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


def test_the_worth_of_a_splat_is_the_error_it_spares():
    size = 33, 26
    state = a_descent(8, size, seed=7)
    target = np.random.default_rng(8).random((26, 33, 3)).astype(np.float32)
    canvas, worth = cpu.planes(size), np.empty(8)
    cpu.draw(state.geometry, state.colour, canvas, size[0])
    reseeding._worth(state.geometry, state.colour, canvas, target, worth)
    with_all = np.square(draw_all(state, size) - target).sum()
    for i in range(8):
        others = adam.Descent(np.delete(state.geometry, i, 0), np.delete(state.colour, i, 0))
        expected = np.square(draw_all(others, size) - target).sum() - with_all
        np.testing.assert_allclose(worth[i], expected, rtol=1e-3, atol=1e-3)


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
    cpu._normalise(canvas, target)
    before = state.geometry.copy()
    reseeding.reseed(state, target, share=0.0)
    np.testing.assert_array_equal(state.geometry, before)
