"""Training of the prior of predicted records: frames predicted as in the codec, and networks to
code their changes."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.codec import DEFAULT_MODEL
from gaussvae_ros.entropy.changes import Changes, Decoded, applied
from gaussvae_ros.errors import DataError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.training.crops import PARTS, cut, largest_box, middle_box
from gaussvae_ros.training.prior_networks import Questions, fitted, rows_asked
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
from gaussvae_ros.vae.change_prior import ChangePrior, code
from gaussvae_ros.vae.prediction import predict, price_of

EVERY = {"sim": 2, "video": 2, "bag": 1}  # frames that are kept of a stream
FARTHEST = 6  # kept frames between a reference and what is predicted from it
FEWEST, MOST = 5.5, 10.5  # log2 of the number of splats of references
COARSER = 2.5  # log2 of how many fewer splats a record alone of the same worth has, at most
SIZES = ((640, 480), (640, 480), (480, 360), (640, 360))  # (w, h) px, in turn
AGAIN = 0.4  # share of predictions that are from predicted frames
HELD_OUT = 10  # the last frames of a stream, one in so many, are not trained on
LEAST = 60  # frames that are kept of a stream, at least


@dataclass(frozen=True)
class Settings:
    """How much is learned from: the defaults are those of the model that ships."""

    frames: int = 2400
    held_out: int = 128  # frames that the bits in the card are measured on
    steps: int = 4000  # of each network
    seed: int = 0


@dataclass(frozen=True)
class Sequence:
    """Frames of a stream, in order, or single pictures, which move as a camera would see them."""

    files: list[Path]
    moving: bool


def train_changes(
    sources: Iterable[str | Path],
    out: str | Path,
    settings: Settings = Settings(),
    model: str | Path = DEFAULT_MODEL,
    progress: Callable = iter,
) -> dict:
    """Train the prior that predicted records are coded with, and write it as a model to `out`.

    A script calls it under `if __name__ == "__main__":`, since it starts processes afresh.

    Args:
        sources: videos, bags or "sim", whose frames are predicted from earlier ones, and images or
            folders of them, each of which is moved as a camera would. Each stream is drawn from as
            often as all images together. Images that cannot be read, or are there twice, are left
            out.
        model: name or path of the model that references are encoded with.
        progress: wraps the list of chunks of frames.

    Returns:
        The model's card: what it was trained on, and the bits of a predicted frame, held out, by
        part of its record.

    Raises:
        DataError: sources as for `prepare`, fewer than LEAST frames of a stream or 8 images, none
            of them in colour, settings out of range, or no folder for `out`.
        ModelError: there is no such model, or it is for other records.
        TrainingError: a process was lost.
        OSError: `out` cannot be written.
    """
    run = Run(sources, out, settings, model)
    with run.working() as workers:
        sequences, counts = _sequences(workers, run, settings.seed)
        make = partial(_make, sequences, settings.seed, model)
        frames = {"valid": settings.held_out, "train": settings.frames}
        made = made_in_chunks(workers, make, frames, progress)
        learn = partial(_learn, made["train"], settings)
        prior = ChangePrior(learned(workers, learn, ChangePrior.FEATURES))
    return run.write(prior, {**counts, "bits_per_frame": mean_bits(made["valid"], prior)})


def _sequences(
    workers: ProcessPoolExecutor, run: Run, seed: int
) -> tuple[dict[str, list[Sequence]], dict]:
    """The sequences of each part, and how many frames there are, for the card."""
    parts: dict[str, list[Sequence]] = {part: [] for part in PARTS}
    frames, single, skipped = {}, [], 0
    for source in run.sources:
        files, problems = picture_files(source, run.cache, EVERY.get(source.kind))
        frames[source.given], skipped = len(files), skipped + len(problems)
        if source.kind not in EVERY:
            single += files
            continue
        if len(files) < LEAST:
            raise DataError(
                f"{source.given}: training needs {LEAST} frames of a stream, at 1 in"
                f" {EVERY[source.kind]}, there are {len(files)}"
            )
        held_out = len(files) // HELD_OUT
        # frames between the parts belong to neither: they show what both show
        parts["train"].append(Sequence(files[: -held_out - FARTHEST], True))
        parts["valid"].append(Sequence(files[-held_out:], True))
    if single:
        pictures, more = usable_pictures(workers, single, seed)
        skipped += more
        for part, files in pictures.items():
            parts[part].append(Sequence(files, False))
    return parts, {"frames": frames, "skipped": skipped}


def _make(sequences, seed: int, model: str | Path, part: str, places: range) -> list:
    return make_predictions(sequences[part], part, places, seed, model)


def make_predictions(
    sequences: list[Sequence], part: str, places: range, seed: int, model: str | Path
) -> list[tuple[Decoded, Changes]]:
    """References and what was predicted from them, by their places in the part."""
    prior, out = record_prior(model), []
    for at in places:
        rng = np.random.default_rng([seed, at, part == "train"])
        frames = _frames(sequences, SIZES[at % len(SIZES)], rng)
        most = min(MOST, math.log2(frames[0].shape[0] * frames[0].shape[1] / DENSEST))
        count = round(2 ** rng.uniform(FEWEST, most))
        key = encoder.encode(frames[0], count, "fast", prior)
        fewer = max(count / 2 ** rng.uniform(0, COARSER), 16)
        reference = Decoded.of(key)
        for frame in frames[1:]:
            price, precision = price_of(reference, fewer)
            made, _ = predict(frame, reference, price, precision)
            pair, reference = (reference, made), applied(reference, made)
        out.append(pair)
    return out


def _frames(
    sequences: list[Sequence], size: tuple[int, int], rng: np.random.Generator
) -> list[np.ndarray]:  # uint8 [h, w, 3] or [h, w]
    """Two or three successive frames of `size` (w, h) px, mirrored or not."""
    chosen = sequences[rng.integers(len(sequences))]
    count = 3 if rng.random() < AGAIN else 2
    files, flip = chosen.files, rng.integers(2)
    if chosen.moving:
        step = int(rng.integers(1, min(FARTHEST, (len(files) - 1) // (count - 1)) + 1))
        first = int(rng.integers(len(files) - (count - 1) * step))
        images = [read_image(file) for file in files[first::step][:count]]
        images = [cut(a, middle_box(a.shape[1::-1], size), size) for a in images]
    else:
        images = _moved(read_image(files[rng.integers(len(files))]), size, count, rng)
    return [np.ascontiguousarray(a[:, ::-1] if flip else a) for a in images]


def _moved(
    image: np.ndarray, size: tuple[int, int], count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """An image as a camera sees it that moves steadily before it, its exposure changing."""
    seen = rng.uniform(0.6, 0.85)  # of the image
    shrink = size[0] / (largest_box(image.shape[1::-1], size)[0] * seen)
    if shrink < 1:  # before the warp, which would skip pixels
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    height, width = image.shape[:2]
    w, h = np.array(largest_box((width, height), size)) * seen
    corners = np.array([[0, 0], [w, 0], [w, h], [0, h]], float)
    at = np.array([rng.uniform(0, width - w), rng.uniform(0, height - h)])
    pace = rng.exponential(0.02) * w
    shift = rng.normal(0, 1, 2) * pace
    bend = rng.normal(0, 0.5, (4, 2)) * pace
    gain = rng.normal(0, 0.03)
    target = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]], np.float32)
    images = []
    for k in range(count):
        source = (corners + at + k * (shift + bend)).astype(np.float32)
        warp = cv2.getPerspectiveTransform(source, target)
        frame = cv2.warpPerspective(image, warp, size, borderMode=cv2.BORDER_REFLECT)
        noise = rng.normal(0, rng.uniform(0, 2), frame.shape)
        images.append(np.clip(frame * (1 + k * gain) + noise, 0, 255).astype(np.uint8))
    return images


def mean_bits(pairs: list[tuple[Decoded, Changes]], prior: ChangePrior) -> dict[str, float]:
    """Mean bits of a predicted frame: by part of the stream, and in "all"."""
    return mean_of([prior.bits(reference, made) for reference, made in pairs], 1)


def _learn(pairs: list[tuple[Decoded, Changes]], settings: Settings, kind: str) -> dict:
    def ask(questions: Questions, pair: tuple[Decoded, Changes]) -> None:
        code(questions, questions, pair[0], pair[1].precision, pair[1])

    asked = rows_asked(pairs, kind, ask, settings.seed)
    return fitted(kind, *asked, seed=settings.seed, steps=settings.steps).arrays()
