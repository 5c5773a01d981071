"""Which frames go next where a memory is larger than its budget."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from sqlite_utils import Database

from gaussvae_ros.bank.forgetting.budget import Budget
from gaussvae_ros.bank.forgetting.protection import Protection
from gaussvae_ros.bank.forgetting.redundancy import Redundancy
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.search import stamps

log = logging.getLogger(__name__)

LATEST = 8  # frames stored last: what is old counts back from the earliest of them


class Chooser:
    """Chooses frames of a file as it is now, but for those `gone`, and for the `spare` ones that
    were stored last.
    """

    def __init__(self, db: Database, budget: Budget, redundancy: Redundancy, spare: int = 0):
        self.db, self._budget, self._redundancy = db, budget, redundancy
        self.gone: set[int] = set()
        self._newest = INT64  # the first id of those that are spared
        if spare:
            ids = [
                i for (i,) in db.execute("SELECT id FROM frames ORDER BY id DESC LIMIT ?", [spare])
            ]
            self._newest = ids[-1] if ids else INT64
        self.protect()

    def protect(self):
        """Go by the labels as they are in the file now."""
        self._protection = Protection(self.db, self._budget)

    def stays(self, frame_id: int, session: int, stamp_ns: int) -> bool:
        """Whether a frame is protected, or spared."""
        return frame_id >= self._newest or self._protection.covers(session, stamp_ns)

    def staying(self) -> str:
        """What the frames are that stay whatever the limit."""
        if self._newest == INT64:
            return "protected frames"
        sql = "SELECT count(*), coalesce(sum(id >= ?), 0) FROM frames"
        frames, spared = self.db.execute(sql, [self._newest]).fetchone()
        last = f"{spared:,} frames" if spared > 1 else "frame"
        last = f"the {last} stored last, which stay while others come,"
        return last if frames == spared else f"protected frames and {last}"

    def outdated(self, count: int) -> list[int]:
        """At most `count` frames that are too old, or of a session too many."""
        found = []
        if (limit := oldest_stamp(self.db, self._budget)) > -INT64:
            found = self._first(self._in_time(before=limit - 1), count)
        if not found and self._budget.max_sessions and (limit := self._oldest_session()):
            old = reversed(newest_sessions(self.db, INT64, below=limit))
            found = self._first((f for s in old for f in self._in_time(sessions=[s])), count)
        return found

    def next(self, count: int) -> list[int]:
        """At most `count` frames that go by the policy where there are too many; none where none
        can go.
        """
        found = []
        if self._budget.policy == "fade":
            try:
                found = self._redundant(count)
            except (sqlite3.DatabaseError, UnicodeError) as error:
                log.warning("what covers what cannot be told, so the oldest go: %s", error)
        if found:
            return found
        with closing(
            self.db.execute("SELECT id, session, stamp_ns FROM frames ORDER BY id")
        ) as all:
            return self._first(all, count)

    # Inside

    def _redundant(self, count: int) -> list[int]:
        while self._redundancy.update(self.db):
            pass
        covers = self._protection.covers
        return self._redundancy.choose(self.db, count, self.gone, covers, self._newest)

    def _oldest_session(self) -> int | None:
        """The oldest session that may keep its frames; None if all may."""
        newest = newest_sessions(self.db, self._budget.max_sessions)
        return newest[-1] if len(newest) == self._budget.max_sessions else None

    def _in_time(self, **of: object) -> Iterator[tuple[int, int, int]]:
        """(id, session, stamp) of frames, by stamp; `of` is as in `stamps.walk`."""
        for stamp_ns, frame_id in stamps.walk(self.db, **of):
            sql = "SELECT session FROM frames WHERE id = ?"
            yield frame_id, self.db.execute(sql, [frame_id]).fetchone()[0], stamp_ns

    def _first(self, frames: Iterator[tuple[int, int, int]], count: int) -> list[int]:
        """The first of some frames, each (id, session, stamp), that may go."""
        may_go = (row[0] for row in frames if row[0] not in self.gone and not self.stays(*row))
        found = list(islice(may_go, count))
        self.gone.update(found)
        return found


def newest_sessions(db: Database, count: int, below: int = INT64 - 1) -> list[int]:
    """At most so many sessions that have frames, the newest first, of those `below` one."""
    found = [below]
    while len(found) <= count and (session := stamps.session_before(db, found[-1])) is not None:
        found.append(session)
    return found[1:]


def oldest_stamp(db: Database, budget: Budget) -> int:
    """The first stamp that is not too old, in ns; where all may stay, the first there can be."""
    latest = latest_stamp(db) if budget.max_age else None
    return -INT64 if latest is None else max(latest - round(1e9 * budget.max_age), -INT64)


def latest_stamp(db: Database) -> int | None:
    """The earliest stamp of the frames stored last, from which their age counts back; None where
    there are none.
    """
    latest = "SELECT stamp_ns FROM frames ORDER BY id DESC LIMIT ?"
    return db.execute(f"SELECT min(stamp_ns) FROM ({latest})", [LATEST]).fetchone()[0]
