"""Records that others need: what a predicted frame takes besides its own record."""

import sqlite3
from collections.abc import Mapping

from sqlite_utils import Database

from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import LONGEST_CHAIN, is_predicted, needs, unpack

_RECORD = """
    SELECT record FROM records WHERE frame = ?1 UNION ALL SELECT record FROM kept WHERE frame = ?1
"""
_REFERENCE = """
    SELECT reference FROM frames WHERE id = ?1 UNION ALL SELECT reference FROM kept WHERE frame = ?1
"""

Stored = tuple[int | None, bytes]  # a record and the frame whose record it needs


class DamagedReference(BankError):
    """A record that others need is damaged, or not there. `frame_id` is that of its frame."""

    def __init__(self, frame_id: int, what: str):
        super().__init__(f"the record of frame {frame_id} {what}")
        self.frame_id = frame_id


class References:
    """The records that the frames of one question need, each read once.

    By frame, `waiting` has records that hold instead of the file's, and `chains` what is read
    already.
    """

    def __init__(
        self,
        db: Database,
        waiting: Mapping[int, Stored] | None = None,
        chains: dict[int, tuple[bytes, ...]] | None = None,
    ):
        self._db, self._waiting = db, waiting or {}
        self._chains = {} if chains is None else chains

    def needed(self, frame_id: int, data: bytes) -> tuple[int, tuple[bytes, ...]]:
        """The frame whose record a predicted one needs, and the records up to that one.

        Raises:
            DamagedReference: one of them cannot be had.
        """
        reference = self._reference(frame_id)
        return reference, self.checked(reference, data)

    def checked(self, reference: int, data: bytes, longest: int = LONGEST_CHAIN) -> tuple:
        """The records up to that of the frame `reference`, which the predicted record `data`
        needs; with that one they are at most `longest`.

        Raises:
            DamagedReference: one of them cannot be had, or `data` needs another one.
        """
        chain = self.chain(reference, longest - 1)
        if not needs(data, chain[-1]):
            raise DamagedReference(reference, "is not the one that it was predicted from")
        return chain

    def chain(self, frame_id: int, longest: int = LONGEST_CHAIN) -> tuple[bytes, ...]:
        """The records that decoding a frame takes, which may be removed, its own last.

        Raises:
            DamagedReference: one of them cannot be had.
        """
        chain = self._chains.get(frame_id)
        if chain is None:
            if longest < 1:
                raise DamagedReference(frame_id, f"would be one of more than {LONGEST_CHAIN}")
            data, needed = self._record(frame_id), ()
            if is_predicted(data):
                needed = self.checked(self._reference(frame_id), data, longest)
            chain = self._chains[frame_id] = (*needed, data)
        if len(chain) > longest:
            raise DamagedReference(frame_id, f"would be one of more than {LONGEST_CHAIN}")
        return chain

    def seen(self, frame_id: int, data: bytes, needed: tuple[bytes, ...]) -> bytes:
        """A frame was read, with what it needs. Returns its record, as it was read before."""
        known = self._chains.setdefault(frame_id, (*needed, data))
        return known[-1] if known[-1] == data else data

    def _record(self, frame_id: int) -> bytes:
        data = self._ask(frame_id, _RECORD, 1)
        if data is None:
            raise DamagedReference(frame_id, "is not there")
        try:
            if isinstance(data, bytes):
                unpack(data)
                return data
            raise RecordError("it is not made of bytes")
        except RecordError as error:
            raise DamagedReference(frame_id, f"is damaged: {error}") from None

    def reference(self, frame_id: int) -> object:
        """The frame whose record that of this one needs, as it is stored; None where it needs none.

        Raises:
            DamagedReference: it cannot be read.
        """
        return self._ask(frame_id, _REFERENCE, 0)

    def _reference(self, frame_id: int) -> int:
        reference = self.reference(frame_id)
        if not isinstance(reference, int):
            raise DamagedReference(frame_id, "needs another one, and nothing says which")
        return reference

    def _ask(self, frame_id: int, sql: str, part: int) -> object:
        if frame_id in self._waiting:
            return self._waiting[frame_id][part]
        try:
            row = self._db.execute(sql, [frame_id]).fetchone()
        except (sqlite3.DatabaseError, UnicodeError) as error:
            if "locked" in str(error):
                raise
            raise DamagedReference(frame_id, f"cannot be read: {error}") from None
        return None if row is None else row[0]
