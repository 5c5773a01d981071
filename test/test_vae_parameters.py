"""Parameters as networks take them: exact there and back, continuous, z-scored."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_cases import splats

from gaussvae_ros.errors import ModelError
from gaussvae_ros.raster import reference
from gaussvae_ros.splats import Splats
from gaussvae_ros.training.model import Batch
from gaussvae_ros.training.parameters import GROUPS, Normaliser, from_features, to_features

SIZE = (160, 120)


def canonical(n: int = 64, seed: int = 0) -> torch.Tensor:  # [n, 8] float32
    return torch.tensor(Splats(splats(n, SIZE, sigma=(1, 20), seed=seed), SIZE).canonical().params)


def test_the_canonical_features_of_one_splat_by_hand():
    splat = torch.tensor([[40.0, 90.0, math.log(8), math.log(2), math.pi / 3, 0.1, 0.2, 0.3]])
    distance = math.sqrt(160 * 120 / 48)  # 20 px
    expected = [
        0.25, 0.75, math.log(4 / distance), math.log(4) * math.cos(2 * math.pi / 3),
        math.log(4) * math.sin(2 * math.pi / 3), 0.1, 0.2, 0.3,
    ]  # fmt: skip
    np.testing.assert_allclose(to_features(splat, SIZE, 48)[0], expected, rtol=1e-5)
    raw = to_features(splat, SIZE, 48, "raw")[0]
    np.testing.assert_allclose(raw, [0.25, 0.75, 0.4, 0.1, math.pi / 3, 0.1, 0.2, 0.3], rtol=1e-5)


@pytest.mark.parametrize("form", GROUPS)
def test_there_and_back_is_the_same_splat(form):
    params = canonical().double()
    back = from_features(to_features(params, SIZE, 64, form), SIZE, 64, form)
    torch.testing.assert_close(back, params, rtol=0, atol=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-50, 250), st.floats(-50, 250), st.floats(-2, 5), st.floats(1e-3, 4),
    st.floats(0, 3.14), st.integers(1, 4000),
)  # fmt: skip
def test_any_splat_comes_back(x, y, log_s1, ratio, theta, count):
    splat = torch.tensor(
        [[x, y, log_s1, log_s1 - ratio, theta, 0.5, -0.2, 1.3]], dtype=torch.float64
    )
    back = from_features(to_features(splat, SIZE, count), SIZE, count)
    torch.testing.assert_close(back, splat, rtol=1e-9, atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=8, max_size=8))
def test_any_features_are_a_canonical_splat(values):
    splat = from_features(torch.tensor([values]), SIZE, 48)[0]
    assert splat.isfinite().all() and splat[2] >= splat[3] and 0 <= splat[4] < np.float32(math.pi)


def test_splats_that_look_the_same_have_the_same_features():
    params = canonical().double()
    turned = params.clone()
    turned[:, 4] += math.pi
    swapped = params[:, [0, 1, 3, 2, 4, 5, 6, 7]]
    swapped[:, 4] += math.pi / 2
    for other in (turned, swapped):
        torch.testing.assert_close(to_features(other, SIZE, 64), to_features(params, SIZE, 64))


def test_round_splats_have_the_same_features_whatever_their_angle():
    params = canonical()
    params[:, 3] = params[:, 2]
    other = params.clone()
    other[:, 4] = 1.0
    torch.testing.assert_close(to_features(other, SIZE, 64), to_features(params, SIZE, 64))


def test_decoded_features_draw_the_same_picture():
    params = canonical(20).double()
    back = from_features(to_features(params, SIZE, 20), SIZE, 20)
    torch.testing.assert_close(
        reference.rasterize(back, (40, 30)), reference.rasterize(params, (40, 30))
    )


@pytest.mark.parametrize("form", GROUPS)
def test_gradients_are_finite_differences(form):
    params = canonical(6, seed=3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: to_features(p, SIZE, 6, form), params)
    features = to_features(params, SIZE, 6, form).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda f: from_features(f, SIZE, 6, form), features)


def test_a_round_splat_has_a_finite_gradient():
    features = torch.zeros(1, 8, requires_grad=True)
    from_features(features, SIZE, 1).sum().backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("form", GROUPS)
def test_a_normaliser_takes_the_statistics_of_its_data(form):
    batch = Batch(
        torch.stack([canonical(seed=s) for s in range(8)]), SIZE, torch.zeros(8, 3, 12, 16)
    )
    normaliser = Normaliser(form)
    normaliser.adapt(batch)
    features = normaliser.encode(batch.splats, SIZE)
    np.testing.assert_allclose(features.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(features.std((0, 1)), 1, atol=1e-3)
    torch.testing.assert_close(
        normaliser.decode(features, SIZE), batch.splats, rtol=1e-4, atol=1e-3
    )
    assert sorted(c for g in normaliser.groups.values() for c in range(8)[g]) == list(range(8))


def test_data_that_are_all_alike_do_not_divide_by_zero():
    batch = Batch(canonical(1).expand(4, 5, 8), SIZE, torch.zeros(4, 3, 12, 16))
    normaliser = Normaliser("canonical")
    normaliser.adapt(batch)
    assert normaliser.encode(batch.splats, SIZE).isfinite().all()


def test_an_unknown_form_is_refused():
    with pytest.raises(ModelError, match="canonical or raw"):
        Normaliser("polar")
