"""A frame to the latent's integers: descent on distortion plus rate, the
quantiser, the last choice.

One objective, distortion plus price times bits under the learned prior, rules all three: its
gradient in the descent (rate.py), its value in the last choice of integers (refine.py).
"""

from dataclasses import replace

import numpy as np

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit import EFFORTS, Plan, descend
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.vae.prior import Prior
from gaussvae_ros.vae.quantise import best_precision, quantise
from gaussvae_ros.vae.rate import own_bits, rate_tables
from gaussvae_ros.vae.refine import refine

# A fit of many splats takes longer to settle: with as many steps more it gains 0.3 dB from 512
# splats on, and takes 1.6 times as long.
PLANS = {"fast": replace(EFFORTS["fast"], more=(0, 60, 40)), "best": EFFORTS["best"]}
# Of the last choice. One adds a third to a fast encode's time, which more steps use better.
SWEEPS = {"fast": 0, "best": 3}


def encode(
    image: np.ndarray,  # uint8 [H, W, 3] or [H, W], checked
    n: int,  # splats
    effort: str,
    prior: Prior | None,  # None: distortion alone counts
    coarser: int = 0,  # precision indices, beside the best
) -> Grid:
    """The latent of a frame."""
    levels = Levels(image, n)
    return finish(levels, fitted(levels, PLANS[effort], prior), effort, prior, coarser)


def fitted(levels: Levels, plan: Plan, prior: Prior | None) -> Descent:
    """The descent: distortion plus price times bits, if a prior says what these are."""

    def rate(state: Descent) -> np.ndarray:
        return rate_tables(state, levels.size, best_precision(state), prior)

    return descend(levels, plan, rate=rate if prior else None)


def finish(
    levels: Levels, state: Descent, effort: str, prior: Prior | None, coarser: int = 0
) -> Grid:
    """The latent of a frame whose fit is there, in px of the frame."""
    made = quantise(levels, state, best_precision(state) + coarser, effort)
    for _ in range(SWEEPS[effort] if prior else 0):
        made = chosen(levels, made, prior)
    return made


def chosen(levels: Levels, made: Grid, prior: Prior) -> Grid:
    """A latent after one sweep of the last choice."""
    colour = np.broadcast_to(grid.rgb(made), (len(made.cell), 3))
    tables = rate_tables(Descent(grid.geometry(made), colour), made.size, made.precision, prior)
    return refine(levels, made, lambda g: own_bits(g, tables))
