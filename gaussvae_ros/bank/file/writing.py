"""Writing: group commits, and nothing lost silently when the disk is full.

Statements go into one open transaction, which the connection's own reads see at once, and are kept
in memory until their commit has succeeded. After a failed commit they are executed again, so a full
disk delays frames instead of losing them; while it lasts, frames wait in memory, and once too many
wait, further ones are refused.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank.file.ids import Ids
from gaussvae_ros.bank.file.journal import Journal
from gaussvae_ros.bank.file.reasons import not_written
from gaussvae_ros.bank.file.statements import Statement
from gaussvae_ros.bank.file.waiting import Waiting
from gaussvae_ros.errors import BankError, BankGone

COMMIT_S = 0.8  # with the commit itself a frame is on the disk within one second
PIECE = 10  # frames and changes that are committed at once where a whole group does not fit

log = logging.getLogger(__name__)


class Group:
    """The writes since the last commit. Call it with the bank's lock held; its timer takes that
    lock itself.

    `lost()` says why the file must not be written any more, empty while it may.
    """

    def __init__(
        self,
        db: Database,
        path: Path,
        lock: threading.RLock,
        lost: Callable[[], str],
        first_ids: tuple[int, int, int] = (1, 1, 1),  # of a frame, session, volume, at least
    ):
        self._db = db
        self._path = path
        self._lock = lock
        self._lost = lost
        self._journal = Journal(db, path)
        self.waiting = Waiting()
        self._failed = False
        self.refusal = ""  # why the disk does not take what waits
        self._timer: threading.Timer | None = None
        self._commit_at = 0.0  # when what waits is committed, at the latest
        self._usurped = ""
        self.ids = Ids(db, *first_ids)
        self._commit([])
        self._journal.merge()  # a copy of the file alone is a memory from now on

    @property
    def overwritten(self) -> bool:
        """Whether another file was copied over this one."""
        return self._journal.overwritten

    def usurped(self) -> str:
        """Empty unless another program has written the file, or put another one in its place; then
        a sentence.
        """
        if not self._usurped and self._lock.acquire(blocking=False):
            try:
                if self._journal.is_overwritten():
                    self._usurped = (
                        f"{self._path} was replaced by another file, which was copied over it"
                    )
            except sqlite3.Error:
                pass  # the next commit says why
            finally:
                self._lock.release()
        return self._usurped

    def write(self, statements: list[Statement], frame_id: int | None = None):
        """Execute all statements or none; `frame_id` says that they store a new frame.

        A disk that is full or does not answer lets the write wait for its commit like those before
        it.

        Raises:
            BankError: nothing of this write is stored, and what was accepted before still waits for
                its commit.
        """
        if self.waiting.full:
            try:
                self.flush()
            except BankGone:
                raise
            except BankError as error:
                if self.waiting.full:
                    raise BankError(
                        f"{error}; no more can wait in memory, so this is refused"
                    ) from error
        try:
            self._begin()
            for statement in statements:
                self._db.execute(*statement)
        except sqlite3.OperationalError:
            self._undo()  # the commit says why
        except BaseException as error:
            self._undo()
            if isinstance(error, sqlite3.Error):
                # Pages of two files are mixed where one was copied over the other.
                self._refuse_lost()
                why = not_written(self._path, error)
                raise BankError(f"{why}{self.waiting.sentence()}") from error
            raise
        if not self.waiting:
            self._commit_at = time.monotonic() + COMMIT_S
        self.waiting.add(statements, frame_id)
        if frame_id is not None:
            self.ids.frame = frame_id + 1
        self._keep_time()

    def write_now(self, statements: list[Statement]):
        """Commit what waits and then these statements, or none of them.

        Raises:
            BankError: the disk does not take them, or what waits.
        """
        self.flush()
        try:
            self._begin()
            for statement in statements:
                self._db.execute(*statement)
            self._commit([])
        except BaseException as error:
            self._undo()
            self._failed = False  # nothing waits
            self._refuse_lost()
            if isinstance(error, sqlite3.Error):
                raise BankError(not_written(self._path, error)) from error
            raise
        self._keep_time()

    def flush(self):
        """Commit, synced to the disk.

        Raises:
            BankError: says which frames still wait; they are kept and tried again.
        """
        self._refuse_lost()
        if not self.waiting:
            self._failed, self.refusal = False, ""
            return
        try:
            self._commit_all()
        except BaseException as error:
            self._undo()
            self.refusal = not_written(self._path, error)
            self._commit_at = time.monotonic() + COMMIT_S
            self._keep_time()
            self._refuse_lost()
            if isinstance(error, sqlite3.Error):
                raise BankError(f"{self.refusal}{self.waiting.sentence()}") from error
            raise
        if self._failed:
            log.warning("%s is written again: everything that waited is stored", self._path)
        self._failed, self.refusal = False, ""
        self._keep_time()

    def show_waiting(self):
        """Let the connection's reads see again what a failed commit took back, if the disk
        allows.
        """
        if self._failed and self.waiting:
            try:
                self._begin()
            except sqlite3.Error:
                self._undo()

    def merge(self):
        """Merge the log into the file and empty it, as far as readers allow."""
        self._journal.merge(shrink=True)

    def close(self):
        """Commit, merge the log into the file, and give back the ids that were reserved but not
        used.
        """
        try:
            if self.waiting or not self._lost():
                self.flush()
                self.ids.give_back()
                # While others read, SQLite would leave the log beside the file.
                self._journal.merge(shrink=True)
            else:
                self.let_go(merge=False)
        except sqlite3.Error:
            pass  # a gap in the ids is no loss, nor is a log that stays
        finally:
            self.stop()

    def let_go(self, merge: bool):
        """End without a commit; `merge` what was committed, wherever the file is now."""
        self.stop()
        try:
            if self._db.conn.in_transaction:
                self._db.execute("ROLLBACK")
            if self._journal.is_overwritten():
                self._journal.discard()
            elif merge:
                self._journal.merge(shrink=True)
        except (sqlite3.Error, OSError):
            pass  # its disk is away

    def stop(self):
        """Try no more commits by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _commit_all(self):
        try:
            self._commit(self.waiting.writes)
        except sqlite3.OperationalError as error:
            self._undo()
            if "locked" in str(error):
                raise
            # The log needs several times the space of the frames. In small pieces more fit.
            self._journal.merge(shrink=True)
            while self.waiting:
                self._commit(self.waiting.writes[:PIECE])
                self._journal.merge(shrink=True)

    def _commit(self, writes: list[list[Statement]]):
        """Commit these, the first of those that wait."""
        if not self._db.conn.in_transaction:
            self._begin(writes)
        if not self._journal.count():
            self._usurped = (
                f"{self._path} was written by another process, since its lock file was deleted"
            )
        self.ids.reserve()
        self._refuse_lost()  # within the transaction: nobody else can have written since
        self._db.execute("COMMIT")
        self._refuse_lost()  # nor is it stored in a file that was deleted just now
        self.waiting.committed(writes)
        self._journal.committed()

    def _begin(self, writes: list[list[Statement]] | None = None):
        if not self._db.conn.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")
            for statements in self.waiting.writes if writes is None else writes:
                for statement in statements:
                    self._db.execute(*statement)

    def _undo(self):
        self._failed = True
        if self._db.conn.in_transaction:
            self._db.execute("ROLLBACK")

    def _refuse_lost(self):
        if reason := self._lost():
            # Whoever writes the file now must not wait for our transaction.
            self.let_go(merge=False)
            raise BankGone(f"{reason}{self.waiting.sentence()}")

    def _keep_time(self):
        """Commit soon, or merge soon what is committed, whether or not another write comes."""
        if not (due := self._due()):
            return
        # A program that ends without closing the bank waits for its last commit, but not for a disk
        # that stays full.
        idle = self._failed or not self.waiting
        if self._timer is not None:
            if idle or not self._timer.daemon:
                return  # it looks again when its time comes
            self._timer.cancel()
        self._timer = threading.Timer(max(due - time.monotonic(), 0), self._in_time)
        self._timer.daemon = idle
        self._timer.start()

    def _due(self) -> float:
        """When something is to be done; 0 if nothing is."""
        if self.waiting:
            return self._commit_at  # and there the log is merged, too, when it is time
        return self._journal.merge_at if self._journal.unmerged else 0.0

    def _in_time(self):
        with self._lock:
            if self._timer is not threading.current_thread():
                return
            self._timer, said_before = None, self.refusal
            try:
                if 0 < self._due() <= time.monotonic():
                    self.flush() if self.waiting else self._journal.merge()
            except BankError as error:
                if not said_before or isinstance(error, BankGone):
                    log.error("%s", error)
            else:
                self._keep_time()
