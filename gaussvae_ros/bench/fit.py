"""How fast and how well frames become splats, beside 300 plain steps at full resolution."""

import math

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bench.rows import median_ms, row
from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.fit import Level, Plan, descend, fit, to_splats
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import Splats

SPLATS = 512
REFERENCE = Plan((Level(math.inf, 1, 300),))
BATCH = 64  # of the GPU fit


def run(frames: list[np.ndarray]) -> list[dict]:
    """Fit each frame without knowledge of the one before."""
    kinds = {
        "fast": lambda image: fit(image, SPLATS, "fast"),
        "best": lambda image: fit(image, SPLATS, "best"),
        "reference": _reference,
    }
    ms, quality = {}, {}
    for kind, work in kinds.items():
        fitted = [work(frames[0])]  # compiles, or loads what was compiled
        fitted.clear()
        ms[kind] = median_ms(
            lambda f: fitted.append(work(f)),
            tqdm(frames, desc=f"fit, {kind}", delay=1, disable=None),
        )
        quality[kind] = round(
            float(np.mean([psnr(f, render(s)) for f, s in zip(frames, fitted, strict=True)])), 3
        )
    return [
        row("fit, fast: 512 splats", ms["fast"], "ms", "at most 45, aim 33", ms["reference"]),
        row("fit, fast: PSNR", quality["fast"], "dB", "reference less 1.0", quality["reference"]),
        row("fit, best: 512 splats", ms["best"], "ms", None, ms["reference"]),
        row(
            "fit, best: PSNR",
            quality["best"],
            "dB",
            "25.3 on Kodak, aim 25.8",
            quality["reference"],
        ),
        _on_gpu(frames, ms["fast"]),
    ]


def _reference(image: np.ndarray) -> Splats:
    state = descend(Levels(image, SPLATS), REFERENCE)
    return to_splats(state, (image.shape[1], image.shape[0]), 3 if image.ndim == 3 else 1)


def _on_gpu(frames: list[np.ndarray], cpu_ms: float) -> dict:
    name, target = f"fit, fast: on a GPU, a frame in batches of {BATCH}", "at most 5"
    if problem := why_no_gpu():
        return row(f"{name} (skipped: {problem})", None, "ms", target, cpu_ms)
    from gaussvae_ros.fit.cuda import fit_many

    batch = [frames[k % len(frames)] for k in range(BATCH)]
    fit_many(batch, SPLATS)
    return row(
        name,
        round(median_ms(lambda _: fit_many(batch, SPLATS), range(5)) / BATCH, 3),
        "ms",
        target,
        cpu_ms,
    )
