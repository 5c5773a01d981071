"""Reading: which frames a question means, and one frame from its row.

Questions are answered with ids first and then one row at a time, so that a damaged row costs only
its own frame.
"""

import hashlib
import heapq
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from gaussvae_ros.bank.frame import INT64, Frame, Pose, checked_int, checked_text
from gaussvae_ros.bank.schema import MOVED, NOW
from gaussvae_ros.errors import BankError

_FRAME = f"""
    SELECT f.id, f.stamp_ns, f.camera, f.session, f.width, f.height, f.tier, f.checksum, r.record,
           l.label, {", ".join(NOW.values())}
    FROM frames f LEFT JOIN records r ON r.frame = f.id
        LEFT JOIN labels l ON l.frame = f.id LEFT JOIN poses p ON p.frame = f.id {MOVED}
    WHERE f.id = ?
"""
_CAMERA_FRAME = "SELECT frame_id FROM cameras WHERE session = ? AND camera = ?"
_MAP = "SELECT map_id FROM sessions WHERE id = ?"


class DamagedFrame(BankError):
    """The row of one frame cannot be read or does not match its checksum."""


def row_checksum(
    frame_id: int,
    stamp_ns: int,
    camera: str,
    session: int,
    width: int,
    height: int,
    tier: str,
    record: bytes,
) -> int:
    """BLAKE2b, 32 bits, of everything in a frame's row: it ties the record to its id, stamp and
    camera.

    Not another CRC-32: a record ends in its own, which makes the CRC-32 of any whole record the
    same number, so that a row with another frame's record would pass.
    """
    facts = f"{frame_id} {stamp_ns} {camera} {session} {width} {height} {tier}\n"
    return int.from_bytes(
        hashlib.blake2b(facts.encode() + record, digest_size=4).digest(), "little"
    )


def read_frame(db: Database, frame_id: int) -> Frame | None:
    """The frame with this id, None if there is none.

    Raises:
        DamagedFrame: it is there and cannot be read.
    """
    try:
        row = db.execute(_FRAME, [frame_id]).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        raise DamagedFrame(f"frame {frame_id} is damaged: {error}") from error
    if row is None:
        return None
    facts, checksum, record, label, pose = row[:7], row[7], row[8], row[9], row[10:]
    if not isinstance(record, bytes) or row_checksum(*facts, record) != checksum:
        raise DamagedFrame(f"frame {frame_id} is damaged: its checksum does not match")
    try:
        pose = None if pose[0] is None else Pose(*pose)
    except BankError as error:
        raise DamagedFrame(f"frame {frame_id} is damaged: {error}") from error
    _, stamp_ns, camera, session, width, height, tier = facts
    about = _beside(db, _CAMERA_FRAME, session, camera), _beside(db, _MAP, session)
    return Frame(
        frame_id, stamp_ns, camera, session, (width, height), tier, label, pose, record, *about
    )


def by_distance(
    db: Database, stamp_ns: int, camera: str | None, tolerance_ns: int | None
) -> Iterator[int]:
    """Ids of the frames at most `tolerance_ns` from a stamp, nearest first; of two equally near,
    the earlier.
    """
    where, values = (
        ("camera = ? AND", [checked_text("camera", camera)]) if camera is not None else ("", [])
    )
    sql = f"SELECT stamp_ns, id FROM frames WHERE {where} stamp_ns"
    with (
        closing(
            db.execute(f"{sql} <= ? ORDER BY stamp_ns DESC, id DESC", [*values, stamp_ns])
        ) as earlier,
        closing(db.execute(f"{sql} > ? ORDER BY stamp_ns, id", [*values, stamp_ns])) as later,
    ):
        for stamp, frame_id in heapq.merge(earlier, later, key=lambda row: abs(row[0] - stamp_ns)):
            if tolerance_ns is not None and abs(stamp - stamp_ns) > tolerance_ns:
                return
            yield frame_id


def following(db: Database, last: tuple[int, int] | None, count: int) -> list[tuple[int, int]]:
    """(stamp_ns, id) of the next `count` frames after `last` in the order of (stamp_ns, id); None
    is the start.
    """
    return db.execute(
        "SELECT stamp_ns, id FROM frames WHERE (stamp_ns, id) > (?, ?)"
        " ORDER BY stamp_ns, id LIMIT ?",
        [*(last or (-INT64, -1)), count],
    ).fetchall()


def around(db: Database, frame: Frame, sign: int) -> Iterator[int]:
    """Ids of the frames of the same camera and session before (`sign` -1) or after (1) a frame,
    nearest first.
    """
    comparison, order = ("<", "DESC") if sign < 0 else (">", "ASC")
    sql = f"""
        SELECT id FROM frames
        WHERE session = ? AND camera = ? AND (stamp_ns, id) {comparison} (?, ?)
        ORDER BY stamp_ns {order}, id {order}
    """
    with closing(db.execute(sql, [frame.session, frame.camera, frame.stamp_ns, frame.id])) as rows:
        for (frame_id,) in rows:
            yield frame_id


def references(db: Database) -> list[str]:
    """The coordinate frames that poses are in, by name."""
    sql = f"SELECT DISTINCT {NOW['reference']} FROM poses p {MOVED} ORDER BY 1"
    with closing(db.execute(sql)) as rows:
        return [name for (name,) in rows if isinstance(name, str)]


def latest(db: Database, camera: str | None) -> Iterator[int]:
    """All ids, or those of a camera, from the highest down."""
    where, values = (
        ("WHERE camera = ?", [checked_text("camera", camera)]) if camera is not None else ("", [])
    )
    # By an index on cameras, SQLite would sort all frames of the camera first.
    with closing(
        db.execute(f"SELECT id FROM frames NOT INDEXED {where} ORDER BY id DESC", values)
    ) as rows:
        for (frame_id,) in rows:
            yield frame_id


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
