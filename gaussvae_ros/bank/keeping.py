"""Frames whose records need each other: linked when they are stored or get other records."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from gaussvae_ros.bank.file import statements
from gaussvae_ros.bank.file.writing import Group
from gaussvae_ros.bank.frame import checked_int, row_checksum
from gaussvae_ros.bank.reading import Reader
from gaussvae_ros.bank.references import DamagedReference, References, Stored
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import LONGEST_CHAIN, checksum, is_predicted, needs, unpack

KNOWN = 256  # records that are found again by their bytes
_FACTS = "SELECT stamp_ns, camera, session, width, height FROM frames WHERE id = ?"
_NEEDED_BY = """
    SELECT id, 0 FROM frames WHERE reference = ?1
    UNION ALL SELECT frame, 1 FROM kept WHERE reference = ?1
"""

Reference = int | bytes | Sequence[bytes] | None


@dataclass(frozen=True)
class Link:
    """What a record needs: the frame `reference`, the records up to that one's, and those of them
    that are not in the file yet.
    """

    reference: int | None = None
    needed: tuple[bytes, ...] = ()
    new: tuple[tuple[int, Stored], ...] = ()


ALONE = Link()


class Keeper(Reader):
    """The records of a `MemoryBank` that need each other, to which it adds the rest of the
    writing.
    """

    def replace(self, records: Mapping[int, tuple[bytes, int | None]]):
        """Give frames other records of the same size in px, each with its reference; all of them or
        none, committed as frames are.

        Raises:
            RecordError: what is not a whole record.
            BankError: a frame that is not there, a record that lacks what it needs, or a frame
                whose old record is needed by one that gets no other.
        """
        with self._use_to_write() as group:
            if not records:
                return
            waiting = dict(group.waiting.records)
            waiting |= {frame_id: (other, data) for frame_id, (data, other) in records.items()}
            # What only these needed, they cannot need together with others from now on: it would be
            # gone once the first of them is written.
            now = References(self._db, group.waiting.records)
            leaving = {i for i, (_, other) in records.items() if now.reference(i) != other}
            links, changes = {}, []
            for frame_id, (data, reference) in records.items():
                record = unpack(data)
                if reference is not None:
                    checked_int("reference", reference)
                self._check_frame(checked_int("frame id", frame_id))
                facts = self._db.execute(_FACTS, [frame_id]).fetchone()
                if record.size != facts[3:]:
                    raise BankError(f"frame {frame_id} keeps its size, {facts[3]}x{facts[4]} px")
                links[frame_id] = self._link(group, data, reference, waiting, leaving)
                row = record.tier, row_checksum(frame_id, *facts, record.tier, data), reference
                changes += [
                    (statements.REPLACE_FRAME, (*row, frame_id)),
                    (statements.REPLACE_RECORD, (data, frame_id)),
                ]
                if others := self._needed_by(group, frame_id, leaving) - set(records):
                    raise BankError(
                        f"frame {min(others)} needs the record of frame {frame_id}: replace both"
                    )
            group.write(changes)
            for frame_id, link in links.items():
                self._stored(group, frame_id, records[frame_id][0], link)

    # Inside

    def _link(
        self,
        group: Group,
        data: bytes,
        reference: Reference,
        waiting: Mapping[int, Stored] | None = None,
        leaving: Set[int] = frozenset(),
    ) -> Link:
        """What a whole record needs, which is in the file or comes with it."""
        if isinstance(reference, bytes):
            reference = [reference]
        if reference is None or reference in ([], ()):
            if is_predicted(data):
                raise BankError(
                    "the record was predicted from that of another frame: name its reference"
                )
            return ALONE
        if not is_predicted(data):
            raise BankError("the record needs no other one, so it has no reference")
        if waiting is None:
            waiting = group.waiting.records
        references = References(self._db, waiting)
        if isinstance(reference, (list, tuple)):
            return self._link_records(group, references, data, tuple(reference))
        reference = checked_int("reference", reference)
        if not self._lasts(group, reference, leaving):
            raise BankError(f"the record needs that of frame {reference}: no such frame")
        try:
            return Link(reference, references.checked(reference, data))
        except DamagedReference as error:
            raise BankError(str(error)) from None

    def _link_records(
        self, group: Group, references: References, data: bytes, chain: tuple[bytes, ...]
    ) -> Link:
        if len(chain) >= LONGEST_CHAIN:
            raise BankError(f"a record takes at most {LONGEST_CHAIN - 1} others, not {len(chain)}")
        for record in chain:
            if not isinstance(record, bytes):
                raise RecordError(f"a record is made of bytes, not {type(record).__name__}")
            unpack(record)
        if is_predicted(chain[0]) or not all(map(needs, (*chain[1:], data), chain)):
            raise BankError("each record is to need the one before it, and the first none")
        reference, known = self._known_of(group, references, chain)
        new = []
        for record in chain[known:]:
            number = group.ids.kept - len(new)
            new.append((number, (reference, record)))
            reference = number
        return Link(reference, chain, tuple(new))

    def _known_of(
        self, group: Group, references: References, chain: tuple[bytes, ...]
    ) -> tuple[int | None, int]:
        """The frame stored lately with the last of these records that there is, and how many of
        them it takes.
        """
        for count in range(len(chain), 0, -1):
            frame_id = self._known.get(checksum(chain[count - 1]))
            if frame_id is None or not self._lasts(group, frame_id, kept=True):
                continue
            try:
                if references.chain(frame_id) == chain[:count]:
                    return frame_id, count
            except DamagedReference:
                continue
        return None, 0

    def _lasts(
        self, group: Group, frame_id: int, leaving: Set[int] = frozenset(), kept: bool = False
    ) -> bool:
        """Whether the record of a frame that there is, or one below 0, is in the file once all that
        waits is; also that of a removed frame if it may be `kept`.
        """
        waiting = group.waiting
        if frame_id >= 0 and frame_id not in waiting.removed:
            if frame_id in waiting.ids or self._is_there(frame_id):
                return True
        return (kept or frame_id < 0) and bool(self._needed_by(group, frame_id, leaving))

    def _needed_by(
        self,
        group: Group,
        frame_id: int,
        leaving: Set[int] = frozenset(),
        longest: int = LONGEST_CHAIN,
    ) -> set[int]:
        """The frames, but for those `leaving`, and the kept records that need that of a frame.

        What waits counts as written, also while a full disk took it back: a kept record goes with
        the last that needs it.
        """
        waiting = group.waiting
        found = {i: i < 0 for i, (other, _) in waiting.records.items() if other == frame_id}
        for i, kept in self._db.execute(_NEEDED_BY, [frame_id]).fetchall():
            if i not in waiting.records:
                found[i] = kept
        return {
            i
            for i, kept in found.items()
            if i not in leaving
            and (
                not (kept or i in waiting.removed)
                or (longest > 1 and self._needed_by(group, i, leaving, longest - 1))
            )
        }

    def _stored(self, group: Group, frame_id: int, data: bytes, link: Link):
        """The group's last write stores this record, and what is new of those that it needs."""
        group.ids.kept -= len(link.new)
        for number, stored in (*link.new, (frame_id, (link.reference, data))):
            group.waiting.records[number] = stored
            self._known[checksum(stored[1])] = number
        if link.needed:
            group.waiting.chains.setdefault(link.reference, link.needed)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
