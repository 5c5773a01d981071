"""What the trainings of both priors share: that of records alone and that of predicted ones."""

import datetime
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaussvae_ros.errors import DataError, TrainingError
from gaussvae_ros.files import write_file
from gaussvae_ros.training.crops import PARTS, split
from gaussvae_ros.training.prepare import look
from gaussvae_ros.training.sources import Source, find_source
from gaussvae_ros.training.workers import working
from gaussvae_ros.vae.latent import LatentCodec
from gaussvae_ros.vae.models import model_file
from gaussvae_ros.vae.networks import Networks
from gaussvae_ros.vae.prior import Prior

CHUNK = 16  # pictures or frames that a process works on at a time
DENSEST = 30  # pixels a splat at least


class Run:
    """A training of a prior from its checks to its model file."""

    def __init__(
        self,
        sources: Iterable[str | Path],
        out: str | Path,
        settings: Any,
        model: str | Path | None,
    ) -> None:
        """Find the sources, and check all else before the work.

        Args:
            settings: a dataclass of integers: `seed`, and others of at least 1.
            model: the model of records alone to fit with, if any.

        Raises:
            DataError: no or missing sources, settings out of range, or no folder for `out`.
            ModelError: there is no such model, or it is for other records.
        """
        self._begun, self._out = time.perf_counter(), Path(out)
        self._settings, self._model = settings, model
        if not self._out.absolute().parent.is_dir():
            raise DataError(f"{out}: its folder does not exist")
        for name, value in asdict(settings).items():
            if value < (name != "seed"):
                raise DataError(f"{name} must be at least {int(name != 'seed')}, not {value}")
        self.sources: list[Source] = [find_source(given) for given in sources]
        if not self.sources:
            raise DataError("no sources of pictures given")
        if model is not None:
            record_prior(model)
        self.cache = self._out.parent / f".{self._out.stem}-frames"

    def working(self) -> AbstractContextManager[ProcessPoolExecutor]:
        """Processes for the work. Raises TrainingError where one was lost."""
        lost = "a process was ended from outside, or memory is short: begin again"
        return working(None, TrainingError(lost))

    def write(self, prior: Networks, figures: dict) -> dict:
        """Write the model; returns its card, which has `figures`, too."""
        card = {
            "date": datetime.date.today().isoformat(),
            "sources": [{"given": s.given, "licence": s.licence} for s in self.sources],
            "settings": asdict(self._settings) | {"model": self._model and str(self._model)},
            **figures,
            "seconds": round(time.perf_counter() - self._begun, 1),
            "versions": {"numpy": np.__version__, "torch": torch.__version__},
        }
        write_file(self._out, model_file(prior, card))
        shutil.rmtree(self.cache, ignore_errors=True)
        return card


def record_prior(model: str | Path) -> Prior:
    """The prior of a model of records alone. Raises ModelError: there is none, or another kind."""
    return LatentCodec(model).model.prior


def usable_pictures(
    workers: ProcessPoolExecutor, files: list[Path], seed: int
) -> tuple[dict[str, list[Path]], int]:
    """The pictures of each part, and how many are left out: unreadable, or there twice.

    Raises:
        DataError: fewer than 8 are left.
    """
    skipped, seen, usable = 0, set(), []
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


def made_in_chunks(
    workers: ProcessPoolExecutor, make: Callable, counts: dict[str, int], progress: Callable
) -> dict[str, list]:
    """What `make(part, places)` makes for so many places of each part, in the same order for any
    number of processes; `progress` wraps the list of chunks."""
    tasks = [
        (part, range(first, min(first + CHUNK, count)))
        for part, count in counts.items()
        for first in range(0, count, CHUNK)
    ]
    chunks = [workers.submit(make, *task) for task in tasks]
    made: dict[str, list] = {part: [] for part in counts}
    for (part, _), chunk in zip(tasks, progress(chunks), strict=True):
        made[part] += chunk.result()
    return made


def learned(workers: ProcessPoolExecutor, learn: Callable, kinds: Iterable[str]) -> dict[str, dict]:
    """The networks that `learn(kind)` gives, each in a process with one thread."""
    kinds = list(kinds)
    return dict(zip(kinds, workers.map(partial(_alone, learn), kinds), strict=True))


def _alone(learn: Callable, kind: str) -> dict:
    torch.set_num_threads(1)
    return learn(kind)


def mean_of(bits: list[dict[str, float]], digits: int) -> dict[str, float]:
    """Means of bits by part of the stream, and their sum as "all"."""
    parts: dict[str, float] = {}
    for measured in bits:
        for part, value in measured.items():
            parts[part] = parts.get(part, 0.0) + value / len(bits)
    means = {**parts, "all": sum(parts.values())}
    return {part: round(value, digits) for part, value in means.items()}
