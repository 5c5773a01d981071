"""Pictures as records, and the splats that these hold, kept in a folder."""

import io
from concurrent.futures import ProcessPoolExecutor
from itertools import islice, repeat
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import DataError
from gaussvae_ros.files import write_file
from gaussvae_ros.training.labelled_pictures import Labelled
from gaussvae_ros.training.workers import working

SHARD = 1024  # pictures whose splats are written at once
LOST = "a process was ended from outside, or memory is short: the same command goes on"
_codec = None  # of a process


def fitted(
    data: Labelled, out: Path, quality: float, jobs: int | None
) -> dict[str, tuple[np.ndarray, float]]:
    """By part, the splats [N, n, 5 + C] float32 that records of its pictures hold, and the mean
    size of a record in bytes. What is in `out` already is taken from there.
    """
    out.mkdir(parents=True, exist_ok=True)
    todo = [
        (out / f"splats-{name}-{start // SHARD:05d}.npz", part.pictures[start : start + SHARD])
        for name, part in data.parts.items()
        for start in range(0, len(part), SHARD)
    ]
    if missing := [(file, pictures) for file, pictures in todo if not file.exists()]:
        with working(jobs, DataError(LOST)) as workers:
            _write(workers, missing, quality)
    made = {}
    for name in data.parts:
        shards = [np.load(file) for file, _ in todo if file.name.startswith(f"splats-{name}-")]
        sizes = np.concatenate([shard["bytes"] for shard in shards])
        made[name] = np.concatenate([shard["splats"] for shard in shards]), float(sizes.mean())
    return made


def _write(
    workers: ProcessPoolExecutor, missing: list[tuple[Path, np.ndarray]], quality: float
) -> None:
    pictures = [picture for _, some in missing for picture in some]
    fits = workers.map(_fit, pictures, repeat(quality), chunksize=16)
    with tqdm(fits, total=len(pictures), unit="picture", desc="fit", disable=None) as bar:
        each = iter(bar)
        for file, some in missing:
            splats, sizes = zip(*islice(each, len(some)))
            data = io.BytesIO()
            np.savez(data, splats=np.stack(splats), bytes=sizes)
            write_file(file, data.getbuffer())


def _fit(picture: np.ndarray, quality: float) -> tuple[np.ndarray, int]:
    global _codec
    _codec = _codec or FrameCodec("cpu")
    record = _codec.encode(np.ascontiguousarray(picture), quality)
    return _codec.splats(record).params, len(record)
