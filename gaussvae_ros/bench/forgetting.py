"""What a memory within a budget keeps of a long drive, and what forgetting costs who writes it."""

import itertools
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import Budget, MemoryBank, Pose
from gaussvae_ros.bench.rows import row
from gaussvae_ros.recognition.places import LENGTH, quantised
from gaussvae_ros.record import OVERHEAD, Record, pack
from gaussvae_ros.sim.drive import where

AREAS = 8  # loops of the simulated building, one beside the other
APART = 20.0  # m
SECONDS, PAUSE = 300, 60  # of the rounds in an area, and of the stop at its end
RATE = 10  # Hz
RECORD = 512  # bytes
SIZES = (10_000, 100_000)  # frames with which the cost of one more is measured
MORE, EACH = 2_000, 100  # frames that are added then, and between two looks at the budget
ALONE_S = 3  # for which nothing is forgotten, to compare with
PERIOD_S = 0.01  # between two frames, or questions, while frames are forgotten
LONGEST = 50  # ms that a writer may wait
CELL = 0.5  # m


def run(tmp_dir: str | Path) -> list[dict]:
    """Drive, forget nine tenths by each policy, and add frames with a budget in force, in files in
    `tmp_dir`. Returns rows of name, value, unit, target and reference.
    """
    path, drive = Path(tmp_dir) / "bench.db", Drive()
    try:
        return [
            *_kept(path, drive),
            *_waits(path, drive),
            *(one for size in SIZES for one in cost_of_one(path, size)),
        ]
    finally:
        _delete(path)


class Drive:
    """A tour through the areas: two rounds in each, a stop, then the next. What a frame looks like
    depends smoothly on where the camera is and looks to, and on noise.
    """

    def __init__(self):
        times = np.arange(SECONDS * RATE) / RATE
        loop = where(times, SECONDS)  # x, y (m), yaw (rad)
        stop = np.repeat(loop[-1:], PAUSE * RATE, axis=0)
        areas = [np.vstack([loop, stop]) + [APART * area, 0, 0] for area in range(AREAS)]
        self.poses = np.vstack(areas)  # [N, 3]
        rng = np.random.default_rng(0)
        yaw = self.poses[:, 2]
        inputs = np.column_stack([self.poses[:, :2], np.cos(yaw), np.sin(yaw)])
        waves = rng.normal(0, (0.7, 0.7, 1.5, 1.5), (LENGTH, 4)), rng.uniform(0, 7, LENGTH)
        looks = 60 * np.sin(inputs @ waves[0].T + waves[1])
        looks += rng.normal(0, 3, looks.shape)
        self.looks = quantised(looks)  # [N, LENGTH]
        self._records = [
            pack(Record("latent", (640, 480), random.Random(i).randbytes(RECORD - OVERHEAD)))
            for i in range(256)
        ]

    def __len__(self) -> int:
        return len(self.poses)

    def add(self, bank: MemoryBank, number: int):
        """Store a frame; after the last one comes the first again."""
        x, y, yaw = self.poses[number % len(self)]
        bank.add(
            self._records[number % len(self._records)],
            stamp_ns=number * 10**9 // RATE,
            pose=Pose(x, y, 0.6, 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)),
            descriptor=self.looks[number % len(self)].tobytes(),
        )


def cost_of_one(path: Path, frames: int) -> list[dict]:
    """What one more frame costs in a bank of so many that is at its budget."""
    drive = Drive()
    with _bank(path, drive, frames) as bank:
        alone = _added(bank, drive, frames, lambda: None)
        budget = Budget(max_frames=frames)
        begun = time.perf_counter()
        bank.forget(budget)
        first = time.perf_counter() - begun
        more = _added(bank, drive, frames + MORE, lambda: bank.forget(budget))
        name = f"forgetting: {{}} with {frames:,} frames".format
        return [
            row(name("a frame added and another forgotten"), more, "ms", None, alone),
            row(name(f"the first look, {MORE:,} too many,"), round(first, 2), "s"),
        ]


def _added(bank: MemoryBank, drive: Drive, first: int, then: Callable[[], object]) -> float:
    """ms a frame."""
    begun = time.perf_counter()
    for number in range(first, first + MORE):
        drive.add(bank, number)
        if (number + 1) % EACH == 0:
            bank.flush()
            then()
    return round(1000 * (time.perf_counter() - begun) / MORE, 3)


def _kept(path: Path, drive: Drive) -> list[dict]:
    """What is left of a tenth of the frames, and of the bytes."""
    covered, areas, took = {}, {}, {}
    for policy in ("fifo", "fade"):
        with _bank(path, drive, len(drive)) as bank:
            cells, size = _cells(bank), bank.size()
            begun = time.perf_counter()
            done = bank.forget(Budget(max_frames=len(drive) // 10, policy=policy))
            took[policy] = round(1000 * (time.perf_counter() - begun) / done.removed, 3)
            kept = _cells(bank)
        covered[policy] = round(100 * len(kept) / len(cells), 1)
        areas[policy] = len({round(x * CELL / APART) for x, _ in kept})
    with _bank(path, drive, len(drive)) as bank:
        bank.forget(Budget(max_bytes=size // 10))
    name = f"forgetting: {{}}, of {len(drive):,} frames".format
    target = f"at least {2 * covered['fifo']:.1f}"
    return [
        row(name("route that a tenth covers"), covered["fade"], "%", target, covered["fifo"]),
        row(name(f"areas of {AREAS} in a tenth"), areas["fade"], "", None, areas["fifo"]),
        row(name("one removed"), took["fade"], "ms", None, took["fifo"]),
        row(
            "forgetting: the file, pruned to a tenth of its bytes",
            path.stat().st_size,
            "bytes",
            f"at most {size // 10}",
        ),
    ]


def _waits(path: Path, drive: Drive) -> list[dict]:
    """How long who writes and who reads waits at most while nine tenths are forgotten."""
    with _bank(path, drive, len(drive)) as bank:
        with Watched(bank, drive) as alone:
            time.sleep(ALONE_S)
        with Watched(bank, drive) as watched:
            bank.forget(Budget(max_frames=len(drive) // 10))
    rows = []
    for what, target, times, without in (
        (
            "a frame that is added meanwhile waits",
            f"at most {LONGEST}",
            watched.writes,
            alone.writes,
        ),
        ("an answer to a reader meanwhile takes", None, watched.reads, alone.reads),
    ):
        for most, share in (("at most", 100), ("at p99", 99)):
            value, reference = (round(float(np.percentile(t, share)), 1) for t in (times, without))
            rows.append(row(f"forgetting: {what} {most}", value, "ms", target, reference))
    return rows


class Watched:
    """Adds frames and reads some in threads of their own; `writes` and `reads` are how long each
    took, ms.
    """

    def __init__(self, bank: MemoryBank, drive: Drive):
        self._bank, self._drive, self._ended = bank, drive, threading.Event()
        self.writes: list[float] = []
        self.reads: list[float] = []

    def __enter__(self) -> "Watched":
        self._threads = [threading.Thread(target=self._write), threading.Thread(target=self._read)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _write(self):
        numbers = itertools.count(len(self._drive))
        self._repeat(lambda: self._drive.add(self._bank, next(numbers)), self.writes)

    def _read(self):
        rng = random.Random(0)
        with MemoryBank(self._bank.path, readonly=True) as bank:
            end = len(self._drive) * 10**9 // RATE
            self._repeat(lambda: bank.nearest(rng.randrange(end)), self.reads)

    def _repeat(self, work: Callable[[], object], times: list[float]):
        while not self._ended.wait(PERIOD_S):
            begun = time.perf_counter()
            work()
            times.append(round(1000 * (time.perf_counter() - begun), 1))


@contextmanager
def _bank(path: Path, drive: Drive, frames: int) -> Iterator[MemoryBank]:
    """A new file with so many frames of a drive."""
    _delete(path)
    with MemoryBank(path) as bank:
        for number in range(frames):
            drive.add(bank, number)
        bank.flush()
        yield bank


def _delete(path: Path):
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def _cells(bank: MemoryBank) -> set[tuple[int, int]]:
    return {(math.floor(frame.pose.x / CELL), math.floor(frame.pose.y / CELL)) for frame in bank}
