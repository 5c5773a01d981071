"""As what the records of a sequence are stored that later ones may need."""

from typing import Generic, TypeVar

from gaussvae_ros.record import LONGEST_CHAIN
from gaussvae_ros.sequence.encoder import AHEAD, Coded

T = TypeVar("T")
# Records that may be needed again, beside those of frames that waited for their key and are stored
# after it: a key and a second one on each side, those of the group before, and two earlier visits'
# that were asked for since.
BESIDE = 10


class StoredRecords(Generic[T]):
    """As what the records that later ones may need are stored: under which id, or the like."""

    def __init__(self, ahead: int = AHEAD) -> None:
        """`ahead`: how many frames the SequenceEncoder lets wait at most."""
        self._known: dict[bytes, T] = {}
        self._most = BESIDE + ahead

    def reference(self, coded: Coded) -> T | None:
        """As what the record is stored that a frame's needs, None if it needs none."""
        return self._known[coded.needed[-1]] if coded.needed else None

    def note(self, data: bytes, what: T) -> None:
        """Say as what a record is stored."""
        self._known.pop(data, None)
        self._known[data] = what

    def stored(self, coded: Coded, what: T) -> None:
        """Say as what a frame's record is stored."""
        for data in coded.needed:
            self.note(data, self._known[data])
        if len(coded.records) < LONGEST_CHAIN:  # later ones may need it
            self.note(coded.data, what)
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
