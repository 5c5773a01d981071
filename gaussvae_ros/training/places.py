"""Training of the descriptors of places: without labels, from what changes of one picture's
features and what of different ones'.

Two things are not to count: the view (a step aside, a turn, another light, as `view` draws them),
and the record (a picture's recall). Directions of features are weighed by how much they differ
between pictures over how much they do within these (Fisher's linear discriminant), and the best
kept.
"""

import datetime
import itertools
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import DataError, GaussVaeError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.files import write_file
from gaussvae_ros.model_files import serialised
from gaussvae_ros.recognition.places import ARCHITECTURE, HEIGHT, LENGTH, WIDTH, features
from gaussvae_ros.training.sources import find_source, picture_files

PICTURE, VIEW = (320, 240), (160, 120)  # px of pictures to draw views of, and of those
RECORDED = 2  # every so many-th picture is recorded, too
RECORDS = 4.0  # what the changes by records count beside those by views
SHRINK = 1.0  # of what changes, beside its mean, that is added in every direction
FLATTEN = 0.15  # power of a direction's weight by which it counts less
FEWEST = 8  # pictures


@dataclass(frozen=True)
class Settings:
    """How much is learned from."""

    views: int = 6  # of each picture
    seed: int = 0


def train_places(
    sources: Iterable[str | Path],
    out: str | Path,
    settings: Settings = Settings(),
    progress: Callable = iter,
) -> dict:
    """Learn how places are described from pictures, and write it as a model to `out`.

    Args:
        sources: as those of `prepare`: folders, images, videos, bags, or "sim".
        progress: wraps the list of pictures.

    Returns:
        The model's card.

    Raises:
        DataError: sources as for `prepare`, fewer than FEWEST pictures, settings out of range, or
            no folder for `out`.
        OSError: `out` cannot be written.
    """
    begun, out = time.perf_counter(), Path(out)
    if not out.absolute().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist")
    if settings.views < 2 or settings.seed < 0:
        raise DataError("views must be at least 2 and the seed at least 0")
    found = [find_source(given) for given in sources]
    if not found:
        raise DataError("no sources of pictures given")
    cache, codec = out.parent / f".{out.stem}-frames", FrameCodec(device="cpu")
    whole, views, records, skipped = [], [], [], 0
    files = [path for source in found for path in picture_files(source, cache, None)[0]]
    for number, path in enumerate(progress(files)):
        try:
            image = read_image(path)
        except GaussVaeError:
            skipped += 1
            continue
        picture = cv2.resize(image, PICTURE, interpolation=cv2.INTER_AREA)
        rng = np.random.default_rng([settings.seed, number])
        seen = picture[:, ::-1] if rng.integers(2) else picture
        views.append([features(view(seen, rng)) for _ in range(settings.views)])
        whole.append(features(image))
        if number % RECORDED == 0:
            recalled = codec.decode(codec.encode(image), size=(WIDTH, HEIGHT))
            records.append([whole[-1], features(recalled)])
    if len(whole) < FEWEST:
        raise DataError(f"training needs at least {FEWEST} pictures, there are {len(whole)}")
    mean, projection = learned(*map(np.array, (whole, views, records)))
    card = {
        "date": datetime.date.today().isoformat(),
        "sources": [{"given": s.given, "licence": s.licence} for s in found],
        "settings": asdict(settings),
        "pictures": {"train": len(whole), "skipped": skipped},
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "opencv": cv2.__version__},
    }
    tensors = {"mean": mean, "projection": projection}
    write_file(out, serialised({"architecture": ARCHITECTURE, "config": {}, "card": card}, tensors))
    shutil.rmtree(cache, ignore_errors=True)
    return card


def learned(
    whole: np.ndarray,  # [N, F], the features of whole pictures
    views: np.ndarray,  # [N, V, F], of their views
    records: np.ndarray,  # [M, 2, F], of some of them and their recalls
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of features, float32 [F], and the projection, float32 [F, LENGTH]."""
    mean, size = whole.mean(0), whole.shape[1]
    changes = _scatter(views) + RECORDS * _scatter(records)
    changes = changes * (size / np.trace(changes)) + SHRINK * np.eye(size)
    all_pictures = np.concatenate([whole, records[:, 1]]) - mean
    lengths, axes = np.linalg.eigh(changes)
    whiten = axes / np.sqrt(lengths)
    between = whiten.T @ (all_pictures.T @ all_pictures) @ whiten
    weights, axes = np.linalg.eigh(between)
    weights, axes = weights[::-1][:LENGTH], axes[:, ::-1][:, :LENGTH]
    weights = np.maximum(weights / weights[0], 1e-6)  # few pictures leave some at 0
    projection = whiten @ axes * weights**-FLATTEN
    return mean.astype(np.float32), projection.astype(np.float32)


def _scatter(groups: np.ndarray) -> np.ndarray:  # [N, V, F] -> [F, F]
    """The mean covariance within groups."""
    apart = (groups - groups.mean(1, keepdims=True)).reshape(-1, groups.shape[2])
    return apart.T @ apart / max(len(groups) * (groups.shape[1] - 1), 1)


def view(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # uint8 [120, 160, 3]
    """A picture, uint8 [H, W] or [H, W, 3], as from a place beside it and in another light."""
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    return _lit(_moved(picture, rng), rng)


def _moved(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = picture.shape[:2]
    sides = np.array([width, height])
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=2)))[[0, 2, 3, 1]]
    turn, zoom = rng.normal(0, 0.03), 0.92 * np.exp(rng.normal(0, 0.08))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    there = (corners - 0.5) * sides @ turned.T * zoom + sides / 2
    there += (rng.normal(0, (0.05, 0.035)) + rng.normal(0, 0.02, (4, 2))) * sides
    how = cv2.getPerspectiveTransform(np.float32(there), np.float32(corners * VIEW))
    return cv2.warpPerspective(picture, how, VIEW, borderMode=cv2.BORDER_REFLECT_101)


def _lit(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = picture.astype(np.float32) / 255
    if rng.random() < 0.5:  # other colours
        light = light @ (np.eye(3) + rng.normal(0, 0.2, (3, 3))).T.astype(np.float32)
    light = np.clip(light, 0, 1) ** np.exp(rng.normal(0, 0.32))
    shade = rng.normal(0, 0.28, rng.integers(2, 6, 2)).astype(np.float32)
    light *= np.exp(cv2.resize(shade, VIEW, interpolation=cv2.INTER_CUBIC))[..., None]
    if rng.random() < 0.5:  # another curve of tones, now and then one that turns back
        tones = np.sort(rng.random(5)) + rng.normal(0, 0.16, 5) * (rng.random() < 0.4)
        grey = np.interp(light.mean(-1), np.linspace(0, 1, 5), tones)
        light = np.repeat(grey[..., None], 3, axis=-1)
    if rng.random() < 0.3:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 2))
    noise = rng.normal(0, rng.uniform(0, 0.03), light.shape)
    return np.uint8(np.clip(light * rng.uniform(0.3, 1) + noise, 0, 1) * 255)
