"""A small folder of training samples, as `gaussvae train prepare` leaves it, and a quick config."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from threaded import kernel_threads

from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, Splats
from gaussvae_ros.training.config import config_of, dump_config
from gaussvae_ros.training.loop import train
from gaussvae_ros.training.prepare import FORMAT, SPLATS, sample_type, shard_path

ROOT, SIZE = Path(__file__).parents[1], (64, 48)
CONFIG = {
    "model": {"architecture": "vector", "latent": 8, "hidden": [16]},
    "losses": {"parameters": {}, "render": {"weight": 10}},
    "training": {"steps": 20, "batch": 4, "warmup": 2, "validate_every": 5, "picture": list(SIZE)},
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As in the processes that tests start."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with kernel_threads(1):
        yield
    torch.set_num_threads(before)


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> np.ndarray:
    """A smooth random picture, uint8 [h, w, 3], unlike every other."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


def trained_once(folder: Path) -> Path:
    """The folder, once a step of training has compiled its kernels: that is said only once."""
    config = config_of(changed(training={"steps": 1, "validate_every": 1}))
    train(config, folder, folder.with_name(f"{folder.name}_trained_once"))
    return folder


def write_samples(folder: Path, train: int = 12, valid: int = 4, seed: int = 0) -> Path:
    """Random splats, and the pictures that they draw."""
    rng = np.random.default_rng(seed)
    for part, count in (("train", train), ("valid", valid)):
        samples = np.empty(count, sample_type(SIZE))
        for sample in samples:
            params = np.empty((SPLATS, 8), np.float32)
            params[:, :2], params[:, THETA] = (
                rng.uniform(0, SIZE, (SPLATS, 2)),
                rng.uniform(0, np.pi, SPLATS),
            )
            params[:, LOG_S1], params[:, LOG_S2] = (
                rng.uniform(1.2, 2, SPLATS),
                rng.uniform(0.6, 1.2, SPLATS),
            )
            params[:, 5:] = rng.random(3) + rng.uniform(-0.2, 0.2, (SPLATS, 3))
            splats = Splats(params, SIZE).canonical()
            sample["splats"], sample["picture"] = splats.params, render(splats)
        np.save(shard_path(folder, part, 0), samples)
    source = {
        "given": "/somewhere/made",
        "kind": "folder",
        "licence": "ours",
        "pictures": 2,
        "crops": 2,
        "skipped": 0,
    }
    manifest = {
        "format": FORMAT,
        "complete": True,
        "asked": {"size": SIZE, "seed": seed},
        "parts": {"train": {"samples": train}, "valid": {"samples": valid}},
        "sources": [source],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def changed(**changes: dict) -> dict:
    """CONFIG with some keys of its sections replaced."""
    return {
        **CONFIG,
        **{part: {**CONFIG.get(part, {}), **values} for part, values in changes.items()},
    }


def start(
    folder: Path,
    verb: str,
    config: dict,
    *options: object,
    name: str = "config",
    **environment: str,
):
    """`gaussvae train VERB` in a process of its own, on one core."""
    (folder / f"{name}.yaml").write_text(dump_config(config))
    program = "import sys; from gaussvae_ros.cli import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        program,
        "train",
        verb,
        folder / f"{name}.yaml",
        "--json",
        *options,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        [*map(str, command)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
