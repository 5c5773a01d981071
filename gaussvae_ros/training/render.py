"""A batch of splats to pictures, differentiable: what training sees of the rasterisers.

Splats have no resolution, so pictures may be smaller than the frame that was fitted, which makes
training affordable. Each pixel is one sample at its centre (gaussvae_ros/raster/reference.py):
smooth where splats are larger than a pixel.
"""

import math

import torch
from torch import Tensor

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.raster import batch
from gaussvae_ros.splats import COLOUR


def draw(
    splats: Tensor,  # [B, N, 5 + C] px of `size`, C a multiple of 3, as in gaussvae_ros.splats
    size: tuple[int, int],  # (w, h) px of the frame that the splats lie in
    picture: tuple[int, int],  # (w, h) px wanted, of the same aspect
) -> Tensor:  # [B, C, h, w] float32
    """Pictures of B sets of splats, on the splats' device; differentiable in `splats` (once).

    On a CPU a picture is one thread's; on a GPU raster/cuda.py draws all of them. More than three
    colour channels are drawn three at a time.

    Raises:
        GaussVaeError: other shapes, or a picture of another aspect than the frame's.
    """
    if splats.ndim != 3 or splats.shape[2] <= COLOUR or (splats.shape[2] - COLOUR) % 3:
        raise GaussVaeError(
            f"splats to draw must be [B, N, 5 + C] with C a multiple of 3, not {list(splats.shape)}"
        )
    if min(*size, *picture) < 1 or picture[0] * size[1] != picture[1] * size[0]:
        raise GaussVaeError(
            f"a frame of {size[0]}x{size[1]} px cannot be drawn at {picture[0]}x{picture[1]} px"
        )
    shape, triples = splats.shape, (splats.shape[2] - COLOUR) // 3
    splats = _scaled(splats.float(), picture[0] / size[0])
    if triples > 1:
        geometry, colours = (
            splats[..., :COLOUR].unsqueeze(1),
            splats[..., COLOUR:].unflatten(2, (triples, 3)),
        )
        splats = torch.cat(
            [geometry.expand(-1, triples, -1, -1), colours.transpose(1, 2)], -1
        ).flatten(0, 1)
    if splats.is_cuda:
        from gaussvae_ros.raster.cuda import rasterize  # Triton comes with torch for GPUs only

        pictures = rasterize(splats, picture).permute(0, 3, 1, 2)
    else:
        pictures = _Draw.apply(splats, picture)
    return pictures.reshape(shape[0], 3 * triples, picture[1], picture[0])


def _scaled(splats: Tensor, scale: float) -> Tensor:
    """Splats [B, N, 5 + C] of a frame `scale` times as large."""
    if scale == 1:
        return splats
    xy, log_sizes, rest = splats.split([2, 2, splats.shape[2] - 4], -1)
    return torch.cat([xy * scale, log_sizes + math.log(scale), rest], -1)


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(ctx, splats: Tensor, picture: tuple[int, int]) -> Tensor:
        splats = splats.contiguous()
        pictures, inverse = (
            torch.from_numpy(a) for a in batch.forward(splats.detach().numpy(), picture)
        )
        ctx.save_for_backward(splats, pictures, inverse)
        return pictures

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope: Tensor):  # [B, 3, h, w]
        grad = batch.backward(
            *(t.detach().numpy() for t in (*ctx.saved_tensors, slope.contiguous()))
        )
        return torch.from_numpy(grad), None
