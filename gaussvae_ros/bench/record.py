"""Bytes of a record of the splats tier, what quantising costs, and WebP beside it."""

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bench.rows import median_ms, row
from gaussvae_ros.codec import FrameCodec, splats_at
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import CODECS
from gaussvae_ros.evaluation.plots import NAMES
from gaussvae_ros.evaluation.rate_distortion import Setting, means, measure
from gaussvae_ros.fit import EFFORTS, fit
from gaussvae_ros.raster.view import render

QUALITY = 50
PEERS = [codec for codec in CODECS if codec != "jpeg"]


def run(frames: list[np.ndarray]) -> list[dict]:
    """Encode each frame at the default quality with each effort."""
    codec = FrameCodec()
    rows, points = [], []
    for effort in EFFORTS:
        codec.encode(frames[0], "splats", effort=effort)  # compiles, or loads what was compiled
    settings = [Setting("splats", effort, QUALITY) for effort in EFFORTS]
    for number, frame in enumerate(
        tqdm(frames, desc="record, beside its peers", delay=1, disable=None)
    ):
        points += measure(codec, str(number), frame, settings)[0]
    for setting in settings:
        effort = setting.effort
        [ours] = means(points, setting.series, setting.series)
        free = _round(
            np.mean(
                [psnr(frame, render(fit(frame, splats_at(QUALITY), effort))) for frame in frames]
            )
        )
        rows += [
            row(f"record, {effort}: size", round(ours.bytes), "bytes", "about 2048"),
            row(
                f"record, {effort}: PSNR beside the fit",
                _round(ours.psnr),
                "dB",
                "reference less 0.4",
                free,
            ),
        ]
        for peer in PEERS:
            [other] = means(points, peer, setting.series)
            name = f"record, {effort}: PSNR beside {NAMES[peer]} at equal bytes"
            if other.psnr is None:
                name += f" (makes such small files of {other.fitted} of {len(frames)} frames only)"
            rows.append(
                row(name, _round(ours.psnr), "dB", "above the reference", _round(other.psnr))
            )
        rows.append(
            row(
                f"record, {effort}: encode",
                median_ms(lambda f: codec.encode(f, "splats", effort=effort), frames),
                "ms",
            )
        )
    return rows


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
