"""The CPU rasteriser against the reference."""

import threading

import numpy as np
import pytest
from raster_cases import CASES, SIZE, assert_like_reference, splats
from threaded import kernel_threads

from gaussvae_ros.raster import BACKGROUND, cpu


def render(params: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = slope.shape[1], slope.shape[0]
    return cpu.forward(params, size), cpu.backward(params, size, slope)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_the_reference_s(name):
    assert_like_reference(render, *CASES[name])


@pytest.mark.parametrize("width", [1, cpu.LANES - 1, cpu.LANES, cpu.LANES + 1, 3 * cpu.LANES])
@pytest.mark.parametrize("height", [1, cpu.BAND, cpu.BAND + 1])
def test_every_width_and_height(width, height):
    size = width, height
    assert_like_reference(render, splats(9, size, sigma=(0.7, 20), seed=width * 100 + height), size)


def test_many_splats():
    size = 160, 120
    assert_like_reference(render, splats(256, size, sigma=(3, 12), aspect=10, seed=30), size)


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_to_draw_is_grey_and_has_a_gradient(channels):
    image, grad = render(
        np.zeros((0, 5 + channels), np.float32), np.ones((SIZE[1], SIZE[0], channels), np.float32)
    )
    assert image.shape == (SIZE[1], SIZE[0], channels)
    np.testing.assert_allclose(image, BACKGROUND, atol=1e-6)
    assert grad.shape == (0, 5 + channels)


def test_the_number_of_threads_changes_no_bit():
    params, slope = (
        splats(40, seed=31),
        np.random.default_rng(0).normal(size=(SIZE[1], SIZE[0], 3)).astype(np.float32),
    )
    outcomes = []
    for threads in (1, 2):
        with kernel_threads(threads):
            outcomes.append(render(params, slope))
    for one, all_of_them in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, all_of_them)


@pytest.mark.parametrize("count", [1, 2])
def test_callers_in_several_threads_get_what_one_gets(count):
    jobs = [(splats(30, seed=s), np.full((SIZE[1], SIZE[0], 3), s, np.float32)) for s in range(6)]
    expected, got = [render(*job) for job in jobs], [None] * len(jobs)

    def work(k):
        for _ in range(20):
            got[k] = render(*jobs[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(jobs))]
    with kernel_threads(count):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_any_strides_do():
    params, slope = (
        splats(12, seed=32),
        np.random.default_rng(0).normal(size=(SIZE[1], SIZE[0], 3)).astype(np.float32),
    )
    plain = render(params, slope)
    image, grad = render(np.asfortranarray(params), np.asfortranarray(slope))
    np.testing.assert_array_equal(image, plain[0])
    np.testing.assert_array_equal(grad, plain[1])


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow", "ignore:divide by zero")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize("column", range(5))
def test_a_lost_splat_does_not_crash_or_hang(column, value):
    """Such a splat may be drawn wrongly, but never outside the picture, nor without end."""
    params = splats(5, seed=33)
    params[2, column] = value
    image, grad = render(params, np.ones((SIZE[1], SIZE[0], 3), np.float32))
    assert image.shape == (SIZE[1], SIZE[0], 3) and grad.shape == params.shape
