"""The two networks of GaussVAE by Roko Cubric, rebuilt as baselines.

From https://github.com/rokocuba/GaussVae-showcase. Splats in Morton order are a sequence of 8
channels; convolutions along it, then the mean of each channel over the whole sequence, give the
latent, and dense layers and convolutions give the sequence back. Their faults are theirs and stay:
the mean before the latent drops where things are. Layers follow their code, whose activation is ELU
(their text says ReLU), and have the published number of parameters: 1.6 and 54 million.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.parameters import FEATURES, Normaliser

KERNEL = 5  # splats
LOG_VARIANCE = 10.0  # largest, either way: its exponential stays a number


class _SequenceVae(SplatModel):
    """Features [B, FEATURES, N] to a Gaussian posterior [B, latent], and a sample of it back."""

    def __init__(self, config: dict, encoder: nn.Module, width: int, decoder: nn.Module):
        super().__init__()
        self.config = config
        self.normaliser = Normaliser(config["parameters"])
        self.encoder, self.decoder = encoder, decoder
        self.mean, self.log_variance = (
            nn.Linear(width, config["latent"]),
            nn.Linear(width, config["latent"]),
        )

    def adapt(self, batch: Batch) -> None:
        self.normaliser.adapt(batch)

    def forward(self, batch: Batch) -> Output:
        if batch.splats.shape[1] != self.config["splats"]:
            raise ModelError(
                f"this model takes {self.config['splats']} splats a frame,"
                f" not {batch.splats.shape[1]}"
            )
        hidden = self.encoder(self.normaliser.encode(batch.splats, batch.size).transpose(1, 2))
        mean, log_variance = (
            self.mean(hidden),
            self.log_variance(hidden).clamp(-LOG_VARIANCE, LOG_VARIANCE),
        )
        latent = mean + (log_variance / 2).exp() * torch.randn_like(mean) if self.training else mean
        features = self.decoder(latent).transpose(1, 2).float()
        splats = self.normaliser.decode(features, batch.size)
        return Output(splats, features, mean.float(), log_variance.float())


class Conv1D(_SequenceVae):
    """The first of them: three convolutions each way."""

    def __init__(self, latent: int = 512, parameters: str = "raw", splats: int = 512):
        encoder = nn.Sequential(
            _convolution(FEATURES, 32), nn.Dropout(0.1), nn.MaxPool1d(2),
            _convolution(32, 64), nn.Dropout(0.15), nn.MaxPool1d(2),
            _convolution(64, 128), nn.Dropout(0.2), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
            _dense(128, 512), nn.Dropout(0.2),
        )  # fmt: skip
        decoder = nn.Sequential(
            _dense(latent, 512), _dense(512, 4 * splats), nn.Unflatten(1, (16, _part(splats, 4))),
            _convolution(16, 64), nn.Upsample(scale_factor=2),
            _convolution(64, 32), nn.Upsample(scale_factor=2),
            _convolution(32, 16), nn.Conv1d(16, FEATURES, 1),
        )  # fmt: skip
        super().__init__(
            {"latent": latent, "parameters": parameters, "splats": splats}, encoder, 512, decoder
        )


class ResNet1D(_SequenceVae):
    """The second, scaled up: five residual blocks each way, 12 and 42 million parameters."""

    def __init__(self, latent: int = 2048, parameters: str = "raw", splats: int = 512):
        encoder = nn.Sequential(
            *_chain((FEATURES, 32, 64, 128, 256), nn.MaxPool1d(2)), _Residual(256, 512),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), _dense(512, 2048),
        )  # fmt: skip
        decoder = nn.Sequential(
            _dense(latent, 2048), _dense(2048, 32 * splats),
            nn.Unflatten(1, (512, _part(splats, 16))),
            *_chain((512, 512, 256, 128, 64), nn.Upsample(scale_factor=2)), _Residual(64, 32),
            nn.Conv1d(32, FEATURES, 1),
        )  # fmt: skip
        super().__init__(
            {"latent": latent, "parameters": parameters, "splats": splats}, encoder, 2048, decoder
        )


class _Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.first = _convolution(before, after)
        self.second = nn.Sequential(
            nn.Conv1d(after, after, KERNEL, padding="same"), nn.BatchNorm1d(after)
        )
        self.shortcut = nn.Identity() if before == after else nn.Conv1d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:  # [B, before, L] -> [B, after, L]
        return nn.functional.elu(self.second(self.first(x)) + self.shortcut(x))


def _chain(widths: Sequence[int], resize: nn.Module) -> list[nn.Module]:
    """Residual blocks from each width to the next, with `resize` after each."""
    return [
        layer
        for before, after in zip(widths, widths[1:])
        for layer in (_Residual(before, after), resize)
    ]


def _convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(before, after, KERNEL, padding="same"), nn.BatchNorm1d(after), nn.ELU()
    )


def _dense(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after), nn.ELU(), nn.BatchNorm1d(after))


def _part(splats: int, factor: int) -> int:
    if splats < factor or splats % factor:
        raise ModelError(f"this model needs a multiple of {factor} splats a frame, not {splats}")
    return splats // factor
