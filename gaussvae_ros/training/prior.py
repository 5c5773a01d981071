"""Training of the prior: grids of pictures, as the codec makes them, and networks that make them short."""

import datetime
import math
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import DataError, TrainingError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.files import write_file
from gaussvae_ros.training.crops import largest_box, split
from gaussvae_ros.training.prepare import start_workers
from gaussvae_ros.training.prior_networks import learn
from gaussvae_ros.training.sources import find_source, picture_files
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.models import Models, model_file
from gaussvae_ros.vae.prior import NETWORKS, Prior

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
    held_out: int = 128
    steps: int = 8000  # of each network
    seed: int = 0


def train_prior(
    sources: Iterable[str | Path],
    out: str | Path,
    settings: Settings = Settings(),
    model: str | Path | None = None,
    progress: Callable = iter,
) -> dict:
    """Train the prior that records are coded with on pictures, and write it as a model to the file `out`.

    A script calls it under `if __name__ == "__main__":`, since it starts processes afresh.

    Args:
        sources: as those of `prepare`: folders, images, videos, bags, or "sim".
        model: name or path of the model whose prior weighs bits while the pictures are fitted; None: only distortion
            counts there.
        progress: wraps the iterable of chunks of grids.

    Returns:
        The model's card: what it was trained on, and the bits per splat of held-out pictures by part of a record.

    Raises:
        DataError: sources as for `prepare`, or fewer than 8 pictures.
        ModelError: there is no such model.
        TrainingError: a process was lost.
        OSError: `out` cannot be written.
    """
    begun, out = time.perf_counter(), Path(out)
    sources = [find_source(given) for given in sources]
    if model is not None:
        Models().load(model)  # before the work
    cache = out.parent / f".{out.stem}-frames"
    found = [path for source in sources for path in picture_files(source, cache, None)[0]]
    parts = split(len(found), settings.seed)
    pictures = {
        name: [p for p, at in zip(found, parts) if at == k]
        for k, name in enumerate(("train", "valid"))
    }
    if not pictures["valid"]:
        raise DataError(f"training needs at least 8 pictures, there are {len(found)}")
    tasks = [("valid", k) for k in range(math.ceil(settings.held_out / CHUNK))]
    tasks += [("train", k) for k in range(math.ceil(settings.grids / CHUNK))]
    grids: dict[str, list[Grid]] = {"valid": [], "train": []}
    with start_workers(None) as workers:
        try:
            chunks = [
                workers.submit(make_grids, pictures[part], part, number, settings.seed, model)
                for part, number in tasks
            ]
            for (part, _), chunk in zip(tasks, progress(chunks)):
                grids[part] += chunk.result()
            learned = workers.map(partial(_learn, grids["train"], settings), NETWORKS)
            prior = Prior(dict(zip(NETWORKS, learned)))
        except BrokenProcessPool:
            raise TrainingError(
                "a process was ended from outside, or memory is short: begin again"
            ) from None
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    card = {
        "date": datetime.date.today().isoformat(),
        "sources": [{"given": s.given, "licence": s.licence} for s in sources],
        "pictures": {part: len(files) for part, files in pictures.items()},
        "settings": vars(settings) | {"model": model and str(model)},
        "splats": sum(len(g.cell) for g in grids["train"]),
        "bits_per_splat": mean_bits(grids["valid"], prior),
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
    }
    write_file(out, model_file(prior, card))
    return card


def make_grids(
    files: list[Path], part: str, number: int, seed: int, model: str | Path | None
) -> list[Grid]:
    """The grids of one chunk: for training of random crops, sizes and precisions, else of whole pictures."""
    rng = np.random.default_rng([seed, number, part == "train"])
    prior = None if model is None else Models().load(model).prior
    grids = []
    for k in range(CHUNK):
        at = CHUNK * number + k
        size = SIZES[at % len(SIZES)]
        if part == "train":
            image = _crop(read_image(files[rng.integers(len(files))]), size, rng)
            most = min(MOST, math.log2(size[0] * size[1] / DENSEST))
            # few grids of many splats: they take long, and one teaches as much as ten of few
            top = most if rng.random() < 0.1 else min(most, 10.5)
            count = round(2 ** rng.uniform(FEWEST, top))
            off = int(rng.integers(-OFF, OFF + 1)) * int(rng.integers(2))
        else:
            image = _crop(read_image(files[at % len(files)]), (640, 480), None)
            count, off = MEASURED[at % len(MEASURED)], 0
        grids.append(encoder.encode(image, count, "fast", prior, off))
    return grids


def _crop(image: np.ndarray, size: tuple[int, int], rng: np.random.Generator | None) -> np.ndarray:
    """A random crop, mirrored or not, or (without `rng`) the middle, resized to `size` (w, h) px."""
    height, width = image.shape[:2]
    scale = rng.uniform(SMALLEST, 1) if rng else 1.0
    w, h = (max(1, int(side * scale)) for side in largest_box((width, height), size))
    x, y = (
        (rng.integers(width - w + 1), rng.integers(height - h + 1))
        if rng
        else ((width - w) // 2, (height - h) // 2)
    )
    how = cv2.INTER_AREA if w >= size[0] else cv2.INTER_CUBIC
    image = cv2.resize(image[y : y + h, x : x + w], size, interpolation=how)
    return np.ascontiguousarray(image[:, ::-1]) if rng and rng.integers(2) else image


def mean_bits(grids: list[Grid], prior: Prior) -> dict[str, float]:
    """Mean bits that a splat of `grids` takes under a prior: by part of the stream, and in "all"."""
    parts: dict[str, float] = {}
    for g in grids:
        for part, bits in prior.bits(g).items():
            parts[part] = parts.get(part, 0.0) + bits / len(g.cell) / len(grids)
    return {part: round(bits, 3) for part, bits in {**parts, "all": sum(parts.values())}.items()}


def _learn(grids: list[Grid], settings: Settings, kind: str) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    return learn(grids, kind, settings.seed, settings.steps)
