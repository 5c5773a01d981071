"""Which frames go next where a memory is larger than its budget."""

import logging
import sqlite3

from sqlite_utils import Database

from gaussvae_ros.bank.budget import Budget
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.protection import Protection
from gaussvae_ros.bank.redundancy import Redundancy

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

    def outdated(self, count: int) -> list[int]:
        """At most `count` frames that are too old, or of a session too many."""
        found = []
        if self._budget.max_age and (latest := latest_stamp(self.db)) is not None:
            limit = max(latest - round(1e9 * self._budget.max_age), -INT64)
            found = self._first("stamp_ns < ?", [limit], "stamp_ns, id", count)
        if not found and self._budget.max_sessions and (limit := self._oldest_session()):
            found = self._first("session < ?", [limit], "session, stamp_ns, id", count)
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
        return found or self._first("TRUE", [], "id", count)

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

    def _first(self, where: str, values: list, order: str, count: int) -> list[int]:
        sql = f"SELECT id, session, stamp_ns FROM frames WHERE {where} ORDER BY {order}"
        found, rows = [], self.db.execute(sql, values)
        for row in rows:
            if row[0] not in self.gone and not self.stays(*row):
                found.append(row[0])
                if len(found) == count:
                    break
        rows.close()
        self.gone.update(found)
        return found


def newest_sessions(db: Database, count: int) -> list[int]:
    """At most so many sessions that have frames, the newest first."""
    found = [INT64 - 1]
    while len(found) <= count:
        sql = "SELECT max(session) FROM frames WHERE session < ?"
        if (session := db.execute(sql, [found[-1]]).fetchone()[0]) is None:
            break
        found.append(session)
    return found[1:]


def latest_stamp(db: Database) -> int | None:
    """The earliest stamp of the frames stored last, from which their age counts back; None where
    there are none.
    """
    latest = "SELECT stamp_ns FROM frames ORDER BY id DESC LIMIT ?"
    return db.execute(f"SELECT min(stamp_ns) FROM ({latest})", [LATEST]).fetchone()[0]
