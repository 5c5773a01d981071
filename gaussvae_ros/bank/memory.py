"""`MemoryBank`: the one door to a memory file."""

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from gaussvae_ros.bank import models
from gaussvae_ros.bank.bulk import Bulk
from gaussvae_ros.bank.care import upkeep
from gaussvae_ros.bank.care.erasing import Eraser
from gaussvae_ros.bank.corrections import Corrector
from gaussvae_ros.bank.file import statements
from gaussvae_ros.bank.file.opening import checked_path, open_file
from gaussvae_ros.bank.forgetting.forgetter import Forgetter
from gaussvae_ros.bank.frame import (
    Pose,
    checked_descriptor,
    checked_int,
    checked_map,
    checked_text,
    row_checksum,
)
from gaussvae_ros.bank.keeping import Keeper, Reference
from gaussvae_ros.bank.likeness.packing import packed
from gaussvae_ros.bank.mapped import Mapped
from gaussvae_ros.bank.shown import Shown
from gaussvae_ros.errors import BankError, BankGone, RecordError
from gaussvae_ros.record import unpack

log = logging.getLogger(__name__)


class MemoryBank(Keeper, Forgetter, Corrector, Eraser, Shown, Mapped, Bulk):
    """A memory file: one writer process, many readers.

    One bank may be used from several threads. A writer creates a missing file, brings an older one
    up to date, and commits at most a second after a frame was added; its own reads see the frame at
    once, other processes after the commit. A kill or power cut loses at most what was not
    committed, and the ids of lost frames are not given again. `file_mode` is that of a file that it
    makes, with what lies beside it, and of backups: the owner's alone unless said otherwise.

    Raises:
        BankError: from every method, with one clear line: the file cannot be opened, read or
            written, another process writes it, or an argument is not what it should be.
    """

    def __enter__(self) -> "MemoryBank":
        return self

    def __exit__(self, *_):
        self.close()

    # Writing

    def begin_session(self, name: str, *, start_ns: int, map_id: str = "") -> int:
        """Begin a recording, committed at once if the disk takes it; frames added from now on
        belong to it. Returns its id, never reused. `map_id` names the map that its poses are in.

        Begin one whenever the clock jumps back. Frames added before any session get one of their
        own, "unnamed".
        """
        row = checked_text("name of the session", name), checked_int("start_ns", start_ns)
        row = *row, checked_map(map_id)
        with self._use_to_write() as group:
            session = group.ids.session
            group.write([(statements.ADD_SESSION, (session, *row))])
            group.ids.session += 1
            self._session = session
            self._sessions.add(session)
            try:
                group.flush()
            except BankGone:
                raise
            except BankError as error:  # it waits, and so do its frames
                log.error("%s", error)
            return session

    def add(
        self,
        data: bytes,
        *,
        stamp_ns: int,
        camera: str = "camera",
        pose: Pose | None = None,
        session: int | None = None,
        label: str | None = None,
        descriptor: bytes | None = None,
        frame_id: str = "",
        reference: Reference = None,
    ) -> int:
        """Store a record. Returns the frame's id, never reused.

        Stamps are any 64-bit integers, in any order, also equal ones. `session` defaults to the one
        begun last. `descriptor` is what `find_like` compares, such as the bytes of
        `recognition.places.describe`. `frame_id` names the camera's coordinate frame; it is kept
        once per session and camera, the last one named holds. `reference` is for a predicted
        record: the id of the frame whose record it needs, or the records themselves, as
        `Frame.needed` has them.

        Raises:
            RecordError: `data` is not a whole record; nothing is stored.
            BankError: nothing of this frame is stored, such as a predicted record whose reference
                is not there or another one; frames accepted before still wait. A full disk is no
                error until so many wait that memory is full of them, see `waiting`.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise RecordError(f"a record is made of bytes, not {type(data).__name__}")
        data = bytes(data)
        record = unpack(data)
        stamp_ns = checked_int("stamp_ns", stamp_ns)
        checked_text("camera", camera)
        descriptor = None if descriptor is None else checked_descriptor(descriptor)
        with self._use_to_write() as group:
            if session is None:
                session = self._session or self.begin_session("unnamed", start_ns=stamp_ns)
            else:
                session = self._checked_session(session)
            number = group.ids.frame
            facts = (number, stamp_ns, camera, session, *record.size, record.tier)
            link = self._link(group, data, reference)
            write = [
                (statements.ADD_FRAME, (*facts, row_checksum(*facts, data), link.reference)),
                (statements.ADD_RECORD, (number, data)),
                *((statements.KEEP, (kept, *stored)) for kept, stored in link.new),
            ]
            if pose is not None:
                write.append(statements.pose_statement(number, pose))
            if label is not None:
                write.append(statements.label_statement(number, label))
            if descriptor is not None:
                write.append((statements.ADD_DESCRIPTOR, packed(number, descriptor)))
            known = self._frame_ids.get((session, camera), "")
            if frame_id not in ("", known):
                write.append(statements.camera_frame_statement(session, camera, frame_id))
            group.write(write, number)
            self._labelled += label is not None
            self._stored(group, number, data, link)
            self._frame_ids[session, camera] = frame_id or known
            return number

    def set_pose(self, frame_id: int, pose: Pose):
        """Give a frame its pose, or another one."""
        frame_id = checked_int("frame id", frame_id)
        self._change(frame_id, statements.pose_statement(frame_id, pose))
        self._redundancy.moved(frame_id)

    def set_map(self, session: int, map_id: str):
        """Say which map the poses of a session are in; empty takes it back."""
        with self._use_to_write() as group:
            session = self._checked_session(session)
            group.write([statements.map_statement(session, map_id)])

    def set_label(self, frame_id: int, label: str | None):
        """Name a frame ("dock"); several frames may share a label. None takes the label away."""
        frame_id = checked_int("frame id", frame_id)
        with self._lock:
            self._labelled += 1
            self._change(frame_id, statements.label_statement(frame_id, label))

    def set_calibration(self, camera: str, calibration: dict, *, session: int | None = None):
        """Keep what is known of a camera's lens and sensor in a session, any dict that JSON can
        hold.

        `session` defaults to the one begun last. Giving the same again costs nothing.
        """
        checked_text("camera", camera)
        with self._use_to_write() as group:
            session = self._checked_session(self._session if session is None else session)
            statement = statements.calibration_statement(session, camera, calibration)
            if statement[1] != self._calibrations.get((session, camera)):
                group.write([statement])
                self._calibrations[session, camera] = statement[1]

    def set_tally(self, session: int, tally: dict[str, int]):
        """Say what a session counted in all: images received, gated, dropped, and frames with
        poses_missing.
        """
        with self._use_to_write() as group:
            session = self._checked_session(session)
            group.write([statements.tally_statement(session, tally)])

    def add_model(self, hash_: bytes, name: str, model: bytes) -> bool:
        """Carry a model for the records that name it by this hash. Returns False if it was there.

        It is committed at once, or not added: unlike frames it never waits for a full disk.

        Raises:
            BankError: the disk does not take it, or what waits already.
        """
        statement = models.model_statement(hash_, name, model)
        with self._use_to_write() as group:
            try:
                there = models.read_model(self._db, hash_) is not None
            except BankError:
                there = False  # damaged: it is replaced
            if not there:
                group.write_now([statement])
            return not there

    def flush(self):
        """Commit now, synced to the disk.

        Raises:
            BankError: says which frames are not stored yet; they are kept and tried again.
        """
        with self._use_to_write() as group:
            group.flush()

    # The whole file

    def backup(self, path: str | Path, progress: Callable[[int], None] | None = None) -> str:
        """Copy the committed file, compacted, to a new file; adding goes on meanwhile.

        Returns a sentence on what the copy lacks, such as what a full disk has not taken yet; empty
        if it has all. `progress` is called now and then with the bytes written so far; `size` is
        about what they come to.

        Raises:
            BankError: `path` exists, or the copy could not be written (then there is no file at
                `path`).
        """
        target = checked_path(path, readonly=False)
        lacks = self._commit_waiting()
        with closing(open_file(self.path, readonly=True)) as db:
            upkeep.copy(db, target, self.file_mode, progress)
        return lacks

    # Inside

    def _checked_session(self, session: int | None) -> int:
        if session is None:
            raise BankError(
                f"no session was begun in {self.path} since it was opened: begin or name one"
            )
        session = checked_int("session", session)
        if session not in self._sessions:
            if not self._db.execute("SELECT 1 FROM sessions WHERE id = ?", [session]).fetchone():
                raise BankError(f"no session {session} in {self.path}")
            self._sessions.add(session)
        return session

    def _change(self, frame_id: int, statement: statements.Statement):
        with self._use_to_write() as group:
            self._check_frame(frame_id)
            group.write([statement])
