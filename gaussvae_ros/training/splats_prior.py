"""Training of the prior: the weights that make a set of grids shortest, by gradient descent on their code length."""

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from gaussvae_ros.entropy import prior, stream
from gaussvae_ros.entropy.coder import Meter
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.prior import Prior
from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation.images import find_images, read_image
from gaussvae_ros.files import write_file
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.quantise import best_precision, quantise

BATCH, STEPS, RATE = 4096, 400, 0.03
SPLATS = (512, 256, 1024, 512, 128, 2048)  # images take these in turn; most records have 512
EFFORT = "fast"
HELD_OUT = 8  # one image in so many is not learned from, but measured


def train_prior(
    images: Iterable[str | Path], out: str | Path, seed: int = 0, progress: Callable = iter
) -> dict:
    """Train a prior on images and write it to the file `out` as JSON, in the form of the one that ships.

    Args:
        images: files, and folders of them; at least two, with colour among those trained on.
        progress: wraps the iterable of files.

    Returns:
        The card of the training, which is in the file beside the weights: what it was trained on, how, and the bits per
        splat, by part of a record, of the images held out, before (under `plain_guess`) and after.

    Raises:
        ImageError: too few images, or one that cannot be read.
        OSError: `out` cannot be written.
    """
    begun, files = time.perf_counter(), find_images(images)
    if len(files) < 2:
        raise ImageError(
            "training needs at least two images: one to learn from, one to measure with"
        )
    grids, hashes = [], []
    for number, file in enumerate(progress(files)):
        hashes.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
        n = SPLATS[number % len(SPLATS)]
        image = read_image(file)
        state = descend(image, n, EFFORTS[EFFORT], seed)
        grids.append(quantise(image, state, best_precision(image, state), EFFORT))
    held_out = grids[HELD_OUT - 1 :: HELD_OUT] or grids[-1:]
    learned = [g for g in grids if not any(g is h for h in held_out)]
    if all(g.colour.shape[1] == 1 for g in learned):
        raise ImageError("training needs colour images, these are all grey")
    weights = train(learned, plain_guess(), seed)
    card = {
        "date": datetime.date.today().isoformat(),
        "images": len(files),
        "images_sha256": hashlib.sha256(
            "".join(sorted(hashes, key=lambda line: line[66:])).encode()
        ).hexdigest(),
        "splats": sum(len(g.cell) for g in learned),
        "seed": seed,
        "config": {
            "splats": SPLATS,
            "effort": EFFORT,
            "batch": BATCH,
            "steps": STEPS,
            "rate": RATE,
            "held_out": f"1 of {HELD_OUT}",
        },
        "bits_per_splat": {
            "images": len(held_out),
            "before": bits_per_splat(held_out, plain_guess()),
            "after": bits_per_splat(held_out, Prior(weights)),
        },
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
    }
    write_file(out, (json.dumps({"card": card, "weights": weights}, indent=1) + "\n").encode())
    return card


def plain_guess() -> Prior:
    """The prior that training starts from: a splat is about as its neighbours are, give or take what they differ by."""
    weights = {}
    for kind, extra in zip(prior.LINEAR, (1, 2, 2, 2, 2)):
        weights[kind] = [
            {"centre": [0, 1, 0] + [0] * extra, "width": [0.3, 0, 0.5] + [0] * extra}
        ] * 2
    return Prior({**weights, "angle": [[0.5, 0.2, 1.0]] * 2})


def bits_per_splat(grids: list[Grid], law: Prior) -> dict[str, float]:
    """Mean bits that a splat of `grids` takes under `law`: by part of the record, and in "all"."""
    meter = Meter()
    for g in grids:
        stream.code(meter, g.size, len(g.cell), g.precision, g.colour.shape[1], g, law)
    splats = sum(len(g.cell) for g in grids)
    parts = {part: bits / splats for part, bits in meter.bits.items()}
    return {part: round(bits, 3) for part, bits in {**parts, "all": sum(parts.values())}.items()}


def train(grids: list[Grid], start: Prior, seed: int = 0) -> dict:
    """Weights for `Prior`, trained on `grids` from those of `start`."""
    heard = _listen(grids, start)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for kind in (*prior.LINEAR, "angle"):
        weights[kind] = []
        for later in (False, True):
            data = heard[kind, later]
            fit = _fit_angle if kind == "angle" else _fit_linear
            weights[kind].append(fit(data, start.weights[kind][later], generator))
    return weights


class _Listener(Prior):
    """Keeps what it is asked, by kind and pass."""

    def __init__(self, base: Prior):
        self.weights, self.asked = base.weights, []

    def linear(self, kind, later, features, steps, low, count):
        self.asked.append(
            (kind, later, [features, steps, np.full(len(steps), low), np.full(len(steps), count)])
        )
        return super().linear(kind, later, features, steps, low, count)

    def angle(self, later, guesses, counts):
        self.asked.append(("angle", later, [guesses, counts]))
        return super().angle(later, guesses, counts)


class _Scribe(Meter):
    """Keeps the symbols it weighs."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def symbols(self, values, probabilities):
        if self.part != "cells":
            self.kept.append(values)
        return super().symbols(values, probabilities)


def _listen(grids, start):
    heard = {}
    for g in grids:
        law, scribe = _Listener(start), _Scribe()
        stream.code(scribe, g.size, len(g.cell), g.precision, g.colour.shape[1], g, law)
        for (kind, later, inputs), values in zip(law.asked, scribe.kept, strict=True):
            heard.setdefault((kind, bool(later)), []).append([*inputs, values])
    return {
        k: [torch.tensor(np.concatenate(column)) for column in zip(*v)] for k, v in heard.items()
    }


def _fit_linear(data, start, generator):
    features, steps, low, count, values = data
    k = torch.arange(int(count[0]))

    def bits(weights, rows):
        centre, width = weights
        s = torch.clamp(features[rows] @ width / steps[rows], min=0.33)[:, None]
        z = (low[rows, None] + k - (features[rows] @ centre / steps[rows])[:, None]) / s
        q = 1 / (1 + z * z)
        p = q * q + 1e-6
        return torch.log2(p.sum(1) / p[torch.arange(len(rows)), values[rows]]).mean()

    centre, width = _descend(bits, start, len(values), generator)
    return {"centre": centre, "width": width}


def _fit_angle(data, start, generator):
    guesses, counts, values = data
    cosine, sine = (torch.tensor(t) for t in prior.axes())

    def bits(weights, rows):
        a, b = (
            weights[0][0] * guesses[rows, i] + weights[0][1] * guesses[rows, i + 2] for i in (0, 1)
        )
        away = 1 - a[:, None] * cosine[counts[rows]] - b[:, None] * sine[counts[rows]]
        q = 1 / torch.clamp(weights[0][2] + away, min=1e-3)
        p = q * q * (torch.arange(q.shape[1]) < counts[rows, None])
        return torch.log2(p.sum(1) / p[torch.arange(len(rows)), values[rows]]).mean()

    return _descend(bits, (start,), len(values), generator)[0]


def _descend(bits, start, total, generator):
    """Adam with a falling rate on float64 weights; returns lists of numbers rounded to 5 digits."""
    weights = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in start]
    adam = torch.optim.Adam(weights, RATE)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    for _ in range(STEPS):
        loss = bits(weights, torch.randint(total, (min(BATCH, total),), generator=generator))
        adam.zero_grad()
        loss.backward()
        adam.step()
        fall.step()
    return [[round(float(x), 5) for x in w.detach()] for w in weights]
