"""The Triton rasteriser against the reference: on a GPU, else through Triton's interpreter.

The interpreter is chosen when triton is first imported, so without a GPU this file runs itself
again in a process of its own, with TRITON_INTERPRET=1; the tests marked `kernels` run there.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from raster_cases import CASES, SIZE, assert_like_reference, splats

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS

triton = pytest.importorskip("triton")
from gaussvae_ros.raster import _binning, _kernels, cuda  # noqa: E402

GPU = torch.cuda.is_available()
INTERPRETED = not isinstance(_kernels.forward, triton.JITFunction)
DEVICE = "cpu" if INTERPRETED else "cuda"
ROOT = Path(__file__).parents[1]

kernels = pytest.mark.skipif(
    not (GPU or INTERPRETED), reason="runs in the interpreter's own process"
)


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
    assert int(run.stdout.split(" passed")[0].split()[-1]) > len(CASES)


def render(params: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    batch = torch.tensor(params[None], device=DEVICE, requires_grad=True)
    image = cuda.rasterize(batch, (slope.shape[1], slope.shape[0]))
    image.backward(torch.tensor(slope[None], device=DEVICE))
    return image[0].detach().cpu().numpy(), batch.grad[0].cpu().numpy()


@kernels
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_the_reference_s(name):
    assert_like_reference(render, *CASES[name])


@kernels
def test_more_splats_than_one_block_holds(monkeypatch):
    monkeypatch.setattr(cuda, "BLOCK", 16)
    assert_like_reference(render, splats(35, sigma=(0.5, 2), seed=21), SIZE)


@kernels
@pytest.mark.parametrize("shape", [(0, 4, 8), (2, 0, 8), (3, 0, 6), (0, 0, 8)])
def test_nothing_to_draw_is_grey_and_has_a_gradient(shape):
    params = torch.zeros(shape, device=DEVICE, requires_grad=True)
    image = cuda.rasterize(params, SIZE)
    assert image.shape == (shape[0], SIZE[1], SIZE[0], shape[2] - 5) and (image == BACKGROUND).all()
    image.sum().backward()
    assert params.grad.shape == shape


@kernels
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_and_its_gradient_do_not_depend_on_the_batch(channels):
    sets = np.stack([splats(9, channels=channels, seed=s) for s in range(3)])
    slopes = (
        np.random.default_rng(0).normal(size=(3, SIZE[1], SIZE[0], channels)).astype(np.float32)
    )
    batch = torch.tensor(sets, device=DEVICE, requires_grad=True)
    images = cuda.rasterize(batch, SIZE)
    images.backward(torch.tensor(slopes, device=DEVICE))
    for k in range(3):
        image, grad = render(sets[k], slopes[k])
        np.testing.assert_array_equal(images[k].detach().cpu().numpy(), image)
        np.testing.assert_array_equal(batch.grad[k].cpu().numpy(), grad)


@kernels
def test_the_same_input_gives_the_same_bits():
    def gradient():
        params = torch.tensor(splats(20, seed=22)[None], device=DEVICE, requires_grad=True)
        cuda.rasterize(params, SIZE).square().sum().backward()
        return params.grad

    assert torch.equal(gradient(), gradient())


@kernels
def test_any_strides_do():
    params = torch.tensor(splats(8, seed=23)[None], device=DEVICE)
    strided = params.transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    image = cuda.rasterize(strided, SIZE)
    assert torch.equal(image, cuda.rasterize(params, SIZE))
    image.sum().backward()  # an expanded gradient, all strides zero
    params.requires_grad_()
    cuda.rasterize(params, SIZE).backward(torch.ones_like(image))
    assert torch.equal(strided.grad, params.grad)


@kernels
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_lost_splat_harms_no_other(value):
    good = splats(5, seed=24)
    bad = good.copy()[:4]
    bad[[0, 1, 2], [0, 1, 4]] = value
    bad[3, :2] = value
    params = torch.tensor(
        np.concatenate([bad[:2], good, bad[2:]])[None], device=DEVICE, requires_grad=True
    )
    image = cuda.rasterize(params, SIZE)
    image.sum().backward()
    assert torch.isfinite(image).all() and torch.isfinite(params.grad[:, 2:7]).all()
    if not np.isfinite(value):  # a centre or an angle of 3e38 is a number, and may be drawn
        lone = torch.tensor(good[None], device=DEVICE, requires_grad=True)
        alone = cuda.rasterize(lone, SIZE)
        alone.sum().backward()
        assert torch.equal(image, alone) and torch.equal(params.grad[:, 2:7], lone.grad)


@pytest.mark.skipif(INTERPRETED, reason="the interpreter draws what lies on the CPU")
def test_a_tensor_on_the_cpu_is_an_error():
    with pytest.raises(GaussVaeError, match="needs a CUDA GPU"):
        cuda.rasterize(torch.zeros(1, 2, 8), SIZE)


@pytest.mark.parametrize(
    "params", [torch.zeros(2, 8), torch.zeros(1, 2, 7), torch.zeros(1, 2, 8, dtype=torch.float64)]
)
def test_other_shapes_and_dtypes_are_errors(params):
    with pytest.raises(GaussVaeError, match="float32"):
        cuda.rasterize(params, SIZE)


def test_the_package_loads_without_torch_and_triton():
    code = "import sys, gaussvae_ros.raster; assert not {'torch', 'triton'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels do not compile")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "kernel",
    [_binning.prepare, _binning.list_splats, _kernels.forward, _kernels.backward],
    ids=lambda k: k.__name__,
)
def test_the_kernels_compile_for_a_gpu(kernel, channels, tmp_path, monkeypatch):
    """To machine code of an H200, by the compiler that comes with triton: no GPU needed."""
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", 90, 32)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    constants = {
        "C": channels,
        "CUT": CUT,
        "CUT_WEIGHT": CUT_WEIGHT,
        "EPS": EPS,
        "BACKGROUND": BACKGROUND,
    }
    constants |= {"SAVE": True, "TILE": cuda.TILE, "BLOCK": cuda.BLOCK}
    constants = {key: value for key, value in constants.items() if key in kernel.arg_names}
    pointers = {"list_ptr": "*i16", "count_ptr": "*i32"}
    signature = {
        key: "constexpr"
        if key in constants
        else pointers.get(key, "*fp32" if key.endswith("_ptr") else "i32")
        for key in kernel.arg_names
    }
    indexed = {(kernel.arg_names.index(key),): value for key, value in constants.items()}
    compiled = triton.compile(
        compiler.ASTSource(kernel, signature, indexed), target=target, options=cuda.FUSE
    )
    assert compiled.asm["cubin"]


@pytest.mark.skipif(not GPU or INTERPRETED, reason="needs a GPU")
def test_a_thousand_images_a_second():
    params = torch.tensor(
        np.stack([splats(512, (640, 480), (10, 30), seed=s) for s in range(16)]), device="cuda"
    )
    cuda.rasterize(params, (640, 480))
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        cuda.rasterize(params, (640, 480))
    torch.cuda.synchronize()
    assert 160 / (time.perf_counter() - start) >= 1000
