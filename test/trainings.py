"""What a training left in its folder, and a config that a resume could get wrong."""

import csv
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from samples import CONFIG, changed

from gaussvae_ros.training import checkpoints


def noisy(**training: object) -> dict:
    """Noise and dropout in every step, statistics in buffers: what a resume could get wrong."""
    losses = {**CONFIG["losses"], "kl": {"weight": 1e-3}}
    return {
        **changed(training=training),
        "model": {"architecture": "conv1d", "latent": 8},
        "losses": losses,
    }


NOISY = noisy()


def kept(out: Path) -> dict:
    return torch.load(out / checkpoints.CHECKPOINT, weights_only=True)


def weights(out: Path, part: str = "model") -> dict[str, torch.Tensor]:
    return kept(out)["states"][part]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def rows(out: Path) -> list[dict]:
    return (
        list(csv.DictReader((out / checkpoints.CURVE).open()))
        if (out / checkpoints.CURVE).exists()
        else []
    )


def wait_for(step: int, out: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while not any(int(row["step"]) >= step for row in rows(out)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


@contextmanager
def terminated_once(ready: Callable[[], bool]) -> Iterator[None]:
    """Send SIGTERM to this process when something is `ready` and the signal is caught: one that
    comes earlier ends the tests.
    """
    before, ended = signal.getsignal(signal.SIGTERM), threading.Event()

    def send():
        while not ended.wait(0.02):
            if ready() and signal.getsignal(signal.SIGTERM) is not before:
                return os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        ended.set()
        sender.join()


def without_time(curve: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in curve]
