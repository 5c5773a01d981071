"""Splats seen from one another: every splat has a frame of its own, in which it is the unit circle.

With R diag(s1, s2) the root of a splat's covariance, a point d beside it lies at
diag(1/s1, 1/s2) R' d in its frame. Networks that only see such coordinates treat large, small,
turned and thin splats alike. Everything works in the dtype that it is given, on [B, N, 8] splats
as in gaussvae_ros.splats.
"""

import math

import torch
from torch import Tensor

# Numbers that describe a splat, a neighbour of it, and a splat merged into it.
NODE, EDGE, MEMBER = 9, 12, 9
_EPS = 1e-6


def gather(values: Tensor, index: Tensor) -> Tensor:  # [B, N, D], [B, M, K] -> [B, M, K, D]
    """Rows of `values` by `index`."""
    rows = index.flatten(1).unsqueeze(2).expand(-1, -1, values.shape[2])
    return values.gather(1, rows).unflatten(1, index.shape[1:])


def nearest(splats: Tensor, count: int) -> Tensor:  # [B, N, 8] -> [B, N, count] int64
    """The `count` splats whose centres are nearest to each splat's, itself left out."""
    xy = splats[..., :2]
    distances = ((xy.unsqueeze(2) - xy.unsqueeze(1)) ** 2).sum(3)
    distances.diagonal(dim1=1, dim2=2).fill_(math.inf)
    return distances.topk(count, largest=False).indices


def describe(splats: Tensor, size: tuple[int, int]) -> Tensor:  # [B, N, NODE]
    """Each splat by itself: size beside the mean distance of splats, place, axis, colour."""
    log_spacing = 0.5 * math.log(size[0] * size[1] / splats.shape[1])
    where = splats[..., :2] / splats.new_tensor(size) - 0.5
    turn = 2 * splats[..., 4:5]
    return torch.cat(
        [splats[..., 2:4] - log_spacing, where, turn.cos(), turn.sin(), 2 * splats[..., 5:] - 1], -1
    )


def relate(
    splats: Tensor, index: Tensor, size: tuple[int, int]
) -> Tensor:  # [B, N, 8], [B, N, K] -> [B, N, K, EDGE]
    """Neighbours as each splat sees them: where, how large, along which axis, of which colour."""
    other, own = gather(splats, index), splats.unsqueeze(2)
    seen = _seen(own, other)
    far = (other[..., :2] - own[..., :2]).square().sum(-1, keepdim=True).add(_EPS).sqrt()
    spacing = math.sqrt(size[0] * size[1] / splats.shape[1])
    contrast = seen[..., 6:].abs().mean(-1, keepdim=True)
    distance = seen[..., :2].square().sum(-1, keepdim=True).add(_EPS).sqrt()
    return torch.cat([seen, distance, far / spacing, contrast], -1)


def merge(splats: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """N splats [B, N, 8] in Morton order as `count` means of equal runs of them, weighted by area.

    Returns:
        The merged splats [B, count, 8]: the runs' mean centre and colour, and their covariance
        (that of the centres added), shrunk, since neighbours share the room between them; which run
        each splat is in [N]; and each splat as its run's merged one sees it [B, N, MEMBER].
    """
    n = splats.shape[1]
    run = torch.arange(n, device=splats.device) * count // n
    area = (splats[..., 2] + splats[..., 3]).clamp(-20, 20).exp()
    total = pool(area.unsqueeze(2), run, count)

    def mean(values):  # [B, N, D] -> [B, count, D]
        return pool(values * area.unsqueeze(2), run, count) / total

    centre, colour = mean(splats[..., :2]), mean(splats[..., 5:])
    xx, xy, yy = covariance(splats)
    dx, dy = (splats[..., :2] - centre[:, run]).unbind(-1)
    spread = SHRINK * mean(torch.stack([xx + dx * dx, xy + dx * dy, yy + dy * dy], -1))
    merged = torch.cat([centre, axes(*spread.unbind(-1)), colour], -1)
    return merged, run, _seen(merged[:, run], splats)


SHRINK = 0.6


def pool(values: Tensor, run: Tensor, count: int) -> Tensor:  # [B, N, D], [N] -> [B, count, D]
    """Sums over runs."""
    return values.new_zeros(values.shape[0], count, values.shape[2]).index_add_(1, run, values)


def move(splats: Tensor, change: Tensor) -> Tensor:  # [..., 8], [..., 8] -> [..., 8]
    """Splats changed in their own frame: by two numbers in place, three in shape, three in colour.

    The root of the covariance becomes R diag(s1, s2) U with U upper triangular: log-diagonal
    (change 2, 3), off-diagonal change 4. Shifts are at most 1.5, stretches at most e^1.5. No change
    leaves a splat as it is.
    """
    x, y, log_s1, log_s2, theta = splats[..., :5].unbind(-1)
    c, s, s1, s2 = theta.cos(), theta.sin(), log_s1.exp(), log_s2.exp()
    u, v, a, d = (1.5 * torch.tanh(change[..., :4] / 1.5)).unbind(-1)
    b = torch.tanh(change[..., 4])
    centre = torch.stack([x + c * s1 * u - s * s2 * v, y + s * s1 * u + c * s2 * v], -1)
    l11, l12, l22 = s1 * a.exp(), s1 * b * d.exp(), s2 * d.exp()
    m11, m12, m21, m22 = c * l11, c * l12 - s * l22, s * l11, s * l12 + c * l22
    shape = axes(m11 * m11 + m12 * m12, m11 * m21 + m12 * m22, m21 * m21 + m22 * m22)
    return torch.cat([centre, shape, splats[..., 5:] + change[..., 5:] / 2], -1)


def covariance(splats: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # xx, xy, yy, each [...]
    """Covariances of splats [..., 8], px^2."""
    c, s = splats[..., 4].cos(), splats[..., 4].sin()
    v1, v2 = (2 * splats[..., 2]).exp(), (2 * splats[..., 3]).exp()
    return c * c * v1 + s * s * v2, c * s * (v1 - v2), s * s * v1 + c * c * v2


def axes(xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:  # [..., 3]: log s1, log s2, theta
    """Covariances as axes; finite gradients where they are round."""
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    spread = (half * half + xy * xy + _EPS * mean * mean).sqrt()
    log_s1 = 0.5 * (mean + spread).log()
    log_s2 = 0.5 * (xx * yy - xy * xy).clamp(min=1e-3).log() - log_s1
    theta = 0.5 * torch.atan2(2 * xy, 2 * half + _EPS * mean)
    return torch.stack([torch.maximum(log_s1, log_s2), torch.minimum(log_s1, log_s2), theta], -1)


def _seen(own: Tensor, other: Tensor) -> Tensor:  # [..., 8] each -> [..., MEMBER]
    """Place, size, axis and colour of others as seen in a splat's frame; far ones drawn near."""
    c, s = own[..., 4].cos(), own[..., 4].sin()
    dx, dy = (other[..., :2] - own[..., :2]).unbind(-1)
    u, v = (c * dx + s * dy) * (-own[..., 2]).exp(), (c * dy - s * dx) * (-own[..., 3]).exp()
    far = (u * u + v * v + _EPS).sqrt()
    near = torch.asinh(far) / far
    sizes = other[..., 2:4] - own[..., 2:4]
    thin, turn = other[..., 2] - other[..., 3], 2 * (other[..., 4] - own[..., 4])
    place = torch.stack(
        [u * near, v * near, sizes[..., 0], sizes[..., 1], thin * turn.cos(), thin * turn.sin()], -1
    )
    return torch.cat([place, 4 * (other[..., 5:] - own[..., 5:])], -1)
