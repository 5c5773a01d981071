"""What is asked of a memory file's frames: conditions, checked, and as SQL."""

import json
import math
from dataclasses import dataclass

from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import has_corrections, placed
from gaussvae_ros.bank.frame import checked_int, checked_map, checked_text, name_from_outside
from gaussvae_ros.bank.search import texts
from gaussvae_ros.errors import BankError


@dataclass(frozen=True)
class Where:
    """Conditions in SQL with the values of their question marks, all of which hold."""

    conditions: tuple[str, ...] = ("1",)
    values: tuple = ()

    def also(self, condition: str, *values: object) -> "Where":
        """These and one more."""
        return Where((*self.conditions, condition), (*self.values, *values))

    def __str__(self) -> str:
        return " AND ".join(self.conditions)


@dataclass(frozen=True)
class Ball:
    """A place and how far around it, m."""

    centre: tuple[float, float, float]
    radius: float
    away: str  # the square of a pose's distance, in SQL
    beside: str  # whether a pose is in a box from above, in SQL, which takes half as long

    @property
    def sides(self) -> list[float]:
        """Of the box around it, as conditions on a box of the index take them."""
        return [at + sign * self.radius for at in self.centre for sign in (-1, 1)]

    @property
    def centres(self) -> tuple[float, ...]:
        """What `away` takes."""
        return tuple(at for at in self.centre for _ in range(2))

    def beside_within(self, square: float) -> list[float]:
        """What `beside` takes, for poses whose distance has at most this square."""
        reach = math.sqrt(square) * (1 + 1e-9) + 1e-6  # for rounding
        return [at + sign * reach for at in self.centre[:2] for sign in (-1, 1)]

    @property
    def square(self) -> float:
        """Of the radius, which may be infinite; a power would refuse to be."""
        return self.radius * self.radius


@dataclass(frozen=True)
class Question:
    """The conditions of `MemoryBank.find`: those on a frame `f` in `where` (with its label, without
    its session), those on its pose `p` in `pose` (without its distance).
    """

    where: Where
    pose: Where
    moved: str  # what to join to a row `p` of `poses`
    times: tuple[int | None, int | None]  # ns, at least and at most
    camera: str | None
    label: str | None
    sessions: list[int] | None  # None: all
    ids: list[int] | None  # of the only frames that may meet `where`; None: any
    ball: Ball | None

    @property
    def in_sessions(self) -> Where:
        """`where` with the sessions."""
        if self.sessions is None:
            return self.where
        return self.where.also(f"f.session IN ({', '.join(map(str, self.sessions))})")


def ask(
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
    text: str | None = None,
    beyond: tuple[int, int] | None = None,  # (stamp_ns, id), those that follow it by stamp and id
) -> Question:
    """The question with these conditions, see `MemoryBank.find`.

    Raises:
        BankError: a condition that means nothing.
    """
    where, pose, ball = Where(), Where(), None
    moved, columns = placed(db)
    if after is not None:
        after = checked_int("after", after)
        where = where.also("f.stamp_ns >= ?", after)
    if before is not None:
        before = checked_int("before", before)
        where = where.also("f.stamp_ns <= ?", before)
    if beyond is not None:
        where = where.also("(f.stamp_ns, f.id) > (?, ?)", *beyond)
        after = beyond[0] if after is None else max(after, beyond[0])
    if camera is not None:
        where = where.also("f.camera = ?", checked_text("camera", camera))
    if label is not None:
        labelled = "EXISTS (SELECT 1 FROM labels l WHERE l.frame = f.id AND l.label = ?)"
        where = where.also(labelled, checked_text("label", label))
    sessions, ids = sessions_of(db, session, map_id), None
    if text is not None:
        found, named = texts.frames_with(db, text)
        told = "f.id IN (SELECT value FROM json_each(?))"
        if named:
            told = f"({told} OR f.session IN ({', '.join(map(str, named))}))"
        where, ids = where.also(told, json.dumps(found)), None if named else found
    check_place(near, radius, reference, yaw, yaw_tolerance)
    if near is not None:
        centre, radius = checked_ball(near, radius)
        away = " + ".join(f"({columns[axis]} - ?) * ({columns[axis]} - ?)" for axis in "xyz")
        beside = " AND ".join(f"{columns[axis]} BETWEEN ? AND ?" for axis in "xy")
        ball = Ball(centre, radius, away, beside)
        if reference is not None:
            name = name_from_outside("reference", reference)
            pose = pose.also(f"{columns['reference']} = ?", name)
        if yaw is not None:
            pose = pose.also(*heading(columns, yaw, yaw_tolerance))
    return Question(where, pose, moved, (after, before), camera, label, sessions, ids, ball)


def sessions_of(db: Database, session: int | None, map_id: str | None) -> list[int] | None:
    if session is not None:
        session = checked_int("session", session)
    if map_id is None:
        return None if session is None else [session]
    checked_map(map_id)
    if has_corrections(db):
        sql, value = "SELECT id FROM sessions WHERE map_id = ?", map_id
    else:  # nor maps
        sql, value = "SELECT id FROM sessions WHERE ?", not map_id
    found = [number for (number,) in db.execute(sql, [value]).fetchall()]
    return found if session is None else [number for number in found if number == session]


def check_place(
    near: object,
    radius: object,
    reference: object = None,
    yaw: object = None,
    yaw_tolerance: object = None,
) -> None:
    """Raise BankError where conditions of place are given without those that they need."""
    if (near is None) != (radius is None):
        raise BankError("near and radius go together: give both or none")
    if reference is not None and near is None:
        raise BankError("reference says what near is measured in: give near and radius too")
    if (yaw is None) != (yaw_tolerance is None):
        raise BankError("yaw and yaw_tolerance go together: give both or none")
    if yaw is not None and near is None:
        raise BankError("yaw is the heading at near: give near and radius too")


def checked_ball(
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


def heading(pose: dict[str, str], yaw: float, tolerance: float) -> tuple:
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
