"""The one training loop: any model and losses, on a CPU or GPUs, on from where it was stopped.

Whatever is drawn at random in a step depends on the seed, the step and the process alone, so that a
training that was stopped, or killed, goes on to the very weights it would have reached.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from gaussvae_ros.errors import ModelError, TrainingError
from gaussvae_ros.files import write_file
from gaussvae_ros.training import checkpoints as files
from gaussvae_ros.training import models
from gaussvae_ros.training.board import Board
from gaussvae_ros.training.config import Config, dump_config
from gaussvae_ros.training.losses import Objective
from gaussvae_ros.training.model import Batch, SplatModel
from gaussvae_ros.training.processes import Team, ahead, caught_signals, equal_threads, join
from gaussvae_ros.training.shards import Shards
from gaussvae_ros.training.steps import Step, adamw, follow, learning_rate, seed_step
from gaussvae_ros.training.validation import Validation, validate

VALIDATION = 256  # samples that are measured, at most
ADAPT = 1024  # samples that a new model takes its statistics from, at most
SHOW_EVERY = 20  # steps between points of the training curves


class DivergedError(TrainingError):
    """The loss, or its gradient, is no number any more."""


def train(
    config: Config,
    data: str | Path,
    out: str | Path,
    resume: bool = False,
    watch: Callable[[int, dict[str, float]], None] = lambda step, figures: None,
) -> dict | None:
    """Train a model on the samples in the folder `data`; checkpoints.py lists the files in `out`.

    SIGINT and SIGTERM end it after the step under way, with a checkpoint.

    Args:
        resume: go on from the checkpoint in `out`, which a new training refuses to overwrite.
        watch: called after each validation with the step and its figures; an exception
            of it ends the training.

    Returns:
        `step` reached, `stopped` by ("steps", "patience" or "signal"), `seconds`, and the
        rows of the curve for the `best` and the `last` validation. None in processes of
        `torchrun` other than the first.

    Raises:
        TrainingError: nothing to resume, or a training already in `out`; a loss that is
            no number (DivergedError).
        ConfigError, ModelError, DataError: what `config` or `data` has that does not work.
        OSError: `out` cannot be written, or the disk is full; its last checkpoint is whole.
    """
    with equal_threads(), join() as team, caught_signals() as caught:
        run = _Run(config, Path(data), Path(out), resume, team)
        try:
            return run.learn(caught, watch)
        finally:
            run.close()


class _Run:
    """A training under way, in one process."""

    def __init__(self, config: Config, data: Path, out: Path, resume: bool, team: Team):
        self.config, self.out, self.team = config, out, team
        if config.training.batch % team.world:
            raise TrainingError(
                f"training.batch {config.training.batch} is no multiple of {team.world} processes"
            )
        if not resume and (out / files.CHECKPOINT).exists():
            raise TrainingError(
                f"{out}: holds a training; go on with --resume, or choose another folder"
            )
        self.shards, valid = Shards(data, "train"), Shards(data, "valid")
        self.manifest = (data / files.MANIFEST).read_text()
        seed_step(config.training.seed, 0, 0)
        self.model = models.build(config.model).to(team.device)
        self.objective = Objective(config.losses, self.model)
        self.progress, states = files.Progress(), None
        if resume:
            self.progress, states = files.load_checkpoint(out, config.as_dict(), self.manifest)
        elif config.training.init_from:
            _start_from(self.model, config.training.init_from)
        else:
            self.model.adapt(self._batch(self.shards, 0, min(len(self.shards), ADAPT)))
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = adamw(self.model, config.training)
        if states:
            for name, part in self._parts().items():
                part.load_state_dict(states[name])
        self.board = None
        if team.rank == 0:
            out.mkdir(parents=True, exist_ok=True)
            self.board = Board(out, self.progress.step)
            write_file(out / files.CONFIG, dump_config(config.as_dict()).encode())
            write_file(out / files.MANIFEST, self.manifest.encode())
            size, end = config.training.batch // team.world, min(len(valid), VALIDATION)
            self.valid = [self._batch(valid, i, min(i + size, end)) for i in range(0, end, size)]

    def learn(
        self, caught: list[int], watch: Callable[[int, dict[str, float]], None]
    ) -> dict | None:
        training, progress, team = self.config.training, self.progress, self.team
        net = Step(self.model, self.objective, training.precision)
        if team.world > 1:
            ids = [team.device.index] if team.device.type == "cuda" else None
            net = DistributedDataParallel(net, device_ids=ids, find_unused_parameters=True)
        stopped, seconds, begun = "", progress.seconds, time.perf_counter()
        if not progress.curve:
            self._validate(watch)
        bar = tqdm(
            total=training.steps,
            initial=progress.step,
            unit="step",
            desc="train",
            disable=True if team.rank else None,
        )
        with ahead(self._batches()) as batches, bar:
            while not stopped:
                if progress.step >= training.steps:
                    stopped = "steps"
                elif team.any(bool(training.patience) and progress.stale >= training.patience):
                    stopped = "patience"
                elif team.any(bool(caught)):
                    stopped = "signal"
                    progress.seconds = seconds + time.perf_counter() - begun
                    self._save()
                else:
                    values = self._step(net, next(batches).to(team.device))
                    progress.step += 1
                    progress.seconds = seconds + time.perf_counter() - begun
                    bar.update()
                    if progress.step % SHOW_EVERY == 0 and self.board:
                        rate = learning_rate(training, progress.step - 1)
                        self.board.add_scalars(
                            progress.step, _named("train", {**values, "learning_rate": rate})
                        )
                        bar.set_postfix_str(self._postfix(values["loss"]), refresh=False)
                    if (
                        progress.step % training.validate_every == 0
                        or progress.step == training.steps
                    ):
                        self._validate(watch)
        if team.rank == 0:
            result = {"out": str(self.out), "step": progress.step, "stopped": stopped}
            return {
                **result,
                "seconds": progress.seconds,
                "best": progress.best,
                "last": progress.curve[-1],
            }

    def close(self) -> None:
        if self.board:
            self.board.close()

    def _step(self, net: nn.Module, batch: Batch) -> dict[str, float]:
        """Learn from a batch; the losses, their sum as "loss", and the gradient's length."""
        training, progress = self.config.training, self.progress
        seed_step(training.seed, progress.step + 1, self.team.rank)
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(training, progress.step)
        self.optimizer.zero_grad(set_to_none=True)
        total, parts = net(batch, progress.step)
        total.backward()
        length = nn.utils.clip_grad_norm_(self.model.parameters(), training.clip or math.inf)
        scalars = {"loss": total, **parts, "gradient": length}
        numbers = torch.stack(
            [torch.as_tensor(s, device=total.device).detach().float() for s in scalars.values()]
        )
        # The one time in a step that this process waits for a GPU.
        values = dict(zip(scalars, numbers.tolist()))
        if self.team.any(not math.isfinite(values["loss"] + values["gradient"])):
            raise DivergedError(
                f"step {progress.step + 1}: the loss is {values['loss']:.3g}"
                f" and its gradient {values['gradient']:.3g};"
                f" {self.out / files.CHECKPOINT} is from before that;"
                " try a lower training.learning_rate"
            )
        self.optimizer.step()
        # Faster in the first steps, to forget where the average began.
        kept = min(training.ema, (1 + progress.step) / (10 + progress.step))
        follow(self.average, self.model, kept)
        for name, value in values.items():
            progress.sums[name] = progress.sums.get(name, 0.0) + value
        progress.count += 1
        return values

    def _validate(self, watch: Callable[[int, dict[str, float]], None]) -> None:
        """Measure the averaged weights, keep them if they are the best, and write all files."""
        if self.team.rank:
            return
        training, progress = self.config.training, self.progress
        # of the last step's annealing, so that early and late figures compare
        found = validate(self.average, self.objective, self.valid, training.steps)
        learned = {name: value / progress.count for name, value in progress.sums.items()}
        row = {"step": progress.step, "seconds": round(progress.seconds, 1)}
        row |= {"learning_rate": learning_rate(training, progress.step), **_named("train", learned)}
        row |= _named("valid", found.figures)
        progress.sums, progress.count = {}, 0
        progress.curve.append(row)
        if not math.isfinite(found.figures["loss"]):
            raise DivergedError(
                f"step {progress.step}: the loss in validation is {found.figures['loss']:.3g}"
            )
        progress.stale += 1
        if not progress.best or row["valid/loss"] < progress.best["valid/loss"]:
            progress.best, progress.stale = row, 0
            self._save_best()
        files.write_curve(self.out, progress.curve)
        self._show(found)
        self._save()
        watch(progress.step, found.figures)

    def _show(self, found: Validation) -> None:
        step = self.progress.step
        self.board.add_scalars(step, _named("valid", found.figures))
        if found.bits is not None:
            self.board.add_histogram(step, "bits per latent dimension", found.bits)
        self.board.add_picture(step, "originals, fits, reconstructions", found.pictures)

    def _save_best(self) -> None:
        card = files.model_card(
            self.progress,
            self.config.as_dict(),
            files.data_summary(self.manifest),
            self.team.device,
            self.team.world,
        )
        models.save(self.average, self.out / files.BEST, card)
        files.write_card(self.out, card)

    def _save(self) -> None:
        if self.team.rank == 0:
            states = {name: part.state_dict() for name, part in self._parts().items()}
            files.save_checkpoint(
                self.out, self.progress, self.config.as_dict(), self.manifest, states
            )

    def _parts(self) -> dict:
        return {"model": self.model, "average": self.average, "optimizer": self.optimizer}

    def _batches(self) -> Iterator[Batch]:
        """What this process learns from, from the next step on, without end."""
        training, team = self.config.training, self.team
        size, step = training.batch // team.world, self.progress.step
        for indices in self.shards.iterate(size, training.seed, step, team.rank, team.world):
            rng = (
                np.random.default_rng([training.seed, step, team.rank])
                if self.config.data.augment
                else None
            )
            yield self.shards.batch(indices, training.picture, rng)
            step += 1

    def _batch(self, shards: Shards, begin: int, end: int) -> Batch:
        """Samples as they are: shards hold them in random order, so the first will do."""
        batch = shards.batch(np.arange(begin, end), self.config.training.picture)
        return batch.to(self.team.device)

    def _postfix(self, loss: float) -> str:
        row = self.progress.curve[-1]
        known = {"loss": loss, "PSNR": row["valid/psnr"], "bytes": row.get("valid/bytes")}
        return ", ".join(
            f"{name} {value:.4g}" for name, value in known.items() if value is not None
        )


def _start_from(model: SplatModel, name: str) -> None:
    try:
        model.load_state_dict(models.load(name).state_dict())
    except ModelError as error:
        raise TrainingError(f"training.init_from {name}: {error}") from error
    except RuntimeError as error:
        why = "its weights are of another shape than this model's"
        raise TrainingError(f"training.init_from {name}: {why}") from error


def _named(part: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{part}/{name}": value for name, value in values.items()}
