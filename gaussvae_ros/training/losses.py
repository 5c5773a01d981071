"""Losses by name. A model's config says which it uses, with what weight and settings.

    losses:
      render: {weight: 100}
      rate: {weight: 1}

Each is a mean over the batch. What is logged of a loss is its value before the weight.
"""

import inspect
import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gaussvae_ros.errors import ConfigError, ModelError
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.parameters import Normaliser, to_features
from gaussvae_ros.training.render import draw

ACTIVE_NATS = 0.01  # mean KL from which a latent dimension counts as used
ACTIVE_BITS = 0.05  # the same under a learned prior
WINDOW = 7  # px, of SSIM
FOUND = tuple[Tensor, dict[str, Tensor]]  # a loss, and more figures for the log


class Case:
    """What losses look at in one step; pictures are drawn at most once."""

    def __init__(
        self, batch: Batch, output: Output, step: int, normaliser: Normaliser | None = None
    ):
        self.batch, self.output, self.step, self.normaliser = batch, output, step, normaliser

    @cached_property
    def drawn(self) -> Tensor:  # [B, 3, h', w'] as batch.pictures
        return draw(self.output.splats, self.batch.size, tuple(self.batch.pictures.shape[:1:-1]))

    def weighted(self, values: Tensor) -> Tensor:  # [B] -> mean
        return (values if self.output.weight is None else values * self.output.weight).mean()

    def need(self, name: str, loss: str) -> Tensor:
        value = getattr(self.output, name)
        if value is None:
            raise ModelError(f"the loss {loss} needs a model that gives {name}; this one does not")
        return value


def parameters(
    case: Case,
    position: float = 1.0,
    scale: float = 1.0,
    rotation: float = 1.0,
    colour: float = 1.0,
) -> FOUND:
    """Squared error of the z-scored parameters, slot by slot: a weighted sum of each group's mean.

    A group's own figure is its error as a ratio to that of the mean predictor.
    """
    if case.normaliser is None:
        raise ModelError("the loss parameters needs a model that predicts parameters slot by slot")
    error = (
        case.need("features", "parameters")
        - case.normaliser.encode(case.batch.splats, case.batch.size)
    ) ** 2
    weights = {"position": position, "scale": scale, "rotation": rotation, "colour": colour}
    groups = {name: error[..., columns].mean() for name, columns in case.normaliser.groups.items()}
    total = sum(weights[name] * value for name, value in groups.items())
    return total, {f"parameters/{name}": value for name, value in groups.items()}


def chamfer(case: Case) -> FOUND:
    """Squared distances of features from each decoded splat to the nearest fitted one, and back.

    Features are over their deviation in this batch's fits, so that no group outweighs another. Fan,
    Su and Guibas 2017, https://arxiv.org/abs/1612.00603.
    """
    size, count = case.batch.size, case.batch.splats.shape[1]
    fitted = to_features(case.batch.splats, size, count)
    deviation = fitted.flatten(0, 1).std(0).clamp(min=1e-6)
    fitted, decoded = fitted / deviation, to_features(case.output.splats, size, count) / deviation
    with torch.no_grad():  # which are nearest; the gradient then goes through those pairs alone
        distances = torch.cdist(decoded, fitted)  # [B, M, N]
        of_decoded, of_fitted = distances.argmin(2), distances.argmin(1)
    there = ((decoded - _rows(fitted, of_decoded)) ** 2).sum(2).mean()
    return there + ((fitted - _rows(decoded, of_fitted)) ** 2).sum(2).mean(), {}


def render(case: Case) -> FOUND:
    """Mean squared error of the drawn pictures, values 0 to 1, times the output's weight."""
    error = ((case.drawn - case.batch.pictures) ** 2).mean((1, 2, 3))  # [B]
    return case.weighted(error), {"psnr": -10 * error.detach().clamp(min=1e-10).log10().mean()}


def dssim(case: Case) -> FOUND:
    """1 - SSIM of the drawn pictures, times the output's weight.

    Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, with square windows at
    every fourth pixel: cheap.
    """
    a, b = case.drawn, case.batch.pictures
    if min(a.shape[2:]) < WINDOW:
        raise ConfigError(f"the loss dssim needs pictures of at least {WINDOW}x{WINDOW} px")

    def mean(x):
        return avg_pool2d(x, WINDOW, stride=4)

    ma, mb = mean(a), mean(b)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    va, vb, cov = (
        unbiased * v for v in (mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb)
    )
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    return case.weighted(1 - similar.mean((1, 2, 3))), {}


def kl(case: Case, anneal: int = 0, free_bits: float = 0.0) -> FOUND:
    """KL divergence of the posterior from a standard normal, nats, summed over the latent.

    Its weight rises linearly over the first `anneal` steps (Bowman et al. 2016,
    https://arxiv.org/abs/1511.06349). The first `free_bits` of each dimension, on the batch's
    average, cost nothing more than that (Kingma et al. 2016, https://arxiv.org/abs/1606.04934).
    """
    per_dimension = kl_nats(case.need("mean", "kl"), case.need("log_variance", "kl")).mean(0)  # [D]
    risen = min(1.0, case.step / anneal) if anneal else 1.0
    paid = (
        per_dimension.clamp(min=free_bits * math.log(2)).sum() if free_bits else per_dimension.sum()
    )
    return risen * paid, {"kl_nats": per_dimension.sum()}


def rate(case: Case) -> FOUND:
    """Bits of the latent under the learned prior per pixel of the picture that render compares."""
    return case.need("bits", "rate").sum(1).mean() / case.batch.pictures[0, 0].numel(), {}


LOSSES: dict[str, Callable[..., FOUND]] = {
    f.__name__: f for f in (parameters, chamfer, render, dssim, kl, rate)
}


class Objective:
    """The weighted sum of a config's losses.

    Args:
        config: loss name -> its `weight` (1 if not said) and settings, the
            arguments of its function above.
        model: whose outputs will be judged; only the loss `parameters` asks
            it how it normalises them.

    Raises:
        ConfigError: no losses, an unknown one, an unknown setting, or a setting that is
            not a number of at least 0.
    """

    def __init__(self, config: dict, model: SplatModel | None = None):
        if not config:
            raise ConfigError(f"losses: none are given; there is {', '.join(LOSSES)}")
        self.terms = [(name, *_settings(name, settings)) for name, settings in config.items()]
        self.normaliser = getattr(model, "normaliser", None)

    def __call__(self, batch: Batch, output: Output, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of one step, and figures for the log: each loss before its weight, and more."""
        case = Case(batch, output, step, self.normaliser)
        total, figures = output.splats.new_zeros(()), {}
        for name, weight, settings in self.terms:
            value, more = LOSSES[name](case, **settings)
            total = total + weight * value
            figures |= {
                name: value.detach(),
                **{key: figure.detach() for key, figure in more.items()},
            }
        return total, figures | latent_figures(output)


def kl_nats(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) of each number, nats.

    Kingma and Welling 2014, appendix B.
    """
    return (mean**2 + log_variance.exp() - 1 - log_variance) / 2


@torch.no_grad()
def latent_figures(output: Output) -> dict[str, Tensor]:
    """How many latent dimensions are in use, and their mean bits; nothing without a rate."""
    if output.bits is not None:
        bits = output.bits.mean(0)
        used = bits > ACTIVE_BITS
    elif output.mean is not None and output.log_variance is not None:
        nats = kl_nats(output.mean, output.log_variance).mean(0)
        bits, used = nats / math.log(2), nats > ACTIVE_NATS
    else:
        return {}
    return {"active": used.sum().float(), "bits_per_dimension": bits.mean()}


def _rows(table: Tensor, rows: Tensor) -> Tensor:  # [B, N, F], [B, M] -> [B, M, F]
    return table.gather(1, rows[..., None].expand(-1, -1, table.shape[2]))


def _settings(name: str, settings: dict | None) -> tuple[float, dict]:
    """A loss's weight and its other settings, checked (ConfigError)."""
    if name not in LOSSES:
        raise ConfigError(f"losses: {name!r} is unknown; there is {', '.join(LOSSES)}")
    if not isinstance(settings or {}, dict):
        raise ConfigError(f"losses.{name} is a mapping with weight and settings, not {settings!r}")
    takes = ["weight", *list(inspect.signature(LOSSES[name]).parameters)[1:]]
    for key, value in (settings or {}).items():
        if key not in takes:
            raise ConfigError(f"losses.{name} has no setting {key!r}; it has {', '.join(takes)}")
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not 0 <= value < math.inf
        ):
            raise ConfigError(f"losses.{name}.{key} is a number of at least 0, not {value!r}")
    others = dict(settings or {})
    return float(others.pop("weight", 1.0)), others
