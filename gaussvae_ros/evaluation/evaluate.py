"""`gaussvae evaluate`: our codec beside JPEG, WebP, AV1, HEVC and VVC, in figures and a report."""

import csv
import heapq
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.evaluation import peers, plots, streams
from gaussvae_ros.evaluation.encoders import STILLS
from gaussvae_ros.evaluation.fronts import Coded, Fronts, at_size, score
from gaussvae_ros.evaluation.images import VIDEOS, frames_of, image_sets, read_image
from gaussvae_ros.evaluation.metrics import EQUAL, psnr
from gaussvae_ros.evaluation.report import Figure, Gallery, Table, Views, thumbnail, write_report
from gaussvae_ros.evaluation.summary import (
    MEASURES,
    SIZES,
    Curves,
    mean_curve,
    summarise,
    tables,
)
from gaussvae_ros.files import write_file

QUALITIES = (*range(10, 71, 10), 75, 80, 85)  # to 4 KB, beyond all sizes that are compared
EFFORTS = ("fast", "best")
PEERS = (*peers.CODECS, *STILLS)
SHOWN = 12  # pairs in the report's gallery
FLOOR = 512  # numbers, as many as a latent has


class Codec(Protocol):
    """What is measured: `gaussvae_ros.codec.FrameCodec`, or what encodes and decodes like it."""

    def encode(self, image: np.ndarray, *, quality: float, effort: str) -> bytes: ...

    def decode(self, data: bytes) -> np.ndarray: ...


def evaluate(
    paths: Iterable[str | Path],
    out_dir: str | Path,
    codec: Codec,
    *,
    frames: int | None = None,
    qualities: Sequence[float] = QUALITIES,
    efforts: Sequence[str] = EFFORTS,
    codecs: Sequence[str] = PEERS,
) -> dict:
    """Measure `codec` (a FrameCodec) on images and write figures and report into `out_dir`.

    The folder is made. Files: report.html; summary.json; points.csv, one line for each point of
    each image's curves; rate_distortion.png and ms_ssim.png; peers.json, the peers' curves, which
    another run takes from there. The same images and codec give the same figures.

    Args:
        paths: image files, folders of them, and videos. Each folder and video is a set of its own.
        frames: how many camera frames of 640x480 px, evenly spread, each set gives; None takes all
            images as they are, and no videos.
        codecs: peers, of PEERS. Those that cannot be had here are left out and named.

    Returns:
        What summary.json holds: "sets" (as `summary.summarise` gives them) and "missing" (peers
        that could not be had, each with the reason).

    Raises:
        ImageError: a path is missing or a file is not an image; found before the first is coded.
        GaussVaeError: `frames`, `qualities` or `codecs` make no sense.
    """
    if frames is not None and frames < 1:
        raise GaussVaeError(f"frames must be at least 1, not {frames}")
    checked(qualities, codecs, PEERS)
    places = _places(image_sets(paths), frames)
    missing = {c: why for c, why in streams.missing(STILLS).items() if c in codecs}
    codecs = [c for c in codecs if c not in missing]
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    fronts, curves, worst = Fronts(out_dir / "peers.json", SIZES[0], SIZES[-1]), [], []
    for number, (group, name, image) in enumerate(
        tqdm(places, unit="image", desc="evaluate", delay=1, disable=None)
    ):
        image = read_image(image) if isinstance(image, Path) else image
        try:
            ours, recall = _ours(codec, image, efforts, sorted(qualities))
            theirs = {c: fronts.of([image], c) for c in codecs}
        except GaussVaeError as error:
            raise type(error)(f"{name}: {error}") from error
        floor = min(psnr(image, peers.dct_floor(image, FLOOR)), EQUAL)
        curves.append(Curves(group, name, image.shape[0] * image.shape[1], ours, theirs, floor))
        shown = _middle(list(ours.values())[-1])
        pictures = {"original": thumbnail(image), "recall": thumbnail(recall)}
        views = Views(_caption(name, shown, theirs), pictures)
        worst = heapq.nsmallest(SHOWN, [*worst, (shown.psnr, number, views)])
    summary = {"sets": summarise(curves), "missing": missing}
    _write(out_dir, summary, curves, [views for *_, views in worst])
    return summary


def checked(qualities: Sequence[float], codecs: Sequence[str], known: Sequence[str]) -> None:
    """Raise GaussVaeError unless these make a curve, and the peers are known."""
    if len(set(qualities)) < 2:
        raise GaussVaeError("a curve needs at least two qualities")
    for codec in codecs:
        if codec not in known:
            raise GaussVaeError(f"no peer is named {codec!r}: choose of {', '.join(known)}")


def _places(
    sets: dict[str, list[Path]], frames: int | None
) -> list[tuple[str, str, np.ndarray | Path]]:
    """Set and name of each image, and the image, or its file so that one is held at a time."""
    found = []
    for group, files in sets.items():
        if frames is not None:
            found += [(group, name, image) for name, image in frames_of(files, frames).items()]
            continue
        for file in files:
            if file.suffix.lower() in VIDEOS:
                raise ImageError(f"{file} is a video: say how many frames to take of it (--frames)")
            read_image(file)
            found.append((group, str(file), file))
    return found


def _ours(
    codec: Codec, image: np.ndarray, efforts: Sequence[str], qualities: Sequence[float]
) -> tuple[dict[str, list[Coded]], np.ndarray]:
    """Our curve with each effort, and what comes back at the middle quality of the last."""
    curves, pictures = {}, []
    for effort in efforts:
        records = [codec.encode(image, quality=q, effort=effort) for q in qualities]
        pictures = [codec.decode(data) for data in records]
        curves[f"gaussvae, {effort}"] = [
            score([image], [picture], len(data), q)
            for picture, data, q in zip(pictures, records, qualities, strict=True)
        ]
    return curves, _middle(pictures)


def _middle(things: Sequence):
    return things[len(things) // 2]


def _caption(name: str, ours: Coded, theirs: dict[str, list[Coded]]) -> str:
    """What each codec reached for this image in the bytes of the record that the gallery shows."""
    at = {c: at_size(front, ours.bytes) for c, front in theirs.items()}
    others = ", ".join(
        f"{plots.NAMES[c]} {'cannot' if value is None else f'{value:.2f} dB'}"
        for c, value in at.items()
    )
    beside = f" ({others})" if others else ""
    return f"{Path(name).name}: {ours.bytes:,} bytes, {ours.psnr:.2f} dB{beside}"


def _write(out_dir: Path, summary: dict, curves: list[Curves], worst: list[Views]) -> None:
    write_file(out_dir / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    write_points(out_dir / "points.csv", curves)
    whole = summary["sets"][-1]
    names = list(dict.fromkeys(a["codec"] for a in whole["at"]))
    level = f"{FLOOR} DCT coefficients", whole["floor_psnr"]
    drawings = {}
    for name, measure in (("rate_distortion", "psnr"), ("ms_ssim", "ms_ssim")):
        lines = {c: mean_curve(curves, c, measure) for c in names}
        floor = level if measure == "psnr" else None
        png = plots.rate_distortion(lines, MEASURES[measure], floor)
        write_file(out_dir / f"{name}.png", png)
        drawings[f"{MEASURES[measure]}, mean of {whole['images']} images"] = png
    lacking = [[plots.NAMES[c], why] for c, why in summary["missing"].items()]
    write_report(
        out_dir,
        f"Rate and distortion of {whole['images']} images",
        [table for one in reversed(summary["sets"]) for table in tables(one)]
        + ([Table("Not compared with", ["", ""], lacking)] if lacking else []),
        [Figure(caption, png) for caption, png in drawings.items()],
        [Gallery("Worst images, at our middle quality", worst)],
    )


def write_points(path: Path, curves: Iterable[Curves]) -> None:
    """Write every point of every curve as a line of a CSV file."""
    columns = ["set", "image", "codec", *(f.name for f in fields(Coded))]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    for c in curves:
        for name, points in {**c.ours, **c.peers}.items():
            about = {"set": c.set, "image": c.image, "codec": name}
            writer.writerows({**about, **asdict(point)} for point in points)
    write_file(path, text.getvalue().encode())
