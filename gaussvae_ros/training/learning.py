"""The training of one classifier, on from where it was stopped.

What is drawn at random in a step depends on seed and step alone, so that a training that was
stopped goes on to the very weights that it would have reached, and two networks see the same.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from gaussvae_ros.errors import TrainingError
from gaussvae_ros.training import checkpoints as files
from gaussvae_ros.training.board import Board
from gaussvae_ros.training.config import Training
from gaussvae_ros.training.scores import accuracy, auc
from gaussvae_ros.training.steps import adamw, follow, learning_rate, seed_step

BATCH, RATE, WARMUP, DECAY, KEPT = 64, 6e-3, 100, 0.05, 0.995
SAVE_EVERY, SHOW_EVERY = 100, 20  # steps
MEASURED = 128  # pictures that are measured at once


@dataclass(frozen=True)
class Examples:
    """`inputs(part, indices, rng)` gives what a network takes, and `shows` by part which classes
    each picture shows, bool [N, C]."""

    inputs: Callable
    shows: dict[str, np.ndarray]


@dataclass(frozen=True)
class Learned:
    """A trained network, by part what pictures show and the scores that it gives them [N, C], how
    long the training took, and one picture in ms."""

    network: nn.Module
    scores: dict[str, tuple[np.ndarray, np.ndarray]]
    seconds: float
    ms: float


class Stopped(Exception):
    """A signal came; the checkpoint is written."""


def learn(
    make: Callable[[], nn.Module],
    examples: Examples,
    several: bool,
    out: Path,
    settings,
    manifest: str,
    caught: list[int],
) -> Learned:
    """Train a network on the part `train`; its averaged weights are the result.

    Raises:
        Stopped: `caught` a signal.
        TrainingError: the loss is no number; a checkpoint of another training.
    """
    training = Training(
        settings.steps, BATCH, RATE, WARMUP, weight_decay=DECAY, ema=KEPT, seed=settings.seed
    )
    seed_step(settings.seed, 0, 0)
    network = make()
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = adamw(network, training)
    parts = {"model": network, "average": average, "optimizer": optimizer}
    progress, config = files.Progress(), {"network": network.config}
    out.mkdir(exist_ok=True)
    if (out / files.CHECKPOINT).exists():
        progress, states = files.load_checkpoint(out, config, manifest)
        for name, part in parts.items():
            part.load_state_dict(states[name])

    def save() -> None:
        files.write_curve(out, progress.curve)
        states = {name: part.state_dict() for name, part in parts.items()}
        files.save_checkpoint(out, progress, config, manifest, states)

    board, before, begun = Board(out, progress.step), progress.seconds, time.perf_counter()
    bar = tqdm(
        total=training.steps, initial=progress.step, unit="step", desc=out.name, disable=None
    )
    with bar:
        while progress.step < training.steps:
            if caught:
                save()
                raise Stopped
            loss = _step(network, examples, several, optimizer, training, progress.step)
            if not math.isfinite(loss):
                raise TrainingError(f"{out.name}: step {progress.step + 1}: the loss is {loss:.3g}")
            kept = min(KEPT, (1 + progress.step) / (10 + progress.step))
            follow(average, network, kept)
            progress.step += 1
            progress.seconds = before + time.perf_counter() - begun
            bar.update()
            if progress.step % SHOW_EVERY == 0:
                board.add_scalars(progress.step, {"train/loss": loss})
            if progress.step % SAVE_EVERY == 0 or progress.step == training.steps:
                progress.curve.append(_validated(average, examples, several, progress, loss))
                board.add_scalars(progress.step, progress.curve[-1])
                save()
    board.close()
    begun, scores = time.perf_counter(), {}
    for part in examples.shows:
        if part != "train":
            scores[part] = examples.shows[part], score(average, examples, part, several)
    measured = sum(len(shown) for shown, _ in scores.values())
    taken = 1e3 * (time.perf_counter() - begun) / measured
    return Learned(average, scores, progress.seconds, taken)


def _step(network, examples: Examples, several: bool, optimizer, training, step: int) -> float:
    """Learn from a batch; its loss."""
    shows = examples.shows["train"]
    indices, rng = _batch(len(shows), training, step), np.random.default_rng([training.seed, step])
    seed_step(training.seed, step + 1, 0)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(training, step)
    network.train()
    said = network(examples.inputs("train", indices, rng))
    total = loss(said, torch.from_numpy(shows[indices]).float(), several)
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_(network.parameters(), training.clip)
    optimizer.step()
    return total.item()


def _batch(count: int, training: Training, step: int) -> np.ndarray:
    """The pictures of a step: each epoch takes all in another order."""
    at = np.arange(step * training.batch, (step + 1) * training.batch)
    orders = {
        epoch: np.random.default_rng([training.seed, 1, epoch]).permutation(count)
        for epoch in np.unique(at // count).tolist()
    }
    return np.array([orders[k // count][k % count] for k in at.tolist()])


def loss(said: Tensor, shows: Tensor, several: bool) -> Tensor:
    """Of scores [N, C] where pictures show classes [N, C]: cross entropy of one, or of each."""
    if several:
        return functional.binary_cross_entropy_with_logits(said, shows)
    return functional.cross_entropy(said, shows)


@torch.no_grad()
def score(network: nn.Module, examples: Examples, part: str, several: bool) -> np.ndarray:
    """Probabilities [N, C] for the pictures of a part."""
    network.eval()
    count, found = len(examples.shows[part]), []
    for begin in range(0, count, MEASURED):
        indices = np.arange(begin, min(begin + MEASURED, count))
        said = network(examples.inputs(part, indices, None))
        found.append(torch.sigmoid(said) if several else torch.softmax(said, 1))
    return torch.cat(found).numpy()


def _validated(network, examples: Examples, several: bool, progress, loss: float) -> dict:
    """A row of the curve; the part `test` is not looked at."""
    row = {"step": progress.step, "seconds": round(progress.seconds, 1), "train/loss": loss}
    if "val" in examples.shows:
        shows, found = examples.shows["val"], score(network, examples, "val", several)
        row |= {"val/auc": auc(shows, found), "val/accuracy": accuracy(shows, found, several)}
    return row
