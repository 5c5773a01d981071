"""Training of the latent prior: grids of prepared pictures, as the codec makes them, and networks that make them short."""

import datetime
import math
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gaussvae_ros.entropy import prior
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.training.splats_prior import bits_per_splat
from gaussvae_ros.errors import ModelError, TrainingError
from gaussvae_ros.fit import descend
from gaussvae_ros.quantise import best_precision, quantise
from gaussvae_ros.training import models
from gaussvae_ros.training.anchors import Anchors
from gaussvae_ros.training.checkpoints import MANIFEST, data_summary
from gaussvae_ros.vae.contexts import KINDS
from gaussvae_ros.vae.latent import COARSER, PLANS
from gaussvae_ros.training.prepare import start_workers
from gaussvae_ros.vae.models import describe
from gaussvae_ros.vae.prior import Prior
from gaussvae_ros.training.prior_networks import learn
from gaussvae_ros.training.shards import Shards

CHUNK, CHUNKS = (
    32,
    300,
)  # pictures that a process takes at a time, and how many times: grids to learn from
FEWEST, MOST = 5.5, 8.5  # log2 of the number of splats that pictures are fitted with
MEASURED = (64, 128, 256)  # splats of the grids held out, in turn
STEPS = 8000  # of each network
OFF = 3  # precision indices by which half of the grids learned from differ from the codec's


def make_grids(folder: str | Path, part: str, number: int, seed: int) -> list[Grid]:
    """Grids of one chunk of prepared pictures: for training mirrored, recoloured and varied, else as they are."""
    shards, rng, learn = (
        Shards(folder, part),
        np.random.default_rng([seed, number]),
        part == "train",
    )
    if learn:
        indices = next(shards.iterate(CHUNK, seed, number))
    else:
        indices = np.arange(number * CHUNK, min((number + 1) * CHUNK, len(shards)))
    pictures = shards.batch(indices, shards.size, rng if learn else None).pictures
    images = (255 * pictures.permute(0, 2, 3, 1)).round().clamp(0, 255).byte().numpy()
    grids = []
    for index, image in zip(indices, images):
        count, off = MEASURED[index % len(MEASURED)], COARSER
        if learn:
            count = round(2 ** rng.uniform(FEWEST, MOST))
            off += int(rng.integers(-OFF, OFF + 1)) * int(rng.integers(2))
        state = descend(image, count, PLANS["fast"])
        grids.append(quantise(image, state, best_precision(image, state) + off, "fast"))
    return grids


def train_latents(
    folder: str | Path, model: str | Path, out: str | Path, seed: int = 0, progress: Callable = iter
) -> dict:
    """Train the prior of an anchors model on prepared samples, and write the model with it to the file `out`.

    A script calls it under `if __name__ == "__main__":`, since it starts processes afresh.

    Args:
        folder: what `gaussvae train prepare` made.
        model: name or path of a model; its networks stay as they are, a prior that it has is replaced.
        progress: wraps the iterable of chunks of grids.

    Returns:
        The card of the training, which is in the file too, as "prior" of the model's card: what it was trained on, and
        the bits per splat of the validation samples by part of a record, under the prior of the splats tier and after.

    Raises:
        ModelError: no such model, or one that makes no records.
        DataError: as `Shards`.
        TrainingError: a process was lost.
        OSError: `out` cannot be written.
    """
    begun = time.perf_counter()
    made, about = models.load(model), describe(model)
    if not isinstance(made, Anchors):
        raise ModelError(f"{model} makes no records: it is no anchors model")
    held_out = len(Shards(folder, "valid"))
    tasks = [("valid", k) for k in range(math.ceil(held_out / CHUNK))] + [
        ("train", k) for k in range(CHUNKS)
    ]
    grids = {"valid": [], "train": []}
    with start_workers(None) as workers:
        try:
            chunks = [workers.submit(make_grids, folder, *task, seed) for task in tasks]
            for (part, _), chunk in zip(tasks, progress(chunks)):
                grids[part] += chunk.result()
            networks = workers.map(partial(_learn, grids["train"], seed, STEPS), range(len(KINDS)))
            made.prior = Prior(dict(zip(KINDS, networks)))
        except BrokenProcessPool:
            raise TrainingError(
                "a process was ended from outside, or memory is short: begin again"
            ) from None
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    card = {
        "date": datetime.date.today().isoformat(),
        "data": data_summary((Path(folder) / MANIFEST).read_text()),
        "seed": seed,
        "grids": len(grids["train"]),
        "splats": sum(len(g.cell) for g in grids["train"]),
        "steps": STEPS,
        "bits_per_splat": {
            "grids": len(grids["valid"]),
            "before": bits_per_splat(grids["valid"], prior.load()),
            "after": mean_bits(grids["valid"], made.prior),
        },
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
    }
    models.save(made, out, {**about["card"], "prior": card})
    return card


def mean_bits(grids: list[Grid], law: Prior) -> dict[str, float]:
    """Mean bits that a splat of `grids` takes under `law`: by part of the stream, and in "all"."""
    splats, parts = sum(len(g.cell) for g in grids), {}
    for g in grids:
        for part, bits in law.bits(g).items():
            parts[part] = parts.get(part, 0.0) + bits / splats
    return {part: round(bits, 3) for part, bits in {**parts, "all": sum(parts.values())}.items()}


def _learn(grids: list[Grid], seed: int, steps: int, kind: int) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    return learn(grids, kind, seed, steps)
