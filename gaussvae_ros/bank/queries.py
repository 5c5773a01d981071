"""Reading: which frames a question means, and one frame from its row.

Questions are answered with ids first and then one row at a time, so that a damaged row costs only
its own frame.
"""

import heapq
import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from gaussvae_ros.bank.frame import (
    INT64,
    Frame,
    Pose,
    checked_int,
    checked_text,
    name_from_outside,
    row_checksum,
)
from gaussvae_ros.bank.references import DamagedReference, References
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import PREDICTED

CROWD = 2000  # frames in a ball that take about 2 ms to sort

_FRAME = """
    SELECT f.id, f.stamp_ns, f.camera, f.session, f.width, f.height, f.tier, f.checksum, r.record,
           l.label, p.x, p.y, p.z, p.qx, p.qy, p.qz, p.qw, p.reference
    FROM frames f LEFT JOIN records r ON r.frame = f.id
        LEFT JOIN labels l ON l.frame = f.id LEFT JOIN poses p ON p.frame = f.id
    WHERE f.id = ?
"""
_CAMERA_FRAME = "SELECT frame_id FROM cameras WHERE session = ? AND camera = ?"


class DamagedFrame(BankError):
    """The row of one frame cannot be read or does not match its checksum."""


def read_frame(db: Database, frame_id: int, references: References | None = None) -> Frame | None:
    """The frame with this id, None if there is none. `references` are those of the whole question.

    Raises:
        DamagedFrame: it is there and cannot be read, or not what its record needs.
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
    frame = _camera_frame(db, session, camera)
    facts = frame_id, stamp_ns, camera, session, (width, height), tier, label, pose
    return Frame(*facts, record, frame, reference, needed)


def matching(
    db: Database,
    *,
    after: int | None = None,
    before: int | None = None,
    near: tuple[float, float, float] | None = None,
    radius: float | None = None,
    reference: str | None = None,
    yaw: float | None = None,
    yaw_tolerance: float | None = None,
    camera: str | None = None,
    session: int | None = None,
    label: str | None = None,
    nearest_first: bool = False,
) -> Iterator[int]:
    """Ids of the frames that meet every condition given, by stamp or by distance; see
    `MemoryBank.find`.
    """
    conditions, values, order = ["1"], [], "f.stamp_ns, f.id"

    def require(condition: str, *numbers):
        conditions.append(condition)
        values.extend(numbers)

    if after is not None:
        require("f.stamp_ns >= ?", checked_int("after", after))
    if before is not None:
        require("f.stamp_ns <= ?", checked_int("before", before))
    if camera is not None:
        require("f.camera = ?", checked_text("camera", camera))
    if session is not None:
        require("f.session = ?", checked_int("session", session))
    if (near is None) != (radius is None):
        raise BankError("near and radius go together: give both or none")
    if reference is not None and near is None:
        raise BankError("reference says what near is measured in: give near and radius too")
    if (yaw is None) != (yaw_tolerance is None):
        raise BankError("yaw and yaw_tolerance go together: give both or none")
    if yaw is not None and near is None:
        raise BankError("yaw is the heading at near: give near and radius too")
    if nearest_first and near is None:
        raise BankError("the nearest first are those nearest to near: give near and radius too")

    # CROSS JOIN keeps the order written here: SQLite cannot tell how many frames a box of the
    # R*Tree holds.
    tables = ["frames f"]
    if label is not None:
        tables = ["labels l", "frames f ON f.id = l.frame"]
        require("l.label = ?", checked_text("label", label))
    if near is not None:
        (x, y, z), radius = _checked_ball(near, radius)
        box = " AND ".join(f"i.max_{axis} >= ? AND i.min_{axis} <= ?" for axis in "xyz")
        sides = [centre + sign * radius for centre in (x, y, z) for sign in (-1, 1)]
        if label is None and not _is_crowded(db, box, sides):
            tables = ["pose_index i", "poses p ON p.frame = i.frame", "frames f ON f.id = p.frame"]
            require(box, *sides)
        else:
            tables.append("poses p ON p.frame = f.id")
        square = radius * radius  # a power would refuse to become infinite
        away = "(p.x - ?) * (p.x - ?) + (p.y - ?) * (p.y - ?) + (p.z - ?) * (p.z - ?)"
        require(f"{away} <= ?", x, x, y, y, z, z, square)
        if reference is not None:
            require("p.reference = ?", name_from_outside("reference", reference))
        if yaw is not None:
            require(*_heading(yaw, yaw_tolerance))
        if nearest_first:
            order = f"{away}, {order}"
            values += (x, x, y, y, z, z)
    where = " AND ".join(conditions)
    sql = f"SELECT f.id FROM {' CROSS JOIN '.join(tables)} WHERE {where} ORDER BY {order}"
    with closing(db.execute(sql, values)) as rows:
        for (frame_id,) in rows:
            yield frame_id


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
    with closing(db.execute("SELECT DISTINCT reference FROM poses ORDER BY reference")) as rows:
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


def _camera_frame(db: Database, session: int, camera: str) -> str:
    # Not joined to the frame's row: damage here must not cost every frame of the camera.
    try:
        row = db.execute(_CAMERA_FRAME, [session, camera]).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        return ""
    return row[0] if row and isinstance(row[0], str) else ""


def _is_crowded(db: Database, box: str, sides: list[float]) -> bool:
    # Where a robot stands for hours, walking along the stamps finds frames sooner than sorting all
    # that are there.
    sql = f"SELECT count(*) FROM (SELECT 1 FROM pose_index i WHERE {box} LIMIT {CROWD})"
    return db.execute(sql, sides).fetchone()[0] == CROWD


def _checked_ball(
    near: tuple[float, float, float], radius: float
) -> tuple[tuple[float, float, float], float]:
    try:
        x, y, z, radius = map(float, (*near, radius))
    except (TypeError, ValueError, OverflowError) as error:
        raise BankError(
            f"near must be (x, y, z) and radius a number, in m, not {near!r} and {radius!r}"
        ) from error
    if not all(map(math.isfinite, (x, y, z, radius))) or radius < 0:
        raise BankError(f"near must be finite and radius at least 0, not {near!r} and {radius!r}")
    return (x, y, z), radius


def _heading(yaw: float, tolerance: float) -> tuple:
    """The condition that a pose's x axis, seen from above, is at most `tolerance` rad from `yaw`,
    and its numbers.
    """
    try:
        yaw, tolerance = float(yaw), float(tolerance)
    except (TypeError, ValueError, OverflowError) as error:
        raise BankError(
            f"yaw and yaw_tolerance must be numbers, in rad, not {yaw!r} and {tolerance!r}"
        ) from error
    if not (math.isfinite(yaw) and tolerance >= 0):  # NaN is not
        raise BankError(
            f"yaw must be finite and yaw_tolerance at least 0, not {yaw!r} and {tolerance!r}"
        )
    # With (x, y) = n (cos a, sin a) for an angle a from `yaw`: n sin(|a| - tolerance) <= 0, without
    # arc tangents, which not every SQLite has. The margin is for rounding.
    tolerance = min(tolerance + 1e-9, math.pi)
    x, y = "(1 - 2 * (p.qy * p.qy + p.qz * p.qz))", "(2 * (p.qx * p.qy + p.qz * p.qw))"
    condition = f"abs({y} * ? - {x} * ?) * ? <= ({x} * ? + {y} * ?) * ?"
    c, s = math.cos(yaw), math.sin(yaw)
    return condition, c, s, math.cos(tolerance), c, s, math.sin(tolerance)
