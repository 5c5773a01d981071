"""Which frames meet conditions: their ids, so that a damaged row costs only its own frame."""

import math
from collections.abc import Iterator
from contextlib import closing

from sqlite_utils import Database

from gaussvae_ros.bank.frame import checked_int, checked_map, checked_text, name_from_outside
from gaussvae_ros.bank.schema import has_corrections, placed
from gaussvae_ros.errors import BankError

CROWD = 2000  # frames in a ball that take about 2 ms to sort


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
    map_id: str | None = None,
    nearest_first: bool = False,
    beyond: tuple[int, int] | None = None,  # (stamp_ns, id), those that follow it by stamp and id
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
    if beyond is not None:
        require("(f.stamp_ns, f.id) > (?, ?)", *beyond)
    if camera is not None:
        require("f.camera = ?", checked_text("camera", camera))
    if session is not None:
        require("f.session = ?", checked_int("session", session))
    if map_id is not None:
        checked_map(map_id)
        if has_corrections(db):
            require("f.session IN (SELECT id FROM sessions WHERE map_id = ?)", map_id)
        elif map_id:
            require("0")
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
        moved, pose = placed(db)
        tables[-1] += f" {moved}"
        square = radius * radius  # a power would refuse to become infinite
        away = " + ".join(f"({pose[axis]} - ?) * ({pose[axis]} - ?)" for axis in "xyz")
        require(f"{away} <= ?", x, x, y, y, z, z, square)
        if reference is not None:
            require(f"{pose['reference']} = ?", name_from_outside("reference", reference))
        if yaw is not None:
            require(*_heading(pose, yaw, yaw_tolerance))
        if nearest_first:
            order = f"{away}, {order}"
            values += (x, x, y, y, z, z)
    where = " AND ".join(conditions)
    sql = f"SELECT f.id FROM {' CROSS JOIN '.join(tables)} WHERE {where} ORDER BY {order}"
    with closing(db.execute(sql, values)) as rows:
        for (frame_id,) in rows:
            yield frame_id


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


def _heading(pose: dict[str, str], yaw: float, tolerance: float) -> tuple:
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
    qx, qy, qz, qw = (pose[name] for name in ("qx", "qy", "qz", "qw"))
    x, y = f"(1 - 2 * ({qy} * {qy} + {qz} * {qz}))", f"(2 * ({qx} * {qy} + {qz} * {qw}))"
    condition = f"abs({y} * ? - {x} * ?) * ? <= ({x} * ? + {y} * ?) * ?"
    c, s = math.cos(yaw), math.sin(yaw)
    return condition, c, s, math.cos(tolerance), c, s, math.sin(tolerance)
