"""Training of the prior of predicted records: frames predicted as in the codec, and networks to
code their changes."""

import datetime
import math
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from gaussvae_ros.entropy.changes import Changes, Decoded, applied
from gaussvae_ros.errors import DataError, TrainingError
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.files import write_file
from gaussvae_ros.training.crops import largest_box
from gaussvae_ros.training.prepare import start_workers
from gaussvae_ros.training.prior_networks import Questions, fitted, rows_asked
from gaussvae_ros.training.sources import Source, find_source, picture_files
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.change_prior import ChangePrior, code
from gaussvae_ros.vae.models import Models, model_file
from gaussvae_ros.vae.prediction import predict, price_of

CHUNK = 16  # frames that a process predicts at a time
EVERY = {"sim": 2, "video": 2, "bag": 1}  # frames that are kept of a stream
FARTHEST = 6  # kept frames between a reference and what is predicted from it
FEWEST, MOST = 5.5, 10.5  # log2 of the number of splats of references
COARSER = 2.5  # log2 of how many fewer splats a record alone of the same worth has, at most
SIZES = ((640, 480), (640, 480), (480, 360), (640, 360))  # (w, h) px, in turn
AGAIN = 0.4  # share of predictions that are from predicted frames
HELD_OUT = 10  # every so many-th frame of a part is not trained on


@dataclass(frozen=True)
class Settings:
    """How much is learned from."""

    frames: int = 4000
    held_out: int = 128  # frames that the bits in the card are measured on
    steps: int = 4000  # of each network
    seed: int = 0


@dataclass(frozen=True)
class Sequence:
    """Pictures to predict from each other; of a folder of single ones, each from itself moved."""

    files: list[Path]
    moving: bool


def train_changes(
    sources: Iterable[str | Path],
    out: str | Path,
    model: str | Path,
    settings: Settings = Settings(),
    progress: Callable = iter,
) -> dict:
    """Train the prior that predicted records are coded with, and write it as a model to `out`.

    Args:
        sources: videos, bags or "sim", whose frames are predicted from earlier ones; and folders of
            single images, each of which is moved as a camera would.
        model: name or path of the model that references are encoded with.
        progress: wraps the list of chunks of frames.

    Returns:
        The model's card.

    Raises:
        DataError: sources as for `prepare`, settings out of range, or no folder for `out`.
        ModelError: there is no such model.
        TrainingError: a process was lost.
        OSError: `out` cannot be written.
    """
    begun, out = time.perf_counter(), Path(out)
    if not out.absolute().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist")
    if bad := next((k for k, v in asdict(settings).items() if k != "seed" and v < 1), None):
        raise DataError(f"{bad} must be at least 1")
    found = [find_source(given) for given in sources]
    Models().load(model)  # before the work
    cache = out.parent / f".{out.stem}-frames"
    sequences = [_sequence(source, cache) for source in found]
    with start_workers(None) as workers:
        try:
            made = {}
            for part, count in {"valid": settings.held_out, "train": settings.frames}.items():
                chunks = [
                    workers.submit(
                        make_predictions,
                        sequences,
                        part,
                        range(first, min(first + CHUNK, count)),
                        settings.seed,
                        model,
                    )
                    for first in range(0, count, CHUNK)
                ]
                made[part] = [pair for chunk in progress(chunks) for pair in chunk.result()]
            kinds = list(ChangePrior.FEATURES)
            learned = workers.map(partial(_learn, made["train"], settings), kinds)
            prior = ChangePrior(dict(zip(kinds, learned, strict=True)))
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
        "frames": {s.given: len(q.files) for s, q in zip(found, sequences)},
        "settings": asdict(settings) | {"model": str(model)},
        "bits_per_frame": mean_bits(made["valid"], prior),
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
    }
    write_file(out, model_file(prior, card))
    shutil.rmtree(cache, ignore_errors=True)
    return card


def _sequence(source: Source, cache: Path) -> Sequence:
    moving = source.kind in EVERY
    files, _ = picture_files(source, cache, EVERY.get(source.kind))
    if moving and len(files) <= FARTHEST * HELD_OUT:
        raise DataError(f"{source.given}: {len(files)} frames are too few to learn from")
    return Sequence(files, moving)


def make_predictions(
    sequences: list[Sequence], part: str, places: range, seed: int, model: str | Path
) -> list[tuple[Decoded, Changes]]:
    """References and what was predicted from them, by their places in the part."""
    prior, out = Models().load(model).prior, []
    for at in places:
        rng = np.random.default_rng([seed, at, part == "train"])
        frames = _frames(sequences, part, SIZES[at % len(SIZES)], rng)
        most = min(MOST, math.log2(frames[0].shape[0] * frames[0].shape[1] / 30))
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


def _frames(sequences, part: str, size, rng) -> list[np.ndarray]:
    """Two or three successive frames of `size` px."""
    chosen = sequences[rng.integers(len(sequences))]
    count = 3 if rng.random() < AGAIN else 2
    flip = rng.integers(2)
    while True:
        first = int(rng.integers(len(chosen.files)))
        # held out: a run of frames at the end of each HELD_OUT-th part
        out = first * HELD_OUT // len(chosen.files) == HELD_OUT - 1
        if out == (part == "valid"):
            break
    if chosen.moving:
        step = int(rng.integers(1, FARTHEST + 1))
        places = [min(first + k * step, len(chosen.files) - 1) for k in range(count)]
        images = [_fitted(read_image(chosen.files[k]), size) for k in places]
    else:
        images = _moved(read_image(chosen.files[first]), size, count, rng)
    images = [np.repeat(a[..., None], 3, 2) if a.ndim == 2 else a for a in images]
    return [np.ascontiguousarray(a[:, ::-1] if flip else a) for a in images]


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of an image, resized to `size` (w, h) px."""
    height, width = image.shape[:2]
    w, h = (max(1, int(side)) for side in largest_box((width, height), size))
    x, y = (width - w) // 2, (height - h) // 2
    return cv2.resize(image[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)


def _moved(image: np.ndarray, size: tuple[int, int], count: int, rng) -> list[np.ndarray]:
    """An image as a camera sees it that moves steadily before it, its exposure changing."""
    height, width = image.shape[:2]
    w, h = np.array(largest_box((width, height), size)) * rng.uniform(0.6, 0.85)
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
        seen = cv2.warpPerspective(
            image, warp, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
        )
        noise = rng.normal(0, rng.uniform(0, 2), seen.shape)
        images.append(np.clip(seen * (1 + k * gain) + noise, 0, 255).astype(np.uint8))
    return images


def mean_bits(pairs: list[tuple[Decoded, Changes]], prior: ChangePrior) -> dict[str, float]:
    """Mean bits of a predicted frame: by part of the stream, and in "all"."""
    parts: dict[str, float] = {}
    for reference, made in pairs:
        for part, bits in prior.bits(reference, made).items():
            parts[part] = parts.get(part, 0.0) + bits / len(pairs)
    return {part: round(bits, 1) for part, bits in {**parts, "all": sum(parts.values())}.items()}


def _learn(pairs: list[tuple[Decoded, Changes]], settings: Settings, kind: str) -> dict:
    torch.set_num_threads(1)

    def ask(questions: Questions, pair: tuple[Decoded, Changes]) -> None:
        code(questions, questions, pair[0], pair[1].precision, pair[1])

    asked = rows_asked(pairs, kind, ask, settings.seed)
    return fitted(kind, *asked, seed=settings.seed, steps=settings.steps).arrays()
