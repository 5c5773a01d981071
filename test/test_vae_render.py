"""Batches of splats to pictures with autograd, against the reference: scale, threads, channels."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from raster_cases import CASES, SIZE, assert_like_reference, splats
from threaded import kernel_threads

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.raster import BACKGROUND, reference
from gaussvae_ros.training.render import draw


def through_draw(params: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `assert_like_reference` wants it; the set is the second of three."""
    size = slope.shape[1], slope.shape[0]
    others = [splats(len(params), size, seed=s) for s in (70, 71)]
    batch = torch.tensor(np.stack([others[0], params, others[1]]), requires_grad=True)
    pictures = draw(batch, size, size)
    pictures[1].backward(torch.tensor(slope).permute(2, 0, 1))
    assert not batch.grad[0].any() and not batch.grad[2].any()
    return pictures[1].detach().permute(1, 2, 0).numpy(), batch.grad[1].numpy()


@pytest.mark.parametrize("name", [name for name in CASES if name != "mono"])
def test_values_and_gradients_are_the_reference_s(name):
    assert_like_reference(through_draw, *CASES[name])


def sample(batch: int, n: int = 40, channels: int = 3, size=SIZE) -> torch.Tensor:  # [B, N, 5 + C]
    return torch.tensor(
        np.stack([splats(n, size, channels=channels, seed=50 + b) for b in range(batch)])
    )


def drawn(params: torch.Tensor, size=SIZE, picture=SIZE) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures, and the gradient of their sum of squares."""
    params = params.clone().requires_grad_()
    pictures = draw(params, size, picture)
    (pictures**2).sum().backward()
    return pictures.detach(), params.grad


def test_a_picture_is_the_same_alone_and_among_32():
    params = sample(32)
    pictures, grad = drawn(params)
    for b in (0, 13, 31):
        alone, alone_grad = drawn(params[b : b + 1])
        assert torch.equal(alone[0], pictures[b]) and torch.equal(alone_grad[0], grad[b])


@pytest.mark.parametrize("batch", [1, 3])
def test_the_number_of_threads_changes_no_bit(batch):
    params, outcomes = sample(batch), []
    for threads in (1, 2):
        with kernel_threads(threads):
            outcomes.append(drawn(params))
    for one, all_of_them in zip(*outcomes, strict=True):
        assert torch.equal(one, all_of_them)


def test_six_channels_are_two_pictures_of_one_geometry():
    params = sample(2, channels=6)
    pictures, grad = drawn(params)
    first, first_grad = drawn(params[..., :8])
    second, second_grad = drawn(torch.cat([params[..., :5], params[..., 8:]], -1))
    assert torch.equal(pictures, torch.cat([first, second], 1))
    assert torch.equal(grad[..., 5:8], first_grad[..., 5:]) and torch.equal(
        grad[..., 8:], second_grad[..., 5:]
    )
    torch.testing.assert_close(grad[..., :5], first_grad[..., :5] + second_grad[..., :5])


def test_a_smaller_picture_is_the_frame_with_its_geometry_scaled():
    size, picture = (160, 120), (40, 30)
    params = torch.tensor(splats(60, size, sigma=(4, 20), seed=3)).double().requires_grad_()
    scaled = torch.cat([params[:, :2] / 4, params[:, 2:4] - np.log(4), params[:, 4:]], 1)
    expected = reference.rasterize(scaled, picture)
    (expected**2).sum().backward()
    pictures, grad = drawn(params.detach().float()[None], size, picture)
    torch.testing.assert_close(
        pictures[0].permute(1, 2, 0).double(), expected.detach(), rtol=0, atol=1e-5
    )
    torch.testing.assert_close(grad[0].double(), params.grad, rtol=1e-3, atol=1e-3)


def test_the_gradient_is_the_slope_of_the_drawn_picture():
    """Finite differences of the float32 pictures, with float64 sums, away from every cut."""
    params = torch.tensor(splats(3, (24, 18), sigma=(30, 60), aspect=2, seed=5))[None]
    weights = torch.randn(
        1, 3, 18, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )

    def loss(p):
        return (draw(p, (24, 18), (24, 18)).double() * weights).sum()

    exact = params.clone().requires_grad_()
    loss(exact).backward()
    for column in range(8):
        step = torch.zeros_like(params)
        step[0, 1, column] = 2.0**-4 if column < 2 else 2.0**-8
        width = ((params + step) - (params - step))[0, 1, column].item()
        slope = (loss(params + step) - loss(params - step)).item() / width
        assert slope == pytest.approx(exact.grad[0, 1, column].item(), rel=0.02, abs=0.02), column


def test_gradients_pass_to_float64_and_half_precision_parameters():
    params = sample(1).double().requires_grad_()
    draw(params, SIZE, SIZE).sum().backward()
    assert params.grad.dtype == torch.float64 and params.grad.any()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pictures = draw(sample(1).bfloat16(), SIZE, SIZE)
    assert pictures.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_draws_what_a_cpu_draws():
    params = sample(4, channels=6)
    for here, there in zip(drawn(params), drawn(params.cuda()), strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-3)


def test_no_splats_or_no_pictures():
    np.testing.assert_allclose(drawn(torch.zeros(2, 0, 8))[0], BACKGROUND, atol=1e-6)
    assert draw(torch.zeros(0, 5, 8), SIZE, SIZE).shape == (0, 3, SIZE[1], SIZE[0])


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize("column", range(5))
def test_a_lost_splat_does_not_crash_or_reach_other_pictures(column, value):
    params = sample(2, 5)
    whole, whole_grad = drawn(params)
    params[0, 2, column] = value
    pictures, grad = drawn(params)
    assert torch.equal(pictures[1], whole[1]) and torch.equal(grad[1], whole_grad[1])


@pytest.mark.parametrize("shape", [(4, 8), (1, 4, 5), (1, 4, 6), (1, 4, 9)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(GaussVaeError, match="multiple of 3"):
        draw(torch.zeros(shape), SIZE, SIZE)


@pytest.mark.parametrize("picture", [(160, 119), (0, 0), (120, 160)])
def test_another_aspect_is_refused(picture):
    with pytest.raises(GaussVaeError, match="640x480 px cannot be drawn"):
        draw(torch.zeros(1, 4, 8), (640, 480), picture)


def test_idle_threads_are_told_to_sleep_before_torch_starts_any():
    code = (
        "import os, sys, gaussvae_ros.vae; assert 'torch' not in sys.modules;"
        "assert 'GOMP_SPINCOUNT' in os.environ;"
        "import gaussvae_ros.training.render; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
