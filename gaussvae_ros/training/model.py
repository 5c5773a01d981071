"""What every model is: fitted splats in, a latent, splats out.

A model is a `SplatModel`; `ARCHITECTURES` in models.py names them. Training, evaluation and
files know nothing else.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """Fits of B pictures, and the pictures."""

    splats: Tensor  # [B, N, 8] float32, canonical, px of `size`, as gaussvae_ros.splats
    size: tuple[int, int]  # (w, h) px of the fitted images
    pictures: Tensor  # [B, 3, h', w'] float32, 0 to 1: the images themselves, smaller

    def to(self, device: torch.device) -> "Batch":
        splats, pictures = (t.to(device, non_blocking=True) for t in (self.splats, self.pictures))
        return Batch(splats, self.size, pictures)


@dataclass(frozen=True)
class Output:
    """What a model makes of a batch."""

    splats: Tensor  # [B, M, 8] the decoded splats, px of the batch's size; M need not be N
    # [B, N, F] parameters as predicted for each input slot, normalised (parameters.py).
    features: Tensor | None = None
    mean: Tensor | None = None  # [B, D] of the latent's posterior
    log_variance: Tensor | None = None  # [B, D] of the latent's posterior
    bits: Tensor | None = None  # [B, D] that each latent dimension takes under the learned prior
    # [B] how much a picture's error counts (models with several rates); None: 1 each.
    weight: Tensor | None = None


class SplatModel(nn.Module):
    """A network with its config: a flat dict of JSON values, the arguments of its class."""

    config: dict

    def adapt(self, batch: Batch) -> None:
        """Take statistics (means, principal components) from a large sample, before training."""

    def forward(self, batch: Batch) -> Output:
        """Training: latents are drawn or blurred by noise.

        Evaluation: the latent is the mean, or rounded.
        """
        raise NotImplementedError
