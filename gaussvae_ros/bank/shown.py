"""What frames show, as others tell: words that were read in them, and vectors of their pictures."""

from collections.abc import Iterable

import numpy as np

from gaussvae_ros.bank.frame import Frame, checked_int, checked_text
from gaussvae_ros.bank.likeness import vectors
from gaussvae_ros.bank.reading import Reader, checked_limit
from gaussvae_ros.bank.references import References
from gaussvae_ros.bank.search import texts
from gaussvae_ros.bank.search.matching import matching
from gaussvae_ros.bank.search.texts import Text
from gaussvae_ros.errors import BankError


class Shown(Reader):
    """What a `MemoryBank` keeps of that, to which it adds the rest."""

    def set_texts(self, frame_id: int, found: Iterable[Text]):
        """Say what was read in a frame, in the place of what was said before. `find` goes by it."""
        frame_id = checked_int("frame id", frame_id)
        with self._use_to_write() as group:
            self._check_frame(frame_id)
            group.write(texts.statements(frame_id, found))

    def texts(self, frame_id: int) -> list[Text]:
        """What was read in a frame.

        Raises:
            BankError: there is no such frame.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use():
            self._check_frame(frame_id)
            return texts.of_frame(self._db, frame_id)

    def set_vector(self, frame_id: int, encoder: str, vector: np.ndarray):
        """Give a frame the vector that an encoder made of its picture, any numbers [N], of which
        the direction counts.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use_to_write() as group:
            self._check_frame(frame_id)
            group.write(vectors.statements(frame_id, encoder, vector))

    def drop_vectors(self, frame_id: int):
        """Take a frame's vectors away, those of all encoders."""
        frame_id = checked_int("frame id", frame_id)
        with self._use_to_write() as group:
            self._check_frame(frame_id)
            group.write([vectors.drop_statement(frame_id)])

    def vectors(self, frame_id: int) -> dict[str, np.ndarray]:
        """The vectors of a frame, float32 [N] of length 1, by the name of their encoder.

        Raises:
            BankError: there is no such frame.
        """
        frame_id = checked_int("frame id", frame_id)
        with self._use():
            self._check_frame(frame_id)
            return vectors.of_frame(self._db, frame_id) if texts.has_texts(self._db) else {}

    def find_vector(
        self, encoder: str, vector: np.ndarray, *, limit: int = 10, **conditions: object
    ) -> list[tuple[Frame, float]]:
        """The frames whose vectors by this encoder are most like one, best first, with the cosine
        of the angle between them. `conditions` are those of `find`.

        Raises:
            BankError: no frame has a vector by this encoder of that length.
        """
        checked_text("name of an encoder", encoder)
        limit = checked_limit(limit)
        with self._use_at_once():
            known = vectors.encoders(self._db) if texts.has_texts(self._db) else {}
            if encoder not in known:
                others = f"; there are those of {', '.join(sorted(known))}" if known else ""
                raise BankError(f"no frame of {self.path} has a vector by {encoder}{others}")
            narrowed = any(value is not None for value in conditions.values())
            among = list(matching(self._db, **conditions)) if narrowed else None
            found, references = [], References(self._db)
            for frame_id, score in vectors.ranked(self._db, encoder, vector, among):
                found += ((frame, score) for frame in self._readable([frame_id], references))
                if len(found) == limit:
                    break
            if not found and len(vector) not in (lengths := vectors.lengths(self._db, encoder)):
                others = ", ".join(map(str, lengths))
                raise BankError(
                    f"no frame of {self.path} has a vector by {encoder} of {len(vector)} numbers;"
                    f" there are those of {others}"
                )
            return found

    def encoders(self) -> dict[str, int]:
        """How many frames have a vector by which encoder."""
        with self._use():
            return vectors.encoders(self._db) if texts.has_texts(self._db) else {}
