"""Reading: which frames a question means, and one frame from its row.

Questions are answered with ids first and then one row at a time, so that a damaged row costs only
its own frame.
"""

import heapq
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import placed
from gaussvae_ros.bank.frame import (
    INT64,
    Frame,
    Pose,
    checked_int,
    checked_text,
    row_checksum,
)
from gaussvae_ros.bank.references import DamagedReference, References
from gaussvae_ros.bank.search import runs, stamps
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import PREDICTED

_FRAME = """
    SELECT f.id, f.stamp_ns, f.camera, f.session, f.width, f.height, f.tier, f.checksum, r.record,
           l.label, {}
    FROM frames f LEFT JOIN records r ON r.frame = f.id
        LEFT JOIN labels l ON l.frame = f.id LEFT JOIN poses p ON p.frame = f.id {}
    WHERE f.id = ?
"""
_frame_sqls: dict[str, str] = {}  # by what is joined for the pose
LATELY = 10_000  # ids that are looked through for the newest frame of a camera
_CAMERA_FRAME = "SELECT frame_id FROM cameras WHERE session = ? AND camera = ?"
_MAP = "SELECT map_id FROM sessions WHERE id = ?"


class DamagedFrame(BankError):
    """The row of one frame cannot be read or does not match its checksum."""


def read_frame(db: Database, frame_id: int, references: References | None = None) -> Frame | None:
    """The frame with this id, None if there is none. `references` are those of the whole question.

    Raises:
        DamagedFrame: it is there and cannot be read, or not what its record needs.
    """
    try:
        row = db.execute(_frame_sql(*placed(db)), [frame_id]).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        raise DamagedFrame(f"frame {frame_id} is damaged: {error}") from error
    if row is None:
        return None
    facts, checksum, record, label, pose = row[:7], row[7], row[8], row[9], row[10:]
    if not isinstance(record, bytes) or row_checksum(*facts, record) != checksum:
        raise DamagedFrame(f"frame {frame_id} is damaged: its checksum does not match")
    references, reference, needed = references or References(db), None, ()
    if facts[-1] == PREDICTED:
        try:
            reference, needed = references.needed(frame_id, record)
        except DamagedReference as error:
            raise DamagedFrame(f"frame {frame_id} does not decode: {error}") from error
    record = references.seen(frame_id, record, needed)
    try:
        pose = None if pose[0] is None else Pose(*pose)
    except BankError as error:
        raise DamagedFrame(f"frame {frame_id} is damaged: {error}") from error
    _, stamp_ns, camera, session, width, height, tier = facts
    frame, map_id = _beside(db, _CAMERA_FRAME, session, camera), _beside(db, _MAP, session)
    facts = frame_id, stamp_ns, camera, session, (width, height), tier, label, pose
    return Frame(*facts, record, frame, reference, needed, map_id)


def _frame_sql(moved: str, pose: dict[str, str]) -> str:
    if moved not in _frame_sqls:
        _frame_sqls[moved] = _FRAME.format(", ".join(pose.values()), moved)
    return _frame_sqls[moved]


def by_distance(
    db: Database, stamp_ns: int, camera: str | None, tolerance_ns: int | None
) -> Iterator[int]:
    """Ids of the frames at most `tolerance_ns` from a stamp, nearest first; of two equally near,
    the earlier.
    """
    if camera is not None:
        checked_text("camera", camera)
    earlier = stamps.walk(db, before=stamp_ns, camera=camera, backwards=True)
    later = stamps.walk(db, "f.stamp_ns > ?", [stamp_ns], after=stamp_ns, camera=camera)
    for stamp, frame_id in heapq.merge(earlier, later, key=lambda row: abs(row[0] - stamp_ns)):
        if tolerance_ns is not None and abs(stamp - stamp_ns) > tolerance_ns:
            return
        yield frame_id


def following(db: Database, last: tuple[int, int] | None, count: int) -> list[tuple[int, int]]:
    """(stamp_ns, id) of the next `count` frames after `last` in the order of (stamp_ns, id); None
    is the start.
    """
    last = last or (-INT64, -1)
    walk = stamps.walk(db, "(f.stamp_ns, f.id) > (?, ?)", last, after=last[0])
    return list(islice(walk, count))


def around(db: Database, frame: Frame, sign: int) -> Iterator[int]:
    """Ids of the frames of the same camera and session before (`sign` -1) or after (1) a frame,
    nearest first.
    """
    end, compared = ("before", "<") if sign < 0 else ("after", ">")
    where, at = f"(f.stamp_ns, f.id) {compared} (?, ?)", (frame.stamp_ns, frame.id)
    of = {"camera": frame.camera, "sessions": [frame.session], end: frame.stamp_ns}
    for _, frame_id in stamps.walk(db, where, at, **of, backwards=sign < 0):
        yield frame_id


def references(db: Database) -> list[str]:
    """The coordinate frames that poses are, or were, in, by name."""
    sql = "SELECT DISTINCT reference FROM poses ORDER BY 1"
    if runs.has_runs(db):  # and where those are listed
        sql = "SELECT name FROM pose_references ORDER BY 1"
    with closing(db.execute(sql)) as rows:
        return [name for (name,) in rows if isinstance(name, str)]


def latest(db: Database, camera: str | None) -> Iterator[int]:
    """All ids, or those of a camera, from the highest down."""
    lately, values = "SELECT id FROM frames WHERE id > ?", [-INT64]
    if camera is not None:
        begin = (db.execute("SELECT max(id) FROM frames").fetchone()[0] or 0) - LATELY
        lately += " AND camera = ?"
        values = [begin, checked_text("camera", camera)]
    with closing(db.execute(f"{lately} ORDER BY id DESC", values)) as rows:
        for (frame_id,) in rows:
            yield frame_id
    if camera is not None:  # where it took none lately
        yield from stamps.of_camera(db, camera, begin)


def read_calibration(db: Database, session: int, camera: str) -> dict | None:
    """See `MemoryBank.calibration`."""
    sql = "SELECT calibration FROM cameras WHERE session = ? AND camera = ?"
    row = db.execute(
        sql, [checked_int("session", session), checked_text("camera", camera)]
    ).fetchone()
    try:
        return None if row is None or row[0] is None else json.loads(row[0])
    except (TypeError, ValueError, RecursionError) as error:
        raise BankError(
            f"the calibration of {camera} in session {session} is damaged: {error}"
        ) from error


def _beside(db: Database, sql: str, *of: int | str) -> str:
    # Not joined to the frame's row: damage here must not cost every frame of the session.
    try:
        row = db.execute(sql, of).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        return ""
    return row[0] if row and isinstance(row[0], str) else ""
