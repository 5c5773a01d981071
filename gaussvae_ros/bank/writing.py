"""Writing: one writer process per file, group commits, and nothing lost silently when the disk is full.

Statements go into one open transaction, which the connection's own reads see at once, and are kept in memory until
their commit has succeeded. After a failed commit they are executed again, so a full disk delays frames instead of
losing them; while it lasts, new frames are refused.
"""

import fcntl
import json
import logging
import os
import sqlite3
import threading
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank.frame import Pose, checked_int, checked_text
from gaussvae_ros.bank.schema import TALLY
from gaussvae_ros.errors import BankError

COMMIT_S = 0.8  # with the commit itself a frame is on the disk within one second
GROUP_WRITES = 2000  # statements in a group at most, so that memory stays bounded while the disk is full
MERGE_MS = 500  # that closing waits for readers, to merge the log into the file

ADD_FRAME = "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ADD_RECORD = "INSERT INTO records VALUES (?, ?)"
ADD_DESCRIPTOR = "INSERT INTO descriptors VALUES (?, ?, ?)"
_SET_POSE = """
    INSERT INTO poses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(frame) DO UPDATE SET
        x = excluded.x, y = excluded.y, z = excluded.z,
        qx = excluded.qx, qy = excluded.qy, qz = excluded.qz, qw = excluded.qw, reference = excluded.reference
"""
_SET_LABEL = "INSERT INTO labels VALUES (?, ?) ON CONFLICT(frame) DO UPDATE SET label = excluded.label"
_SET_CAMERA = """
    INSERT INTO cameras (session, camera, {0}) VALUES (?, ?, ?)
    ON CONFLICT(session, camera) DO UPDATE SET {0} = excluded.{0}
"""
_SET_TALLY = f"UPDATE sessions SET {', '.join(f'{count} = ?' for count in TALLY)} WHERE id = ?"

log = logging.getLogger(__name__)
Statement = tuple[str, tuple]  # SQL and its parameters


def pose_statement(frame_id: int, pose: Pose) -> Statement:
    """Gives a frame its pose."""
    if not isinstance(pose, Pose):
        raise BankError(f"a pose is a Pose, not {type(pose).__name__}")
    return _SET_POSE, (frame_id, *pose.position, *pose.orientation, pose.reference)


def label_statement(frame_id: int, label: str | None) -> Statement:
    """Gives a frame its label, None takes it away."""
    if label is None:
        return "DELETE FROM labels WHERE frame = ?", (frame_id,)
    return _SET_LABEL, (frame_id, checked_text("label", label))


def camera_frame_statement(session: int, camera: str, frame_id: str) -> Statement:
    """Says which coordinate frame a camera's pictures of a session are in."""
    return _SET_CAMERA.format("frame_id"), (session, camera, checked_text("frame_id", frame_id))


def calibration_statement(session: int, camera: str, calibration: dict) -> Statement:
    """Gives a camera its calibration in a session."""
    if not isinstance(calibration, dict):
        raise BankError(f"a calibration is a dict, not {type(calibration).__name__}")
    try:
        text = json.dumps(calibration, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise BankError(f"calibration cannot be written as JSON: {error}") from error
    return _SET_CAMERA.format("calibration"), (session, camera, text)


def tally_statement(session: int, tally: dict[str, int]) -> Statement:
    """Sets what a session counted."""
    if not isinstance(tally, dict) or set(tally) != set(TALLY):
        raise BankError(f"a tally counts {', '.join(TALLY)}, not {tally!r}")
    counts = [checked_int(name, tally[name]) for name in TALLY]
    if min(counts) < 0:
        raise BankError(f"a tally counts from 0 on: {tally!r}")
    return _SET_TALLY, (*counts, session)


class WriterLock:
    """The right to write a file, held by one process at a time and freed by the system when the process dies."""

    def __init__(self, path: Path):
        # A file beside: closing a second descriptor of the database itself would drop SQLite's own locks on it.
        self._path = Path(f"{path}-lock")
        while True:
            try:
                self._file = open(self._path, "a+")
            except OSError as error:
                raise BankError(f"{path} cannot be opened for writing: {error.strerror}") from error
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._file.seek(0)
                holder = self._file.read(20) or "unknown"
                self._file.close()
                raise BankError(
                    f"{path} is being written by process {holder}: open it with readonly=True or close it there"
                ) from error
            # The holder before us may have removed the name between our open and our lock.
            if os.fstat(self._file.fileno()).st_nlink:
                break
            self._file.close()
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self):
        self._path.unlink(missing_ok=True)
        fcntl.flock(self._file, fcntl.LOCK_UN)  # also for children that were forked with this descriptor
        self._file.close()


class Group:
    """The statements since the last commit. Call it with the bank's lock held; its timer takes that lock itself."""

    def __init__(self, db: Database, path: Path, lock: threading.RLock):
        self._db = db
        self._path = path
        self._lock = lock
        self._statements: list[Statement] = []
        self._waiting: list[int] = []  # ids of the frames among them
        self._others = 0  # changes of frames, cameras and sessions that were there before
        self._failed = False
        self._timer: threading.Timer | None = None
        if not db.execute("SELECT count(*) FROM sqlite_sequence WHERE name = 'frames'").fetchone()[0]:
            db.execute("INSERT INTO sqlite_sequence VALUES ('frames', 0)")
        self.next_id = db.execute("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'frames'").fetchone()[0]
        self._reserve(self.next_id + GROUP_WRITES)

    def write(self, statements: list[Statement], frame_id: int | None = None):
        """Execute all statements or none; `frame_id` says that they store a new frame.

        Raises:
            BankError: nothing of this write is stored, and what was accepted before still waits for its commit.
        """
        if self._failed or len(self._statements) >= GROUP_WRITES:
            self.flush()
        try:
            self._begin()
            for statement in statements:
                self._db.execute(*statement)
        except BaseException as error:
            self._undo()
            if isinstance(error, sqlite3.Error):
                raise BankError(f"{self._path} could not take the write: {error}{self._still_waiting()}") from error
            raise
        self._statements += statements
        if frame_id is None:
            self._others += 1
        else:
            self._waiting.append(frame_id)
            self.next_id = frame_id + 1
        if self._timer is None:
            self._start_timer()

    def flush(self):
        """Commit, synced to the disk.

        Raises:
            BankError: says which frames still wait; they are kept and tried again.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._statements:
            self._failed = False
            return
        try:
            self._begin()
            self._reserve(self.next_id + GROUP_WRITES)
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            self._start_timer()
            if isinstance(error, sqlite3.Error):
                raise BankError(f"{self._path} could not be written: {error}{self._still_waiting()}") from error
            raise
        if self._failed:
            log.warning("%s is written again: everything that waited is stored", self._path)
        self._failed = False
        self._statements.clear()
        self._waiting.clear()
        self._others = 0

    def show_waiting(self):
        """Let the connection's reads see again what a failed commit took back, if the disk allows."""
        if self._failed and self._statements:
            try:
                self._begin()
            except sqlite3.Error:
                self._undo()

    def close(self):
        """Commit, merge the log into the file, and give back the ids that were reserved but not used."""
        try:
            self.flush()
            self._reserve(self.next_id)
            # While others read, SQLite leaves the log beside the file, and a copy of the file alone would lack frames.
            self._db.execute(f"PRAGMA busy_timeout={MERGE_MS}")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # a gap in the ids is no loss, nor is a log that stays
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _begin(self):
        if not self._db.conn.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
            for statement in self._statements:
                self._db.execute(*statement)

    def _undo(self):
        self._failed = True
        if self._db.conn.in_transaction:
            self._db.execute("ROLLBACK")

    def _reserve(self, next_id: int):
        # The file always holds an id beyond those handed out: after a crash the lost frames' ids are skipped, not
        # given to other frames.
        self._db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'frames'", [next_id - 1])

    def _start_timer(self):
        self._timer = threading.Timer(COMMIT_S, self._commit_late)
        # A program that ends without closing the bank waits for this commit, but not for a disk that stays full.
        self._timer.daemon = self._failed
        self._timer.start()

    def _commit_late(self):
        with self._lock:
            failed_before = self._failed
            try:
                self.flush()
            except BankError as error:
                if not failed_before:
                    log.error("%s", error)

    def _still_waiting(self) -> str:
        waiting = []
        if self._waiting:
            waiting.append(f"frames {self._waiting[0]} to {self._waiting[-1]}")
        if self._others:
            waiting.append(f"{self._others} changes of what was there")
        return f"; not stored yet: {' and '.join(waiting)}" if waiting else ""
