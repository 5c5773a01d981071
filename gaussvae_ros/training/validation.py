"""How good a model is on samples held back: losses, pictures, bits, the state of its latent."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gaussvae_ros.evaluation.metrics import psnr, ssim
from gaussvae_ros.training.losses import ACTIVE_BITS, ACTIVE_NATS, Objective, kl_nats
from gaussvae_ros.training.model import Batch, Output, SplatModel
from gaussvae_ros.training.render import draw

SHOWN = 6  # samples whose pictures are kept
BEST_PSNR = 100.0  # dB, also of pictures without any error


@dataclass(frozen=True)
class Validation:
    """What `validate` finds."""

    # Loss, its parts, psnr (dB), ssim; bytes (a picture) and active (dimensions) if known.
    figures: dict[str, float]
    bits: np.ndarray | None  # [D] that a latent dimension takes, mean over the samples
    # uint8 [3 h, SHOWN w, 3]: originals, fits and reconstructions, one below the other.
    pictures: np.ndarray


@torch.no_grad()
def validate(
    model: SplatModel, objective: Objective, batches: list[Batch], step: int
) -> Validation:
    """Measure a model in evaluation mode, which it is left in.

    Args:
        batches: on the model's device; figures are means over all samples in them.
        step: of the losses' annealing.

    `bits` are those under the model's prior, or else what a standard normal prior costs,
    KL(q || N(0, 1)) / ln 2.
    """
    model.eval()
    sums, count, latents, shown, used = {}, 0, [], None, 0.0
    for batch in batches:
        output = as_float(model(batch))
        total, parts = objective(batch, output, step)
        drawn = draw(output.splats, batch.size, _picture(batch))
        here = {"loss": float(total), **{name: float(value) for name, value in parts.items()}}
        pairs = list(zip(_uint8(batch.pictures), _uint8(drawn)))
        here["psnr"] = float(np.mean([min(psnr(a, b), BEST_PSNR) for a, b in pairs]))
        here["ssim"] = float(np.mean([ssim(a, b) for a, b in pairs]))
        if output.bits is not None:
            here["bytes"] = float(output.bits.sum(1).mean()) / 8
            latents, used = [*latents, output.bits], ACTIVE_BITS
        elif output.mean is not None and output.log_variance is not None:
            latents = [*latents, kl_nats(output.mean, output.log_variance) / math.log(2)]
            used = ACTIVE_NATS / math.log(2)
        for name, value in here.items():
            sums[name] = sums.get(name, 0.0) + value * len(batch.splats)
        count += len(batch.splats)
        shown = _side_by_side(batch, drawn) if shown is None else shown
    figures = {name: value / count for name, value in sums.items()}
    if not latents:
        return Validation(figures, None, shown)
    bits = torch.cat(latents).mean(0)
    return Validation({**figures, "active": float((bits > used).sum())}, bits.cpu().numpy(), shown)


def as_float(output: Output) -> Output:
    """The same in float32, whatever precision the network ran in."""
    return Output(
        **{name: value if value is None else value.float() for name, value in vars(output).items()}
    )


def _picture(batch: Batch) -> tuple[int, int]:
    return batch.pictures.shape[3], batch.pictures.shape[2]


def _uint8(pictures: Tensor) -> np.ndarray:  # [B, 3, h, w] -> [B, h, w, 3]
    scaled = (pictures.clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 1).cpu().numpy())


def _side_by_side(batch: Batch, drawn: Tensor) -> np.ndarray:
    fits = draw(batch.splats[:SHOWN], batch.size, _picture(batch))
    rows = [_uint8(batch.pictures[:SHOWN]), _uint8(fits), _uint8(drawn[:SHOWN])]
    return np.vstack([np.hstack(list(row)) for row in rows])
