"""The fit in batches against the CPU's: on a GPU where there is one, else in Triton's interpreter.

The interpreter takes a second per step and picture, so there the plan is short, and the splats
themselves are compared. Without a GPU this file runs itself again in a process of its own, with
TRITON_INTERPRET=1, as test_raster_cuda.py does.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fits import a_descent, noise, psnr, scene

from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.fit import EFFORTS, Plan, adam, fit, reseeding
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS
from gaussvae_ros.splats import Splats

triton = pytest.importorskip("triton")
from gaussvae_ros.fit import _kernels, cuda  # noqa: E402
from gaussvae_ros.fit.cuda import fit_many  # noqa: E402

GPU = torch.cuda.is_available()
INTERPRETED = not isinstance(_kernels.update, triton.JITFunction)
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
ROOT = Path(__file__).parents[1]

kernels = pytest.mark.skipif(
    not (GPU or INTERPRETED), reason="runs in the interpreter's own process"
)
gpu = pytest.mark.skipif(not GPU or INTERPRETED, reason="needs a GPU")


@pytest.mark.skipif(GPU or INTERPRETED, reason="the tests run here as they are")
def test_the_kernels_through_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 10


@pytest.fixture
def short(monkeypatch):
    """A plan of four steps on two levels with two re-seedings, and fewer splats than is allowed."""
    monkeypatch.setitem(
        EFFORTS, "fast", Plan(((15, 2), (40, 2)), share=0.1, every=1, until=0.7, last=0.3)
    )
    monkeypatch.setattr("gaussvae_ros.fit.MIN_SPLATS", 12)


def ellipses(splats: Splats) -> np.ndarray:
    """Centre, covariance and colour: the same for all angles of a round splat."""
    x, y, log_s1, log_s2, theta = splats.params.astype(float).T[:5]
    c, s, v1, v2 = np.cos(theta), np.sin(theta), np.exp(2 * log_s1), np.exp(2 * log_s2)
    covariance = c * c * v1 + s * s * v2, c * s * (v1 - v2), s * s * v1 + c * c * v2
    return np.stack([x, y, *covariance, *splats.params.T[5:]], 1)


@kernels
def test_a_batch_is_what_single_fits_are(short):
    """Other sums round otherwise; four steps do not let that grow."""
    images = [scene(20, 14), scene(13, 18), scene(40, 14)[:, 20:], scene(20, 14)[..., 0]]
    many = fit_many(images, 12, seed=3)
    for image, splats in zip(images, many, strict=True):
        expected = fit(image, 12, seed=3)
        assert splats.size == expected.size
        np.testing.assert_allclose(ellipses(splats), ellipses(expected), atol=2e-3)
    # Whatever its batch.
    np.testing.assert_array_equal(fit_many(images[2:3], 12, seed=3)[0].params, many[2].params)


@kernels
@pytest.mark.parametrize("shape", [(1, 1), (1, 9, 3), (16, 16)], ids=str)
def test_tiny_and_black_images(shape, short):
    """There the residual has few peaks, so that most splats stay that might move."""
    image = np.zeros(shape, np.uint8)
    np.testing.assert_allclose(
        ellipses(fit_many([image], 12)[0]), ellipses(fit(image, 12)), atol=2e-3
    )


@kernels
def test_the_worth_of_splats_and_where_they_go_are_the_cpu_s():
    states = [a_descent(9, (33, 26), seed=s) for s in (7, 8)]
    targets = np.random.default_rng(1).random((2, 26, 33, 3)).astype(np.float32)
    many = cuda.Descents(states, DEVICE)
    for table in (many.first, many.second, *(t for s in states for t in (s.first, s.second))):
        table[:] = 1
    cuda.reseed(many, torch.tensor(targets, device=DEVICE), share=4 / 9)
    for state, target in zip(states, targets, strict=True):
        before = state.geometry.copy()
        reseeding.reseed(state, target, share=4 / 9)
        assert (state.geometry != before).any(1).sum() == 4
    for name in ("geometry", "colour", "first", "second"):
        expected = np.concatenate([getattr(state, name) for state in states])
        np.testing.assert_allclose(getattr(many, name).cpu().numpy(), expected, atol=1e-5)


@kernels
def test_one_step_is_the_cpu_s():
    """Large splats, a needle, one half outside, one unseen: each coordinate, and Adam's moments."""
    states = [a_descent(6, (33, 18), seed=s) for s in (1, 2)]
    states[0].geometry[:4, 2:] = [[30, 0.5, 20], [0.3, 9.0, 6], [5, -1, 0.3], [0.3, 0, 0.3]]
    states[0].geometry[:4, :2] = [[10, 5], [20, 9], [0, 18], [16.0, 9.0]]
    targets = np.random.default_rng(1).random((2, 18, 33, 3)).astype(np.float32)
    many = cuda.Descents(states, DEVICE)
    many.run(torch.tensor(targets, device=DEVICE), np.array([0.5]))
    for state, target in zip(states, targets, strict=True):
        state.run(target, np.array([0.5]))
    for name in ("geometry", "colour", "first", "second"):
        expected = np.concatenate([getattr(state, name) for state in states])
        got = getattr(many, name).cpu().numpy()
        np.testing.assert_allclose(
            got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=name
        )


@pytest.mark.parametrize("sigma", [0.5, 0.61, 1.2, 2.45])
@pytest.mark.parametrize("shape", [(13, 17), (1, 9), (2, 3), (1, 1)])
def test_blurs_are_those_of_opencv(shape, sigma):
    images = np.random.default_rng(0).random((2, *shape, 3)).astype(np.float32)
    expected = [cv2.GaussianBlur(image, (0, 0), sigma) for image in images]
    got = cuda._blurred(torch.tensor(images), sigma).numpy()
    np.testing.assert_allclose(got, np.reshape(expected, images.shape), atol=1e-6)


def test_batches_hold_one_size_and_have_bounds(monkeypatch):
    images = [noise(40, 50), noise(30, 50), noise(40, 50, 3), noise(40, 50)]
    assert list(cuda._batches(images, 32, EFFORTS["fast"])) == [[0, 3], [1], [2]]
    monkeypatch.setattr(cuda, "ROOM", 1)
    assert list(cuda._batches(images, 32, EFFORTS["fast"])) == [[0], [3], [1], [2]]
    assert list(cuda._batches([], 32, EFFORTS["fast"])) == []


def test_wrong_arguments_are_errors():
    with pytest.raises(ImageError, match="float64"):
        fit_many([noise(8, 8), np.zeros((8, 8))])
    with pytest.raises(ValueError, match="31"):
        fit_many([noise(8, 8)], 31)
    with pytest.raises(ValueError, match="slow"):
        fit_many([noise(8, 8)], effort="slow")


@pytest.mark.skipif(GPU or INTERPRETED, reason="there is something to run on")
def test_without_a_gpu_it_says_so():
    with pytest.raises(GaussVaeError, match="GPU"):
        fit_many([noise(8, 8)])


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels do not compile")
@pytest.mark.parametrize("name", ["tabulate", "residual", "gather", "update", "worth"])
def test_the_kernels_compile_for_a_gpu(name, tmp_path, monkeypatch):
    """To machine code of an H200, by the compiler that comes with triton: no GPU needed."""
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", 90, 32)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = getattr(_kernels, name)
    constants = {
        "CUT": CUT,
        "CUT_WEIGHT": CUT_WEIGHT,
        "EPS": EPS,
        "BACKGROUND": BACKGROUND,
        "TILE": cuda.TILE,
    }
    constants |= {"BLOCK": cuda.BLOCK, "MIN_SIGMA": adam.MIN_SIGMA, "BETA1": 0.7, "BETA2": 0.9}
    constants = {key: value for key, value in constants.items() if key in kernel.arg_names}
    types = {
        "list_ptr": "*i16",
        "count_ptr": "*i32",
        "geometry_ptr": "*fp64",
        "scale": "fp32",
        "unbias": "fp32",
    }
    signature = {
        key: "constexpr"
        if key in constants
        else types.get(key, "*fp32" if key.endswith("_ptr") else "i32")
        for key in kernel.arg_names
    }
    indexed = {(kernel.arg_names.index(key),): value for key, value in constants.items()}
    compiled = triton.compile(
        compiler.ASTSource(kernel, signature, indexed), target=target, options=cuda.FUSE
    )
    assert compiled.asm["cubin"]


@gpu
@pytest.mark.parametrize("effort", EFFORTS)
def test_whole_fits_are_as_good_as_the_cpu_s(effort):
    images = [scene(320, 240), scene(200, 333), noise(60, 80), np.zeros((50, 50, 3), np.uint8)]
    for image, splats in zip(images, fit_many(images, 256, effort), strict=True):
        assert np.isfinite(splats.params).all()
        assert min(psnr(image, splats), 50) >= min(psnr(image, fit(image, 256, effort)), 50) - 0.3


@gpu
def test_the_same_arguments_give_the_same_bits():
    images = [scene(320, 240), np.ascontiguousarray(scene(320, 240)[::-1])]
    first = fit_many(images, 256)
    for one, other in zip(first, fit_many(images, 256), strict=True):
        np.testing.assert_array_equal(one.params, other.params)


@gpu
def test_a_batch_of_64_takes_5_ms_a_frame():
    frames = [np.roll(scene(640, 480), 9 * k, (0, 1)) for k in range(64)]
    fit_many(frames)
    start = time.perf_counter()
    fit_many(frames)
    assert (time.perf_counter() - start) / 64 < 5e-3
