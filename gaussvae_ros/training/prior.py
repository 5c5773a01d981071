"""Training of the prior: grids of pictures, made as in the codec, and networks to code them."""

import datetime
import math
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import DataError, TrainingError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.files import write_file
from gaussvae_ros.training.crops import PARTS, largest_box, split
from gaussvae_ros.training.prepare import look, start_workers
from gaussvae_ros.training.prior_networks import learn
from gaussvae_ros.training.sources import Source, find_source, picture_files
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.contexts import KINDS
from gaussvae_ros.vae.models import Models, model_file
from gaussvae_ros.vae.prior import Prior

CHUNK = 16  # grids that a process makes at a time
FEWEST, MOST = 5.0, 13.0  # log2 of the number of splats that pictures are fitted with
DENSEST = 30  # pixels a splat at least
SIZES = ((640, 480), (640, 480), (320, 240), (480, 480), (640, 360))  # (w, h) px of crops, in turn
SMALLEST = 0.6  # side of a crop, at least, relative to the largest that fits into the picture
OFF = 3  # precision indices by which half of the grids learned from differ from the codec's
MEASURED = (64, 128, 256, 512)  # splats of the grids held out, in turn


@dataclass(frozen=True)
class Settings:
    """How much is learned from: with the defaults about an hour of two cores."""

    grids: int = 6000
    held_out: int = 128  # grids that the bits in the card are measured on
    steps: int = 8000  # of each network
    seed: int = 0


def train_prior(
    sources: Iterable[str | Path],
    out: str | Path,
    settings: Settings = Settings(),
    model: str | Path | None = None,
    progress: Callable = iter,
) -> dict:
    """Train the prior that records are coded with on pictures, and write it as a model to `out`.

    A script calls it under `if __name__ == "__main__":`, since it starts processes afresh.

    Args:
        sources: as those of `prepare`: folders, images, videos, bags, or "sim". Pictures that
            cannot be read, or are there twice, are left out.
        model: name or path of the model whose prior weighs bits while the pictures are fitted;
            None: only distortion counts there.
        progress: wraps the list of chunks of grids.

    Returns:
        The model's card: what it was trained on, and the bits per splat of held-out pictures by
        part of a record.

    Raises:
        DataError: sources as for `prepare`, fewer than 8 pictures, none of them in colour,
            settings out of range, or no folder for `out`.
        ModelError: there is no such model.
        TrainingError: a process was lost.
        OSError: `out` cannot be written.
    """
    begun, out = time.perf_counter(), Path(out)
    _check(settings, out)
    found = [find_source(given) for given in sources]
    if model is not None:
        Models().load(model)  # before the work
    cache = out.parent / f".{out.stem}-frames"
    with start_workers(None) as workers:
        try:
            pictures, skipped = _pictures(workers, found, cache, settings.seed)
            grids = _grids(workers, pictures, settings, model, progress)
            learned = workers.map(partial(_learn, grids["train"], settings), KINDS)
            prior = Prior(dict(zip(KINDS, learned, strict=True)))
        except BrokenProcessPool:
            raise TrainingError(
                "a process was ended from outside, or memory is short: begin again"
            ) from None
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    card = {
        "date": datetime.date.today().isoformat(),
        "sources": [{"given": s.given, "licence": s.licence} for s in found],
        "pictures": {part: len(files) for part, files in pictures.items()} | {"skipped": skipped},
        "settings": asdict(settings) | {"model": model and str(model)},
        "splats": sum(len(g.cell) for g in grids["train"]),
        "bits_per_splat": mean_bits(grids["valid"], prior),
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
    }
    write_file(out, model_file(prior, card))
    shutil.rmtree(cache, ignore_errors=True)
    return card


def _check(settings: Settings, out: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist")
    for name, value in asdict(settings).items():
        if value < (name != "seed"):
            raise DataError(f"{name} must be at least {int(name != 'seed')}, not {value}")


def _pictures(
    workers: ProcessPoolExecutor, sources: list[Source], cache: Path, seed: int
) -> tuple[dict[str, list[Path]], int]:
    """The pictures of each part, and how many cannot be used."""
    files, skipped = [], 0
    for source in sources:
        paths, problems = picture_files(source, cache, None)
        files, skipped = files + paths, skipped + len(problems)
    seen, usable = set(), []
    for path, (picture_hash, _, problem) in zip(files, workers.map(look, files, chunksize=16)):
        if problem or picture_hash in seen:
            skipped += 1
        else:
            seen.add(picture_hash)
            usable.append(path)
    parts = split(len(usable), seed)
    pictures = {
        name: [path for path, part in zip(usable, parts, strict=True) if part == k]
        for k, name in enumerate(PARTS)
    }
    if not pictures["valid"]:
        raise DataError(f"training needs at least 8 pictures, there are {len(usable)}")
    return pictures, skipped


def _grids(
    workers: ProcessPoolExecutor,
    pictures: dict[str, list[Path]],
    settings: Settings,
    model: str | Path | None,
    progress: Callable,
) -> dict[str, list[Grid]]:
    """The grids of each part, in the same order for any number of processes."""
    counts = {"valid": settings.held_out, "train": settings.grids}
    tasks = [
        (part, range(first, min(first + CHUNK, count)))
        for part, count in counts.items()
        for first in range(0, count, CHUNK)
    ]
    chunks = [
        workers.submit(make_grids, pictures[part], part, places, settings.seed, model)
        for part, places in tasks
    ]
    grids: dict[str, list[Grid]] = {part: [] for part in counts}
    for (part, _), chunk in zip(tasks, progress(chunks), strict=True):
        grids[part] += chunk.result()
    if all(g.colour.shape[1] == 1 for g in grids["train"]):
        raise DataError("training needs pictures in colour: these are all grey")
    return grids


def make_grids(
    files: list[Path], part: str, places: range, seed: int, model: str | Path | None
) -> list[Grid]:
    """Grids by their places in the part: to train with, of random crops, sizes and precisions,
    else of whole pictures.
    """
    prior = None if model is None else Models().load(model).prior
    grids = []
    for at in places:
        if part == "train":
            rng = np.random.default_rng([seed, at])
            size = SIZES[at % len(SIZES)]
            image = _crop(read_image(files[rng.integers(len(files))]), size, rng)
            most = min(MOST, math.log2(size[0] * size[1] / DENSEST))
            # few grids of many splats: they take long, and one teaches as much as ten of few
            top = most if rng.random() < 0.1 else min(most, 10.5)
            count = round(2 ** rng.uniform(FEWEST, top))
            off = int(rng.integers(-OFF, OFF + 1)) * int(rng.integers(2))
        else:
            image = _crop(read_image(files[at % len(files)]), SIZES[0], None)
            count, off = MEASURED[at % len(MEASURED)], 0
        grids.append(encoder.encode(image, count, "fast", prior, off))
    return grids


def _crop(
    image: np.ndarray, size: tuple[int, int], rng: np.random.Generator | None
) -> np.ndarray:  # uint8 [h, w, 3] or [h, w]
    """A random crop, mirrored or not, or (without `rng`) the middle, resized to `size` px."""
    height, width = image.shape[:2]
    scale = rng.uniform(SMALLEST, 1) if rng else 1.0
    w, h = (max(1, int(side * scale)) for side in largest_box((width, height), size))
    x, y = (width - w) // 2, (height - h) // 2
    if rng:
        x, y = rng.integers(width - w + 1), rng.integers(height - h + 1)
    how = cv2.INTER_AREA if w >= size[0] else cv2.INTER_CUBIC
    image = cv2.resize(image[y : y + h, x : x + w], size, interpolation=how)
    return np.ascontiguousarray(image[:, ::-1]) if rng and rng.integers(2) else image


def mean_bits(grids: list[Grid], prior: Prior) -> dict[str, float]:
    """Mean bits that a splat of `grids` takes: by part of the stream, and in "all"."""
    parts: dict[str, float] = {}
    for g in grids:
        for part, bits in prior.bits(g).items():
            parts[part] = parts.get(part, 0.0) + bits / len(g.cell) / len(grids)
    return {part: round(bits, 3) for part, bits in {**parts, "all": sum(parts.values())}.items()}


def _learn(grids: list[Grid], settings: Settings, kind: str) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    return learn(grids, kind, settings.seed, settings.steps)
