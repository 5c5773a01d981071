"""What one step of a training is made of: random numbers, learning rate, losses, averages."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from gaussvae_ros.training.config import Training
from gaussvae_ros.training.losses import Objective
from gaussvae_ros.training.model import Batch, SplatModel
from gaussvae_ros.training.validation import as_float


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed all that draws at random in a step by the training's seed, the step and the process."""
    mixed = np.random.SeedSequence([seed, step, rank]).generate_state(2)
    torch.manual_seed(int(mixed[0]))
    np.random.seed(int(mixed[1]))


def learning_rate(training: Training, step: int) -> float:
    """A linear rise, then a half cosine to 0 (https://arxiv.org/abs/1608.03983), or no fall."""
    if step < training.warmup:
        return training.learning_rate * (step + 1) / training.warmup
    if training.schedule == "constant":
        return training.learning_rate
    done = (step - training.warmup) / max(1, training.steps - training.warmup)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def adamw(model: nn.Module, training: Training) -> torch.optim.AdamW:
    """AdamW, https://arxiv.org/abs/1711.05101."""
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=training.learning_rate, fused=True
    )


class Step(nn.Module):
    """Model and losses as one module, so that processes average all gradients that losses use."""

    def __init__(self, model: SplatModel, objective: Objective, precision: str):
        super().__init__()
        self.model, self.objective, self.precision = model, objective, precision

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict]:
        half = self.precision == "bfloat16"
        with torch.autocast(batch.splats.device.type, torch.bfloat16, enabled=half):
            output = self.model(batch)
        return self.objective(batch, as_float(output), step)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, kept: float) -> None:
    """Move averaged weights to new ones: the part `kept` of them stays."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - kept)
    for mine, new in zip(average.buffers(), model.buffers()):
        mine.copy_(new)
