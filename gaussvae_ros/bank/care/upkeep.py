"""Looking after a memory file: what it holds, whether it is sound, a copy of it."""

import heapq
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from itertools import groupby, islice
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank import volumes
from gaussvae_ros.bank.care import salvage
from gaussvae_ros.bank.file.journal import first_number, journals
from gaussvae_ros.bank.file.reasons import not_written
from gaussvae_ros.bank.file.schema import (
    TALLY,
    has_corrections,
    has_references,
    placed,
    schema_version,
)
from gaussvae_ros.bank.likeness.descriptors import read_descriptor
from gaussvae_ros.bank.models import hashes, read_model
from gaussvae_ros.bank.references import DamagedReference, References
from gaussvae_ros.bank.search import runs, stamps, texts
from gaussvae_ros.bank.search.queries import DamagedFrame, read_calibration, read_frame
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.files import make_file
from gaussvae_ros.record import unpack

PAGE = 256  # frames whose references are read once


def summary(db: Database, path: Path) -> dict:
    """See `MemoryBank.info`."""

    def counts(sql: str) -> dict[str, int]:
        return dict(db.execute(sql).fetchall())

    parts = db.execute("""
        SELECT session, camera, tier, count(*), min(stamp_ns), max(stamp_ns) FROM frames
        GROUP BY 1, 2, 3
    """).fetchall()
    moved, pose = placed(db)
    ends = ", ".join(f"min({pose[axis]}), max({pose[axis]})" for axis in "xyz")
    bounds = db.execute(f"SELECT {ends} FROM poses p {moved}").fetchone()
    map_id, corrected = (
        ("s.map_id", "original_poses") if has_corrections(db) else ("''", "(SELECT 1 WHERE 0)")
    )
    sessions = db.execute(f"""
        SELECT s.id, s.name, {map_id}, s.start_ns, {", ".join(TALLY)} FROM sessions s ORDER BY s.id
    """).fetchall()
    names = ("id", "name", "map_id", "start_ns", *TALLY)
    files = (path, Path(f"{path}-wal"))
    return {
        "path": str(path),
        "schema": schema_version(db),
        "bytes": sum(file.stat().st_size for file in files if file.exists()),
        **_of_parts(parts),
        "kept": len(kept(db)),
        "tiers": _counted((tier, count) for _, _, tier, count, *_ in parts),
        "cameras": _counted((camera, count) for _, camera, _, count, *_ in parts),
        "sessions": [
            dict(zip(names, row)) | _of_parts(part for part in parts if part[0] == row[0])
            for row in sessions
        ],
        "labels": counts("SELECT label, count(*) FROM labels GROUP BY label"),
        "texts": texts.count(db),
        "volumes": volumes.totals(db)[0],
        "poses": db.execute("SELECT count(*) FROM poses").fetchone()[0],
        "corrected": db.execute(f"SELECT count(*) FROM {corrected}").fetchone()[0],
        "bounds_m": None
        if bounds[0] is None
        else [list(bounds[0:2]), list(bounds[2:4]), list(bounds[4:6])],
    }


def _of_parts(parts: Iterable[tuple]) -> dict[str, int | None]:
    counts, *ends = list(zip(*parts))[3:] or ((), (), ())
    first, last = ([at for at in end if isinstance(at, int)] for end in ends)  # else damaged
    span = {"first_ns": min(first, default=None), "last_ns": max(last, default=None)}
    return {"frames": sum(counts), **span}


def _counted(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in sorted(counts, key=str):
        found[name] = found.get(name, 0) + count
    return found


def kept(db: Database) -> list[int]:
    """The frames that were removed, or never were, and whose records others need."""
    if not has_references(db):
        return []
    return [frame_id for (frame_id,) in db.execute("SELECT frame FROM kept").fetchall()]


def size(db: Database) -> int:
    """See `MemoryBank.size`."""
    pages, page = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    return pages * page


def damages(db: Database) -> Iterator[tuple[int | None, str]]:
    """See `MemoryBank.verify`."""
    try:
        for page in pages_of_ids(db):
            references = References(db)
            for frame_id in page:
                try:
                    frame = read_frame(db, frame_id, references)
                    if frame is None:
                        yield frame_id, f"frame {frame_id} is damaged: its row is missing"
                    else:
                        unpack(frame.data)
                        read_descriptor(db, frame_id)
                except DamagedFrame as error:
                    yield frame_id, str(error)
                except RecordError as error:
                    yield frame_id, f"frame {frame_id} is damaged: {error}"
        for frame_id in kept(db):
            try:
                References(db).chain(frame_id)
            except DamagedReference as error:
                if error.frame_id == frame_id:
                    yield None, f"{error}; that frame was removed, and others need it"
        for session, camera in db.execute("SELECT session, camera FROM cameras").fetchall():
            try:
                read_calibration(db, session, camera)
            except BankError as error:
                yield None, str(error)
        for hash_ in hashes(db):
            try:
                read_model(db, hash_)
            except BankError as error:
                yield None, str(error)
        for problem in volumes.damages(db).values():
            yield None, problem
        for (problem,) in db.execute("PRAGMA integrity_check").fetchall():
            if problem != "ok":
                yield None, problem
        # Rows of one frame from different moments, as in a copy that was made by other means while
        # frames were added.
        for table, row, _, _ in db.execute("PRAGMA foreign_key_check").fetchall():
            yield None, f"row {row} of {table} belongs to nothing in the file"
        if problem := texts.damage(db):
            yield None, problem
        index = "pose_runs" if runs.has_runs(db) else "pose_index"
        if (problem := db.execute(f"SELECT rtreecheck('{index}')").fetchone()[0]) != "ok":
            yield None, problem
        for frame_id in runs.not_found(db) if runs.has_runs(db) else ():
            yield frame_id, f"the pose of frame {frame_id} is not in the index"
        for frame_id in stamps.not_found(db) if stamps.has_slots(db) else ():
            yield frame_id, f"the stamp of frame {frame_id} is not in the index"
    except (sqlite3.DatabaseError, UnicodeError) as error:
        yield None, str(error)


def pages_of_ids(db: Database) -> Iterator[list[int]]:
    """The ids of all frames, some at a time, also of those whose row is lost and whose record is
    not.
    """
    tables = ("frames", ["id"]), ("records", ["frame"])
    named = (_numbers(salvage.rows(db, *table)) for table in tables)
    ids = (frame_id for frame_id, _ in groupby(heapq.merge(*named)))
    while page := list(islice(ids, PAGE)):
        yield page


def _numbers(rows: Iterator[tuple]) -> Iterator[int]:
    """What is an id, in a column that damage may have changed."""
    return (value for (value,) in rows if isinstance(value, int))


def copy(db: Database, target: Path, mode: int, progress: Callable[[int], None] | None = None):
    """See `MemoryBank.backup`; the copy gets this mode."""
    partial = Path(f"{target}.partial")
    for file in (target, *journals(target)):
        if file.exists():
            raise BankError(f"{file} exists already: a backup overwrites nothing")

    stopped: list[BaseException] = []  # by Ctrl-C, or by what `progress` raised

    def report() -> int:
        try:
            if progress is not None and partial.exists():
                progress(partial.stat().st_size)
            return 0
        except BaseException as error:
            stopped.append(error)
            return 1

    try:
        partial.unlink(missing_ok=True)
        make_file(partial, mode)
        db.conn.set_progress_handler(report, 10_000)
        db.execute("VACUUM INTO ?", [str(partial)])
        with closing(sqlite3.connect(partial, isolation_level=None)) as made:
            # No journal of the original's is one of the copy.
            made.execute(f"PRAGMA user_version={first_number()}")
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        if report() == 0:
            partial.rename(target)
    except (sqlite3.Error, OSError) as error:
        if not stopped:
            raise BankError(not_written(target, error)) from error
    finally:
        with suppress(OSError):  # a read-only disk, of which the error above tells
            partial.unlink(missing_ok=True)
    if stopped:
        raise stopped[0]
