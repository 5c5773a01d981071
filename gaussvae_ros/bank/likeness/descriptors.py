"""Likeness search: the descriptors of a memory file, kept in memory between questions.

Frames come with higher ids only, so a question reads those that are new. A million descriptors
that are stored in 64 bytes take 76 MB. Where frames were redacted, all are read again. Descriptors
of another length were made in another way and are not compared.
"""

import logging
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.likeness import packing
from gaussvae_ros.bank.search.queries import DamagedFrame
from gaussvae_ros.likeness import likeness

_READ = "SELECT frame, checksum, descriptor FROM descriptors WHERE frame"

BLOCK = 4096  # descriptors that are read, and compared, at once
SINGLE = 1024  # frames that are read one by one past a damaged page
MOST_GONE = 0.1  # of the descriptors in memory, of frames that were removed
PEAK = 64  # neighbours of which the best one says whether any is looked at
FIRST = 64  # frames that are put into order at once, then four times as many, and so on
MARGIN = 1e-6  # more than twice what rounding to 32 bits changes a cosine

log = logging.getLogger(__name__)


def read_descriptor(db: Database, frame_id: int) -> bytes | None:
    """The descriptor of a frame, None if it has none.

    Raises:
        DamagedFrame: it is there and cannot be read; the frame itself may well be sound.
    """
    row = _row(db, frame_id)
    return row and packing.unpacked(*row)


def _row(db: Database, frame_id: int) -> tuple[int, int, bytes] | None:
    try:
        row = db.execute(f"{_READ} = ?", [frame_id]).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        raise DamagedFrame(f"the descriptor of frame {frame_id} is damaged: {error}") from error
    if row is not None and not all(packing.are_sound([row])):
        raise DamagedFrame(
            f"the descriptor of frame {frame_id} is damaged: its checksum does not match"
        )
    return row


def last_length(db: Database) -> int | None:
    """Of the descriptor with the highest id, as far as it can be read."""
    sql = "SELECT checksum, length(descriptor) FROM descriptors ORDER BY frame DESC LIMIT 1"
    try:
        row = db.execute(sql).fetchone()
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise
        return None
    return row and packing.length(*row)


@dataclass
class Block:
    """Some descriptors of one length."""

    ids: np.ndarray  # int64 [M] ascending
    rows: np.ndarray  # as they are stored: int8 [M, N], or, packed, uint8 [M, N / 2]
    inverses: np.ndarray  # float32 [M], of their lengths; 0 where those are 0

    def at(self, ids: np.ndarray) -> np.ndarray:
        """Where those of these ids, ascending, are that it has."""
        begin, end = np.searchsorted(ids, (self.ids[0], self.ids[-1] + 1))
        wanted = ids[begin:end]
        at = np.searchsorted(self.ids, wanted)
        return at[self.ids[at] == wanted]

    def within(self, spans: list[tuple[int, int]]) -> Iterator["Block"]:
        """Those with ids in spans."""
        for begin, end in spans[bisect_left(spans, self.ids[0], key=itemgetter(1)) :]:
            if begin > self.ids[-1]:
                return
            first, last = np.searchsorted(self.ids, (begin, end + 1))
            if first < last:
                yield self.only(slice(first, last))

    def only(self, at: np.ndarray | slice) -> "Block":
        """Those at these places."""
        return Block(self.ids[at], self.rows[at], self.inverses[at])

    def numbers(self) -> np.ndarray:
        """All of them, int8 [M, N]."""
        return packing.numbers(self.rows)


def _block(ids: list[int], stored: list[bytes], is_packed: bool) -> Block:
    kind = np.uint8 if is_packed else np.int8
    rows = np.frombuffer(bytearray().join(stored), kind).reshape(len(ids), -1)
    numbers = packing.numbers(rows)
    lengths = np.sqrt(np.einsum("ij,ij->i", numbers, numbers, dtype=np.float64))
    inverses = np.divide(1, lengths, out=np.zeros(len(ids)), where=lengths > 0)
    return Block(np.array(ids, np.int64), rows, inverses.astype(np.float32))


class Descriptors:
    """All readable descriptors of a file, by length. Call it with the bank's lock held."""

    def __init__(self):
        self._last = 0  # the highest id that was read
        # By how many numbers they have, and whether they are packed.
        self._blocks: dict[tuple[int, bool], list[Block]] = {}
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
        blocks = self._of(len(descriptor))
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

    def blocks(self, db: Database) -> dict[int, list[Block]]:
        """All of them by length."""
        self._refresh(db)
        if self._gone:
            self._compact()
        lengths = dict.fromkeys(length for length, _ in self._blocks)
        return {length: blocks for length in lengths if (blocks := self._of(length))}

    def _of(self, length: int) -> list[Block]:
        return [*self._blocks.get((length, False), []), *self._blocks.get((length, True), [])]

    def _tell_others(self, length: int):
        """Say once how many are not compared."""
        kinds = self._blocks.items()
        others = sum(len(b.ids) for (kind, _), some in kinds if kind != length for b in some)
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
        first, last = min(ids, default=0), max(ids, default=0)
        for block in self._of(length):
            if block.ids[0] <= last and first <= block.ids[-1]:
                at = np.minimum(np.searchsorted(block.ids, ids), len(block.ids) - 1)
                here = block.ids[at] == ids
                found[here], there[here] = block.only(at[here]).numbers(), True
        return found, there

    def _all_ids(self) -> Iterator[np.ndarray]:
        return (block.ids for blocks in self._blocks.values() for block in blocks)

    def _compact(self):
        gone = np.array(sorted(self._gone), np.int64)
        for kind, blocks in self._blocks.items():
            left = (block.only(~np.isin(block.ids, gone)) for block in blocks)
            self._blocks[kind] = [block for block in left if len(block.ids)]
        self._gone.clear()

    def _refresh(self, db: Database):
        version = db.execute("PRAGMA schema_version").fetchone()[0]
        if version != self._version:  # a redaction may have changed some
            self._version, self._last, self._blocks = version, 0, {}
            self._gone.clear()
        for rows in self._new(db):
            kinds: dict[tuple[int, bool], tuple[list[int], list[bytes]]] = {}
            for frame_id, checksum, stored in rows:
                ids, some = kinds.setdefault((len(stored), checksum < 0), ([], []))
                ids.append(frame_id)
                some.append(stored)
            for (size, is_packed), found in kinds.items():
                blocks = self._blocks.setdefault((size << is_packed, is_packed), [])
                self._append(blocks, _block(*found, is_packed))

    def _append(self, blocks: list[Block], new: Block):
        if blocks and len(blocks[-1].ids) + len(new.ids) <= BLOCK:
            last = blocks.pop()
            parts = zip(vars(last).values(), vars(new).values())
            new = Block(*(np.concatenate(both) for both in parts))
        blocks.append(new)

    def _new(self, db: Database) -> Iterator[list[tuple[int, int, bytes]]]:
        """The rows that were not read yet, some at a time."""
        at, (last,) = self._last, db.execute("SELECT max(id) FROM frames").fetchone()
        self._last = last = max(last or 0, at)
        while at < last:
            damaged, end = [], last
            try:
                with closing(
                    db.execute(f"{_READ} BETWEEN ? AND ? ORDER BY frame", [at + 1, end])
                ) as cursor:
                    while rows := cursor.fetchmany(BLOCK):
                        sound = packing.are_sound(rows)
                        yield [row for row, whole in zip(rows, sound) if whole]
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


def _sound(db: Database, ids: list[int]) -> Iterator[tuple[int, int, bytes]]:
    for frame_id in ids:
        try:
            if (row := _row(db, frame_id)) is not None:
                yield row
        except DamagedFrame as error:
            log.warning("%s", error)


def _best_first(query: np.ndarray, blocks: list[Block]) -> Iterator[tuple[int, float]]:
    """(id, likeness) of all, best first, then by id: sorted only as far as they are taken."""
    cosines = _cosines(query.astype(np.float32), blocks)
    peaks = np.maximum.reduceat(cosines, np.arange(0, len(cosines), PEAK))
    done, count = 0, FIRST
    while done < len(cosines):
        # As many as `count` are at least as good as the worst of so many peaks.
        least = np.partition(peaks, -count)[-count] if count <= len(peaks) else -2
        ids, rows = taken(blocks, np.flatnonzero(cosines >= least - MARGIN))
        scores = likeness(query, rows)
        order = np.lexsort((ids, -scores))[done : count if count <= len(peaks) else None]
        yield from zip(ids[order].tolist(), scores[order].tolist())
        done, count = done + len(order), 4 * count


def _cosines(query: np.ndarray, blocks: list[Block]) -> np.ndarray:  # float32 [N] -> [M]
    """Those to all, one block after the other; an angle to nothing is none."""
    from gaussvae_ros.bank.likeness import products  # with numba, which only this takes

    if not query.any():
        return np.ones(sum(len(block.ids) for block in blocks), np.float32)
    return products.cosines(query, ((block.rows, block.inverses) for block in blocks))


def taken(blocks: Sequence[Block], at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids, int64 [K], and numbers, int8 [K, N], at these places, ascending, of all blocks one after
    the other.
    """
    starts = np.cumsum([0, *(len(block.ids) for block in blocks)])
    where = np.searchsorted(starts, at, side="right") - 1
    which = np.unique(where) if len(at) else [0]
    parts = [blocks[i].only(at[where == i] - starts[i]) for i in which]
    ids = np.concatenate([part.ids for part in parts])
    return ids, np.concatenate([part.numbers() for part in parts])
