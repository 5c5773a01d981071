"""Frames that are removed, and what becomes of their space: a piece at a time, so that nobody waits
long.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence

from gaussvae_ros.bank.file import statements
from gaussvae_ros.bank.file.reasons import is_of_damage
from gaussvae_ros.bank.file.writing import Group
from gaussvae_ros.bank.frame import INT64, checked_int
from gaussvae_ros.bank.reading import Reader
from gaussvae_ros.errors import BankError, BankGone

PIECE_S = 0.015  # for which other threads wait while frames are removed, about
PIECES = 16, 512  # frames that are removed at once: first, and at most
PAUSE_S = 0.002  # between two pieces, for those who wait for the bank
SPARE = 2**18, 2**19  # bytes of free space that stay in the file, for what comes next; at most
SHRINK = 128 * 1024  # bytes that are given back at once

_TABLES = {"records": 2, "descriptors": 3}  # what takes most of the space: columns

log = logging.getLogger(__name__)


class Remover(Reader):
    """The removing of frames from a `MemoryBank`, to which it adds the rest of the writing."""

    def remove(self, ids: Iterable[int]):
        """Remove frames with all that belongs to them, for good; their ids are not given again.

        Where others need a frame's record, that is kept, out of sight, until the last of them is
        removed. Removals are committed as frames are, many of them in pieces, between which other
        threads can add frames. Space that is free then goes back to the disk, but for a little.

        Raises:
            BankError: a frame that is not there, and nothing is removed; or the disk does not take
                it, and of many frames some are removed.
        """
        ids = sorted({checked_int("frame id", frame_id) for frame_id in ids}, reverse=True)
        for begin in range(0, len(ids), PIECES[-1]):
            with self._use_to_write():
                for frame_id in ids[begin : begin + PIECES[-1]]:
                    self._check_frame(frame_id)
        self._remove(ids)
        self._give_back(SPARE[1])

    def compact(self):
        """Bring together what removed frames left apart, and give free space back; a piece at a
        time, between which other threads can add frames.

        Space is free by the page: where frames were removed here and there, little is until then.

        Raises:
            BankError: the disk does not take it; all frames are as they were.
        """
        for table in _TABLES:
            with self._use():
                last = self._db.execute(f"SELECT max(frame) FROM {table}").fetchone()[0] or 0
            at = 0
            while at <= last:
                at = self._pack(table, at, PIECES[-1])
        self._give_back(SPARE[0])

    # Inside

    def _remove(
        self,
        ids: Sequence[int],
        may_go: Callable[[], bool] = lambda: True,
        stuck: set[int] | None = None,
    ) -> int:
        """Remove frames, those that need others first, as long as they `may_go`. Returns how many
        there were of them; all but the last are committed. Those that damage keeps in the file go
        into `stuck` where that is given.
        """
        done, count, removed = 0, PIECES[0], 0
        while done < len(ids):
            with self._use_to_write() as group:
                begun = time.perf_counter()
                if not may_go():
                    break
                piece = []
                for frame_id in ids[done : done + count]:
                    done += 1
                    try:
                        if self._is_there(frame_id):
                            group.write([(statements.REMOVE, (frame_id,))])
                            piece.append(frame_id)
                    except BankError as error:
                        if stuck is None or "malformed" not in str(error):
                            raise
                        stuck.add(frame_id)
                    if time.perf_counter() - begun > PIECE_S / 2:  # the rest is for the commit
                        break
                group.waiting.removed.update(piece)
                self._descriptors.drop(piece)
                self._frame_count.removed(piece)
                removed += len(piece)
                if done < len(ids):
                    group.flush()
                spent = time.perf_counter() - begun
            count = _adapted(count, spent)
            time.sleep(PAUSE_S if done < len(ids) else 0)
        return removed

    def _pack(self, table: str, at: int, rows: int, shrunk: bool = False) -> int:
        """Bring about so many rows together, from the frame `at` on, in pieces: those around which
        some are gone, or all where they may have `shrunk`. Returns where to go on.
        """
        count = PIECES[0]
        while rows > 0 and at < INT64:
            with self._use_to_write() as group:
                begun = time.perf_counter()
                after = self._repack(group, table, at, min(count, rows), shrunk)
                spent = time.perf_counter() - begun
            rows -= count
            if after is None:  # past the damage in single steps
                at, count = (at if count > 1 else at + 1), 1
            else:
                at, count = after, _adapted(count, spent)
            time.sleep(PAUSE_S)
        return at

    def _repack(self, group: Group, table: str, at: int, count: int, shrunk: bool) -> int | None:
        """Write rows anew, from the frame `at` on. Returns where to go on, None where damage is in
        the way.
        """
        sql = f"SELECT * FROM {table} WHERE frame >= ? ORDER BY frame LIMIT ?"
        add = f"INSERT INTO {table} VALUES (?{', ?' * (_TABLES[table] - 1)})"
        try:
            rows = self._db.execute(sql, [at, count]).fetchall()
            if not rows:
                return INT64
            first, last = rows[0][0], rows[-1][0]
            if shrunk or last - first >= len(rows):
                delete = f"DELETE FROM {table} WHERE frame BETWEEN ? AND ?", (first, last)
                group.write_now([delete, *((add, row) for row in rows)])
            return last + 1
        except (sqlite3.DatabaseError, UnicodeError, BankError) as error:
            cause = error.__cause__ if isinstance(error, BankError) else error
            if not is_of_damage(cause):
                raise
            return None

    def _give_back(self, most: int, least: int = SPARE[0]):
        """Give free space back but for `least` bytes, if it is more than `most`."""
        while self._shrink(most, least):
            most = least
            time.sleep(PAUSE_S)

    def _shrink(self, most: int, least: int) -> bool:
        """Give some of the file's free space back if it is more than `most` bytes; whether to call
        again.
        """
        with self._use_to_write() as group:
            free, page = self._pragma("freelist_count"), self._pragma("page_size")
            if free * page <= most:
                return False
            pages = min(free - least // page, SHRINK // page)
            try:
                group.write_now([("PRAGMA incremental_vacuum(1)", ())] * pages)
            except BankGone:
                raise
            except BankError as error:  # the frames are removed, or wait to be
                log.warning("%s", error)
                return False
            return self._pragma("freelist_count") < free

    def _pragma(self, name: str) -> int:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]


def _adapted(count: int, spent: float) -> int:
    """How many frames make a piece, after so many took `spent` seconds."""
    return max(1, min(PIECES[-1], round(count * min(2, PIECE_S / spent))))
