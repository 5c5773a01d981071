"""Splats to images on a CUDA GPU, batched, with gradients; means exactly what reference.py says.

The kernels are in _binning.py (once per splat or tile) and _kernels.py (pixels).

Forward: one program per tile of 16 x 16 px first lists the splats whose cut ellipse touches the
tile (N is small, so it simply tests them all), another then goes through that list. Lists have room
for all N splats, so that the host never waits for the GPU to know a size; they take 2 bytes x N per
tile (80 MB for 64 pictures of 640 x 480, 512 splats).

Backward: one program per splat visits the pixels within its cut. The other way, partial sums per
tile added up by atomics, shares the work out more evenly when a few splats are huge, but adds in
another order each time; here the same input gives the same bits, and so the same seed the same fit.
"""

import torch

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS

try:
    import triton
except ImportError as error:  # torch for CPUs comes without it
    raise GaussVaeError("device cuda needs the package triton, which is not installed") from error

from gaussvae_ros.raster import _binning, _kernels

TILE = 16  # px
BLOCK = 128  # splats that a program prepares or tests at a time
FUSE = {"enable_fp_fusion": True}  # a * b + c in one instruction: as right, and faster


def rasterize(
    params: torch.Tensor,  # [B, N, 5 + C] float32 on CUDA, as in gaussvae_ros.splats, C = 1 or 3
    size: tuple[int, int],  # (w, h) px
) -> torch.Tensor:  # [B, h, w, C] float32
    """Render B sets of splats at one size; differentiable in `params` (once).

    A splat whose geometry holds NaN is not drawn. Raises GaussVaeError for other dtypes, shapes and
    devices; without a GPU it runs through Triton's interpreter if TRITON_INTERPRET=1 was set before
    this module was imported.
    """
    if params.dtype != torch.float32 or params.ndim != 3 or params.shape[2] not in (6, 8):
        raise GaussVaeError(
            f"splats must be float32 [B, N, 6 or 8], not {params.dtype} {list(params.shape)}"
        )
    if not params.is_cuda and isinstance(_kernels.forward, triton.JITFunction):
        raise GaussVaeError(
            "the Triton rasteriser needs a CUDA GPU: use device cpu"
            " (or TRITON_INTERPRET=1 in tests)"
        )
    return _Rasterize.apply(params, *size)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, params: torch.Tensor, w: int, h: int) -> torch.Tensor:
        batch, n, channels = params.shape[0], params.shape[1], params.shape[2] - 5
        image = params.new_full((batch, h, w, channels), BACKGROUND)
        ctx.shape, ctx.empty = params.shape, image.numel() == 0 or n == 0
        if ctx.empty:
            return image
        save = ctx.needs_input_grad[0]
        params = params.contiguous()
        total, tiles_x = batch * n, triton.cdiv(w, TILE)
        tiles = tiles_x * triton.cdiv(h, TILE)
        form = params.new_empty(total, _binning.FORM)
        span = params.new_empty(_binning.SPAN, total)
        lists = params.new_empty(batch, tiles, n, dtype=torch.int16 if n <= 2**15 else torch.int32)
        counts = params.new_empty(batch, tiles, dtype=torch.int32)
        inverse = params.new_empty(batch, h, w) if save else image
        with torch.cuda.device_of(params):
            _binning.prepare[(triton.cdiv(total, BLOCK),)](
                params, form, span, total, C=channels, CUT=CUT, BLOCK=BLOCK, num_warps=4
            )
            _binning.list_splats[(tiles, batch)](
                span, lists, counts, total, n, tiles_x, TILE=TILE, BLOCK=BLOCK, num_warps=1
            )
            _kernels.forward[(tiles, batch)](
                form, lists, counts, image, inverse, n, w, h, tiles_x,
                C=channels, SAVE=save, CUT=CUT, CUT_WEIGHT=CUT_WEIGHT, EPS=EPS,
                BACKGROUND=BACKGROUND, TILE=TILE, num_warps=2, **FUSE,
            )  # fmt: skip
        if save:
            ctx.save_for_backward(form, span, image, inverse)
        return image

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope: torch.Tensor):  # [B, h, w, C]
        if ctx.empty:
            return slope.new_zeros(ctx.shape), None, None
        form, span, image, inverse = ctx.saved_tensors
        batch, h, w, channels = image.shape
        g = slope * inverse[..., None]
        planes = (
            torch.cat([g, (g * image).sum(-1, keepdim=True)], -1).permute(0, 3, 1, 2).contiguous()
        )
        grad = slope.new_empty(ctx.shape)
        with torch.cuda.device_of(grad):
            _kernels.backward[(len(form),)](
                form, span, planes, grad, len(form), ctx.shape[1], w, h,
                C=channels, CUT=CUT, CUT_WEIGHT=CUT_WEIGHT, TILE=TILE, num_warps=4, **FUSE,
            )  # fmt: skip
        return grad, None, None
