"""How far decoded splats are from fitted ones, when it does not matter which is which.

A set has no order, so an error slot by slot says little. Here each fitted splat gets a partner
of its own among the decoded, all together as near as can be (the assignment problem), and
errors are those of partners.
"""

import numpy as np
import torch
from torch import Tensor

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.extras import install
from gaussvae_ros.training.parameters import to_features


def match(
    decoded: Tensor,  # [M, 8] px of `size`, as in gaussvae_ros.splats
    fitted: Tensor,  # [N, 8] px of `size`
    size: tuple[int, int],  # (w, h) px
) -> tuple[np.ndarray, np.ndarray]:  # two of [min(M, N)] int
    """Rows of decoded and of fitted splats that are partners, by the row of the fitted.

    The sum of squared distances between canonical features, each over its deviation among
    the fitted, is the least possible. With M < N some fitted splats have no partner, with
    M > N some decoded ones.

    Raises:
        GaussVaeError: numbers that are not finite, or scipy is not installed.
    """
    if not (decoded.isfinite().all() and fitted.isfinite().all()):
        raise GaussVaeError("splats to match hold numbers that are not finite")
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise GaussVaeError(f"matching splats needs scipy: {install('train')}") from error
    features = to_features(fitted.detach().double().cpu(), size, len(fitted))
    deviation = features.std(0).clamp(min=1e-6)
    others = to_features(decoded.detach().double().cpu(), size, len(fitted))
    cost = torch.cdist(features / deviation, others / deviation) ** 2
    rows, partners = linear_sum_assignment(cost.numpy())
    return partners, rows


def group_errors(
    decoded: Tensor,  # [B, M, 8] px of `size`
    fitted: Tensor,  # [B, N, 8] px of `size`
    size: tuple[int, int],  # (w, h) px
) -> dict[str, float]:
    """Squared error of each group of parameters after matching, over that of the mean splat.

    Groups: position; scale (both log sizes); rotation, as the axes' log ratio times (cos 2 theta,
    sin 2 theta), so that a splat counts as much as it has a direction; colour; and `angle`, theta
    itself as the published attempts measured it, where round splats count as much as needles. 1 is
    the mean predictor, 0 perfect. A fitted splat without a partner (M < N) counts as the mean
    predictor's; a decoded one without (M > N) does not count.

    Matching itself lowers the figures: splats drawn at random from other pictures find partners,
    too. So compare with that (decoded = fits of other pictures), not with 1 alone. Raises
    GaussVaeError as `match`.
    """
    features = _groups(fitted, size, fitted.shape[1])
    others = _groups(decoded, size, fitted.shape[1])
    pairs = [match(d, f, size) for d, f in zip(decoded, fitted, strict=True)]
    errors = {}
    for name, values in features.items():
        blind = (values - values.mean((0, 1))) ** 2  # the mean predictor's
        error = blind.clone()
        for b, (partners, rows) in enumerate(pairs):
            error[b, rows] = (others[name][b, partners] - values[b, rows]) ** 2
        errors[name] = float(error.mean((0, 1)).div(blind.mean((0, 1)).clamp(min=1e-12)).mean())
    return errors


def _groups(
    splats: Tensor, size: tuple[int, int], count: int
) -> dict[str, Tensor]:  # name -> [B, N, n]
    splats = splats.detach().double().cpu()
    canonical = to_features(splats, size, count)
    return {
        "position": canonical[..., :2],
        "scale": splats[..., 2:4],
        "rotation": canonical[..., 3:5],
        "colour": splats[..., 5:],
        "angle": splats[..., 4:5],
    }
