"""The reference rasteriser against its formula, written in plain loops, and its symmetries."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_cases import CASES, near_cut, splats

from gaussvae_ros.raster import reference

SIZE = (13, 9)  # px


def by_loops(params, size):
    """The mixture pixel by pixel: Sigma = R diag(s1^2, s2^2) R', q by solving with it."""
    background, background_weight, cut = 0.5, 1e-2, 3.0
    image = np.empty((size[1], size[0], params.shape[1] - 5))
    for row in range(size[1]):
        for col in range(size[0]):
            weights, total = (
                background_weight,
                np.full(params.shape[1] - 5, background_weight * background),
            )
            for x, y, log_s1, log_s2, theta, *colour in params:
                turn = np.array(
                    [[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]]
                )
                covariance = turn @ np.diag([math.exp(2 * log_s1), math.exp(2 * log_s2)]) @ turn.T
                d = np.array([col + 0.5 - x, row + 0.5 - y])
                q = d @ np.linalg.solve(covariance, d)
                if q < cut**2:
                    weight = math.exp(-q / 2) - math.exp(-(cut**2) / 2)
                    weights += weight
                    total += weight * np.array(colour)
            image[row, col] = total / weights
    return image


def draw(params, size=SIZE):
    return reference.rasterize(torch.as_tensor(params, dtype=torch.float64), size).numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_values_are_the_formula_s(channels, seed):
    params = splats(8, SIZE, channels=channels, seed=seed).astype(np.float64)
    np.testing.assert_allclose(draw(params), by_loops(params, SIZE), rtol=0, atol=1e-12)


def test_one_round_splat_by_hand():
    """Sigma 2 px, in the middle of pixel (3, 1), colour 0.9: two pixels to the right q is 1."""
    params = [[3.5, 1.5, math.log(2), math.log(2), 0.3, 0.9]]
    image = draw(params)[..., 0]
    weight = math.exp(-0.5) - math.exp(-4.5)
    assert image[1, 5] == pytest.approx((weight * 0.9 + 0.005) / (weight + 0.01))
    assert image[1, 10] == 0.5  # 3.5 sigma away


def test_theta_turns_from_x_towards_y_down():
    params = splats(1, SIZE, seed=0)
    params[0] = [6.5, 4.5, math.log(4), math.log(0.5), math.pi / 4, 1, 1, 1]
    image = draw(params)[..., 0]
    assert image[6, 8] > 0.9 and image[2, 4] > 0.9
    assert image[2, 8] == image[6, 4] == 0.5


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_the_slopes(seed):
    """Central differences; at the cut there is none, so no pixel of these splats lies there."""
    tries = (splats(5, SIZE, aspect=3.0, seed=100 * seed + k) for k in range(100))
    params = next(p for p in tries if not near_cut(p, SIZE, margin=1e-3).any()).astype(np.float64)
    tensor = torch.tensor(params, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p: reference.rasterize(p, SIZE), tensor, eps=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("name", CASES)
def test_extreme_splats_are_finite(name):
    params, size = CASES[name]
    tensor = torch.tensor(params, dtype=torch.float64, requires_grad=True)
    image = reference.rasterize(tensor, size)
    image.square().sum().backward()
    assert torch.isfinite(image).all() and torch.isfinite(tensor.grad).all()


def test_no_splats_are_the_background():
    assert (draw(np.zeros((0, 8))) == 0.5).all()


random_splats = st.builds(
    lambda n, channels, seed: splats(n, SIZE, channels=channels, seed=seed).astype(np.float64),
    st.integers(1, 8),
    st.sampled_from([1, 3]),
    st.integers(0, 10**6),
)


def assert_same_picture(params, other):
    np.testing.assert_allclose(draw(params), draw(other), rtol=0, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(random_splats, st.integers(-3, 3))
def test_half_a_turn_changes_nothing(params, turns):
    other = params.copy()
    other[:, 4] += turns * np.pi
    assert_same_picture(params, other)


@settings(max_examples=30, deadline=None)
@given(random_splats)
def test_swapped_axes_and_a_quarter_turn_change_nothing(params):
    other = params.copy()
    other[:, [2, 3]] = other[:, [3, 2]]
    other[:, 4] += np.pi / 2
    assert_same_picture(params, other)


@settings(max_examples=30, deadline=None)
@given(random_splats, st.randoms(use_true_random=False))
def test_order_changes_nothing(params, random):
    order = list(range(len(params)))
    random.shuffle(order)
    assert_same_picture(params, params[order])


@settings(max_examples=30, deadline=None)
@given(random_splats, st.integers(0, 5), st.integers(0, 5))
def test_whole_pixels_shift_the_picture(params, right, down):
    other = params.copy()
    other[:, :2] += right, down
    w, h = SIZE
    shifted = draw(other, (w + right, h + down))[down:, right:]
    np.testing.assert_allclose(shifted, draw(params), rtol=0, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(random_splats, st.floats(-1, 2))
def test_colours_mix_between_the_background_and_theirs(params, value):
    """Splats of one colour give that colour and grey in shares of W and EPS."""
    params[:, 5:] = value
    image = draw(params)
    assert image.min() >= min(value, 0.5) - 1e-12 and image.max() <= max(value, 0.5) + 1e-12
    # Covered by a weight of almost one or more.
    params[:, 2:5], params[:, :2] = (4.0, 4.0, 0.0), (6.5, 4.5)
    covered = draw(params)
    np.testing.assert_allclose(covered, value, atol=0.02 * abs(value - 0.5) + 1e-12)


@settings(max_examples=30, deadline=None)
@given(random_splats)
def test_colour_is_linear(params):
    bright, dark = params.copy(), params.copy()
    bright[:, 5:], dark[:, 5:] = 2 * params[:, 5:], 0
    np.testing.assert_allclose(draw(bright) + draw(dark), 2 * draw(params), rtol=0, atol=1e-12)
