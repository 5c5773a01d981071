"""The CPU fit: what it promises for any image, with any arguments."""

import threading
import time

import numpy as np
import pytest
from fits import noise, psnr, scene
from hypothesis import given, settings
from hypothesis import strategies as st
from threaded import kernel_threads

from gaussvae_ros.errors import ImageError
from gaussvae_ros.fit import (
    EFFORTS,
    MAX_SPLATS,
    MIN_SPLATS,
    Level,
    Plan,
    descend,
    fit,
    to_splats,
)
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.raster import cpu
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, Splats, morton_order


def check(splats: Splats, image: np.ndarray, n: int) -> None:
    """What every fit promises: finite, canonical, of the image's size and channels, inside it."""
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
        # As good as flat grey.
        assert psnr(image, splats) >= 0.99 * psnr(image, fit(np.full_like(image, 127), 128))


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
    plain = to_splats(descend(Levels(image, 512), Plan((Level(np.inf, 1, 300),))), (640, 480), 3)
    assert psnr(image, fit(image)) >= psnr(image, plain) - 1.0


def test_more_effort_is_better():
    image = scene()
    assert psnr(image, fit(image, 256, "best")) > psnr(image, fit(image, 256)) + 0.5
