"""Our records beside JPEG and WebP files: every codec gets the same bytes for the same image.

A record of ours sets the budget; each peer then makes the best file of at most that size. So a
comparison never hangs on interpolation, nor on one codec spending its bytes on other images than
another does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.metrics import EQUAL, ms_ssim, psnr, ssim
from gaussvae_ros.evaluation.peers import CODECS, curve
from gaussvae_ros.evaluation.report import Table

MEASURES = ("bytes", "psnr", "ssim", "ms_ssim")
LABELS = {"psnr": "PSNR (dB)", "ssim": "SSIM"}


class Codec(Protocol):
    """What is measured: `gaussvae_ros.codec.FrameCodec`, or what encodes and decodes like it."""

    def encode(self, image: np.ndarray, quality: float, effort: str) -> bytes: ...

    def decode(self, data: bytes | list[bytes]) -> np.ndarray: ...


@dataclass(frozen=True)
class Setting:
    """One way to call our codec."""

    effort: str  # "fast" or "best"
    quality: float  # 0 to 100

    @property
    def series(self) -> str:
        """The curve that this setting is a point of."""
        return f"gaussvae, {self.effort}"


@dataclass(frozen=True)
class Point:
    """What one codec made of one image, in the bytes that our record takes with `setting`."""

    image: str
    setting: Setting
    codec: str  # the series of `setting` for our own record, or one of CODECS
    budget: int  # bytes of our record
    bytes: (
        int | None
    )  # of the whole file, at most the budget; None, as the rest, when the codec has no such file
    psnr: float | None = None  # dB
    ssim: float | None = None
    ms_ssim: float | None = None
    scale: float | None = None  # of the picture in the file, one of peers.SCALES
    peer_quality: int | None = None


@dataclass(frozen=True)
class Mean:
    """A codec's points for one setting, averaged over the images."""

    setting: Setting
    fitted: (
        int  # images for which the codec has a file; the means are None unless that is all of them
    )
    bytes: float | None
    psnr: float | None  # dB
    ssim: float | None
    ms_ssim: float | None


def measure(
    codec: Codec, name: str, image: np.ndarray, settings: Sequence[Setting]
) -> tuple[list[Point], list[np.ndarray]]:
    """Code one image with every setting of ours, and with every peer at the same sizes.

    The image is uint8 [H, W, 3] or [H, W].

    Returns:
        The points, and what our codec gave back with each setting.

    Raises:
        GaussVaeError: the codec refuses the image, or it is too small to measure.
    """
    points, recalls = [], []
    for setting in settings:
        data = codec.encode(image, quality=setting.quality, effort=setting.effort)
        recalls.append(codec.decode(data))
        points.append(
            Point(
                name, setting, setting.series, len(data), len(data), **_scores(image, recalls[-1])
            )
        )
    budgets = [p.budget for p in points]
    for peer in CODECS:
        for setting, budget, result in zip(settings, budgets, curve(image, peer, budgets)):
            if result is None:
                points.append(Point(name, setting, peer, budget, None))
                continue
            about = {"scale": result.scale, "peer_quality": result.quality}
            points.append(
                Point(
                    name,
                    setting,
                    peer,
                    budget,
                    result.bytes,
                    **_scores(image, result.image),
                    **about,
                )
            )
    return points, recalls


def means(points: Sequence[Point], codec: str, series: str) -> list[Mean]:
    """Means over images of one codec at the sizes of one series of ours, by its settings."""
    groups: dict[Setting, list[Point]] = {}
    for p in points:
        if p.codec == codec and p.setting.series == series:
            groups.setdefault(p.setting, []).append(p)
    return [_mean(setting, group) for setting, group in groups.items()]


def as_curve(series: Sequence[Mean], measure: str = "psnr") -> np.ndarray:
    """Bytes and a measure, [N, 2], where the codec has a file for every image."""
    return np.array(
        [(m.bytes, getattr(m, measure)) for m in series if m.bytes is not None]
    ).reshape(-1, 2)


def _scores(original: np.ndarray, image: np.ndarray) -> dict[str, float]:
    decibels = min(psnr(original, image), EQUAL)
    return {"psnr": decibels, "ssim": ssim(original, image), "ms_ssim": ms_ssim(original, image)}


def _mean(setting: Setting, points: list[Point]) -> Mean:
    made = [p for p in points if p.bytes is not None]
    if len(made) < len(points):
        return Mean(setting, len(made), None, None, None, None)
    return Mean(
        setting, len(made), *(float(np.mean([getattr(p, f) for p in made])) for f in MEASURES)
    )


def measure_table(averages: dict, series: Sequence[str], images: int, measure: str) -> Table:
    """A row for each setting of ours: every codec's mean at the size of our record.

    `averages` maps (series, codec) to the means of that codec at the sizes of that series.
    """

    def cell(mean: Mean) -> str:
        value = getattr(mean, measure)
        if value is None:
            return f"{mean.fitted} of {images} fit"
        return f"{value:.2f}" if measure == "psnr" else f"{value:.4f}"

    rows = []
    for s in series:
        for ours, *peers in zip(averages[s, s], *(averages[s, c] for c in CODECS)):
            rows.append(
                [s, f"{ours.setting.quality:g}", round(ours.bytes), *map(cell, (ours, *peers))]
            )
    columns = ["setting", "quality", "bytes", "ours", *(plots.NAMES[c] for c in CODECS)]
    return Table(f"{LABELS[measure]} at equal bytes, mean of {images} images", columns, rows)
