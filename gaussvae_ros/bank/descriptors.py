"""Likeness search: the descriptors of a memory file, kept in memory between questions.

Frames come with higher ids only, so a question reads those that are new. 100,000 descriptors
of 64 bytes take 7 MB. Where frames were redacted, all are read again. Descriptors of another length
were made in another way and are not compared.
"""

import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.queries import DamagedFrame
from gaussvae_ros.likeness import likeness

_READ = "SELECT frame, checksum, descriptor FROM descriptors WHERE frame"

MOST_GONE = 0.1  # of the descriptors in memory, of frames that were removed

log = logging.getLogger(__name__)


def descriptor_checksum(frame_id: int, descriptor: bytes) -> int:
    """CRC-32 of a descriptor, begun with its frame's id, so that a descriptor does not pass as
    another frame's.
    """
    return zlib.crc32(descriptor, frame_id & 0xFFFFFFFF)


def read_descriptor(db: Database, frame_id: int) -> bytes | None:
    """The descriptor of a frame, None if it has none.

    Raises:
        DamagedFrame: it is there and cannot be read; the frame itself may well be sound.
    """
    try:
        row = db.execute(f"{_READ} = ?", [frame_id]).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        raise DamagedFrame(f"the descriptor of frame {frame_id} is damaged: {error}") from error
    if row is not None and not _is_sound(*row):
        raise DamagedFrame(
            f"the descriptor of frame {frame_id} is damaged: its checksum does not match"
        )
    return None if row is None else row[2]


class Descriptors:
    """All readable descriptors of a file, by length. Call it with the bank's lock held."""

    def __init__(self):
        self._last = 0  # the highest id that was read
        self._by_length: dict[
            int, tuple[np.ndarray, np.ndarray]
        ] = {}  # ids int64 [M] ascending, int8 [M, N]
        self._gone: set[int] = set()  # frames among them that were removed
        self._version = 0  # of the schema, which counts how often the file was written anew

    def drop(self, frames: Iterable[int]):
        """These frames were removed."""
        self._gone.update(frame_id for frame_id in frames if frame_id <= self._last)

    def ranked(
        self, db: Database, descriptor: bytes, among: Iterable[int] | None
    ) -> Iterator[tuple[int, float]]:
        """(frame id, likeness to `descriptor`) of the frames, or of those in `among`, best first,
        then by id.
        """
        self._refresh(db)
        if len(self._gone) > MOST_GONE * sum(len(ids) for ids, _ in self._by_length.values()):
            self._compact()
        ids, descriptors = self._by_length.get(len(descriptor), (np.zeros(0, np.int64), None))
        if among is not None:
            chosen = np.flatnonzero(np.isin(ids, np.fromiter(among, np.int64)))
            ids, descriptors = ids[chosen], descriptors[chosen] if len(chosen) else None
        if not len(ids):
            return
        scores = likeness(np.frombuffer(descriptor, np.int8), descriptors)
        for i in np.argsort(-scores, kind="stable"):
            if ids[i] not in self._gone:
                yield int(ids[i]), float(scores[i])

    def _compact(self):
        gone = np.fromiter(self._gone, np.int64)
        for length, (ids, descriptors) in self._by_length.items():
            left = ~np.isin(ids, gone)
            self._by_length[length] = ids[left], descriptors[left]
        self._gone.clear()

    def _refresh(self, db: Database):
        version = db.execute("PRAGMA schema_version").fetchone()[0]
        if version != self._version:  # a redaction may have changed some
            self._version, self._last, self._by_length = version, 0, {}
            self._gone.clear()
        found: dict[int, tuple[list[int], list[bytes]]] = {}
        for frame_id, descriptor in self._new(db):
            ids, descriptors = found.setdefault(len(descriptor), ([], []))
            ids.append(frame_id)
            descriptors.append(descriptor)
        for length, (ids, descriptors) in found.items():
            rows = np.frombuffer(b"".join(descriptors), np.int8).reshape(-1, length)
            old_ids, old_rows = self._by_length.get(length, (np.zeros(0, np.int64), rows[:0]))
            self._by_length[length] = (
                np.concatenate([old_ids, ids]),
                np.concatenate([old_rows, rows]),
            )

    def _new(self, db: Database) -> Iterator[tuple[int, bytes]]:
        begun, (self._last,) = self._last, db.execute("SELECT max(id) FROM frames").fetchone()
        self._last = max(self._last or 0, begun)
        try:
            rows = db.execute(
                f"{_READ} BETWEEN ? AND ? ORDER BY frame", [begun + 1, self._last]
            ).fetchall()
            damaged = [row[0] for row in rows if not _is_sound(*row)]
            yield from ((row[0], row[2]) for row in rows if _is_sound(*row))
        # A page is lost: go by the frames, past the damage.
        except (sqlite3.DatabaseError, UnicodeError):
            damaged = [
                row[0]
                for row in db.execute("SELECT id FROM frames WHERE id > ?", [begun]).fetchall()
            ]
        for frame_id in damaged:
            try:
                if (descriptor := read_descriptor(db, frame_id)) is not None:
                    yield frame_id, descriptor
            except DamagedFrame as error:
                log.warning("%s", error)


def _is_sound(frame_id: int, checksum: int, descriptor: object) -> bool:
    return isinstance(descriptor, bytes) and descriptor_checksum(frame_id, descriptor) == checksum
