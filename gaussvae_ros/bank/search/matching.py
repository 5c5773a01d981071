"""Which frames meet conditions: their ids, so that a damaged row costs only its own frame.

They are looked for along whatever leads past the fewest frames: the index of places, the frames of
words or a label, or the index of time. But for words and labels, the frames come in the order that
they are asked for in, so that only as many are looked at as are taken.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from sqlite_utils import Database

from gaussvae_ros.bank.search import runs, stamps
from gaussvae_ros.bank.search.question import Question, Where, ask
from gaussvae_ros.errors import BankError

FEW = 5000  # frames that are looked at and sorted in some 5 ms
# Times as many frames as are few, in runs that may be near, are taken for more; so are a part as
# many by time, which are all looked at otherwise.
MAYBE = 4
RUNS = 4  # that are looked at first, then twice as many, and so on
ALL = 2**31  # runs
INF = float("inf")


def matching(
    db: Database, *, nearest_first: bool = False, limit: int | None = None, **conditions: object
) -> Iterator[int]:
    """Ids of the frames that meet every condition given, by stamp or by distance; see
    `MemoryBank.find`. `limit` says how many will be taken, or few more.
    """
    question = ask(db, **conditions)
    if nearest_first and question.ball is None:
        raise BankError("the nearest first are those nearest to near: give near and radius too")
    if question.ball is None:
        ids = _along_stamps(db, question)
    else:
        ids = _around(db, question, nearest_first, limit)
    with closing(ids):
        yield from ids


def few(db: Database, most: int, **conditions: object) -> list[int] | None:
    """Ids of all frames that meet every condition given, in any order; None where they are at least
    `most`, or may well be.
    """
    question = ask(db, **conditions)
    if question.ball is None:
        is_named = question.label is not None or question.ids is not None
        most = most if is_named else most // MAYBE
        ids = list(islice(_along_stamps(db, question), most))
    else:
        enough = MAYBE * most // runs.LENGTH + 1
        sides, times = question.ball.sides, question.times
        near = runs.around(db, sides, None, times, question.sessions, enough)
        if len(near) >= enough:
            return None
        where, _ = _conditions(question)
        sql = f"SELECT f.id FROM {_of_runs(question)} WHERE {where} LIMIT {most}"
        firsts = json.dumps([first for _, first in near])
        ids = [frame_id for (frame_id,) in db.execute(sql, [firsts, *where.values]).fetchall()]
    return ids if len(ids) < most else None


def spans(db: Database, **conditions: object) -> list[tuple[int, int]] | None:
    """From which id to which one, both included, the frames are that may meet the conditions of
    time and session, ascending; None where those say nothing.
    """
    question = ask(db, **conditions)
    if question.times == (None, None) and question.sessions is None:
        return None
    of = {"camera": question.camera, "sessions": question.sessions}
    return stamps.spans(db, *question.times, **of)


def meeting(db: Database, ids: list[int], **conditions: object) -> set[int]:
    """Those of these ids whose frames meet every condition given."""
    question = ask(db, **conditions)
    where, posed = _conditions(question)
    sql = f"""
        SELECT f.id FROM json_each(?) given CROSS JOIN frames f ON f.id = given.value {posed}
        WHERE {where}
    """
    return {row[0] for row in db.execute(sql, [json.dumps(ids), *where.values]).fetchall()}


def _conditions(question: Question) -> tuple[Where, str]:
    """All conditions, and what they take to be joined to a frame `f`."""
    where, ball = question.in_sessions, question.ball
    if ball is None:
        return where, ""
    where = where.also(str(question.pose), *question.pose.values)
    where = where.also(f"{ball.away} <= ?", *ball.centres, ball.square)
    return where, f"CROSS JOIN poses p ON p.frame = f.id {question.moved}"


def _along_stamps(db: Database, question: Question) -> Iterator[int]:
    if _named(db, question, FEW) < FEW:
        yield from _of_those(db, question, nearest_first=False)
        return
    (after, before), where = question.times, question.where
    of = {"camera": question.camera, "sessions": question.sessions}
    walk = stamps.walk(db, str(where), where.values, after=after, before=before, **of)
    yield from (frame_id for _, frame_id in walk)


def _of_those(db: Database, question: Question, nearest_first: bool) -> Iterator[int]:
    """Those of the frames that the words asked for, or else the label, name."""
    (where, posed), order, values = _conditions(question), "f.stamp_ns, f.id", ()
    if nearest_first:
        order, values = f"{question.ball.away}, {order}", question.ball.centres
    if question.ids is None:
        named, given, value = "labels named", "named.frame", question.label
        where = Where(("named.label = ?", *where.conditions), where.values)
    else:
        named, given, value = "json_each(?) named", "named.value", json.dumps(question.ids)
    sql = f"""
        SELECT f.id FROM {named} CROSS JOIN frames f ON f.id = {given} {posed}
        WHERE {where} ORDER BY {order}
    """
    with closing(db.execute(sql, [value, *where.values, *values])) as rows:
        for (frame_id,) in rows:
            yield frame_id


def _around(
    db: Database, question: Question, nearest_first: bool, limit: int | None
) -> Iterator[int]:
    ball = question.ball
    centre = ball.centre if nearest_first else None
    near = runs.Nearby(db, ball.sides, centre, question.times, question.sessions)
    most = len(near.first(runs.FIRST)) * runs.LENGTH
    if _named(db, question, most) < most:
        yield from _of_those(db, question, nearest_first)
        return
    page = []
    while True:
        page = _page(db, question, nearest_first, near, page[-1] if page else None, limit)
        for *_, frame_id in page:
            yield frame_id
        if limit is None or len(page) < limit:
            return


def _page(
    db: Database,
    question: Question,
    nearest_first: bool,
    near: runs.Nearby,
    last: tuple | None,
    limit: int | None,
) -> list[tuple]:
    """(stamp or squared distance, stamp, id) of the first frames after `last`, some runs at a time:
    by its bound, none of those that are left has a frame that comes earlier.
    """
    ball, where = question.ball, question.in_sessions
    where = where.also(str(question.pose), *question.pose.values)
    key, values, farthest = "f.stamp_ns", (), INF
    if nearest_first:
        key, values, farthest = ball.away, ball.centres, ball.square
    else:
        where = where.also(f"{ball.away} <= ?", *ball.centres, ball.square)
    if last is not None:
        where = where.also(f"({key}, f.stamp_ns, f.id) > (?, ?, ?)", *values, *last)
    sql = f"""
        SELECT {key}, f.stamp_ns, f.id FROM {_of_runs(question)}
        WHERE {ball.beside} AND {where} AND {key} <= ? ORDER BY 1, 2, 3 LIMIT ?
    """
    most = -1 if limit is None else limit  # LIMIT -1 is none
    found, at, count = [], 0, RUNS if limit else ALL
    while (some := near.first(at + count)[at:]) and some[0][0] <= farthest:
        firsts = json.dumps([first for _, first in some])
        beside = ball.beside_within(farthest if nearest_first else ball.square)
        given = (*values, firsts, *beside, *where.values, *values, farthest, most)
        found = sorted(found + db.execute(sql, given).fetchall())[:limit]
        if len(found) == limit:
            farthest = found[-1][0]
        at, count = at + count, 2 * count
    return found


def _of_runs(question: Question) -> str:
    """The poses and frames of runs, whose first ids are a list in JSON."""
    return f"""
        json_each(?) run
            CROSS JOIN poses p ON p.frame BETWEEN run.value AND run.value + {runs.LENGTH - 1}
            {question.moved} CROSS JOIN frames f ON f.id = p.frame
    """


def _named(db: Database, question: Question, most: int) -> int:
    """How many frames the words asked for, or else the label, name, `most` at most, and if there
    are neither.
    """
    if question.ids is not None:
        return min(len(question.ids), most)
    if question.label is None:
        return most
    sql = "SELECT count(*) FROM (SELECT 1 FROM labels WHERE label = ? LIMIT ?)"
    return db.execute(sql, [question.label, most]).fetchone()[0]
