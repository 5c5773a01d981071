"""The index of places: an R*Tree over runs of frames, whose poses it finds by box and by time.

A robot moves little from one frame to the next. So the index does not hold each pose but the box
and the time of each run: of up to 32 frames of one session, those whose ids are the same but for
the last 5 bits. It takes 2 bytes a frame where an entry for each pose takes 70, and is read and
written in as few places. Triggers keep each box around all poses of its run, also around those that
a correction is moving (see corrections.py); a box may be larger than it must, never smaller.
"""

import json

from sqlite_utils import Database

BITS = 5  # of a frame's id, that count within a run
LENGTH = 2**BITS  # frames of a run at most
PAD, PAD_NS = 0.5, 2**33  # m and ns by which a run's box and time grow beyond what they must
FIRST = 256  # runs that are looked for first: where thousands are near, to sort all takes longer
ALL_FRAMES = 2**32 - 1  # the numbers of one session's runs: its id times 2^32, plus the frame's


def _run(session: str, frame: str) -> str:
    return f"(({session} << 32) | ({frame} >> {BITS}))"


def _frames(run: str) -> str:
    first = f"(({run} & {ALL_FRAMES}) << {BITS})"
    return f"BETWEEN {first} AND {first} + {LENGTH - 1}"


_OF_NEW = f"(SELECT {_run('session', 'id')} FROM frames WHERE id = new.frame)"
_STAMP = "(SELECT stamp_ns FROM frames WHERE id = new.frame)"
_INSIDE = f"""
    run = {_OF_NEW} AND new.x BETWEEN min_x AND max_x AND new.y BETWEEN min_y AND max_y
        AND new.z BETWEEN min_z AND max_z AND {_STAMP} BETWEEN first_ns AND last_ns
"""
# An UPDATE that finds nothing to do would take longer.
_OUTSIDE = f"WHEN NOT EXISTS (SELECT 1 FROM pose_runs WHERE {_INSIDE})"
_GROW = f"""
    UPDATE pose_runs SET min_x = min(min_x, new.x - {PAD}), max_x = max(max_x, new.x + {PAD}),
                         min_y = min(min_y, new.y - {PAD}), max_y = max(max_y, new.y + {PAD}),
                         min_z = min(min_z, new.z - {PAD}), max_z = max(max_z, new.z + {PAD}),
                         first_ns = min(first_ns, {_STAMP}),
                         last_ns = max(last_ns, {_STAMP} + {PAD_NS})
        WHERE run = {_OF_NEW};
"""
_POSES = f"""
    SELECT x, y, z FROM poses WHERE frame {_frames("run")}
        AND (SELECT session FROM frames WHERE id = frame) = run >> 32
"""
_ENDS = ", ".join(f"min({axis}) - {PAD}, max({axis}) + {PAD}" for axis in "xyz")
_BOX = "min_x, max_x, min_y, max_y, min_z, max_z"
_FIT = f"UPDATE pose_runs SET ({_BOX}) = (SELECT {_ENDS} FROM ({_POSES})) WHERE run = {_OF_NEW};"


# Fills an empty index.
FILL = f"""
    INSERT INTO pose_runs
    SELECT {_run("f.session", "f.id")}, {_ENDS}, min(stamp_ns), max(stamp_ns) + {PAD_NS}
    FROM (SELECT frame, x, y, z FROM poses UNION ALL SELECT frame, x, y, z FROM moved_poses)
        CROSS JOIN frames f ON f.id = frame GROUP BY 1
"""
CLEAR = "DELETE FROM pose_runs"


def create(db: Database, pose: tuple[str, ...]):
    """Index the poses that there are, and all that come; `pose` are the columns of a pose."""
    db.execute(f"""
        CREATE VIRTUAL TABLE pose_runs USING rtree(run, {_BOX}, +first_ns INTEGER, +last_ns INTEGER)
    """)
    db.execute(FILL)
    for trigger in ("poses_insert", "poses_update", "poses_delete", "moved_poses_insert"):
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("DROP TABLE pose_index")
    db.execute(f"""
        CREATE TRIGGER poses_insert AFTER INSERT ON poses {_OUTSIDE} BEGIN
            INSERT OR IGNORE INTO pose_runs
                SELECT {_run("session", "id")}, new.x, new.x, new.y, new.y, new.z, new.z,
                       stamp_ns, stamp_ns FROM frames WHERE id = new.frame;
            {_GROW}
        END
    """)
    db.execute(f"""
        CREATE TRIGGER moved_poses_insert AFTER INSERT ON moved_poses {_OUTSIDE} BEGIN {_GROW} END
    """)
    old, new = (", ".join(f"{row}.{column}" for column in pose) for row in ("old", "new"))
    db.execute(f"""
        CREATE TRIGGER poses_update AFTER UPDATE ON poses BEGIN
            INSERT INTO original_poses SELECT old.frame, {old} WHERE ({old}) IS NOT ({new})
                AND NOT EXISTS (SELECT 1 FROM original_poses WHERE frame = old.frame);
            DELETE FROM moved_poses WHERE frame = new.frame;
        END
    """)
    db.execute(f"""
        CREATE TRIGGER poses_leave_box AFTER UPDATE ON poses {_OUTSIDE} BEGIN {_GROW} END
    """)
    # Once no other pose of the run is being moved: so a correction fits each box once.
    db.execute(f"""
        CREATE TRIGGER poses_fit_box AFTER UPDATE ON poses
        WHEN NOT EXISTS (SELECT 1 FROM moved_poses WHERE frame <> new.frame
                         AND frame {_frames(f"(new.frame >> {BITS})")})
        BEGIN {_FIT} END
    """)
    db.execute(f"""
        CREATE TRIGGER frames_leave_run AFTER DELETE ON frames BEGIN
            DELETE FROM pose_runs WHERE run = {_run("old.session", "old.id")}
                AND NOT EXISTS ({_POSES});
        END
    """)


def not_found(db: Database) -> list[int]:
    """The frames whose poses are not in the box, or the time, of their run."""
    rows = db.execute(f"""
        SELECT f.id FROM poses p CROSS JOIN frames f ON f.id = p.frame
            LEFT JOIN pose_runs r ON r.run = {_run("f.session", "f.id")}
        WHERE (x BETWEEN min_x AND max_x AND y BETWEEN min_y AND max_y AND z BETWEEN min_z AND max_z
               AND stamp_ns BETWEEN first_ns AND last_ns) IS NOT TRUE
    """)
    return [frame_id for (frame_id,) in rows.fetchall()]


def has_runs(db: Database) -> bool:
    """Whether places are indexed by runs of frames, else each by itself, by earlier releases."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = 'pose_runs'"
    return db.execute(sql).fetchone() is not None


def around(
    db: Database,
    sides: list[float],
    centre: tuple[float, float, float] | None,
    times: tuple[int | None, int | None],
    sessions: list[int] | None,
    most: int = -1,
) -> list[tuple[float, int]]:
    """The runs that may have poses in a box in a span of time, of these sessions or any; only some
    of them where there are more than `most`.

    Returns (bound, first id) of each by the bound: no frame of the run has an earlier stamp, or
    with `centre` a pose whose squared distance from it is less. A file of an earlier release has no
    bounds.
    """
    return _once(sorted(_around(db, sides, centre, times, sessions, most)))


class Nearby:
    """What `around` finds, of which no more is looked for than is asked for."""

    def __init__(self, db: Database, *of: object):
        self._db, self._of = db, of
        rows = _around(db, *of, FIRST, " ORDER BY 1, 2")
        self._found, self._whole = _once(rows), len(rows) < FIRST

    def first(self, count: int) -> list[tuple[float, int]]:
        """The first `count`, all where those are fewer."""
        if count > len(self._found) and not self._whole:
            self._found, self._whole = around(self._db, *self._of), True
        return self._found[:count]


def _around(
    db: Database,
    sides: list[float],
    centre: tuple[float, float, float] | None,
    times: tuple[int | None, int | None],
    sessions: list[int] | None,
    most: int,
    order: str = "",
) -> list[tuple[float, int]]:
    box = " AND ".join(f"i.max_{axis} >= ? AND i.min_{axis} <= ?" for axis in "xyz")
    bound, values, ends = "i.first_ns", [], []
    if not has_runs(db):
        first = f"(i.frame >> {BITS}) << {BITS}"
        sql = f"SELECT DISTINCT -1e999, {first} FROM pose_index i WHERE {box}{order} LIMIT ?"
        return db.execute(sql, [*sides, most]).fetchall()
    if centre is not None:
        steps = (f"max(i.min_{axis} - ?, 0, ? - i.max_{axis})" for axis in "xyz")
        bound = " + ".join(f"{step} * {step}" for step in steps)
        values = [at for at in centre for _ in range(4)]
    sql = f"SELECT {bound}, (i.run & {ALL_FRAMES}) << {BITS} FROM pose_runs i WHERE {box}"
    for time, meets in zip(times, ("i.last_ns >= ?", "i.first_ns <= ?")):
        if time is not None:
            sql += f" AND {meets}"
            ends.append(time)
    if sessions is not None:
        sql += f" AND i.run >> 32 IN ({', '.join(map(str, sessions))})"
    return db.execute(f"{sql}{order} LIMIT ?", [*values, *sides, *ends, most]).fetchall()


def _once(found: list[tuple[float, int]]) -> list[tuple[float, int]]:
    bounds: dict[int, float] = {}
    for bound, first in found:  # where a session ends and another begins, there is a run of each
        bounds.setdefault(first, bound)
    return [(bound, first) for first, bound in bounds.items()]


def in_box(db: Database, sides: list[float], moved: str, columns: dict[str, str]) -> set[int]:
    """The frames whose poses are in a box; `moved` and `columns` say where those are now, see
    `schema.placed`.
    """
    near = around(db, sides, None, (None, None), None)
    inside = " AND ".join(f"{columns[axis]} BETWEEN ? AND ?" for axis in "xyz")
    sql = f"""
        SELECT p.frame FROM json_each(?) run
            CROSS JOIN poses p ON p.frame BETWEEN run.value AND run.value + {LENGTH - 1} {moved}
        WHERE {inside}
    """
    firsts = json.dumps([first for _, first in near])
    return {frame_id for (frame_id,) in db.execute(sql, [firsts, *sides]).fetchall()}
