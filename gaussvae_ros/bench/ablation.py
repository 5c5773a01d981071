"""What each part of the codec is worth: the whole, and the whole with or without one part.

Bytes at equal PSNR and PSNR at equal bytes are Bjøntegaard differences over four qualities, the
mean of the frames.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bench.rows import row
from gaussvae_ros.codec import DEFAULT_MODEL
from gaussvae_ros.entropy import grid, stream
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.evaluation.bjontegaard import bjontegaard
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.fit import Level, Plan, descend
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.raster.view import render
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.latent import HEADER, splats_at
from gaussvae_ros.vae.models import Models
from gaussvae_ros.vae.prior import Prior

QUALITIES = (25, 50, 75, 82)
AVERAGED = Plan(  # of the first release: small pictures by averaging, every row in each step
    (Level(37.5, 1, 50), Level(150, 1, 80)), share=0.1, every=10, until=0.6, last=0.15
)


def run(frames: list[np.ndarray]) -> list[dict]:
    """Code each frame whole, and with each part in turn left out, or added."""
    prior = Models().load(DEFAULT_MODEL).prior
    whole = partial(encoder.encode, effort="fast", prior=prior)
    learned = prior.write
    variants: dict[str, tuple[Callable, Callable]] = {  # how a grid is made, and written
        "whole": (whole, learned),
        "without rate in the descent": (partial(_without_rate, prior=prior), learned),
        "without rows in turn in the descent": (partial(_averaged, prior=prior), learned),
        "without learned prior": (whole, stream.write),
        "with one sweep of the last choice": (partial(_chosen, prior=prior), learned),
    }
    curves = {
        name: [_curve(frame, *how) for frame in tqdm(frames, desc=name, delay=1, disable=None)]
        for name, how in variants.items()
    }
    rows = []
    for name, points in curves.items():
        if name == "whole":
            continue
        gaps = [bjontegaard(full, less) for full, less in zip(curves["whole"], points, strict=True)]
        for what, unit, values in (
            ("bytes at equal PSNR", "%", [gap.rate for gap in gaps]),
            ("PSNR at equal bytes", "dB", [gap.psnr for gap in gaps]),
        ):
            known = [value for value in values if value is not None]
            value = round(float(np.mean(known)), 3) if known else None
            rows.append(row(f"ablation, {name}: {what}", value, unit))
    return rows


def _curve(frame: np.ndarray, make: Callable[..., Grid], write: Callable) -> np.ndarray:
    """Bytes of records and their PSNR, [qualities, 2]."""
    points = []
    for quality in QUALITIES:
        made = make(frame, splats_at(quality))
        size = HEADER + len(write(made))
        points.append((size, psnr(frame, render(grid.to_splats(made)))))
    return np.array(points)


def _without_rate(frame: np.ndarray, n: int, prior: Prior) -> Grid:
    levels = Levels(frame, n)
    return encoder.finish(levels, descend(levels, encoder.PLANS["fast"]), "fast", prior)


def _chosen(frame: np.ndarray, n: int, prior: Prior) -> Grid:
    return encoder.chosen(Levels(frame, n), encoder.encode(frame, n, "fast", prior), prior)


def _averaged(frame: np.ndarray, n: int, prior: Prior) -> Grid:
    levels = Levels(frame, n)
    return encoder.finish(levels, encoder.fitted(levels, AVERAGED, prior), "fast", prior)
