"""How fast the memory file takes frames and answers, beside plain sqlite3 as durable as that."""

import math
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bench import writes
from gaussvae_ros.bench.rows import median_ms, row
from gaussvae_ros.likeness import LENGTH, likeness
from gaussvae_ros.record import OVERHEAD, Record, pack

FRAMES = 100_000
RECORD = 2048  # bytes
PERIOD = 100_000_000  # ns between frames, 10 Hz
CAMERAS = ("front", "rear")
QUESTIONS = 200
SEARCHES = 20


def run(tmp_dir: str | Path) -> list[dict]:
    """Write 100,000 frames of 2 KB into `tmp_dir` (it takes about 0.6 GB for a while), then ask.

    Returns rows of name, value, unit, target and reference (what plain sqlite3 does for the same).
    """
    tmp_dir = Path(tmp_dir)
    records = [
        pack(Record("splats", (640, 480), random.Random(i).randbytes(RECORD - OVERHEAD)))
        for i in range(256)
    ]
    path, plain_path = tmp_dir / "bench.db", tmp_dir / "bench_plain.db"
    try:
        written = _write_bank(path, records)
        plain_written = _write_plain(plain_path, records)
        with MemoryBank(path, readonly=True) as bank, closing(sqlite3.connect(plain_path)) as plain:
            name, target = "bank: records of 2 KB written a second", "at least 2000"
            size = round(bank.info()["bytes"] / FRAMES)
            return [
                row(name, round(written), "1/s", target, round(plain_written)),
                *_questions(bank, plain),
                row("bank: disk a frame of 2 KB", size, "bytes", None, _size(plain)),
                *writes.run(tmp_dir),
            ]
    finally:
        for file in (*tmp_dir.glob("bench.db*"), *tmp_dir.glob("bench_plain.db*")):
            file.unlink()


def _place(number: int) -> tuple[float, float, float]:
    """Where the robot is at a frame: 40 rounds of 250 m, some metres apart: places recur."""
    angle = 2 * math.pi * number / 2500
    wobble = 3 * math.sin(number / 771)
    return (40 + wobble) * math.cos(angle), (40 + wobble) * math.sin(angle), 0.0


def _descriptor(number: int) -> bytes:
    return random.Random(number).randbytes(LENGTH)


def _write_bank(path: Path, records: list[bytes]) -> float:
    started = time.perf_counter()
    with MemoryBank(path) as bank:
        for i in range(FRAMES):
            bank.add(
                records[i % len(records)],
                stamp_ns=i * PERIOD,
                camera=CAMERAS[i % 2],
                pose=Pose(*_place(i)),
                descriptor=_descriptor(i),
                frame_id=f"{CAMERAS[i % 2]}_optical",
            )
    return FRAMES / (time.perf_counter() - started)


def _write_plain(path: Path, records: list[bytes]) -> float:
    """The same rows in one table with two indexes, 1,000 of them a synced commit."""
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
        started = time.perf_counter()
        for first in range(0, FRAMES, 1000):
            db.execute("BEGIN")
            db.executemany(
                "INSERT INTO frames VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        i * PERIOD,
                        CAMERAS[i % 2],
                        *_place(i),
                        records[i % len(records)],
                        _descriptor(i),
                    )
                    for i in range(first, first + 1000)
                ),
            )
            db.execute("COMMIT")
        return FRAMES / (time.perf_counter() - started)


def _questions(bank: MemoryBank, plain: sqlite3.Connection) -> list[dict]:
    rng = random.Random(0)
    numbers = [rng.randrange(FRAMES) for _ in range(QUESTIONS)]
    by_time = "SELECT * FROM frames WHERE stamp_ns BETWEEN ? AND ? ORDER BY stamp_ns LIMIT 20"
    by_pose = """
        SELECT * FROM frames WHERE x BETWEEN ? AND ?
        AND (x - ?) * (x - ?) + (y - ?) * (y - ?) + z * z <= 4
        ORDER BY stamp_ns LIMIT 20
    """

    def plain_by_pose(i: int):
        x, y, _ = _place(i)
        plain.execute(by_pose, (x - 2, x + 2, x, x, y, y)).fetchall()

    rows = []
    for name, ask, ask_plain in (
        (
            "bank: find 20 frames by time among 100,000",
            lambda i: bank.find(after=i * PERIOD, before=(i + 100) * PERIOD, limit=20),
            lambda i: plain.execute(by_time, (i * PERIOD, (i + 100) * PERIOD)).fetchall(),
        ),
        (
            "bank: find 20 frames within 2 m among 100,000",
            lambda i: bank.find(near=_place(i), radius=2.0, limit=20),
            plain_by_pose,
        ),
        (
            "bank: find the frame nearest to a stamp among 100,000",
            lambda i: [bank.nearest(i * PERIOD + 7, camera="rear")],
            lambda i: plain.execute(by_time, (i * PERIOD, (i + 2) * PERIOD)).fetchone(),
        ),
    ):
        rows.append(
            row(name, median_ms(ask, numbers), "ms", "at most 2", median_ms(ask_plain, numbers))
        )
    return [*rows, *_searches(bank, plain, numbers)]


def _searches(bank: MemoryBank, plain: sqlite3.Connection, numbers: list[int]) -> list[dict]:
    def plain_like(i: int):
        stored = plain.execute("SELECT id, descriptor FROM frames").fetchall()
        many = np.frombuffer(b"".join(descriptor for _, descriptor in stored), np.int8).reshape(
            -1, LENGTH
        )
        best = np.argsort(-likeness(np.frombuffer(_descriptor(i), np.int8), many))[:10]
        for at in best:
            plain.execute("SELECT * FROM frames WHERE id = ?", [stored[at][0]]).fetchone()

    rows = []
    for name, target, questions, ask in (
        (
            "bank: the first search for likeness",
            None,
            numbers[:1],
            lambda i: bank.find_like(_descriptor(i)),
        ),
        (
            "bank: the 10 frames most like a picture",
            "at most 50",
            numbers,
            lambda i: bank.find_like(_descriptor(i)),
        ),
        (
            "bank: the same within 2 m",
            "at most 50",
            numbers,
            lambda i: bank.find_like(_descriptor(i), near=_place(i), radius=2.0),
        ),
    ):
        found = median_ms(ask, questions[:SEARCHES])
        rows.append(
            row(f"{name}, of 100,000", found, "ms", target, median_ms(plain_like, numbers[:1]))
        )
    return rows


def _size(plain: sqlite3.Connection) -> int:
    pages, page = (
        plain.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return round(pages * page / FRAMES)
