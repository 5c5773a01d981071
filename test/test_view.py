"""Pictures of splats at any size and of any part, against the formula and OpenCV's area average."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_cases import CASES, splats
from threaded import kernel_threads

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS, view
from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import Splats

SIZE = (120, 90)


def formula(params, x, y):  # x [w], y [h] px of the fitted image -> [h, w, C] 0 to 255
    """The mixture of raster/reference.py at any points, with the covariance written out."""
    p = params.astype(np.float64)
    total, weights = np.zeros((len(y), len(x), p.shape[1] - 5)), np.zeros((len(y), len(x), 1))
    for mx, my, log_s1, log_s2, theta, *colour in p:
        turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
        inverse = np.linalg.inv(turn @ np.diag(np.exp([2 * log_s1, 2 * log_s2])) @ turn.T)
        d = np.stack(np.broadcast_arrays(x - mx, (y - my)[:, None]), -1)
        q = np.einsum("hwi,ij,hwj->hw", d, inverse, d)
        w = np.where(q < CUT**2, np.exp(-q / 2) - CUT_WEIGHT, 0)[..., None]
        total, weights = total + w * np.array(colour), weights + w
    return 255 * np.clip((total + EPS * BACKGROUND) / (weights + EPS), 0, 1)


def centres(start, length, count):
    return start + (np.arange(count) + 0.5) * length / count


def picture(n=60, size=SIZE, channels=3, seed=0, sigma=(2, 20)):
    return Splats(splats(n, size, sigma=sigma, channels=channels, seed=seed), size)


def assert_rounded(image, exact):
    """Equal to within rounding: half a level, and what float32 adds to it."""
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image, exact.reshape(image.shape), atol=0.51)


@pytest.mark.parametrize(
    "name", ["random", "tiny", "huge", "needles", "half and wholly off-screen", "mono", "one row"]
)
def test_at_its_own_size_it_is_the_formula(name):
    params, size = CASES[name]
    exact = formula(params, centres(0, size[0], size[0]), centres(0, size[1], size[1]))
    image = render(Splats(params, size))
    assert image.shape == ((size[1], size[0], 3) if params.shape[1] == 8 else (size[1], size[0]))
    assert_rounded(image, exact)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_larger_picture_is_the_formula_between_the_pixels(data):
    """Of all or of a part, both sides scaled on their own."""
    s = picture(
        20, (37, 29), data.draw(st.sampled_from([1, 3])), data.draw(st.integers(0, 99)), (1, 8)
    )
    x, y = data.draw(st.integers(0, 36)), data.draw(st.integers(0, 28))
    w, h = data.draw(st.integers(1, 37 - x)), data.draw(st.integers(1, 29 - y))
    size = data.draw(st.integers(w, 90)), data.draw(st.integers(h, 90))
    exact = formula(s.params, centres(x, w, size[0]), centres(y, h, size[1]))
    assert_rounded(render(s, size, (x, y, w, h)), exact)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(60, 45), (40, 30), (120, 18), (24, 90), (1, 1), (15, 2)])
def test_a_smaller_picture_is_the_area_average(channels, size):
    """Exact at whole ratios, but for the rounding of the uint8 picture that OpenCV averages."""
    s = picture(200, channels=channels, sigma=(0.4, 8))
    expected = cv2.resize(render(s), size, interpolation=cv2.INTER_AREA)
    assert np.abs(render(s, size).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(100, 75), (119, 89), (50, 80), (33, 31), (64, 7)])
def test_a_smaller_picture_is_about_the_area_average_at_other_ratios(size):
    s = picture(200, sigma=(1, 12))
    expected = cv2.resize(render(s), size, interpolation=cv2.INTER_AREA)
    error = np.abs(render(s, size).astype(float) - expected)
    point_sampled = formula(s.params, centres(0, SIZE[0], size[0]), centres(0, SIZE[1], size[1]))
    assert error.mean() < 1
    assert error.mean() < np.abs(point_sampled - expected).mean() / 2 or max(size) > 99


def test_a_fine_pattern_turns_grey_in_a_small_picture():
    """Where one sample a pixel would show it black or white."""
    ix, iy = (v.ravel() for v in np.meshgrid(np.arange(64), np.arange(48)))
    params = np.zeros((len(ix), 6), np.float32)
    params[:, 0], params[:, 1], params[:, 2:4] = ix + 0.5, iy + 0.5, np.log(0.3)
    params[:, 5] = (ix + iy) % 2
    s = Splats(params, (64, 48))
    assert set(np.unique(render(s) // 128)) == {0, 1}
    assert np.abs(render(s, (16, 12)).astype(int) - 128).max() <= 2


@pytest.mark.parametrize(
    "roi", [(0, 0, 120, 90), (7, 11, 40, 30), (119, 89, 1, 1), (0, 50, 120, 1), (30, 0, 5, 90)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_part_is_cut_out_of_the_whole(roi, channels):
    s = picture(channels=channels)
    x, y, w, h = roi
    part = render(s, roi=roi)
    assert part.shape[:2] == (h, w)
    # Rounding may fall otherwise.
    assert np.abs(part.astype(int) - render(s)[y : y + h, x : x + w]).max() <= 1


def test_a_part_is_drawn_in_less_time_than_the_whole():
    s = picture(4096, (1280, 960), sigma=(10, 40))
    whole = min(_seconds(lambda: render(s)) for _ in range(10))
    part = min(_seconds(lambda: render(s, roi=(600, 400, 64, 48))) for _ in range(50))
    assert part < whole / 5


def test_the_number_of_threads_changes_no_bit():
    s, made = picture(), []
    for threads in (1, 2):
        with kernel_threads(threads):
            made.append([render(s), render(s, (50, 31))])
    np.testing.assert_array_equal(made[0][0], made[1][0])
    np.testing.assert_array_equal(made[0][1], made[1][1])


def test_nothing_to_draw_is_grey():
    assert np.all(render(Splats(np.zeros((0, 8), np.float32), (20, 10)), (40, 5)) == 128)


@pytest.mark.parametrize(
    "size", [(0, 5), (5, -1), (65536, 1), (16384, 4097), (4.0, 3), (4,), (4, 3, 2), "ab", 5]
)
def test_sizes_that_cannot_be_get_one_line(size):
    with pytest.raises(GaussVaeError) as error:
        render(picture(3), size)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "roi",
    [
        (0, 0, 121, 90),
        (-1, 0, 5, 5),
        (0, 85, 10, 6),
        (3, 3, 0, 4),
        (3, 3, 4, -4),
        (1, 2, 3),
        (0, 0, 1.5, 2),
        7,
    ],
)
def test_parts_that_are_not_there_get_one_line(roi):
    with pytest.raises(GaussVaeError) as error:
        render(picture(3), roi=roi)
    assert "\n" not in str(error.value)


def test_numpy_numbers_are_numbers():
    assert render(picture(3), np.array([8, 6]), np.array([1, 2, 30, 40])).shape == (6, 8, 3)


def test_a_huge_frame_is_refused_at_its_own_size_and_fine_as_a_small_picture_or_a_part():
    s = picture(300, (65535, 65535), sigma=(500, 6000))
    with pytest.raises(GaussVaeError, match="65535x65535"):
        render(s)
    assert _seconds(lambda: render(s, (64, 48))) < 5
    whole = render(s, (64, 48))
    exact = formula(s.params, centres(0, 65535, 64 * 8), centres(0, 65535, 48 * 8))
    mean = exact.reshape(48, 8, 64, 8, 3).mean((1, 3))
    assert np.abs(whole - mean).mean() < 1
    assert_rounded(
        render(s, roi=(65000, 65500, 30, 20)),
        formula(s.params, centres(65000, 30, 30), centres(65500, 20, 20)),
    )


def test_what_would_take_minutes_is_refused_at_once():
    params = splats(8192, (4096, 4096), sigma=(50_000, 60_000))
    begun = time.perf_counter()
    with pytest.raises(GaussVaeError, match="too long"):
        render(Splats(params, (4096, 4096)))
    assert time.perf_counter() - begun < 1
    assert render(Splats(params, (4096, 4096)), (64, 64), (0, 0, 64, 64)).shape == (64, 64, 3)
    assert view.MAX_WORK > 50 * view.MAX_PIXELS  # leaves what people fit alone


def _seconds(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
