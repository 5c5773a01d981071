"""An open memory file: from opening to closing, and what becomes of it when its place changes."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gaussvae_ros.bank.file.lock import WriterLock
from gaussvae_ros.bank.file.opening import checked_path, open_file
from gaussvae_ros.bank.file.place import Place, forget
from gaussvae_ros.bank.file.reasons import in_words
from gaussvae_ros.bank.file.writing import Group
from gaussvae_ros.bank.forgetting.families import Families
from gaussvae_ros.bank.forgetting.redundancy import Redundancy
from gaussvae_ros.bank.forgetting.usage import FrameCount
from gaussvae_ros.bank.frame import Frame
from gaussvae_ros.bank.likeness.descriptors import Descriptors
from gaussvae_ros.errors import BankError, BankGone
from gaussvae_ros.files import PRIVATE


class Handle:
    """The file of a `MemoryBank`, which adds the questions and the writing."""

    def __init__(self, path: str | Path, readonly: bool = False, file_mode: int = PRIVATE):
        self.path = checked_path(path, readonly)
        self.readonly, self.file_mode = readonly, file_mode
        self._lock = threading.RLock()
        self._db = None
        self._group: Group | None = None  # what a writer has not committed yet
        self._place = Place(self.path)
        # Each says why the open file is not to be used any more.
        self._watches: list[Callable[[], str]] = []
        self._lost = ""  # what one of them said
        self._kept: list[Frame] = []  # what was not committed in a file that is gone
        self._begin_anew()
        self._first_ids = 1, 1, 1  # of those that are given to frames, sessions and volumes
        self._writer_lock = None if readonly else WriterLock(self.path, file_mode)
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    def close(self):
        """Commit and let go of the file; a second call does nothing.

        Raises:
            BankError: names the frames that could not be stored and are lost. The bank is closed
                nevertheless.
        """
        with self._lock:
            try:
                if self._group is not None and self._db is not None:
                    self._group.close()
                if self._kept:
                    raise BankGone(f"{self._lost}; not stored: {len(self._kept)} frames")
            except BankError as error:
                raise type(error)(f"{error}; lost, because the bank is closed") from error
            finally:
                self._release()
                self._kept, self._lost = [], ""

    @property
    def waiting(self) -> int:
        """How many frames were accepted and are not committed, such as while the disk is full."""
        with self._lock:
            return (
                len(self._group.waiting.ids)
                if self._db is not None and self._group
                else len(self._kept)
            )

    @property
    def refusal(self) -> str:
        """Why the disk does not take what waits, such as that it is full; empty while it does.

        Questions are answered meanwhile, and it is tried again every 0.8 s.
        """
        with self._lock:
            return self._group.refusal if self._db is not None and self._group else ""

    def check_place(self) -> str:
        """Empty while the open file, with its journal, lies at the path; else one sentence on what
        became of it.

        "PATH was deleted", "PATH was replaced by another file", "the folder of PATH is gone", and
        the like. Once it says so, it stays so, and every other method raises `BankGone`. It takes
        microseconds and waits for nobody.
        """
        if not self._lost:
            self._lost = next((reason for lost in self._watches if (reason := lost())), "")
        return self._lost

    def reopen(self) -> list[Frame]:
        """Once `check_place` says that the file is gone: go on in what lies at the path now, or in
        a new file.

        Returns the frames that were accepted and never committed, to be added again under a session
        of the new file. Ids of frames and sessions go on after those handed out. Does nothing while
        the file is there.

        Raises:
            BankError: no file can be opened there, or another process writes it. The frames are
                kept: call it again.
        """
        with self._lock:
            if self.readonly or not self.check_place():
                return []
            if self._group is not None:
                self._let_go()
            reason, self._lost = self._lost, ""
            try:
                self._open()
            except BaseException:
                self._lost, self._group = reason, None
                self._close_file()
                raise
            kept, self._kept = self._kept, []
            return kept

    # Inside

    @contextmanager
    def _use(self):
        with self._lock:
            if (self._lost or self._place.moved()) and (reason := self.check_place()):
                raise BankGone(reason + (self._group.waiting.sentence() if self._group else ""))
            if self._db is None:
                raise BankError(f"{self.path} is closed")
            try:
                if self._group is not None:
                    self._group.show_waiting()
                yield
            except (sqlite3.Error, UnicodeError) as error:
                if reason := self.check_place():
                    raise BankGone(reason) from error
                raise BankError(f"{self.path}: {in_words(error, self.path)}") from error

    @contextmanager
    def _use_at_once(self):
        """What is asked within is answered as of one moment, whoever writes meanwhile."""
        with self._use():
            begins = not self._db.conn.in_transaction
            if begins:
                self._db.execute("BEGIN")
            try:
                yield
            finally:
                if begins and self._db.conn.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _use_to_write(self) -> Iterator[Group]:
        with self._use():
            if self._group is None:
                raise BankError(f"{self.path} was opened with readonly=True and cannot be changed")
            yield self._group

    def _commit_waiting(self) -> str:
        """Commit what waits. Returns why the disk does not take it, empty if it does."""
        with self._use():
            try:
                if self._group is not None:
                    self._group.flush()
            except BankGone:
                raise
            except BankError as error:
                return str(error)
        return ""

    def _open(self):
        place = Place(self.path)
        self._watches, self._db = [], open_file(self.path, self.readonly, self.file_mode)
        try:
            if not self.readonly:
                self._group = Group(
                    self._db, self.path, self._lock, self.check_place, self._first_ids
                )
            place.settle()
        except (sqlite3.Error, UnicodeError) as error:
            raise BankError(f"{self.path} cannot be opened: {error}") from error
        self._place, self._watches = place, [place.lost]
        if not self.readonly:
            self._watches += [self._writer_lock.lost, self._group.usurped]

    def _let_go(self):
        """Of a file that is gone, so that neither it nor what lies at the path now takes damage."""
        held = self._writer_lock.held()
        if not self.path.parent.is_dir():
            raise BankGone(self._lost)
        if reason := self._writer_lock.lost():
            raise BankGone(reason)
        self._kept = [
            replace(f, frame_id=self._frame_ids.get((f.session, f.camera), ""))
            for f in self._group.waiting.frames()
        ]
        ids = self._group.ids
        self._first_ids = ids.frame, ids.session, ids.volume
        self._group.let_go(merge=held)
        left = self._place.left(overwritten=self._group.overwritten)
        self._close_file()
        for journal in left:
            journal.unlink(missing_ok=True)
        self._group = None
        self._begin_anew()

    def _begin_anew(self):
        self._descriptors = Descriptors()
        self._session: int | None = None
        self._sessions: set[int] = set()  # known to be in the file
        # By session and camera, what this bank has written.
        self._frame_ids: dict[tuple[int, str], str] = {}
        self._calibrations: dict[tuple[int, str], tuple] = {}
        # Frames stored lately, by the checksum of their record.
        self._known: OrderedDict[int, int] = OrderedDict()
        # What forgetting knows of the file, and how often labels changed.
        self._frame_count, self._redundancy = FrameCount(), Redundancy()
        self._families, self._labelled = Families(), 0

    def _close_file(self):
        if self._db is not None:
            if self._lost:
                forget(self._db, self._place)
            else:
                self._db.close()
            self._db = None

    def _release(self):
        self._watches = []
        self._close_file()
        if self._writer_lock is not None:
            self._writer_lock.release()
            self._writer_lock = None
