"""Repairing a memory file: all that is sound goes into a new file, which takes its place.

Damage may hide anywhere in the structure of a file, so nothing is mended where it lies. Rows are
read past pages that cannot be read, and indexes are made anew. The old file stays beside the new
one, with what was damaged and with what could not be read.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank import volumes
from gaussvae_ros.bank.care import salvage, upkeep
from gaussvae_ros.bank.file.journal import connect, delete, first_number, journals, log_path
from gaussvae_ros.bank.file.lock import WriterLock
from gaussvae_ros.bank.file.opening import check_journal, checked_path, open_file, why
from gaussvae_ros.bank.file.waiting import GROUP_WRITES
from gaussvae_ros.bank.likeness.descriptors import read_descriptor
from gaussvae_ros.bank.models import hashes, read_model
from gaussvae_ros.bank.references import References
from gaussvae_ros.bank.search.queries import DamagedFrame, read_frame
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import unpack

# These come along also where what they refer to is lost.
_FIRST = ("sessions", "frames", "records", "volumes")
ROUNDS = 3  # of looking for damage in the new file
MOST_SKIPPED = 10**6  # ids that a count may be ahead of the last one and be believed
# Records of frames whose row is lost are kept where others need them; their own rest is not known.
_KEEP_RECORDS = """
    INSERT OR IGNORE INTO kept SELECT frame, NULL, record FROM records
    WHERE frame NOT IN (SELECT id FROM frames) AND frame IN (SELECT reference FROM frames)
"""
_KEEP_SESSIONS = """
    INSERT INTO sessions (id, name, start_ns) SELECT session, 'repaired', min(stamp_ns) FROM {}
    WHERE session NOT IN (SELECT id FROM sessions) GROUP BY session
"""
_UNUSED = """
    DELETE FROM kept WHERE frame NOT IN (SELECT reference FROM frames WHERE reference NOT NULL
        UNION ALL SELECT reference FROM kept WHERE reference NOT NULL)
"""
_WITHOUT_ROW = "SELECT frame FROM records WHERE frame NOT IN (SELECT id FROM frames)"


@dataclass
class Repair:
    """What became of a file. `old` is where the damaged one is now, None if there was no damage."""

    frames: int = 0  # that are there
    lost: dict[int, str] = field(default_factory=dict)  # frames that are not, and why
    others: list[str] = field(default_factory=list)  # what else was damaged
    old: Path | None = None


def repair(path: str | Path, progress: Callable[[int], None] | None = None) -> Repair:
    """Put a new file with all that is sound in the place of a damaged one, at once.

    Takes as much space as the file does. `progress` is called with each count of rows.

    Raises:
        BankError: another process writes it, it is damaged where its tables are described, or the
            new one cannot be written. The file is as it was.
    """
    path = checked_path(path, readonly=True)
    partial = path.with_name(f".repairing-{path.name}")
    lock = WriterLock(path)
    try:
        check_journal(path)
        done = Repair()
        with closing(open_file(path, readonly=True)) as source:
            damages = list(upkeep.damages(source))
            if not damages:
                done.frames = _count(source, "frames")
                return done
            delete(partial)
            with closing(open_file(partial, readonly=False)) as target:
                _fill(target, source, damages, done, progress)
        shutil.copymode(path, partial)
        done.old = _swap(path, partial)
        return done
    except OSError as error:
        raise BankError(f"{path} could not be repaired: {error.strerror}") from error
    except (sqlite3.Error, UnicodeError) as error:
        raise BankError(f"{path} could not be repaired: {why(path, True, error)}") from error
    finally:
        delete(partial)
        lock.release()


def _fill(
    target: Database,
    source: Database,
    damages: list[tuple[int | None, str]],
    done: Repair,
    progress: Callable[[int], None] | None,
) -> None:
    target.execute("PRAGMA synchronous=OFF")  # it is synced before it takes the old one's place
    target.execute("DELETE FROM correction")  # the row of a new file
    # What has rows in a new file says what that file is.
    empty = [name for name in salvage.tables(target) if not _count(target, name)]
    empty.remove("stamp_runs")  # an index, which triggers fill
    named: set[int] = set()  # frames that are not there, though something belongs to them
    for table in empty:
        target.execute(f"PRAGMA foreign_keys={'OFF' if table in _FIRST else 'ON'}")
        named |= _copy(target, source, table, progress)
        if table in ("frames", "volumes"):
            target.execute(_KEEP_SESSIONS.format(table))
    target.execute("PRAGMA foreign_keys=ON")
    named.update(frame_id for (frame_id,) in target.execute(_WITHOUT_ROW).fetchall())
    highest = salvage.last_number(source, "frames")
    lost = dict.fromkeys((i for i in named if 0 < i <= highest), "its row is lost")
    _complete(target)
    for _ in range(ROUNDS):
        lost |= _remove_damaged(target, done.others)
        if not (left := list(upkeep.damages(target))):
            break
    else:
        raise BankError(f"it could not be repaired: {left[0][1]}")
    _go_on_counting(target, source)
    target.execute(f"PRAGMA user_version={first_number()}")  # no journal of the old one's is its
    target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    done.frames = _count(target, "frames")
    for frame_id, problem in damages:
        if frame_id is None:
            done.others.append(problem)
        elif not target.execute("SELECT 1 FROM frames WHERE id = ?", [frame_id]).fetchone():
            lost[frame_id] = problem
    done.lost = dict(sorted(lost.items()))


def _copy(
    target: Database, source: Database, table: str, progress: Callable[[int], None] | None
) -> set[int]:
    """Copy the rows of a table that can be read. Returns the frames of those that have none."""
    there, named = salvage.columns(source, table), set()
    names = [name for name in salvage.columns(target, table) if name in there]
    if not names:
        return named
    marks = ", ".join("?" * len(names))
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})"
    target.execute("BEGIN")
    for number, row in enumerate(salvage.rows(source, table, names), 1):
        try:
            target.execute(insert, row)
        except sqlite3.IntegrityError:  # its frame is not there
            if names[0] == "frame" and isinstance(row[0], int):
                named.add(row[0])
        if number % salvage.PIECE == 0:
            target.execute("COMMIT")
            target.execute("BEGIN")
            if progress is not None:
                progress(salvage.PIECE)
    target.execute("COMMIT")
    return named


def _complete(db: Database) -> None:
    """Add what rows refer to and is lost, as far as that can be made up; drop the other rows."""
    with db.conn:
        db.execute(_KEEP_RECORDS)
        if _count(db, "correction WHERE valid IN (0, 1)") != 1:
            db.execute("DELETE FROM correction")
            db.execute("INSERT INTO correction VALUES (0)")
        for table, number, _, _ in db.execute("PRAGMA foreign_key_check").fetchall():
            db.execute(f"DELETE FROM {table} WHERE rowid = ?", [number])


def _remove_damaged(db: Database, others: list[str]) -> dict[int, str]:
    """Take out rows that are damaged. Returns the frames that are lost with them, and why."""
    lost: dict[int, str] = {}
    for page in upkeep.pages_of_ids(db):
        references = References(db)
        for frame_id in page:
            try:
                _check(db, frame_id, references, others)
            except BankError as error:
                lost[frame_id] = str(error)
    with db.conn:
        for frame_id in sorted(lost, reverse=True):  # those that need others come first
            db.execute("DELETE FROM frames WHERE id = ?", [frame_id])
        while db.execute(_UNUSED).rowcount > 0:
            pass
        for number in volumes.damages(db):
            db.execute(volumes.REMOVE, [number])
        for hash_ in hashes(db):
            try:
                read_model(db, hash_)
            except BankError:
                db.execute("DELETE FROM models WHERE hash = ?", [hash_])
        for row in db.execute("SELECT session, camera, calibration FROM cameras").fetchall():
            if row[2] is not None and not _is_json(row[2]):
                sql = "UPDATE cameras SET calibration = NULL WHERE session = ? AND camera = ?"
                db.execute(sql, row[:2])
    return lost


def _check(db: Database, frame_id: int, references: References, others: list[str]) -> None:
    """Raises BankError if a frame cannot be read, also without its pose; a damaged descriptor goes,
    too.
    """
    try:
        frame = read_frame(db, frame_id, references)
    except DamagedFrame as error:
        with db.conn:
            db.execute("SAVEPOINT pose")
            db.execute("DELETE FROM poses WHERE frame = ?", [frame_id])
            try:
                frame = read_frame(db, frame_id, references)
            except DamagedFrame:
                db.execute("ROLLBACK TO pose")
                raise error from None
        others.append(f"frame {frame_id} has lost its pose")
    try:
        unpack(frame.data)
    except RecordError as error:
        raise BankError(f"frame {frame_id} is damaged: {error}") from error
    try:
        read_descriptor(db, frame_id)
    except DamagedFrame:
        db.execute("DELETE FROM descriptors WHERE frame = ?", [frame_id])
        others.append(f"frame {frame_id} has lost its descriptor")


def _count(db: Database, rows: str) -> int:
    return db.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]


def _is_json(text: object) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError, RecursionError):
        return False


def _go_on_counting(target: Database, source: Database) -> None:
    """No id is given again, also none of what is lost."""
    for table in ("frames", "sessions", "volumes"):
        last = target.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0
        try:
            sql = "SELECT seq FROM sqlite_sequence WHERE name = ?"
            counted = source.execute(sql, [table]).fetchone()[0]
        except (sqlite3.Error, UnicodeError, TypeError):
            counted = None
        if not isinstance(counted, int) or not last <= counted <= last + MOST_SKIPPED:
            counted = last + 2 * GROUP_WRITES
        target.execute("DELETE FROM sqlite_sequence WHERE name = ?", [table])
        target.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", [table, counted])


def _swap(path: Path, partial: Path) -> Path:
    """Put `partial` in the place of `path`. Returns where the old file is now."""
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    with suppress(sqlite3.Error), closing(connect(path, "mode=rw")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    names = (f"{path}.damaged{f'-{n}' if n else ''}" for n in range(10**6))
    old = next(Path(name) for name in names if not Path(name).exists())
    if log_path(path).exists() and log_path(path).stat().st_size:
        log_path(path).rename(log_path(old))
    try:
        os.link(path, old)  # so that there is a file at the path at any moment
    except OSError:  # a file system without links
        path.rename(old)
    # A reader that has the old file open keeps the index of its journal alive.
    for journal in journals(path):
        journal.unlink(missing_ok=True)
    try:
        partial.replace(path)
    except OSError:
        old.replace(path)  # does nothing where both are one file
        old.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return old
