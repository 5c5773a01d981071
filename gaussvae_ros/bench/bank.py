"""How the memory file takes frames and answers, beside plain sqlite3 and a folder of files."""

import random
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from gaussvae_ros.bench import writes
from gaussvae_ros.bench.bank_data import PERIOD, RECORDS, Drive, Folder, write_bank, write_plain
from gaussvae_ros.bench.bank_questions import QUESTIONS, TARGETS, percentile
from gaussvae_ros.bench.rows import in_fresh_process, row
from gaussvae_ros.likeness import likeness
from gaussvae_ros.recognition.places import LENGTH

FRAMES = 100_000
MARKS = (10_000, 100_000, 1_000_000)  # frames, at which the cost of one more is taken
_READER = """
import json, sys
from gaussvae_ros.bench.bank_questions import measure
print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
"""


def run(tmp_dir: str | Path, frames: int = FRAMES) -> list[dict]:
    """Write so many frames of 0.5 KB into `tmp_dir` (it takes 2 KB a frame for a while), then ask.

    Returns rows of name, value, unit, target and reference (what plain sqlite3 does for the same,
    or what the row says).
    """
    tmp_dir, drive = Path(tmp_dir), Drive(frames)
    path, plain_path = tmp_dir / "bench.db", tmp_dir / "bench_plain.db"
    marks = [mark for mark in MARKS if mark <= frames]
    written, costs = write_bank(path, drive, marks)
    rate, plain_rate = round(written), round(write_plain(plain_path, drive))
    folder = Folder(tmp_dir / "files", drive)
    read = in_fresh_process(_READER, path, frames)
    with closing(sqlite3.connect(plain_path)) as plain:
        references = _plain(plain, drive, folder)
        plain_size = _size(plain, frames)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return [
            row(
                "bank: frames of 0.5 KB written a second", rate, "1/s", "at least 2000", plain_rate
            ),
            *_costs(costs),
            row("bank: open for reading", read["open"], "ms", "at most 200"),
            *_questions(read["questions"], references),
            row(
                "bank: plain work beside other programs, 99 %",
                read["undisturbed"][1],
                "ms",
                None,
                read["undisturbed"][0],
            ),
            row("bank: the first search for likeness", read["first"], "ms"),
            row(
                "bank: memory of a reader",
                round(read["memory"][0]),
                "MB",
                "at most 300",
                round(read["before"][0]),
            ),
            row(
                "bank: of that, anonymous",
                round(read["memory"][1]),
                "MB",
                None,
                round(read["before"][1]),
            ),
            *_disk(db, path, frames, plain_size, folder),
            *writes.run(tmp_dir),
        ]


def _costs(costs: dict[int, float]) -> list[dict]:
    """The cost of one more frame, beside what it was at first."""
    first = round(next(iter(costs.values())), 4) if costs else None
    return [
        row(f"bank: one more frame at {mark:,}", round(cost, 4), "ms", None, first)
        for mark, cost in costs.items()
    ]


def _questions(asked: list, references: dict[str, float]) -> list[dict]:
    rows = []
    for name, kind, median, p99, cpu in asked:
        target = TARGETS[kind] and f"at most {TARGETS[kind]}"
        rows.append(row(f"bank: {name}, median", median, "ms", None, references.get(name)))
        rows.append(row(f"bank: {name}, 99 %", p99, "ms", target, references.get(f"{name}, 99 %")))
        rows.append(row(f"bank: {name}, 99 %, time on the CPU", cpu, "ms", target))
    return rows


def _plain(plain: sqlite3.Connection, drive: Drive, folder: Folder) -> dict[str, float]:
    """What the same questions take without a memory file: median and 99 %, ms."""
    rng = random.Random(1)
    by_time = "SELECT * FROM frames WHERE stamp_ns BETWEEN ? AND ? ORDER BY stamp_ns LIMIT 20"
    by_place = """
        SELECT * FROM frames WHERE x BETWEEN ? AND ?
        AND (x - ?) * (x - ?) + (y - ?) * (y - ?) + z * z <= 4
        ORDER BY stamp_ns LIMIT 20
    """

    def place(i: int):
        (x, y, _), _ = drive.place(i)
        plain.execute(by_place, (x - 2, x + 2, x, x, y, y)).fetchall()

    def time_(i: int):
        ends = drive.stamp(i - 50), drive.stamp(i + 50)
        plain.execute(by_time, ends).fetchall()

    def like(i: int):
        stored = plain.execute("SELECT id, descriptor FROM frames").fetchall()
        many = np.frombuffer(b"".join(row for _, row in stored), np.int8).reshape(-1, LENGTH)
        best = np.argsort(-likeness(np.frombuffer(drive.look(i), np.int8), many))[:10]
        for at in best:
            plain.execute("SELECT * FROM frames WHERE id = ?", [stored[at][0]]).fetchone()

    found = {}
    for name, ask, count, most in (
        (
            "nearest to a stamp",
            lambda i: folder.nearest(drive.stamp(i) + PERIOD // 3),
            50,
            folder.count,
        ),
        ("20 in 10 s", time_, QUESTIONS, drive.frames),
        ("20 within 2 m", place, QUESTIONS, drive.frames),
        ("10 likest", like, 1, drive.frames),
    ):
        times = _times(ask, [rng.randrange(most) for _ in range(count)])
        found[name] = round(statistics.median(times), 3)
        found[f"{name}, 99 %"] = round(percentile(times, 99), 3)
    return found


def _times(ask: Callable[[int], object], numbers: list[int]) -> list[float]:
    times = []
    for number in numbers:
        started = time.perf_counter()
        ask(number)
        times.append(1000 * (time.perf_counter() - started))
    return times


def _disk(
    db: sqlite3.Connection, path: Path, frames: int, plain_size: float, folder: Folder
) -> list[dict]:
    """What a frame takes on the disk, and what of it each table."""
    size = path.stat().st_size / frames
    record = sum(len(RECORDS[i % len(RECORDS)]) for i in range(frames)) / frames
    over, plain_over = (round(100 * (whole / record - 1)) for whole in (size, plain_size))
    rows = [
        row("bank: disk a frame", round(size), "bytes", None, round(plain_size)),
        row(
            "bank: disk a frame, beside a file for each",
            round(size),
            "bytes",
            None,
            round(folder.disk()),
        ),
        row("bank: disk over the records", over, "%", "at most 30", plain_over),
    ]
    sql = "SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name ORDER BY 2 DESC"
    try:
        tables = db.execute(sql).fetchall()
    except sqlite3.Error:
        return [*rows, row("bank: disk by table (this SQLite has no dbstat)", None, "bytes")]
    for name, used, unused in tables:
        if used / frames >= 1:
            free = round(unused / frames, 1)
            rows.append(
                row(
                    f"bank: disk a frame, {name}, beside unused in it",
                    round(used / frames, 1),
                    "bytes",
                    None,
                    free,
                )
            )
    return rows


def _size(plain: sqlite3.Connection, frames: int) -> float:
    pages, page = (
        plain.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return pages * page / frames
