"""SQLite's write-ahead log of a memory file: kept small, merged now and then, and never merged into
another file.

Pages that every commit changes (the ends of the tables and indexes) are written to the file once a
merge, so that rare merges write less.

SQLite would replay a log into whatever database lies beside it. So the database's `user_version`
counts the logs: it goes up with the first commit after each complete merge. A log begins with the
number it was made under, and belongs to a database whose number is one of its own or the one
before.
"""

import os
import random
import sqlite3
import struct
import time
from pathlib import Path

from sqlite_utils import Database

LARGEST = 2**19  # bytes of the log, from which on it is merged at once
MERGE_S = 10.0  # from the first commit that the file itself lacks to the merge
AGAIN_S = 1.0  # after a merge that a reader held up
BUSY_MS = 5000  # how long a statement waits for another program's lock
WAIT_MS = 500  # for readers, where the log's space is needed
_HEADER, _FRAME = struct.Struct(">8I"), struct.Struct(">6I")  # of the log, and of each page in it


class Journal:
    """The log of a connection that writes. `unmerged`: it holds what the file does not, or not all
    of it is known; it is to be merged at `merge_at`, s of the monotonic clock.
    """

    def __init__(self, db: Database, path: Path):
        self._db, self._path, self._name, self._log = db, path, str(path), log_path(path)
        self._number: int | None = None  # the database's, as this connection last committed it
        self._next = self._version = 0
        self._seen: tuple[int, ...] | None = (
            None  # the database after the last merge: device, inode, size, time
        )
        self._log_id: tuple[int, ...] = ()  # device and inode of the log
        self.overwritten = False  # by another program
        self._counted = False  # whether this log has its number
        self.unmerged, self.merge_at = True, time.monotonic() + AGAIN_S
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute(f"PRAGMA journal_size_limit={LARGEST}")

    def count(self) -> bool:
        """Number the log, in the first transaction after a merge; False if another process has
        written since.
        """
        number = self._db.execute("PRAGMA user_version").fetchone()[0]
        if self._number not in (None, number):
            return False
        if not self._counted:
            number = (number or first_number()) + 1
            self._db.execute(f"PRAGMA user_version={number}")
        self._next = number
        return True

    def committed(self):
        """A transaction is in the log; merge it when it is time."""
        now = time.monotonic()
        if not self.unmerged:
            self.merge_at = now + MERGE_S
        self._counted = self.unmerged = True
        self._number, self._version = self._next, self._data_version()
        device, inode, size, _ = _look(str(self._log)) or (0, 0, 0, 0)
        self._log_id = self._log_id or (device, inode)
        if size > _free(self._path.parent) // 2:
            self.merge(shrink=True)  # the last space of a disk is for frames
        elif size > LARGEST or now >= self.merge_at:
            self.merge()

    def merge(self, shrink: bool = False):
        """Copy the log into the file, as far as readers allow; `shrink` gives the log's space back,
        too.
        """
        self.merge_at = time.monotonic() + AGAIN_S
        if self.is_overwritten():
            return
        try:
            if shrink:
                self._db.execute(f"PRAGMA busy_timeout={WAIT_MS}")
            how = "TRUNCATE" if shrink else "PASSIVE"
            _, pages, merged = self._db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
            if pages == merged >= 0:  # both are -1 where another program merges just now
                self.unmerged = self._counted = False
        except sqlite3.Error:
            pass  # the disk is full, or a reader is slow: what is in the log is as safe
        finally:
            self._seen = _look(self._name)
            if shrink:
                self._db.execute(f"PRAGMA busy_timeout={BUSY_MS}")

    def is_overwritten(self) -> bool:
        """Whether another program has copied another file over the database; not to be asked during
        a merge.
        """
        seen = _look(self._name)
        # The same file, written.
        if self._seen and seen and seen[:2] == self._seen[:2] and seen != self._seen:
            self._seen = seen
            other = lone_number(self._path) not in (self._number, self._number - 1)
            self.overwritten = other and self._version == self._data_version()  # not through SQLite
        return self.overwritten

    def discard(self):
        """Empty the log, which SQLite would merge into the other file when the connection
        closes.
        """
        # SQLite's own descriptor: the log may not be at its path any more.
        for name in os.listdir("/proc/self/fd"):
            try:
                facts = os.fstat(int(name))
                if (facts.st_dev, facts.st_ino) == self._log_id:
                    os.ftruncate(int(name), 0)
            except OSError:
                continue  # another thread's, closed meanwhile

    def _data_version(self) -> int:
        """Changes when another connection commits."""
        return self._db.execute("PRAGMA data_version").fetchone()[0]


def connect(path: Path, mode: str) -> Database:
    """A connection; every use of it goes through a bank's lock, so that threads may share it."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}", uri=True, timeout=BUSY_MS / 1000, check_same_thread=False
    )
    return Database(connection, execute_plugins=False)


def ask_alone(path: Path, sql: str) -> int:
    """What a database answers as it lies there, without its log; 0 if it cannot."""
    db = None
    try:
        db = connect(path, "immutable=1")  # not `open`, see `WriterLock`
        return db.execute(sql).fetchone()[0]
    except (sqlite3.Error, UnicodeError):
        return 0  # damage, of which opening it says more
    finally:
        if db is not None:
            db.close()


def first_number() -> int:
    """A number for a new database."""
    return random.randrange(1, 2**30)


def lone_number(path: Path) -> int:
    """The number of a database as it lies there."""
    return ask_alone(path, "PRAGMA user_version")


def journals(path: Path) -> list[Path]:
    """What SQLite may keep beside a database."""
    return [Path(f"{path}{ending}") for ending in ("-journal", "-wal", "-shm")]


def delete(path: Path) -> None:
    """Delete a database with its journals, those that there are."""
    for file in (path, *journals(path)):
        file.unlink(missing_ok=True)


def log_path(path: Path) -> Path:
    """Where SQLite keeps the log of a database."""
    return Path(f"{path}-wal")


def belongs(path: Path) -> bool:
    """Whether the log beside a database may be replayed into it."""
    try:
        with open(log_path(path), "rb") as log:
            numbers = _numbers(log)
    except FileNotFoundError:
        return True
    if not numbers or not (own := lone_number(path)):
        # Nothing to replay, or not counted: by an earlier release, or merged by another program.
        return True
    return numbers[0] - 1 <= own <= max(numbers)


def _numbers(log) -> list[int]:
    """The `user_version` of each first page in a log, as far as it is whole; empty where its first
    page is not one.
    """
    head = log.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return []
    magic, _, page_size, _, *salts, sum_1, sum_2 = _HEADER.unpack(head)
    if magic not in (0x377F0682, 0x377F0683):
        return []
    numbers = []
    while len(frame := log.read(_FRAME.size)) == _FRAME.size:
        page_number, _, *found = _FRAME.unpack(frame)
        if found[:2] != salts:
            break  # left from an earlier log
        if page_number != 1:
            if not numbers:
                return []
            log.seek(page_size, os.SEEK_CUR)
            continue
        page = log.read(page_size)
        if not numbers and _checksum(frame[:8] + page, (sum_1, sum_2), "<>"[magic & 1]) != tuple(
            found[2:]
        ):
            return []  # torn by a power cut: SQLite replays nothing either
        if len(page) == page_size:
            numbers.append(int.from_bytes(page[60:64], "big"))
    return numbers


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for x, y in zip(words[::2], words[1::2]):
        first = (first + x + second) & 0xFFFFFFFF
        second = (second + y + first) & 0xFFFFFFFF
    return first, second


def _look(name: str) -> tuple[int, ...] | None:
    """Device, inode, size and time of a file, None where there is none."""
    try:
        facts = os.stat(name)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _free(folder: Path) -> int:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return 0
    return facts.f_bavail * facts.f_frsize
