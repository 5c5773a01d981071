"""`gaussvae evaluate`: our codec beside JPEG, WebP and AVIF on a set of images, as figures, drawings and a report."""

import csv
import heapq
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.bjontegaard import bjontegaard
from gaussvae_ros.evaluation.images import find_images, read_image
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import CODECS, dct_floor
from gaussvae_ros.evaluation.rate_distortion import (
    EQUAL,
    Codec,
    Mean,
    Point,
    Setting,
    as_curve,
    means,
    measure,
)
from gaussvae_ros.evaluation.report import Figure, Gallery, Table, Views, thumbnail, write_report

QUALITIES = (25, 37, 50, 62, 75)
EFFORTS = ("fast", "best")
LABELS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}
SHOWN = 12  # pairs in the report's gallery
FLOOR = 512  # numbers, as many as a latent has


def evaluate(
    paths: Iterable[str | Path],
    out_dir: str | Path,
    codec: Codec,
    efforts: Sequence[str] = EFFORTS,
    qualities: Sequence[float] = QUALITIES,
) -> dict:
    """Measure `codec` (a FrameCodec) on images and write what comes out into the folder `out_dir`, which is made.

    Files: report.html; points.csv, one line for each image, setting and codec; summary.json; rate_distortion.png and
    ms_ssim.png. The same images and codec give the same figures. Images are held one at a time.

    Args:
        paths: image files, and folders of them.

    Returns:
        What summary.json holds: "images" (number), "floor_psnr" (dB, 512 DCT coefficients), "means" (a dict for each
        effort, quality and codec) and "bjontegaard" (a dict for each series of ours and each peer).

    Raises:
        ImageError: a path is missing or a file is not an image; found before the first is coded.
    """
    files = find_images(paths)
    for file in files:
        read_image(file)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    settings = [Setting(e, q) for e in efforts for q in sorted(qualities)]
    shown = settings.index(_middle(settings))
    points, floors, worst = [], [], []
    for number, file in enumerate(tqdm(files, unit="image", desc="evaluate")):
        image = read_image(file)
        try:
            new, recalls = measure(codec, str(file), image, settings)
        except GaussVaeError as error:
            raise type(error)(f"{file}: {error}") from error
        points += new
        floors.append(min(psnr(image, dct_floor(image, FLOOR)), EQUAL))
        views = Views(
            _caption(file, new, settings),
            {"original": thumbnail(image), "recall": thumbnail(recalls[shown])},
        )
        worst = heapq.nsmallest(SHOWN, [*worst, (new[shown].psnr, number, views)])
    return _write(out_dir, points, settings, float(np.mean(floors)), [views for *_, views in worst])


def _write(
    out_dir: Path, points: list[Point], settings: list[Setting], floor: float, worst: list[Views]
) -> dict:
    series = list(dict.fromkeys(s.series for s in settings))
    averages = {(s, c): means(points, c, s) for s in series for c in (s, *CODECS)}
    images = len({p.image for p in points})
    differences = [_difference(averages, s, c) for s in series for c in CODECS]
    summary = {
        "images": images,
        "floor_psnr": floor,
        "means": [{**_flat(m), "codec": c} for (_, c), group in averages.items() for m in group],
        "bjontegaard": differences,
    }
    _write_points(out_dir / "points.csv", points)
    (out_dir / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")

    # Peers are drawn at the sizes of the last series only: the others give the same curves, up to noise.
    drawn = {s: averages[s, s] for s in series[::-1]} | {c: averages[series[-1], c] for c in CODECS}
    curves = {
        m: {name: as_curve(group, m) for name, group in drawn.items()} for m in ("psnr", "ms_ssim")
    }
    drawings = {
        "rate_distortion": plots.rate_distortion(
            curves["psnr"], LABELS["psnr"], (f"{FLOOR} DCT coefficients", floor)
        ),
        "ms_ssim": plots.rate_distortion(curves["ms_ssim"], LABELS["ms_ssim"]),
    }
    for name, png in drawings.items():
        (out_dir / f"{name}.png").write_bytes(png)
    captions = {
        "rate_distortion": f"PSNR, mean of {images} images",
        "ms_ssim": f"MS-SSIM, mean of {images} images",
    }
    middle = _middle(settings)
    write_report(
        out_dir,
        f"Rate and distortion of {images} images",
        [_difference_table(differences)]
        + [measure_table(averages, series, images, m) for m in LABELS],
        [Figure(captions[name], png) for name, png in drawings.items()],
        [Gallery(f"Worst images, {middle.series}, quality {middle.quality:g}", worst)],
    )
    return summary


def _difference(averages: dict, series: str, peer: str) -> dict:
    found = bjontegaard(as_curve(averages[series, peer]), as_curve(averages[series, series]))
    return {
        "series": series,
        "anchor": peer,
        "rate": found.rate,
        "psnr": found.psnr,
        "reason": found.reason,
    }


def measure_table(averages: dict, series: Sequence[str], images: int, measure: str) -> Table:
    """A row for each setting of ours: every codec's mean at the size of our record. `averages` maps (series, codec)."""

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


def _difference_table(differences: list[dict]) -> Table:
    rows = [
        [
            f"{d['series']} against {plots.NAMES[d['anchor']]}",
            "–" if d["rate"] is None else f"{d['rate']:+.1f}",
            "–" if d["psnr"] is None else f"{d['psnr']:+.2f}",
            d["reason"],
        ]
        for d in differences
    ]
    return Table(
        "Bjøntegaard differences of the mean curves",
        ["curves", "BD-rate (%)", "BD-PSNR (dB)", ""],
        rows,
    )


def _caption(file: Path, points: list[Point], settings: list[Setting]) -> str:
    """What each codec reached for this image at the setting that the gallery shows."""
    shown = [p for p in points if p.setting == _middle(settings)]
    ours, peers = shown[0], shown[1:]
    others = (
        f"{plots.NAMES[p.codec]} {'does not fit' if p.psnr is None else f'{p.psnr:.2f} dB'}"
        for p in peers
    )
    return f"{file.name}: {ours.bytes:,} bytes, {ours.psnr:.2f} dB ({', '.join(others)})"


def _middle(settings: list[Setting]) -> Setting:
    """The setting that the gallery shows: the middle quality of the last series."""
    last = [s for s in settings if s.series == settings[-1].series]
    return last[len(last) // 2]


def _write_points(path: Path, points: list[Point]) -> None:
    names = [f.name for f in fields(Point) if f.name != "setting"]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "effort", "quality", *names[1:]])
        writer.writeheader()
        writer.writerows(_flat(p) for p in points)


def _flat(point: Point | Mean) -> dict:
    values = asdict(point)
    return {**values.pop("setting"), **values}
