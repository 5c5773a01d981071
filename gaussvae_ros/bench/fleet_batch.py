"""Descriptors of an archive's records: through Ray, beside the plain loop in as many processes."""

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros import kernels
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import FleetError
from gaussvae_ros.extras import install

FRAMES, UNITS, PROCESSES = 10_000, 10, 2
QUALITY = 50
START, DAY = 1_767_225_600_000_000_000, "2026-01-01"  # ns
NONE = f"fleet: Ray (skipped: it needs packages, {install('fleet')})"


def run(folder: Path, pictures: Sequence[np.ndarray], frames: int = FRAMES) -> list[dict]:
    """Describe an archive of so many records of these pictures, uint8 [H, W, 3], in both ways; each
    counts from its start to its end.
    """
    try:
        from gaussvae_ros.fleet.archive import Archive
        from gaussvae_ros.fleet.batch import Cluster
        from gaussvae_ros.fleet.batch import run as run_all
        from gaussvae_ros.fleet.describing import Describe
        from gaussvae_ros.fleet.units import units
    except (FleetError, ImportError):
        return [row(NONE, None, "")]
    archive = Archive(folder / "fleet")
    _fill(archive, pictures, frames)
    begun = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, _one_core) as pool:
        todo = list(units(archive.manifests()))
        plain = sum(pool.map(partial(_described, archive.url), todo))
    plain_s, begun = time.perf_counter() - begun, time.perf_counter()
    made = run_all(Describe(), archive, archive, cluster=Cluster(jobs=PROCESSES))
    ray_s, done = time.perf_counter() - begun, sum(one["described"] for _, one in made)
    if not plain == done == frames:
        raise FleetError(f"of {frames} frames, {plain} and {done} were described")
    about = f"fleet: records of {frames:,} described a second through Ray, {PROCESSES} workers"
    target = "at least 0.8 of the loop in as many processes"
    return [row(about, round(frames / ray_s, 1), "1/s", target, round(frames / plain_s, 1))]


def _fill(archive, pictures: Sequence[np.ndarray], frames: int) -> None:
    from gaussvae_ros.bank.bulk import Whole
    from gaussvae_ros.codec import FrameCodec
    from gaussvae_ros.fleet.archive import Manifest
    from gaussvae_ros.record import unpack

    codec, parts = FrameCodec(device="cpu"), []
    made = [codec.encode(picture, QUALITY) for picture in pictures]
    edges = [1 + frames * i // UNITS for i in range(UNITS + 1)]
    for first, end in zip(edges, edges[1:]):
        rows = []
        for number in range(first, end):
            data = made[number % len(made)]
            about = number, START + number * 10**7, "front", 1, unpack(data).size
            empty = "", None, None, None, [], [], None, ()
            rows.append(Whole(*about, unpack(data).tier, *empty, data, None))
        parts.append(archive.write_part("robot", "b0", DAY, rows))
    archive.publish_manifest(Manifest("robot", "b0", last=frames, parts=parts))


def _one_core() -> None:
    kernels.use_threads(1)
    cv2.setNumThreads(1)


def _described(url: str, unit) -> int:
    """How many records of a unit were described."""
    from gaussvae_ros.fleet.units import codec_of, opened, read
    from gaussvae_ros.recognition.places import describe_record

    codec, chains = codec_of(url), read(opened(url), unit).chains
    return sum(len(describe_record(codec, chain)) > 0 for chain in chains)
