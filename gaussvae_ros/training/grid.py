"""A convolutional VAE with a learned prior, the strongest feed-forward model: a baseline.

    encoder   the fit drawn at 80x60 px -> residual convolutions -> principal components of each
              cell of 10x10 px
    latent    8x6 cells of `channels` numbers, in steps that each frame may choose (additive uniform
              noise in training)
    prior     each number given those of the cells before it and those before it in its own cell
    decoder   components -> residual convolutions -> splats, each bound to an anchor of a grid

Both networks only add to a linear path, the principal components (KLT) of the training data,
and start as nothing: without that path training takes hours to get where this begins. It is
trained on distortion plus rate (Balle, Laparra and Simoncelli 2017,
https://arxiv.org/abs/1611.01704), and is told the step, so that one model has many rates (Choi,
El-Khamy and Lee 2019, https://arxiv.org/abs/1909.04802).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    fold,
    interpolate,
    linear,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
    relu,
    unfold,
)

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.render import draw

CELLS = (8, 6)  # columns and rows
CELL = 10  # px of a cell's side
BLOCK = 4  # px that one place of the convolutions stands for
SIDE = 2  # splats along a side of a block
PLACES = (CELLS[0] * CELL // BLOCK, CELLS[1] * CELL // BLOCK)  # (w, h) of the convolutions
STEPS = (0.04, 0.35)  # in which latents are rounded, least and most in training; colours are 0 to 1
# Squared error, over the squared step, that a bit is worth: about what uniform rounding makes it.
PRICE = 0.15
# Added before a number is cut to a whole one; under 0.5, since small numbers are cheap.
ROUNDING = 0.45
REACH = 1.5  # farthest that a splat goes from its anchor along x and y, distances of anchors


class Grid(SplatModel):
    """Splats to 8 x 6 cells and back to 1200 splats; frames of 4:3 only."""

    def __init__(
        self,
        step: float = 0.16,
        channels: int = 32,
        width: int = 96,
        layers: int = 2,
        prior: int = 192,
    ):
        """`step`: of the latent in evaluation; `width`, `layers`: of networks; `prior`: width."""
        super().__init__()
        self.config = {
            "step": step,
            "channels": channels,
            "width": width,
            "layers": layers,
            "prior": prior,
        }
        values = 3 * CELL**2
        self.analysis = nn.Parameter(torch.eye(values, channels))
        self.synthesis = nn.Parameter(torch.eye(values, channels))
        self.encoder = _Network(3 * BLOCK**2, width, 1, 3 * BLOCK**2)
        self.decoder = _Network(3 * BLOCK**2, width, layers, 8 * SIDE**2)
        # Of a splat at rest, over the distance of anchors.
        self.log_size = nn.Parameter(torch.tensor(math.log(0.6)))
        self.prior = _Prior(channels, prior)
        # Convolutions in bfloat16 are three times as fast on a CPU so.
        self.to(memory_format=torch.channels_last)

    def adapt(self, batch: Batch) -> None:
        """Take the principal components of the cells."""
        # [B * 48, 300]
        cells = unfold(_drawn(batch) - 0.5, CELL, stride=CELL).transpose(1, 2).flatten(0, 1)
        powers, axes = torch.linalg.eigh(cells.T @ cells / len(cells))
        channels = self.config["channels"]
        self.analysis.data.copy_(axes.flip(1)[:, :channels])
        self.synthesis.data.copy_(axes.flip(1)[:, :channels])
        self.prior.log_deviation.copy_(powers.flip(0)[:channels].clamp(min=1e-8).log() / 2)

    def forward(self, batch: Batch) -> Output:
        count = len(batch.splats)
        log_step = batch.splats.new_full((count,), math.log(self.config["step"]))
        if self.training:
            log_step.uniform_(math.log(STEPS[0]), math.log(STEPS[1]))
        latent = self.analyse(_drawn(batch), log_step)
        rounded = latent.sign() * (latent.abs() + ROUNDING).floor()
        if (
            self.training
        ):  # the prior sees noise, the decoder rounding, whose slope is taken to be 1
            priced = latent + torch.rand_like(latent) - 0.5
            rounded = latent + (rounded - latent).detach()
        else:
            priced = rounded
        bits = self.prior(priced, log_step).flatten(1)
        # such that the losses render and rate, both of weight 1, are squared error
        # / (PRICE step^2) + bits, a pixel
        # Of a picture, a pixel of the cells.
        pixels = batch.pictures[0, 0].numel() / (CELL**2 * CELLS[0] * CELLS[1])
        weight = 3 / (PRICE * pixels) * torch.exp(-2 * log_step)
        return Output(self.synthesise(rounded, log_step, batch.size), bits=bits, weight=weight)

    def analyse(
        self, pictures: Tensor, log_step: Tensor
    ) -> Tensor:  # [B, 3, 60, 80], [B] -> [B, channels, 6, 8]
        """The latent, in steps."""
        blocks = pixel_unshuffle(pictures - 0.5, BLOCK)
        cells = pixel_shuffle(blocks + self.encoder(blocks, log_step).float(), BLOCK)
        latent = torch.einsum("bkl,kc->bcl", unfold(cells, CELL, stride=CELL), self.analysis)
        return latent.float().unflatten(2, CELLS[::-1]) * _plane(-log_step).exp()

    def synthesise(self, latent: Tensor, log_step: Tensor, size: tuple[int, int]) -> Tensor:
        """Splats [B, 1200, 8], px of `size`, from latents [B, channels, 6, 8] in steps."""
        cells = torch.einsum(
            "bcl,kc->bkl", (latent * _plane(log_step).exp()).flatten(2), self.synthesis
        ).float()
        picture = fold(cells, (CELLS[1] * CELL, CELLS[0] * CELL), CELL, stride=CELL)
        change = self.decoder(pixel_unshuffle(picture, BLOCK), log_step).float()
        change = pixel_shuffle(change, SIDE).permute(0, 2, 3, 1)  # [B, 30, 40, 8]
        colour = (
            interpolate(picture, scale_factor=SIDE / BLOCK, mode="area").permute(0, 2, 3, 1) + 0.5
        )
        across = SIDE * PLACES[0]
        distance = size[0] / across  # px between anchors
        x = torch.arange(across, device=latent.device) + 0.5
        y = torch.arange(SIDE * PLACES[1], device=latent.device) + 0.5
        anchors = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)  # [30, 40, 2]
        position = (anchors + REACH * torch.tanh(change[..., :2])) * distance
        log_size = self.log_size + math.log(distance) + 2 * torch.tanh(change[..., 2] / 2)
        cos, sin = change[..., 3], change[..., 4]
        ratio = 3 * torch.tanh(torch.sqrt(cos**2 + sin**2 + 1e-6) / 3)  # of the axes, log
        theta = (torch.atan2(sin, cos + 1e-6) / 2).remainder(math.pi)
        shape = torch.stack([log_size + ratio / 2, log_size - ratio / 2, theta], -1)
        return torch.cat([position, shape, colour + change[..., 5:]], -1).flatten(1, 2)


class _Network(nn.Module):
    """Residual convolutions over blocks and the log step; nearly 0 at first."""

    def __init__(self, before: int, width: int, layers: int, after: int):
        super().__init__()
        self.first = nn.Conv2d(before + 1, width, 3, padding=1)
        self.layers = nn.ModuleList(_Residual(width) for _ in range(layers))
        self.last = nn.Conv2d(width, after, 1)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(self, blocks: Tensor, log_step: Tensor) -> Tensor:
        plane = _plane(log_step).expand(-1, 1, *blocks.shape[2:])
        hidden = self.first(
            torch.cat([2 * blocks, plane], 1).contiguous(memory_format=torch.channels_last)
        )
        for layer in self.layers:
            hidden = layer(hidden)
        return self.last(hidden)


class _Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(relu(self.first(relu(x))))


class _Prior(nn.Module):
    """Bits of each number under a logistic distribution given what is decoded before it.

    Between cells by the four neighbours before them in reading order, within a cell by masked
    layers (MADE, Germain et al. 2015, https://arxiv.org/abs/1502.03509).
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.neighbours = nn.Linear(4 * channels + 1, width)
        self.own = nn.Parameter(0.05 * torch.randn(width, channels))
        self.hidden = nn.Parameter(torch.randn(width, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.head = nn.Parameter(torch.zeros(2 * channels, width))
        self.head_bias = nn.Parameter(torch.zeros(2 * channels))
        number, degree = torch.arange(channels), torch.arange(width) * channels // width
        for name, mask in (
            (
                "own_mask",
                number[None] < degree[:, None],
            ),  # a unit of degree d sees numbers before the d-th
            ("hidden_mask", degree[:, None] >= degree[None]),
            ("head_mask", (degree[None] <= number[:, None]).repeat(2, 1)),
        ):
            self.register_buffer(name, mask.float(), persistent=False)
        self.register_buffer("log_deviation", torch.zeros(channels))

    def forward(
        self, latent: Tensor, log_step: Tensor
    ) -> Tensor:  # [B, channels, 6, 8], [B] -> [B, 6, 8, channels]
        latent, log_step = latent.movedim(1, 3), _plane(log_step)
        rows, columns = latent.shape[1:3]
        squeezed = latent.sign() * latent.abs().log1p()
        around = pad(squeezed, (0, 0, 1, 1, 1, 0))
        before = [
            around[:, y : y + rows, x : x + columns] for y, x in ((1, 0), (0, 1), (0, 0), (0, 2))
        ]
        seen = torch.cat([*before, log_step.expand(-1, rows, columns, 1)], 3)
        hidden = relu(self.neighbours(seen) + linear(squeezed, self.own * self.own_mask))
        hidden = relu(linear(hidden, self.hidden * self.hidden_mask, self.bias))
        place, log_width = (
            linear(hidden, self.head * self.head_mask, self.head_bias).float().chunk(2, 3)
        )
        log_width = log_width + self.log_deviation - log_step - 0.6
        # Numbers that are nearly always 0 must not get infinitely sure of it.
        narrow = (-1.5 - log_width).clamp(min=0)
        log_width = torch.where(narrow > 0, -1.5 - narrow.log1p(), log_width).clamp(-6, 5)
        off, sharp = -(latent.float() - place).abs(), torch.exp(-log_width)
        share = torch.sigmoid((off + 0.5) * sharp) - torch.sigmoid((off - 0.5) * sharp)
        return -torch.log2(share.clamp(min=1e-7))


def _drawn(batch: Batch) -> Tensor:  # [B, 3, 60, 80]
    if 3 * batch.size[0] != 4 * batch.size[1]:
        raise ModelError(
            f"the grid model takes frames of 4:3, not {batch.size[0]}x{batch.size[1]} px"
        )
    with torch.no_grad():
        return draw(batch.splats, batch.size, (CELLS[0] * CELL, CELLS[1] * CELL))


def _plane(values: Tensor) -> Tensor:  # [B] -> [B, 1, 1, 1]
    return values.view(-1, 1, 1, 1)
