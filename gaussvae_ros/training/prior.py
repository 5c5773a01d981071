"""Training of the prior: grids of pictures, made as in the codec, and networks to code them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.training.crops import cut, largest_box, middle_box
from gaussvae_ros.training.prior_networks import learn
from gaussvae_ros.training.priors import (
    DENSEST,
    Run,
    learned,
    made_in_chunks,
    mean_of,
    record_prior,
    usable_pictures,
)
from gaussvae_ros.training.sources import picture_files
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.contexts import KINDS
from gaussvae_ros.vae.prior import Prior

FEWEST, MOST = 5.0, 13.0  # log2 of the number of splats that pictures are fitted with
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
        ModelError: there is no such model, or it is for other records.
        TrainingError: a process was lost.
        OSError: `out` cannot be written.
    """
    run = Run(sources, out, settings, model)
    with run.working() as workers:
        files, skipped = [], 0
        for source in run.sources:
            paths, problems = picture_files(source, run.cache, None)
            files, skipped = files + paths, skipped + len(problems)
        pictures, more = usable_pictures(workers, files, settings.seed)
        make = partial(_make, pictures, settings.seed, model)
        counts = {"valid": settings.held_out, "train": settings.grids}
        grids = made_in_chunks(workers, make, counts, progress)
        learn_one = partial(_learn, grids["train"], settings)
        prior = Prior(learned(workers, learn_one, KINDS))
    figures = {
        "pictures": {part: len(paths) for part, paths in pictures.items()}
        | {"skipped": skipped + more},
        "splats": sum(len(g.cell) for g in grids["train"]),
        "bits_per_splat": mean_bits(grids["valid"], prior),
    }
    return run.write(prior, figures)


def _make(pictures, seed: int, model: str | Path | None, part: str, places: range) -> list[Grid]:
    return make_grids(pictures[part], part, places, seed, model)


def make_grids(
    files: list[Path], part: str, places: range, seed: int, model: str | Path | None
) -> list[Grid]:
    """Grids by their places in the part: to train with, of random crops, sizes and precisions,
    else of whole pictures.
    """
    prior = None if model is None else record_prior(model)
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
    picture = image.shape[1::-1]
    if rng is None:
        return cut(image, middle_box(picture, size), size)
    scale = rng.uniform(SMALLEST, 1)
    w, h = (max(1, int(side * scale)) for side in largest_box(picture, size))
    x, y = rng.integers(picture[0] - w + 1), rng.integers(picture[1] - h + 1)
    image = cut(image, (x, y, w, h), size)
    return np.ascontiguousarray(image[:, ::-1]) if rng.integers(2) else image


def mean_bits(grids: list[Grid], prior: Prior) -> dict[str, float]:
    """Mean bits that a splat of `grids` takes: by part of the stream, and in "all"."""
    each = [{part: b / len(g.cell) for part, b in prior.bits(g).items()} for g in grids]
    return mean_of(each, 3)


def _learn(grids: list[Grid], settings: Settings, kind: str) -> dict[str, np.ndarray]:
    return learn(grids, kind, settings.seed, settings.steps)
