"""`MemoryBank`: the one door to a memory file."""

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from gaussvae_ros.bank import queries, upkeep, writing
from gaussvae_ros.bank.frame import Frame, Pose, checked_int, checked_text
from gaussvae_ros.bank.schema import checked_path, open_file
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import unpack

log = logging.getLogger(__name__)


class MemoryBank:
    """A memory file: one writer process, many readers.

    One bank may be used from several threads. A writer creates a missing file, brings an older one up to date, and
    commits at most a second after a frame was added; its own reads see the frame at once, other processes after the
    commit. A kill or power cut loses at most what was not committed, and the ids of lost frames are not given again.

    Raises:
        BankError: from every method, with one clear line: the file cannot be opened, read or written, another process
            writes it, or an argument is not what it should be.
    """

    def __init__(self, path: str | Path, readonly: bool = False):
        self.path = checked_path(path, readonly)
        self.readonly = readonly
        self._lock = threading.RLock()
        self._db = self._group = self._session = None
        self._writer_lock = None if readonly else writing.WriterLock(self.path)
        try:
            self._db = open_file(self.path, readonly)
            with self._use():
                self._group = None if readonly else writing.Group(self._db, self.path, self._lock)
        except BaseException:
            self._release()
            raise

    def __enter__(self) -> "MemoryBank":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Commit and let go of the file; a second call does nothing.

        Raises:
            BankError: names the frames that could not be stored and are lost. The bank is closed nevertheless.
        """
        with self._lock:
            try:
                if self._group is not None and self._db is not None:
                    self._group.close()
            except BankError as error:
                raise BankError(f"{error}; lost, because the bank is closed") from error
            finally:
                self._release()

    # Writing

    def begin_session(self, name: str, *, start_ns: int) -> int:
        """Begin a recording, committed at once; frames added from now on belong to it. Returns its id, never reused.

        Begin one whenever the clock jumps back. Frames added before any session get one of their own, "unnamed".
        """
        row = checked_text("name of the session", name), checked_int("start_ns", start_ns)
        with self._use(writing=True):
            self._group.flush()
            self._session = self._db.execute("INSERT INTO sessions (name, start_ns) VALUES (?, ?)", row).lastrowid
            return self._session

    def add(
        self,
        data: bytes,
        *,
        stamp_ns: int,
        camera: str = "camera",
        pose: Pose | None = None,
        session: int | None = None,
        label: str | None = None,
    ) -> int:
        """Store a record. Returns the frame's id, never reused.

        Stamps are any 64-bit integers, in any order, also equal ones. `session` defaults to the one begun last.

        Raises:
            RecordError: `data` is not a whole record; nothing is stored.
            BankError: nothing of this frame is stored. Frames accepted before still wait if the disk was full.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise RecordError(f"a record is made of bytes, not {type(data).__name__}")
        data = bytes(data)
        record = unpack(data)
        stamp_ns = checked_int("stamp_ns", stamp_ns)
        checked_text("camera", camera)
        with self._use(writing=True):
            session = self._checked_session(session, stamp_ns)
            frame_id = self._group.next_id
            facts = (frame_id, stamp_ns, camera, session, *record.size, record.tier)
            checksum = queries.row_checksum(*facts, data)
            statements = [(writing.ADD_FRAME, (*facts, checksum)), (writing.ADD_RECORD, (frame_id, data))]
            if pose is not None:
                statements.append(writing.pose_statement(frame_id, pose))
            if label is not None:
                statements.append(writing.label_statement(frame_id, label))
            self._group.write(statements, frame_id)
            return frame_id

    def set_pose(self, frame_id: int, pose: Pose):
        """Give a frame its pose, or another one."""
        frame_id = checked_int("frame id", frame_id)
        self._change(frame_id, writing.pose_statement(frame_id, pose))

    def set_label(self, frame_id: int, label: str | None):
        """Name a frame ("dock"); several frames may share a label. None takes the label away."""
        frame_id = checked_int("frame id", frame_id)
        self._change(frame_id, writing.label_statement(frame_id, label))

    def flush(self):
        """Commit now, synced to the disk.

        Raises:
            BankError: says which frames are not stored yet; they are kept and tried again.
        """
        with self._use(writing=True):
            self._group.flush()

    # Reading

    def __len__(self) -> int:
        with self._use():
            return self._db.execute("SELECT count(*) FROM frames").fetchone()[0]

    def get(self, frame_id: int) -> Frame:
        """The frame with this id.

        Raises:
            BankError: there is no such frame, or it is damaged.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use():
            frame = queries.read_frame(self._db, frame_id)
        if frame is None:
            raise BankError(f"no frame {frame_id} in {self.path}")
        return frame

    def nearest(self, stamp_ns: int, camera: str | None = None, tolerance_ns: int | None = None) -> Frame | None:
        """The readable frame nearest to a stamp, None if there is none within `tolerance_ns`; of two the earlier."""
        stamp_ns = checked_int("stamp_ns", stamp_ns)
        if tolerance_ns is not None and checked_int("tolerance_ns", tolerance_ns) < 0:
            raise BankError(f"tolerance_ns must be at least 0, not {tolerance_ns}")
        with self._use():
            with closing(queries.by_distance(self._db, stamp_ns, camera, tolerance_ns)) as ids:
                return next(self._readable(ids), None)

    def find(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        near: tuple[float, float, float] | None = None,
        radius: float | None = None,
        reference: str | None = None,
        camera: str | None = None,
        session: int | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> list[Frame]:
        """The frames that meet every condition given, by stamp, at most `limit` of them; damaged ones are skipped.

        Args:
            after, before: ns, both ends belong to the range.
            near, radius: position (x, y, z) m and distance m, the ball's surface belongs to it. Frames without a
                pose are not found.
            reference: only poses in this coordinate frame, such as "map"; without it, poses in any.
        """
        if limit is not None and checked_int("limit", limit) < 1:
            raise BankError(f"limit must be at least 1, not {limit}")
        with self._use():
            ids = queries.matching(
                self._db,
                after=after,
                before=before,
                near=near,
                radius=radius,
                reference=reference,
                camera=camera,
                session=session,
                label=label,
            )
            with closing(ids):  # an open cursor would hold a reader at an old state of the file
                return list(islice(self._readable(ids), limit))

    def __iter__(self) -> Iterator[Frame]:
        """All frames by stamp, read a few at a time: memory stays small and the file stays open to its writer.

        Damaged frames are skipped; frames that are added meanwhile come too if their turn is still ahead.
        """
        last = None
        while True:
            with self._use():
                page = queries.following(self._db, last, 64)
                frames = list(self._readable(frame_id for _, frame_id in page))
            if not page:
                return
            last = page[-1]
            yield from frames

    # The whole file

    def info(self) -> dict:
        """What the file holds, ready for JSON.

        path, schema (version), bytes (file and log), frames, first_ns, last_ns, tiers {tier: frames},
        cameras {name: frames}, sessions [{id, name, start_ns, frames, first_ns, last_ns}], labels {label: frames}, poses (frames with one),
        bounds_m [[min x, max x], [min y, max y], [min z, max z]].
        """
        with self._use():
            return upkeep.summary(self._db, self.path)

    def verify(self) -> list[tuple[int | None, str]]:
        """Read every frame and check the file's structure: (frame id, what is wrong) for each damage.

        The id is None where the damage is not one frame's. Uses a connection of its own: adding goes on meanwhile.
        """
        self._commit_waiting()
        with closing(open_file(self.path, readonly=True)) as db:
            return list(upkeep.damages(db))

    def backup(self, path: str | Path):
        """Copy the committed file, compacted, to a new file; adding goes on meanwhile.

        Raises:
            BankError: `path` exists, or the copy could not be written (then there is no file at `path`).
        """
        target = checked_path(path, readonly=False)
        self._commit_waiting()
        with closing(open_file(self.path, readonly=True)) as db:
            upkeep.copy(db, target)

    # Inside

    @contextmanager
    def _use(self, writing: bool = False):
        with self._lock:
            if self._db is None:
                raise BankError(f"{self.path} is closed")
            if writing and self.readonly:
                raise BankError(f"{self.path} was opened with readonly=True and cannot be changed")
            try:
                if self._group is not None:
                    self._group.show_waiting()
                yield
            except (sqlite3.Error, UnicodeError) as error:
                raise BankError(f"{self.path}: {error}") from error

    def _release(self):
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._writer_lock is not None:
            self._writer_lock.release()
            self._writer_lock = None

    def _checked_session(self, session: int | None, stamp_ns: int) -> int:
        if session is None:
            return self._session or self.begin_session("unnamed", start_ns=stamp_ns)
        session = checked_int("session", session)
        if not self._db.execute("SELECT 1 FROM sessions WHERE id = ?", [session]).fetchone():
            raise BankError(f"no session {session} in {self.path}")
        return session

    def _change(self, frame_id: int, statement: writing.Statement):
        with self._use(writing=True):
            if not self._db.execute("SELECT 1 FROM frames WHERE id = ?", [frame_id]).fetchone():
                raise BankError(f"no frame {frame_id} in {self.path}")
            self._group.write([statement])

    def _commit_waiting(self):
        with self._use():
            if self._group is not None:
                self._group.flush()

    def _readable(self, ids: Iterator[int]) -> Iterator[Frame]:
        for frame_id in ids:
            try:
                frame = queries.read_frame(self._db, frame_id)
            except queries.DamagedFrame as error:
                log.warning("%s: %s", self.path, error)
                continue
            if frame is not None:
                yield frame
