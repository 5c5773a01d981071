"""Frames whose records need each other, found in turn to be given coarser ones."""

from collections.abc import Callable

from sqlite_utils import Database

FRESH = 0.25  # of the frames, those stored last, keep their records as they are
LARGEST = 64  # frames of a family that is looked at
AGAIN = 0.25  # of all ids, after which those that were passed over are looked at again
_ROOT = """
    SELECT id FROM frames f WHERE id > ? AND id < ? AND (reference IS NULL
        OR NOT EXISTS (SELECT 1 FROM frames r WHERE r.id = f.reference)) ORDER BY id LIMIT 1
"""
_NEEDING = "SELECT id FROM frames WHERE reference = ?"
_KEPT = "SELECT 1 FROM kept WHERE reference = ?"
_MEMBER = "SELECT id, session, stamp_ns FROM frames WHERE id = ?"


class Families:
    """The families of a file that are older than its fresh frames, each once, oldest first."""

    def __init__(self):
        self._at = self._begun = 0  # the last root, and the highest id when the turn began
        self._fresh, self._known = 0, -1  # the first fresh id, and the highest id at that time

    def next(self, db: Database, frames: int, stays: Callable[[int, int, int], bool]) -> list[int]:
        """The frames of a family, the one that the others need first; empty if there is none left.

        Families with a fresh frame, or one of which `stays(id, session, stamp_ns)` is true, are
        passed over. `frames` is how many there are.
        """
        last = db.execute("SELECT max(id) FROM frames").fetchone()[0] or 0
        if last > self._known * (1 + AGAIN / 10):
            self._known, self._fresh = last, self._first_fresh(db, frames)
        if last > self._begun * (1 + AGAIN):
            self._at, self._begun = 0, last
        while (row := db.execute(_ROOT, [self._at, self._fresh]).fetchone()) is not None:
            self._at = row[0]
            family = self._of(db, row[0])
            facts = [db.execute(_MEMBER, [frame_id]).fetchone() for frame_id in family]
            if family and max(family) < self._fresh and not any(stays(*fact) for fact in facts):
                return family
        return []

    @staticmethod
    def _of(db: Database, root: int) -> list[int]:
        """A frame and all that need it, empty if those are many or others that were removed."""
        family = [root]
        for frame_id in family:
            if db.execute(_KEPT, [frame_id]).fetchone():
                return []
            family += [needing for (needing,) in db.execute(_NEEDING, [frame_id]).fetchall()]
            if len(family) > LARGEST:
                return []
        return family

    @staticmethod
    def _first_fresh(db: Database, frames: int) -> int:
        sql = "SELECT id FROM frames ORDER BY id DESC LIMIT 1 OFFSET ?"
        row = db.execute(sql, [round(FRESH * frames)]).fetchone()
        return row[0] + 1 if row else 0
