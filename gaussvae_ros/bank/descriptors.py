"""Likeness search: the descriptors of a memory file, kept in memory between questions.

Frames come with higher ids only, so a question reads those that are new. A million descriptors
of 64 bytes take 76 MB. Where frames were redacted, all are read again. Descriptors of another
length were made in another way and are not compared.
"""

import logging
import math
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from zlib import crc32

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.queries import DamagedFrame
from gaussvae_ros.likeness import likeness

_READ = "SELECT frame, checksum, descriptor FROM descriptors WHERE frame"

BLOCK = 2048  # descriptors that are read, and compared, at once
SINGLE = 1024  # frames that are read one by one past a damaged page
MOST_GONE = 0.1  # of the descriptors in memory, of frames that were removed
PEAK = 64  # neighbours of which the best one says whether any is looked at
FIRST = 64  # frames that are put into order at once, then four times as many, and so on
MARGIN = 1e-6  # more than twice what rounding to 32 bits changes a cosine

log = logging.getLogger(__name__)


def descriptor_checksum(frame_id: int, descriptor: bytes) -> int:
    """CRC-32 of a descriptor, begun with its frame's id, so that a descriptor does not pass as
    another frame's.
    """
    return crc32(descriptor, frame_id & 0xFFFFFFFF)


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


def last_length(db: Database) -> int | None:
    """Of the descriptor with the highest id, as far as it can be read."""
    sql = "SELECT length(descriptor) FROM descriptors ORDER BY frame DESC LIMIT 1"
    try:
        row = db.execute(sql).fetchone()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        return None
    return row and row[0]


@dataclass
class _Block:
    """Some descriptors of one length."""

    ids: np.ndarray  # int64 [M] ascending
    rows: np.ndarray  # int8 [M, N]
    inverses: np.ndarray  # float32 [M], of their lengths; 0 where those are 0

    def cosines(self, query: np.ndarray) -> np.ndarray:
        """To a descriptor, float32 [N], times its length; float32 [M]."""
        # The sums are of whole numbers up to 2^24, so exact. A product by BLAS would take two
        # threads that wait for each other, ten times as long where the cores are busy.
        return np.einsum("ij,j->i", self.rows.astype(np.float32), query) * self.inverses

    def at(self, ids: np.ndarray) -> np.ndarray:
        """Where those of these ids, ascending, are that it has."""
        begin, end = np.searchsorted(ids, (self.ids[0], self.ids[-1] + 1))
        wanted = ids[begin:end]
        at = np.searchsorted(self.ids, wanted)
        return at[self.ids[at] == wanted]

    def within(self, spans: list[tuple[int, int]]) -> Iterator["_Block"]:
        """Those with ids in spans."""
        for begin, end in spans[bisect_left(spans, self.ids[0], key=itemgetter(1)) :]:
            if begin > self.ids[-1]:
                return
            first, last = np.searchsorted(self.ids, (begin, end + 1))
            if first < last:
                yield self.only(slice(first, last))

    def only(self, at: np.ndarray | slice) -> "_Block":
        """Those at these places."""
        return _Block(self.ids[at], self.rows[at], self.inverses[at])


def _block(ids: list[int], descriptors: list[bytes]) -> _Block:
    rows = np.frombuffer(b"".join(descriptors), np.int8).reshape(len(ids), -1)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    inverses = np.divide(1, lengths, out=np.zeros(len(ids)), where=lengths > 0)
    return _Block(np.array(ids, np.int64), rows, inverses.astype(np.float32))


class Descriptors:
    """All readable descriptors of a file, by length. Call it with the bank's lock held."""

    def __init__(self):
        self._last = 0  # the highest id that was read
        self._by_length: dict[int, list[_Block]] = {}
        self._version = 0  # of the schema, which counts how often the file was written anew
        self._gone: set[int] = set()  # frames among them that were removed
        self._told = False  # that some are of another kind

    def drop(self, frames: Iterable[int]):
        """These frames were removed."""
        self._gone.update(frame_id for frame_id in frames if frame_id <= self._last)

    def ranked(
        self,
        db: Database,
        descriptor: bytes,
        among: Iterable[int] | None,
        spans: list[tuple[int, int]] | None = None,
    ) -> Iterator[tuple[int, float]]:
        """(frame id, likeness to `descriptor`) of the frames, or of those in `among`, or with ids
        in `spans`, both ends included, ascending; best first, then by id.
        """
        self._refresh(db)
        if len(self._gone) > MOST_GONE * sum(map(len, self._all_ids())):
            self._compact()
        blocks = self._by_length.get(len(descriptor), [])
        self._tell_others(len(descriptor))
        if among is not None:
            ids = np.unique(np.fromiter(among, np.int64))
            blocks = [block.only(at) for block in blocks if len(at := block.at(ids))]
        if spans is not None:
            blocks = [part for block in blocks for part in block.within(spans)]
        if not blocks:
            return
        query = np.frombuffer(descriptor, np.int8)
        gone = np.array(sorted(self._gone), np.int64)
        for frame_id, score in _best_first(query, blocks):
            at = np.searchsorted(gone, frame_id)
            if at == len(gone) or gone[at] != frame_id:
                yield frame_id, score

    def blocks(self, db: Database) -> dict[int, list[tuple[np.ndarray, np.ndarray]]]:
        """All of them by length: some ids, int64 [M] ascending, with their rows, int8 [M, N], and
        so on.
        """
        self._refresh(db)
        if self._gone:
            self._compact()
        return {
            length: [(block.ids, block.rows) for block in blocks]
            for length, blocks in self._by_length.items()
            if blocks
        }

    def _tell_others(self, length: int):
        """Say once how many are not compared."""
        kinds = self._by_length.items()
        others = sum(len(block.ids) for kind, some in kinds if kind != length for block in some)
        if others and not self._told:
            self._told = True
            log.warning(
                "%d frames have descriptors of another kind and are not compared; gaussvae bank"
                " describe makes new ones",
                others,
            )

    def rows(self, ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The descriptors of frames, int64 [N], of so many bytes as of the last question: int8
        [N, length], and which are there, bool [N].
        """
        found, there = np.zeros((len(ids), length), np.int8), np.zeros(len(ids), bool)
        for block in self._by_length.get(length, []):
            at = np.minimum(np.searchsorted(block.ids, ids), len(block.ids) - 1)
            here = block.ids[at] == ids
            found[here], there[here] = block.rows[at[here]], True
        return found, there

    def _all_ids(self) -> Iterator[np.ndarray]:
        return (block.ids for blocks in self._by_length.values() for block in blocks)

    def _compact(self):
        gone = np.array(sorted(self._gone), np.int64)
        for length, blocks in self._by_length.items():
            left = (block.only(~np.isin(block.ids, gone)) for block in blocks)
            self._by_length[length] = [block for block in left if len(block.ids)]
        self._gone.clear()

    def _refresh(self, db: Database):
        version = db.execute("PRAGMA schema_version").fetchone()[0]
        if version != self._version:  # a redaction may have changed some
            self._version, self._last, self._by_length = version, 0, {}
            self._gone.clear()
        for rows in self._new(db):
            by_length: dict[int, tuple[list[int], list[bytes]]] = {}
            for frame_id, descriptor in rows:
                ids, descriptors = by_length.setdefault(len(descriptor), ([], []))
                ids.append(frame_id)
                descriptors.append(descriptor)
            for length, found in by_length.items():
                self._append(self._by_length.setdefault(length, []), _block(*found))

    def _append(self, blocks: list[_Block], new: _Block):
        if blocks and len(blocks[-1].ids) + len(new.ids) <= BLOCK:
            last = blocks.pop()
            parts = zip(vars(last).values(), vars(new).values())
            new = _Block(*(np.concatenate(both) for both in parts))
        blocks.append(new)

    def _new(self, db: Database) -> Iterator[list[tuple[int, bytes]]]:
        """Those that were not read yet, some at a time."""
        at, (last,) = self._last, db.execute("SELECT max(id) FROM frames").fetchone()
        self._last = last = max(last or 0, at)
        while at < last:
            damaged, end = [], last
            try:
                with closing(
                    db.execute(f"{_READ} BETWEEN ? AND ? ORDER BY frame", [at + 1, end])
                ) as cursor:
                    while rows := cursor.fetchmany(BLOCK):
                        sound = _are_sound(rows)
                        yield [(row[0], row[2]) for row, whole in zip(rows, sound) if whole]
                        damaged += [row[0] for row, whole in zip(rows, sound) if not whole]
                        at = rows[-1][0]
            # A page is lost: go by the frames, past the damage.
            except (sqlite3.DatabaseError, UnicodeError):
                sql = "SELECT id FROM frames WHERE id > ? ORDER BY id LIMIT ?"
                single = [frame_id for (frame_id,) in db.execute(sql, [at, SINGLE]).fetchall()]
                damaged += single
                end = single[-1] if single else last
            at = end
            yield list(_sound(db, damaged))


def _sound(db: Database, ids: list[int]) -> Iterator[tuple[int, bytes]]:
    for frame_id in ids:
        try:
            if (descriptor := read_descriptor(db, frame_id)) is not None:
                yield frame_id, descriptor
        except DamagedFrame as error:
            log.warning("%s", error)


def _best_first(query: np.ndarray, blocks: list[_Block]) -> Iterator[tuple[int, float]]:
    """(id, likeness) of all, best first, then by id: sorted only as far as they are taken."""
    length = math.sqrt(np.square(query, dtype=np.float64).sum())
    parts = map(_Block.cosines, blocks, repeat(query.astype(np.float32)))
    cosines = np.concatenate(list(parts)) * np.float32(1 / (length or 1))
    none = np.concatenate([block.inverses for block in blocks]) == 0  # an angle to nothing
    cosines[none if length else slice(None)] = 1
    peaks = np.maximum.reduceat(cosines, np.arange(0, len(cosines), PEAK))
    done, count = 0, FIRST
    while done < len(cosines):
        # As many as `count` are at least as good as the worst of so many peaks.
        least = np.partition(peaks, -count)[-count] if count <= len(peaks) else -2
        ids, rows = _taken(blocks, np.flatnonzero(cosines >= least - MARGIN))
        scores = likeness(query, rows)
        order = np.lexsort((ids, -scores))[done : count if count <= len(peaks) else None]
        yield from zip(ids[order].tolist(), scores[order].tolist())
        done, count = done + len(order), 4 * count


def _taken(blocks: list[_Block], at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and rows at these places, ascending, of all blocks one after the other."""
    starts = np.cumsum([0, *(len(block.ids) for block in blocks)])
    where = np.searchsorted(starts, at, side="right") - 1
    parts = [blocks[i].only(at[where == i] - starts[i]) for i in np.unique(where)]
    return np.concatenate([part.ids for part in parts]), np.concatenate([p.rows for p in parts])


def _are_sound(rows: list[tuple]) -> list[bool]:
    try:  # a third faster than one by one
        return [crc32(data, number & 0xFFFFFFFF) == checksum for number, checksum, data in rows]
    except TypeError:
        return [_is_sound(*row) for row in rows]


def _is_sound(frame_id: int, checksum: int, descriptor: object) -> bool:
    return isinstance(descriptor, bytes) and descriptor_checksum(frame_id, descriptor) == checksum
