"""The canonical form of splats and the Morton order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from raster_cases import SIZE, splats

from gaussvae_ros.raster import cpu
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, Splats, morton_order, wrap_angle

PI = np.float32(np.pi)


@pytest.mark.parametrize("channels", [1, 3])
def test_length_and_channels(channels):
    s = Splats(splats(7, channels=channels), SIZE)
    assert len(s) == 7 and s.channels == channels


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.sampled_from([1, 3]))
def test_canonical_form(seed, n, channels):
    raw = Splats(splats(n, channels=channels, seed=seed), SIZE)
    before = raw.params.copy()
    c = raw.canonical()
    np.testing.assert_array_equal(raw.params, before)  # the argument is left alone
    assert c.params.dtype == np.float32 and c.params.shape == before.shape and c.size == SIZE
    assert (c.params[:, LOG_S1] >= c.params[:, LOG_S2]).all()
    assert (c.params[:, THETA] >= 0).all() and (c.params[:, THETA] < PI).all()
    np.testing.assert_array_equal(morton_order(c.params[:, :2], SIZE), np.arange(n))
    np.testing.assert_array_equal(c.canonical().params, c.params)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_canonical_form_draws_the_same_picture(channels):
    raw = Splats(splats(60, channels=channels, seed=3), SIZE)
    c = raw.canonical()
    assert not np.array_equal(c.params, raw.params)
    np.testing.assert_allclose(
        cpu.forward(c.params, SIZE), cpu.forward(raw.params, SIZE), atol=2e-5
    )


def test_one_splat_has_one_form():
    """The three other ways to write the same ellipse."""
    base = np.array([[10, 9, 1.5, 0.2, 0.4, 1, 0, 0]], np.float32)
    expected = Splats(base, SIZE).canonical().params
    for turn, swap in [(np.pi, False), (np.pi / 2, True), (-np.pi / 2, True)]:
        other = base.copy()
        other[:, THETA] += turn
        if swap:
            other[:, [LOG_S1, LOG_S2]] = other[:, [LOG_S2, LOG_S1]]
        np.testing.assert_allclose(Splats(other, SIZE).canonical().params, expected, atol=1e-6)


@given(arrays(np.float32, 20, elements=st.floats(-100, 100, width=32)))
def test_wrap_angle_keeps_the_axis(theta):
    wrapped = wrap_angle(theta)
    assert wrapped.dtype == np.float32
    assert (wrapped >= 0).all() and (wrapped < PI).all()
    np.testing.assert_allclose(np.abs(np.sin(wrapped.astype(float) - theta)), 0, atol=5e-6)


@pytest.mark.parametrize(
    "theta, expected",
    [
        (0, 0),
        (-0.0, 0),
        (np.pi, 0),
        (-np.pi, 0),
        (-1e-30, 0),
        (-1e-9, 0),
        (1e-30, 0),
        (4 * np.pi, 0),
        (-1, np.pi - 1),
    ],
)
def test_wrap_angle_at_its_edges(theta, expected):
    wrapped = wrap_angle(np.array([theta], np.float32))
    assert 0 <= wrapped[0] < PI
    assert min(abs(wrapped[0] - expected), abs(PI - wrapped[0] + expected)) < 2e-6


def interleaved(column: int, line: int) -> int:
    """Morton code by its definition: bit k of the column goes to bit 2k, of the line to 2k + 1."""
    return sum(((column >> k) & 1) << 2 * k | ((line >> k) & 1) << 2 * k + 1 for k in range(16))


@given(
    arrays(np.float64, (30, 2), elements=st.floats(-50, 700)),
    st.tuples(st.integers(1, 640), st.integers(1, 640)),
)
def test_morton_order_is_that_of_interleaved_bits(xy, size):
    cells = np.clip(np.floor(np.clip(xy / max(size), 0, 1) * 65536), 0, 65535).astype(int)
    codes = [interleaved(*cell) for cell in cells.tolist()]
    # sorted() is stable.
    assert list(morton_order(xy, size)) == sorted(range(len(xy)), key=lambda i: codes[i])


def test_morton_order_of_a_square():
    xy = np.array([[1.5, 1.5], [0.5, 1.5], [1.5, 0.5], [0.5, 0.5]])
    assert list(morton_order(xy, (2, 2))) == [3, 2, 1, 0]


def test_points_outside_count_as_on_the_border():
    inside = np.array([[0, 0], [64, 0], [0, 64], [64, 64]])
    outside = np.array([[-9, -1e9], [1e9, -1], [-1, 65], [np.inf, 64]])
    np.testing.assert_array_equal(morton_order(outside, (64, 64)), morton_order(inside, (64, 64)))
