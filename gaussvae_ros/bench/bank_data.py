"""The memory that `bench bank` asks: a robot's tours along one route, and the same kept otherwise.

A round of the route is 2.5 km of 25,000 frames, 0.1 m and 0.1 s apart, each round a session, half a
metre beside the last; every place looks alike on each round, but for noise. Half-way through the
robot stands at one spot for 10,000 frames.
"""

import bisect
import math
import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.recognition.places import LENGTH, quantised
from gaussvae_ros.record import OVERHEAD, Record, pack

RECORD, SPREAD = 512, 120  # bytes of a record: mean and standard deviation
START, PERIOD = 1_700_000_000_000_000_000, 100_000_000  # ns
ROUND = 25_000  # frames
RADIUS = 400.0  # m, of the route
CAMERAS = ("front", "rear")
SPOT = (5.0, 5.0, 0.3)  # m
STAY = 10_000  # frames there
LABELLED = 5000  # frames from one label to the next
AT_ONCE = 5000  # frames whose time is taken together
FILES = 2000  # in the folder

RECORDS = [
    pack(Record("splats", (640, 480), rng.randbytes(max(60, size) - OVERHEAD)))
    for rng in [random.Random(0)]
    for size in (round(rng.gauss(RECORD, SPREAD)) for _ in range(256))
]


class Drive:
    """The frames, by number from 0 on."""

    def __init__(self, frames: int):
        self.frames = frames
        self.stay = range(frames // 2, frames // 2 + min(STAY, frames // 10))
        self._looks = np.random.default_rng(0).normal(0, 45, (ROUND // 10 + 2, LENGTH))

    def stamp(self, number: int) -> int:
        """ns."""
        return START + number * PERIOD

    def session(self, number: int) -> int:
        """Of a frame, from 1 on."""
        return 1 + number // ROUND

    def place(self, number: int) -> tuple[tuple[float, float, float], float]:
        """Position, m, and heading, rad."""
        rng = random.Random(number)
        if number in self.stay:
            return tuple(at + rng.gauss(0, 0.02) for at in SPOT), 1.0 + rng.gauss(0, 0.02)
        angle = 2 * math.pi * number / ROUND
        radius = RADIUS + (number // ROUND % 7) * 0.5 + rng.gauss(0, 0.05)
        return (radius * math.cos(angle), radius * math.sin(angle), 0.3), angle % (2 * math.pi)

    def pose(self, number: int) -> Pose:
        """Position and heading of a robot whose floor is not quite flat."""
        place, yaw = self.place(number)
        rng = random.Random(~number)
        turned = rng.gauss(0, 0.01), rng.gauss(0, 0.01), math.sin(yaw / 2), math.cos(yaw / 2)
        return Pose(*place, *turned)

    def look(self, number: int) -> bytes:
        """The descriptor of a frame."""
        at, part = divmod(0 if number in self.stay else number % ROUND, 10)
        mean = self._looks[at] * (1 - part / 10) + self._looks[at + 1] * part / 10
        noise = np.random.default_rng(number).normal(0, 12, LENGTH)
        return quantised(mean + noise).tobytes()

    def record(self, number: int) -> bytes:
        """The record of a frame."""
        return RECORDS[number % len(RECORDS)]

    def label(self, number: int) -> str | None:
        """The label of a frame, if it has one."""
        return f"dock {number // LABELLED}" if number % LABELLED == 17 else None


def write_bank(path: Path, drive: Drive, marks: list[int]) -> tuple[float, dict[int, float]]:
    """Frames a second, and the ms of a frame up to each of `marks`."""
    spent, costs, at = 0.0, {}, 0.0
    with MemoryBank(path) as bank:
        for i in range(drive.frames):
            if i % ROUND == 0:
                bank.begin_session(f"tour {i // ROUND}", start_ns=drive.stamp(i), map_id="house")
            given = {"pose": drive.pose(i), "descriptor": drive.look(i), "label": drive.label(i)}
            started = time.perf_counter()
            camera = CAMERAS[i % 2]
            names = {"camera": camera, "frame_id": f"{camera}_optical"}
            bank.add(drive.record(i), stamp_ns=drive.stamp(i), **names, **given)
            spent += time.perf_counter() - started
            if i + 1 + AT_ONCE in marks:
                at = spent
            elif i + 1 in marks:
                costs[i + 1] = 1000 * (spent - at) / AT_ONCE
    return drive.frames / spent, costs


def write_plain(path: Path, drive: Drive) -> float:
    """The same rows in one table of plain SQLite with two indexes, 1,000 of them a synced commit;
    frames a second.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("""
            PRAGMA journal_mode=WAL;
            PRAGMA synchronous=FULL;
            CREATE TABLE frames (
                id INTEGER PRIMARY KEY, stamp_ns, camera, x, y, z, record, descriptor
            );
            CREATE INDEX by_stamp ON frames(stamp_ns);
            CREATE INDEX by_place ON frames(x);
        """)
        spent = 0.0
        for first in range(0, drive.frames, 1000):
            rows = [
                (
                    drive.stamp(i),
                    CAMERAS[i % 2],
                    *drive.place(i)[0],
                    drive.record(i),
                    drive.look(i),
                )
                for i in range(first, min(first + 1000, drive.frames))
            ]
            started = time.perf_counter()
            db.execute("BEGIN")
            db.executemany("INSERT INTO frames VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute("COMMIT")
            spent += time.perf_counter() - started
        return drive.frames / spent


class Folder:
    """Pictures as files, named by their stamps, as a JPEG for each frame would be."""

    def __init__(self, path: Path, drive: Drive):
        self._path, self.count = path, min(FILES, drive.frames)
        path.mkdir()
        for i in range(self.count):
            (path / f"{drive.stamp(i)}.jpg").write_bytes(drive.record(i))

    def nearest(self, stamp_ns: int) -> bytes:
        """The file whose name is nearest to a stamp."""
        names = sorted(os.listdir(self._path))
        at = bisect.bisect(names, str(stamp_ns))
        near = (abs(int(name[:-4]) - stamp_ns) for name in names[max(at - 1, 0) : at + 1])
        _, name = min(zip(near, names[max(at - 1, 0) : at + 1]))
        return (self._path / name).read_bytes()

    def disk(self) -> float:
        """Bytes on the disk a file."""
        return sum(512 * file.stat().st_blocks for file in self._path.iterdir()) / self.count
