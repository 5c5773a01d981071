"""The 8 numbers of a splat as networks take them, and back.

`canonical`: x / w, y / h, the mean log size over the mean distance of splats, the axes' ratio and
direction as one vector (a cos 2 theta, a sin 2 theta) with a = log s1 - log s2, and the colour.
Unlike theta itself the vector knows that an axis has a period of pi and that a round splat has no
direction, so like splats have like numbers.

`raw`: x / w, y / h, s1 and s2 over the mean distance of splats, theta, and the colour: what the
published attempts learned.

Both are z-scored with statistics of the training data.
"""

import math

import torch
from torch import Tensor, nn

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training.model import Batch

FEATURES = 8
GROUPS = {  # form -> group -> columns of the features
    "canonical": {
        "position": slice(0, 2),
        "scale": slice(2, 3),
        "rotation": slice(3, 5),
        "colour": slice(5, 8),
    },
    "raw": {
        "position": slice(0, 2),
        "scale": slice(2, 4),
        "rotation": slice(4, 5),
        "colour": slice(5, 8),
    },
}
ROUND = 1e-6  # axes' log ratio below which a splat has no direction: keeps gradients finite
# Size, in mean distances of splats, that a raw size is held above, so that it has a logarithm.
SMALLEST = 1e-3


def to_features(
    splats: Tensor,  # [..., 8] px of `size`, as in gaussvae_ros.splats
    size: tuple[int, int],  # (w, h) px
    count: int,  # splats in a frame: with `size` it gives their mean distance
    form: str = "canonical",
) -> Tensor:  # [..., FEATURES], not yet z-scored
    """The numbers of `form`; differentiable."""
    position, sizes, theta, colour = splats.split([2, 2, 1, 3], -1)
    position = position / position.new_tensor(size)
    sizes = sizes - _log_distance(size, count)
    if form == "raw":
        return torch.cat([position, sizes.exp(), theta, colour], -1)
    log_s1, log_s2 = sizes.split(1, -1)
    ratio, twice = log_s1 - log_s2, 2 * theta
    return torch.cat(
        [position, (log_s1 + log_s2) / 2, ratio * twice.cos(), ratio * twice.sin(), colour], -1
    )


def from_features(
    features: Tensor,  # [..., FEATURES] as `to_features` gives them
    size: tuple[int, int],  # (w, h) px
    count: int,  # splats in a frame
    form: str = "canonical",
) -> Tensor:  # [..., 8] px of `size`
    """Splats from features, differentiable; s1 >= s2, theta in [0, pi) if the form is canonical."""
    position, middle, colour = features.split([2, 3, 3], -1)
    position = position * position.new_tensor(size)
    if form == "raw":
        sizes, theta = middle.split([2, 1], -1)
        sizes = sizes.clamp(min=SMALLEST).log()
    else:
        mean, cos, sin = middle.split(1, -1)
        cos = torch.where(cos.abs() + sin.abs() < ROUND, ROUND, cos)
        ratio = torch.hypot(cos, sin)
        sizes = torch.cat([mean + ratio / 2, mean - ratio / 2], -1)
        theta = torch.atan2(sin, cos) / 2
        theta = torch.where(theta < 0, theta + math.pi, theta)
        theta = torch.where(theta >= math.pi, 0.0, theta)  # a tiny negative angle rounds up to pi
    return torch.cat([position, sizes + _log_distance(size, count), theta, colour], -1)


class Normaliser(nn.Module):
    """Splats to z-scored features of one form, and back.

    The statistics are buffers, part of the model's file.
    """

    def __init__(self, form: str):
        super().__init__()
        if form not in GROUPS:
            raise ModelError(f"parameters are {' or '.join(GROUPS)}, not {form!r}")
        self.form = form
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))

    @property
    def groups(self) -> dict[str, slice]:
        return GROUPS[self.form]

    def adapt(self, batch: Batch) -> None:
        """Take mean and deviation from a batch that stands for the training data."""
        features = to_features(batch.splats, batch.size, batch.splats.shape[1], self.form).flatten(
            0, 1
        )
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp(min=1e-6))

    def encode(
        self, splats: Tensor, size: tuple[int, int]
    ) -> Tensor:  # [B, N, 8] px -> [B, N, FEATURES]
        return (to_features(splats, size, splats.shape[1], self.form) - self.mean) / self.deviation

    def decode(
        self, features: Tensor, size: tuple[int, int]
    ) -> Tensor:  # [B, N, FEATURES] -> [B, N, 8] px
        return from_features(
            features * self.deviation + self.mean, size, features.shape[1], self.form
        )


def _log_distance(size: tuple[int, int], count: int) -> float:
    """Log of the mean distance of `count` splats in a frame, px."""
    return math.log(size[0] * size[1] / max(count, 1)) / 2
