"""The index of time: which frames were taken when, by runs of frames in slots of time.

Frames come about in the order of their stamps. So the index does not hold each stamp but, for each
slot of 17 s, which runs of ids have frames in it, of which session and camera: up to 128 frames
whose ids are the same but for the last 7 bits. It takes 3 bytes a frame at ten frames a second,
where three indexes on stamps took 65, and is written once for many frames. Slots do not overlap,
so frames are in the order of their slots, and within one they are sorted when asked for. Triggers
keep the index; a file of an earlier release has an index on stamps instead.
"""

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence

from sqlite_utils import Database

from gaussvae_ros.bank.frame import INT64

SLOT_BITS = 34  # of a stamp in ns, that count within a slot
RUN_BITS = 7  # of a frame's id, that count within a run
FEW_SESSIONS = 100  # whose next slot is looked for one by one
MOST_SLOTS = 256  # that are looked at at once
ENOUGH = 1000  # frames after which not more slots are looked at at once

_RUN = f"BETWEEN run << {RUN_BITS} AND (run << {RUN_BITS}) + {(1 << RUN_BITS) - 1}"
_KEY = f"stamp_ns >> {SLOT_BITS}, session, camera, id >> {RUN_BITS}"
_KEYS = {row: ", ".join(f"{row}.{part}" for part in _KEY.split(", ")) for row in ("old", "new")}
FILL = f"INSERT INTO stamp_runs SELECT DISTINCT {_KEY} FROM frames"
CLEAR = "DELETE FROM stamp_runs"

log = logging.getLogger(__name__)


def create(db: Database):
    """Index the frames that there are, and all that come."""
    db.execute("""
        CREATE TABLE stamp_runs (
            slot INTEGER NOT NULL, session INTEGER NOT NULL, camera TEXT NOT NULL,
            run INTEGER NOT NULL, PRIMARY KEY (slot, session, camera, run)
        ) WITHOUT ROWID
    """)
    db.execute(FILL)
    for first in ("session", "camera"):
        db.execute(f"CREATE INDEX stamp_runs_by_{first} ON stamp_runs({first}, slot)")
    db.execute(f"""
        CREATE TRIGGER frames_insert_run AFTER INSERT ON frames
        BEGIN INSERT OR IGNORE INTO stamp_runs VALUES ({_KEYS["new"]}); END
    """)
    db.execute(f"""
        CREATE TRIGGER frames_leave_slot AFTER DELETE ON frames
        WHEN NOT EXISTS (
            SELECT 1 FROM frames WHERE id {_RUN.replace("run", f"(old.id >> {RUN_BITS})")}
                AND session = old.session AND camera = old.camera
                AND stamp_ns >> {SLOT_BITS} = old.stamp_ns >> {SLOT_BITS})
        BEGIN
            DELETE FROM stamp_runs WHERE (slot, session, camera, run) = ({_KEYS["old"]});
        END
    """)
    for column in ("stamp", "camera", "session"):
        db.execute(f"DROP INDEX frames_by_{column}")


def has_slots(db: Database) -> bool:
    """Whether stamps are indexed by slots, else each by itself, by earlier releases."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = 'stamp_runs'"
    return db.execute(sql).fetchone() is not None


def not_found(db: Database) -> list[int]:
    """The frames that the index does not lead to."""
    rows = db.execute(f"""
        SELECT id FROM frames f WHERE NOT EXISTS (
            SELECT 1 FROM stamp_runs WHERE (slot, session, camera, run) = ({_KEY}))
    """)
    return [frame_id for (frame_id,) in rows.fetchall()]


def walk(
    db: Database,
    where: str = "1",
    values: Sequence = (),
    *,
    after: int | None = None,
    before: int | None = None,
    camera: str | None = None,
    sessions: Sequence[int] | None = None,
    backwards: bool = False,
) -> Iterator[tuple[int, int]]:
    """(stamp_ns, id) of the frames `f` that meet conditions in SQL, by stamp and id, or from the
    last one on `backwards`: those with stamps from `after` to `before`, of this camera and of
    these sessions, each None for any.
    """
    first, last = (-INT64 if after is None else after), (INT64 - 1 if before is None else before)
    index = _Index(db, camera, sessions)
    at, count = (last if backwards else first) >> SLOT_BITS, 1
    while (at := index.next(at, backwards)) is not None:
        begin, end = (at - count + 1, at) if backwards else (at, at + count - 1)
        ends = max(begin << SLOT_BITS, first), min((end + 1 << SLOT_BITS) - 1, last)
        if ends[0] > ends[1]:
            return
        found = index.frames(
            begin, end, f"f.stamp_ns BETWEEN ? AND ? AND {where}", [*ends, *values]
        )
        found.sort(reverse=backwards)
        yield from found
        at = begin - 1 if backwards else end + 1
        count = min(2 * count, MOST_SLOTS) if len(found) < ENOUGH else count


class _Index:
    """The index of a file, for the frames of a camera or of sessions, or all."""

    def __init__(self, db: Database, camera: str | None, sessions: Sequence[int] | None):
        self._db, self._has_slots = db, has_slots(db)
        self._camera, self._sessions = camera, sessions
        self._where, self._of = "", []
        if camera is not None:
            self._where, self._of = " AND camera = ?", [camera]
        if sessions is not None:
            self._where += f" AND session IN ({', '.join(map(str, sessions))})"

    def next(self, at: int, backwards: bool) -> int | None:
        """The first slot from `at` on that may have frames; None where there is none left."""
        table, column, least = (
            ("stamp_runs", "slot", at)
            if self._has_slots
            else ("frames", "stamp_ns", (at + 1 << SLOT_BITS) - 1 if backwards else at << SLOT_BITS)
        )
        if not -INT64 <= least < INT64:
            return None
        end, compared = ("max", "<=") if backwards else ("min", ">=")
        sql = f"SELECT {end}({column}) FROM {table} WHERE {column} {compared} ?"
        if self._sessions is not None and len(self._sessions) <= FEW_SESSIONS:
            ways = [(f"{sql} AND session = ?", [least, session]) for session in self._sessions]
        elif self._camera is not None:
            ways = [(f"{sql} AND camera = ?", [least, self._camera])]
        else:
            ways = [(sql, [least])]
        ends = (self._db.execute(*way).fetchone()[0] for way in ways)
        found = [at for at in ends if isinstance(at, int)]
        if not found:
            return None
        best = max(found) if backwards else min(found)
        return best if self._has_slots else best >> SLOT_BITS

    def runs(self, begin: int, end: int) -> list[int]:
        """The runs that have frames in these slots, both included."""
        sql = f"SELECT run FROM stamp_runs WHERE slot BETWEEN ? AND ?{self._where}"
        return sorted({run for (run,) in self._db.execute(sql, [begin, end, *self._of]).fetchall()})

    def frames(self, begin: int, end: int, where: str, values: Sequence) -> list[tuple[int, int]]:
        """(stamp_ns, id) of the frames of these slots, both included, in any order."""
        if not self._has_slots:
            sql = f"SELECT f.stamp_ns, f.id FROM frames f WHERE {where}{self._where}"
            return self._db.execute(sql, [*values, *self._of]).fetchall()
        found = self.runs(begin, end)
        select = "SELECT f.stamp_ns, f.id FROM"
        sql = f"json_each(?) CROSS JOIN frames f ON f.id {_RUN.replace('run', 'value')}"
        given = [json.dumps(found), *values, *self._of]
        try:
            return self._db.execute(f"{select} {sql} WHERE {where}{self._where}", given).fetchall()
        except (sqlite3.DatabaseError, UnicodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
                raise
            log.warning("some frames cannot be read: %s", error)
        sql, rows = f"{select} frames f WHERE f.id = ? AND {where}{self._where}", []
        for frame_id in (i for run in found for i in range(run << RUN_BITS, run + 1 << RUN_BITS)):
            try:
                rows += self._db.execute(sql, [frame_id, *values, *self._of]).fetchall()
            except (sqlite3.DatabaseError, UnicodeError):
                continue
        return rows


def spans(
    db: Database,
    after: int | None,
    before: int | None,
    camera: str | None = None,
    sessions: Sequence[int] | None = None,
) -> list[tuple[int, int]] | None:
    """From which id to which one, both included, the frames are that may be of a time, a camera
    and sessions, ascending; None where the file does not say.
    """
    if not has_slots(db):
        return None
    index = _Index(db, camera, sessions)
    first, last = (-INT64 if after is None else after), (INT64 - 1 if before is None else before)
    found: list[tuple[int, int]] = []
    for run in index.runs(first >> SLOT_BITS, last >> SLOT_BITS):
        begin, end = run << RUN_BITS, (run + 1 << RUN_BITS) - 1
        if found and found[-1][1] == begin - 1:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


def session_before(db: Database, session: int) -> int | None:
    """The last session below another one that has frames, None if there is none."""
    table = "stamp_runs" if has_slots(db) else "frames"
    return db.execute(f"SELECT max(session) FROM {table} WHERE session < ?", [session]).fetchone()[
        0
    ]


def of_camera(db: Database, camera: str, before: int) -> Iterator[int]:
    """Ids of the frames of a camera, those up to `before`, from the highest down."""
    if not has_slots(db):
        sql = "SELECT id FROM frames INDEXED BY frames_by_camera WHERE camera = ? AND id <= ?"
        yield from sorted(
            (i for (i,) in db.execute(sql, [camera, before]).fetchall()), reverse=True
        )
        return
    sql = f"SELECT id FROM frames WHERE camera = ? AND id {_RUN.replace('run', '?')} AND id <= ?"
    runs = "SELECT DISTINCT run FROM stamp_runs WHERE camera = ? AND run <= ? ORDER BY run DESC"
    for (run,) in db.execute(runs, [camera, before >> RUN_BITS]).fetchall():
        rows = db.execute(f"{sql} ORDER BY id DESC", [camera, run, run, before]).fetchall()
        yield from (frame_id for (frame_id,) in rows)
