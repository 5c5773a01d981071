"""How a memory reaches an archive, beside rsync of its file, and how a catalogue answers, beside
plain inserts and exact search.
"""

import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bench.bank_data import LABELLED, PERIOD, ROUND, START, Drive, write_bank
from gaussvae_ros.bench.fleet_data import ROBOTS, Fleet
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.extras import install

ROWS = 100_000  # of the catalogue, unless said otherwise
ASKED, LIKE = 200, 50  # questions of each kind
FEW = 20  # frames that an answer has
PLAIN = 5000  # rows that are inserted one by one
LATER = 1000  # frames that come before a later push
NONE = f"fleet (skipped: it needs packages, {install('fleet')})"
NO_CATALOGUE = "fleet: catalogue (skipped: --catalogue names an empty database to measure in)"
_INDEXES = {
    "frames_by_stamp": "(stamp_ns)",
    "frames_by_robot": "(robot, stamp_ns)",
    "frames_by_label": "(label, stamp_ns) WHERE label IS NOT NULL",
    "frames_by_place": "USING gist (point(x, y)) WHERE x IS NOT NULL",
}
_BY_LOOK = """
    CREATE INDEX frames_by_look ON fleet.frames
    USING hnsw ((descriptor::halfvec(128)) halfvec_cosine_ops) WITH (ef_construction = 200)
    WHERE vector_dims(descriptor) = 128
"""


def run(folder: Path, frames: int, rows: int = ROWS, catalogue: str | None = None) -> list[dict]:
    """Push a memory of so many frames to an archive in a folder, and ask a catalogue of so many
    rows in an empty database, if one is given.

    Raises:
        GaussVaeError: the database is not empty, or does not answer.
    """
    try:
        import fsspec  # noqa: F401
        import psycopg  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError:
        return [row(NONE, None, "")]
    measured = _pushes(folder, frames)
    if catalogue is None:
        return [*measured, row(NO_CATALOGUE, None, "")]
    return [*measured, *ask(catalogue, rows)]


def _pushes(folder: Path, frames: int) -> list[dict]:
    from gaussvae_ros.fleet.archive import Archive
    from gaussvae_ros.fleet.pull import pull
    from gaussvae_ros.fleet.push import push

    path, drive = folder / "robot.db", Drive(frames)
    if not path.exists():
        write_bank(path, drive, [])
    sent = []
    archive = Archive(folder / "archive", sent.append)

    def send() -> None:
        with MemoryBank(path, readonly=True) as bank:
            push(bank, archive, "r1")

    first, spent = _timed(send)
    copied = _rsync(path, folder)
    again, _ = _timed(send)
    copied_again = _rsync(path, folder)
    size = sum(file.stat().st_size for file in (folder / "archive").rglob("*") if file.is_file())
    records, looks, count = _contents(path)
    with MemoryBank(path) as bank:
        bank.begin_session("later", start_ns=drive.stamp(frames))
        for i in range(LATER):
            given = {"pose": drive.pose(i), "descriptor": drive.look(i), "camera": "front"}
            bank.add(drive.record(i), stamp_ns=drive.stamp(frames + i), **given)
    sent.clear()
    later, _ = _timed(send)
    later_bytes = sum(sent)
    copied_later = _rsync(path, folder)
    with MemoryBank(folder / "again.db") as target:
        pulled, _ = _timed(lambda: pull(archive, target))

    def rate(seconds: float | None) -> int | None:
        return seconds and round(count / seconds)

    return [
        row("fleet: frames pushed a second", rate(first), "1/s", "at least 20000", rate(copied)),
        row("fleet: of time on the CPU", rate(spent), "1/s"),
        row("fleet: push of nothing new", round(again, 3), "s", "at most 2", copied_again),
        row(f"fleet: push of {LATER} new frames", round(later, 3), "s", None, copied_later),
        row(f"fleet: sent for {LATER} new frames", round(later_bytes / 1e6, 2), "MB"),
        row(
            "fleet: archive over records with descriptors",
            round(size / (records + looks), 4),
            "",
            "at most 1.1",
            round(path.stat().st_size / (records + looks), 4),
        ),
        row("fleet: bytes of the archive a frame", round(size / count, 1), "bytes"),
        row("fleet: frames pulled a second", rate(pulled), "1/s"),
    ]


def ask(catalogue: str, rows: int, likeness: bool = True) -> list[dict]:
    """Fill an empty database with a catalogue of so many rows and ask it; it is emptied after."""
    import psycopg

    from gaussvae_ros.fleet.catalogue import Catalogue, make, telling

    with telling(), psycopg.connect(catalogue, autocommit=True) as db:
        if db.execute("SELECT to_regclass('fleet.migrations')").fetchone()[0] is not None:
            raise GaussVaeError("bench fleet needs a database without a catalogue in it")
        make(catalogue)
        try:
            with Catalogue(catalogue) as asked:
                stored = _stored(asked, _plain(db, Fleet(rows)))
                filled = _fill(db, Fleet(rows), likeness)
                return [stored, *filled, *_questions(asked, Fleet(rows), likeness)]
        finally:
            db.execute("DROP SCHEMA fleet CASCADE")


def _fill(db: object, fleet: Fleet, likeness: bool) -> list[dict]:
    db.execute("TRUNCATE fleet.frames")
    for name in (*_INDEXES, "frames_by_look", "frames_by_gradients", "frames_by_words"):
        db.execute(f"DROP INDEX fleet.{name}")

    def copy() -> None:
        with db.cursor().copy(f"COPY fleet.frames ({fleet.columns}) FROM STDIN BINARY") as into:
            for data in fleet.copies():
                into.write(data)

    def index() -> None:
        for name, what in _INDEXES.items():
            db.execute(f"CREATE INDEX {name} ON fleet.frames {what}")

    db.execute("SET maintenance_work_mem = '4GB'")
    copied, _ = _timed(copy)
    indexed, _ = _timed(index)
    done = [
        row(
            f"fleet: rows of {fleet.rows:,} copied into a catalogue a second",
            round(fleet.rows / copied),
            "1/s",
        ),
        row("fleet: their indexes of time, label and place", round(indexed, 1), "s"),
    ]
    if likeness:
        built, _ = _timed(lambda: db.execute(_BY_LOOK))
        done.append(row("fleet: their index of likeness", round(built, 1), "s"))
    db.execute("ANALYZE fleet.frames")
    size = db.execute("SELECT pg_total_relation_size('fleet.frames')").fetchone()[0]
    return [*done, row("fleet: bytes of the catalogue a row", round(size / fleet.rows), "bytes")]


def _plain(db: object, fleet: Fleet) -> int:
    """Rows a second by one INSERT each, a thousand a commit, with all indexes."""
    sql = f"""
        INSERT INTO fleet.frames ({fleet.columns})
        SELECT 'plain', 'b', n, '2026-01-01', 1, 1, 'front', n, 640, 480, 'splats', 512, n %% 100,
            n %% 99, 0, 0, 0, 0, 1, 'map', NULL,
            (SELECT array_agg((random() * 100)::int) FROM generate_series(1, 128 + 0 * n))::halfvec
        FROM (SELECT %s::bigint AS n) AS one
    """

    def insert() -> None:
        for begin in range(0, PLAIN, 1000):
            with db.transaction():
                for number in range(begin, begin + 1000):
                    db.execute(sql, [number])

    return round(PLAIN / _timed(insert)[0])


def _stored(catalogue: object, plain: int) -> dict:
    """Frames a second that a push tells a catalogue, with all indexes."""
    from gaussvae_ros.bank.bulk import Whole
    from gaussvae_ros.fleet.archive import Manifest, Part, day_of

    drive, rows = Drive(PLAIN), []
    for i in range(PLAIN):
        pose = (*drive.place(i)[0], 0.0, 0.0, 0.0, 1.0, "map")
        facts = (i + 1, drive.stamp(i), "front", 1, (640, 480), "splats", "", drive.label(i))
        rows.append(Whole(*facts, pose, None, [], [], None, (), drive.record(i), drive.look(i)))
    part = Part(day_of(rows[0].stamp_ns), 1, PLAIN, PLAIN, version="1")
    taken, _ = _timed(lambda: catalogue.store(Manifest("r1", "b1"), part, rows, {1: "tour"}))
    name = "fleet: frames told a catalogue a second, with all indexes"
    return row(name, round(PLAIN / taken), "1/s", None, plain)


def _questions(catalogue: object, fleet: Fleet, likeness: bool) -> list[dict]:
    from gaussvae_ros.fleet import finding

    rng, labels = random.Random(1), fleet.rows // LABELLED

    def number() -> np.ndarray:
        return np.array([rng.randrange(fleet.rows)])

    def near() -> dict:
        x, y, _ = fleet.place(number())
        return {"near": (x[0], y[0], 0.3), "radius": 0.5}

    def after() -> dict:
        return {"after": START + rng.randrange(fleet.each) * PERIOD}

    kinds = {
        "by place": near,
        "by place, of one robot": lambda: {**near(), "robots": [f"r{rng.randrange(ROBOTS):03d}"]},
        "by time": after,
        "by time, of one robot": lambda: {**after(), "robots": [f"r{rng.randrange(ROBOTS):03d}"]},
        "by label": lambda: {"label": f"dock {rng.randrange(max(1, labels)) % 10_000:04d}"},
    }
    done = []
    for name, make in kinds.items():
        given = [make() for _ in range(ASKED)]
        done += _answers(
            f"{FEW} {name}",
            lambda some: finding.find(catalogue, finding.conditions(**some), FEW),
            given,
            "at most 50",
        )
    if likeness:
        looks = [fleet.look(number(), 1)[0].tobytes() for _ in range(LIKE)]
        everything = finding.conditions()
        done += _answers(
            "the 10 likest",
            lambda look: finding.find_like(catalogue, everything, look, 10),
            looks,
            "at most 100",
        )
        done.append(_recall(catalogue, looks))
    return done


def _answers(name: str, ask_one: Callable, given: list, target: str) -> list[dict]:
    for some in given[: len(given) // 4]:  # what the server has not read yet
        ask_one(some)
    times = sorted(1000 * _timed(lambda: ask_one(some))[0] for some in given)
    middle, late = times[len(times) // 2], times[int(0.95 * len(times))]
    return [row(f"fleet: {name}: 95 %; median", round(late, 1), "ms", target, round(middle, 1))]


def _recall(catalogue: object, looks: list[bytes]) -> dict:
    """Of the 10 likest by exact search, how many the index finds: those as like count as found."""
    from gaussvae_ros.fleet import finding

    found, everything, spent = 0, finding.conditions(), []
    for look in looks[: LIKE // 2]:
        begun = time.perf_counter()
        exact = finding.find_like(catalogue, everything, look, 10, exact=True)
        spent.append(1000 * (time.perf_counter() - begun))
        some = finding.find_like(catalogue, everything, look, 10)
        found += sum(frame["likeness"] >= exact[-1]["likeness"] for frame in some)
    share = found / (10 * len(spent))
    name = "fleet: recall@10 of likeness; ms of exact search"
    return row(name, round(share, 3), "", "at least 0.95", round(float(np.median(spent))))


def _rsync(path: Path, folder: Path) -> float | None:
    """Seconds that rsync takes for a file; None where there is none."""
    if shutil.which("rsync") is None:
        return None
    command = ["rsync", "-a", "--no-whole-file", str(path), str(folder / "rsync.db")]
    return round(_timed(lambda: subprocess.run(command, check=True))[0], 3)


def _contents(path: Path) -> tuple[int, int, int]:
    """Bytes of records and of descriptors, and frames."""
    with MemoryBank(path, readonly=True) as bank:
        records = looks = count = 0
        for first in range(1, bank.last_id() + 1, ROUND):
            for frame in bank.whole(first, first + ROUND - 1):
                records, looks = records + len(frame.data), looks + len(frame.descriptor or b"")
                count += 1
    return records, looks, count


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of this process on the CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu
