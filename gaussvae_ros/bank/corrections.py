"""Poses that are moved in bulk, as after SLAM closed a loop: all of them at once, and the writer
never waits long.

Moving many poses takes longer than a camera waits. So they are written to a table beside the poses
a piece at a time, with commits of their own; one row then says that they hold, for every reader at
once; and after that they are moved to where they belong, again a piece at a time. Wherever that is
cut off, all the old poses hold, or all the new ones.
"""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from gaussvae_ros.bank.file import statements
from gaussvae_ros.bank.file.schema import POSE, has_corrections
from gaussvae_ros.bank.frame import Pose, checked_int
from gaussvae_ros.bank.reading import Reader
from gaussvae_ros.bank.search import queries
from gaussvae_ros.errors import BankError, BankGone
from gaussvae_ros.files import PRIVATE

PIECE = 300  # poses a commit: 10 ms, or 25 on a busy machine
PAUSE_S = 0.002  # between two pieces, for those who wait for the bank
_COLUMNS = ", ".join(POSE)
_STAGE = f"INSERT INTO moved_poses (frame, {_COLUMNS}) VALUES (?{', ?' * len(POSE)})"
_SET_VALID = "UPDATE correction SET valid = ?"
# The trigger of `poses` takes them out of `moved_poses`, and makes their boxes in the index tight.
_PIECE = "WHERE frame IN (SELECT frame FROM moved_poses LIMIT ?)"
_APPLY = f"""
    UPDATE poses SET ({_COLUMNS}) =
        (SELECT {_COLUMNS} FROM moved_poses m WHERE m.frame = poses.frame) {_PIECE}
"""
_DROP = f"UPDATE poses SET x = x {_PIECE}"
_ORIGINAL = f"""
    SELECT {", ".join(f"coalesce(o.{column}, p.{column})" for column in POSE)}
    FROM poses p LEFT JOIN original_poses o ON o.frame = p.frame WHERE p.frame = ?
"""
_POSED, _FRAME = "SELECT 1 FROM poses WHERE frame = ?", "SELECT 1 FROM frames WHERE id = ?"

log = logging.getLogger(__name__)


class Corrector(Reader):
    """The poses of a `MemoryBank` in bulk, to which it adds the rest of the writing."""

    def __init__(self, path: str | Path, readonly: bool = False, file_mode: int = PRIVATE):
        self._correcting = threading.Lock()
        super().__init__(path, readonly, file_mode)

    def set_poses(self, poses: Mapping[int, Pose]) -> list[int]:
        """Give many frames other poses, by their ids, committed at once: all of them or none.

        Every answer, of any reader, goes by all of the old poses or all of the new ones. Other
        threads can add frames meanwhile. Unlike frames, corrections never wait for a full disk.
        Returns the ids of frames that are not there, which may have been removed meanwhile.

        Raises:
            BankError: the disk does not take it. All poses are as they were.
        """
        rows = [
            statements.pose_statement(checked_int("frame id", frame_id), pose)[1]
            for frame_id, pose in poses.items()
        ]
        with self._correcting:
            self._finish()
            if len(rows) <= PIECE:
                with self._use_to_write() as group:
                    there = [row for row in rows if self._holds(_FRAME, row)]
                    group.write_now([(statements.SET_POSE, row) for row in there])
            else:
                try:
                    there = self._move(rows)
                except BaseException:
                    self._try_to_finish()
                    raise
                self._try_to_finish()
        self._redundancy.recount()
        return sorted(poses.keys() - {frame_id for frame_id, *_ in there})

    def original_pose(self, frame_id: int) -> Pose | None:
        """The pose that a frame was given first, whatever corrected it later; None if it has none.

        Raises:
            BankError: there is no such frame, or its pose is damaged.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use():
            self._check_frame(frame_id)
            if not has_corrections(self._db):
                return queries.read_frame(self._db, frame_id).pose
            row = self._db.execute(_ORIGINAL, [frame_id]).fetchone()
        return None if row is None else Pose(*row)

    # Inside

    def _move(self, rows: list[tuple]) -> list[tuple]:
        """Let these poses hold, and say which: those of frames that are there."""
        there, others = [], []
        for begin in range(0, len(rows), PIECE):
            with self._use_to_write() as group:
                piece = rows[begin : begin + PIECE]
                staged = [row for row in piece if self._holds(_POSED, row)]
                group.write_now([(_STAGE, row) for row in staged])
            there += staged
            others += set(piece) - set(staged)
            time.sleep(PAUSE_S)
        with self._use_to_write() as group:
            first = [row for row in others if self._holds(_FRAME, row)]  # that had no pose
            group.write_now([*((statements.SET_POSE, row) for row in first), (_SET_VALID, (1,))])
        return there + first

    def _holds(self, sql: str, row: tuple) -> bool:
        return self._db.execute(sql, row[:1]).fetchone() is not None

    def _finish(self):
        """Move what holds to where it belongs, and drop what does not: what a process that was
        killed has left, too.
        """
        while True:
            with self._use_to_write() as group:
                valid, there = self._db.execute(
                    "SELECT valid, EXISTS (SELECT 1 FROM moved_poses) FROM correction"
                ).fetchone()
                if not there:
                    if valid:
                        group.write_now([(_SET_VALID, (0,))])
                    return
                group.write_now([(_APPLY if valid else _DROP, (PIECE,))])
            time.sleep(PAUSE_S)

    def _try_to_finish(self):
        try:
            self._finish()
        except BankGone:
            raise
        except BankError as error:  # the poses are right; the next correction tries again
            log.warning("%s", error)
