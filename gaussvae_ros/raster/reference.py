"""The meaning of a set of splats, in plain torch: any dtype, any device, autograd.

    q_i(p) = (p - m_i)' Sigma_i^-1 (p - m_i)
    w_i(p) = exp(-q_i / 2) - exp(-CUT^2 / 2) where q_i < CUT^2, else 0
    image(p) = (sum_i w_i c_i + EPS * BACKGROUND) / (sum_i w_i + EPS)

It is slow, and what every fast backend is tested against. The centre of the top left pixel is
(0.5, 0.5). Two things in it are there for the fit. The weight is continuous at the cut: with a step
there, the gradient cannot see a hole open between splats, and fits tear (measured: 300 Adam steps
on Kodak end 5 dB lower). The background keeps a pixel that no splat reaches grey, not black.
"""

import torch

from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS


def rasterize(
    params: torch.Tensor,  # [N, 5 + C] as in gaussvae_ros.splats
    size: tuple[int, int],  # (w, h) px
) -> torch.Tensor:  # [h, w, C]
    """Render one set of splats; differentiable in `params`. Memory grows with N * w * h."""
    w, h = size
    x, y, log_s1, log_s2, theta = params[:, :5, None, None].unbind(1)  # each [N, 1, 1]
    px = torch.arange(w, dtype=params.dtype, device=params.device) + 0.5
    py = torch.arange(h, dtype=params.dtype, device=params.device) + 0.5
    dx, dy = px - x, py[:, None] - y  # [N, 1, w], [N, h, 1] px
    cos, sin = torch.cos(theta), torch.sin(theta)
    # [N, h, w] standard deviations along the first axis.
    u = (cos * dx + sin * dy) * torch.exp(-log_s1)
    v = (cos * dy - sin * dx) * torch.exp(-log_s2)
    q = u * u + v * v
    weight = torch.where(q < CUT * CUT, torch.exp(-q / 2) - CUT_WEIGHT, torch.zeros_like(q))
    total = torch.einsum("nhw,nc->hwc", weight, params[:, 5:])
    return (total + EPS * BACKGROUND) / (weight.sum(0)[..., None] + EPS)
