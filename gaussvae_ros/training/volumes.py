"""Training of the model for volumes: probabilities and predictions by counting and least squares,
the decoder's network by descent."""

import datetime
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from gaussvae_ros.errors import DataError
from gaussvae_ros.files import write_file
from gaussvae_ros.model_files import serialised
from gaussvae_ros.training import volume_chunks, volume_network, volume_rooms
from gaussvae_ros.volume import contexts, labels, model
from gaussvae_ros.volume.checks import few
from gaussvae_ros.volume.files import halves, read_volume
from gaussvae_ros.volume.transform import SIDE, SIZE

STEPS = [2 ** -(0.5 + k) for k in range(8)]  # of the range of values, that are learned from
ROUNDS = 4  # of choosing and counting
SIMULATED = "sim"


@dataclass(frozen=True)
class Settings:
    """How much is learned from."""

    rooms: int = 6  # simulated volumes of each kind, if "sim" is among the sources
    steps: int = 12000  # of the network
    seed: int = 0


def train_volumes(
    sources: Iterable[str | Path],
    out: str | Path,
    settings: Settings = Settings(),
    progress: Callable = iter,
) -> dict:
    """Train the model that volumes are coded with, and write it to `out`.

    Args:
        sources: volumes that `volume.files` reads, of each the first half along its longest axis
            is learned from (`evaluate --volumes` measures on the other), and "sim": simulated ones.
        progress: wraps the network's steps.

    Returns:
        The model's card.

    Raises:
        DataError: no sources, settings out of range, or no folder for `out`.
        VolumeError: a source is no volume.
    """
    begun, sources, out = time.perf_counter(), list(map(str, sources)), Path(out)
    if not sources:
        raise DataError("no volumes given")
    if not out.absolute().parent.is_dir():
        raise DataError(f"{out}: its folder does not exist")
    if min(settings.rooms, settings.steps) < 1 or settings.seed < 0:
        raise DataError("rooms and steps must be at least 1, seed at least 0")
    volumes, maps = read_sources(sources, settings)
    if not volumes:
        raise DataError("there is no volume of more than eight different values to learn from")
    analysed = [_analysed(v, np.float32(step)) for v in volumes for step in STEPS]
    weights = _weights([real for _, _, real in analysed[::2]])
    zero = np.full(contexts.CONTEXTS, 50000)
    bias = np.zeros((contexts.ZONE_COUNT, 2), np.int64)
    chosen: list[tuple] = []
    for _ in range(ROUNDS):
        prior = (zero, weights, bias, model.costs(zero))
        counts, chosen = np.zeros((contexts.CONTEXTS, 2), np.int64), []
        for voxels, step, real in analysed:
            q = np.zeros((*real.shape[:3], SIZE + 1), np.int16)
            low = np.zeros((*real.shape[:3], contexts.PREDICTED), np.int32)
            volume_chunks.choose(real, prior, counts, q, low)
            chosen.append((voxels, step, q, low))
        zero, bias = _shares(counts, 16), _centroids([real for _, _, real in analysed], chosen)
    learned = np.full(labels.CONTEXTS, 32768)
    counts = np.zeros((labels.CONTEXTS, 2), np.int64)
    for found, count in maps:
        volume_chunks.count_labels(found, learned, count, counts)
    learned = _shares(counts, 64)
    network, curve = volume_network.learn(chosen, bias, settings.steps, settings.seed, progress)
    tensors = {
        "zero": zero.astype(np.uint16), "weights": weights.astype(np.int16),
        "bias": bias.astype(np.int16), "labels": learned.astype(np.uint16),
    }  # fmt: skip
    tensors |= {f"network.{k}": array.astype(np.float16) for k, array in enumerate(network)}
    card = {
        "date": datetime.date.today().isoformat(),
        "volumes": [Path(source).name for source in sources],
        "settings": asdict(settings),
        "curve": curve,
        "seconds": round(time.perf_counter() - begun, 1),
        "versions": {"numpy": np.__version__, "torch": torch.__version__},
    }
    about = {"architecture": model.ARCHITECTURE, "config": {}, "card": card}
    write_file(out, serialised(about, tensors))
    return card


def read_sources(
    sources: list[str], settings: Settings
) -> tuple[list[np.ndarray], list[tuple[np.ndarray, int]]]:
    """Volumes float32 in 0..1 with NaN where unknown; and labels uint8 with how many there are."""
    arrays = []
    for source in sources:
        if source == SIMULATED:
            seeds = range(settings.seed, settings.seed + settings.rooms)
            arrays += [
                make(seed) for seed in seeds for make in (volume_rooms.room, volume_rooms.solids)
            ]
        else:
            array = read_volume(source).array
            arrays.append(array[halves(array.shape)[0]])
    volumes, maps = [], []
    for array in arrays:
        values = few(array)
        if values is not None:
            maps.append((np.searchsorted(np.sort(values), array).astype(np.uint8), len(values)))
            continue
        if array.dtype.kind == "f" and np.isnan(array).any():
            maps.append((np.isfinite(array).astype(np.uint8), 2))
        low, high = np.nanmin(array), np.nanmax(array)
        volumes.append(((array - np.float32(low)) / np.float32(high - low)).astype(np.float32))
    return volumes, maps


def _analysed(voxels: np.ndarray, step: np.float32) -> tuple:
    real = np.empty((*(-(-side // SIDE) for side in voxels.shape), SIZE), np.float32)
    volume_chunks.coefficients(voxels, step, real)
    return voxels, step, real


def _weights(reals: list[np.ndarray]) -> np.ndarray:  # int64 [8, PREDICTED, FEATURES]
    """The best linear predictions of the lowest coefficients, by which neighbours there are."""
    squares = np.zeros((8, contexts.FEATURES, contexts.FEATURES))
    products = np.zeros((8, contexts.FEATURES, contexts.PREDICTED))
    for real in reals:
        low = np.nan_to_num(real[..., : contexts.PREDICTED]) * contexts.UNIT
        count = int(np.prod(low.shape[:3]))
        patterns = np.zeros(count, np.int64)
        features = np.zeros((count, contexts.FEATURES))
        targets = np.zeros((count, contexts.PREDICTED))
        volume_chunks.predictions(np.rint(low).astype(np.int32), patterns, features, targets)
        features, targets = features / contexts.UNIT, targets / contexts.UNIT
        weight = 1 / (1 + 0.05 * np.abs(targets).sum(1, keepdims=True))  # bits, not squares, count
        for pattern in range(1, 8):
            mine = patterns == pattern
            weighted = (features[mine] * weight[mine]).T
            squares[pattern] += weighted @ features[mine]
            products[pattern] += weighted @ targets[mine]
    weights = np.zeros((8, contexts.PREDICTED, contexts.FEATURES), np.int64)
    for pattern in range(1, 8):
        found = np.linalg.solve(
            squares[pattern] + 100 * np.eye(contexts.FEATURES), products[pattern]
        )
        weights[pattern] = np.rint(found.T * contexts.SHARE)
    return weights


def _shares(counts: np.ndarray, least: int) -> np.ndarray:
    """How likely 0 is in each context, in parts of 2^16, at least `least`, as 1 is."""
    share = (counts[:, 0] + 0.4) / (counts.sum(1) + 0.8)
    return np.clip(np.rint(share * 65536), least, 65536 - least).astype(np.int64)


def _centroids(reals: list[np.ndarray], chosen: list[tuple]) -> np.ndarray:
    """How much nearer to zero coefficients are than their numbers, [zones, 2] in 1 / UNIT."""
    total, count = np.zeros((contexts.ZONE_COUNT, 2)), np.zeros((contexts.ZONE_COUNT, 2))
    for real, (_, _, q, _) in zip(reals, chosen, strict=True):
        for k in range(contexts.PREDICTED, SIZE):
            size, zone = np.abs(q[..., k].astype(np.int32)), contexts.ZONES[k]
            off = size - np.abs(real[..., k])
            for more in (0, 1):
                mine = size > 1 if more else size == 1
                total[zone, more] += off[mine].sum()
                count[zone, more] += mine.sum()
    return np.rint(contexts.UNIT * total / np.maximum(count, 1)).astype(np.int64)
