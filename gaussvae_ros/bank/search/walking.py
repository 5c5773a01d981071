"""All frames of a memory file, or those of a question, a few at a time."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice

from gaussvae_ros.bank.care.overview import Overview
from gaussvae_ros.bank.frame import Frame, checked_int
from gaussvae_ros.bank.references import References
from gaussvae_ros.bank.search import queries, route
from gaussvae_ros.bank.search.matching import matching
from gaussvae_ros.errors import BankError

PAGE = 64  # frames that are read at once
ID_PAGE = 8192  # ids that are

log = logging.getLogger(__name__)


class Walker(Overview):
    """How a `MemoryBank` is iterated over."""

    def __len__(self) -> int:
        with self._use():
            return self._db.execute("SELECT count(*) FROM frames").fetchone()[0]

    def __contains__(self, frame_id: int) -> bool:
        with self._use():
            return self._is_there(checked_int("frame id", frame_id))

    def __iter__(self) -> Iterator[Frame]:
        """All frames by stamp, read a few at a time: memory stays small and the file stays open to
        its writer.

        Damaged frames are skipped; frames that are added meanwhile come too if their turn is still
        ahead.
        """
        last = None
        while True:
            with self._use_at_once():
                page = queries.following(self._db, last, PAGE)
                frames = list(self._readable(frame_id for _, frame_id in page))
            if not page:
                return
            last = page[-1]
            yield from frames

    def ids(self, **conditions: object) -> list[int]:
        """The ids of the frames that meet all conditions, which are those of `find`, by stamp."""
        with self._use_at_once():
            return list(matching(self._db, **conditions))

    def each_id(self, **conditions: object) -> Iterator[int]:
        """As `ids`, but read some thousands at a time: memory stays small and the file stays open
        to its writer.
        """
        last = None
        while True:
            with self._use_at_once():
                with closing(matching(self._db, **conditions, beyond=last)) as ids:
                    page = list(islice(ids, ID_PAGE))
                if not page:
                    return
                sql = "SELECT stamp_ns, id FROM frames WHERE id = ?"
                last = self._db.execute(sql, page[-1:]).fetchone()
            yield from page

    def frames(self, ids: Iterable[int]) -> Iterator[Frame]:
        """The frames with these ids, in their order, read a few at a time as if iterated over.

        Damaged frames are skipped, and those that are not there.
        """
        ids = iter(ids)
        while page := list(islice(ids, PAGE)):
            with self._use_at_once():
                frames = list(self._readable(page))
            yield from frames

    def ids_after(self, frame_id: int, limit: int) -> list[int]:
        """The ids of at most `limit` frames that were stored after that one, as they were."""
        with self._use():
            return route.ids_after(self._db, frame_id, limit)

    def placed(self, ids: Iterable[int]) -> list[route.Placed]:
        """Those of the frames that have a pose, in their order, without their records."""
        with self._use_at_once():
            return route.read_placed(self._db, ids)

    # Inside

    def _is_there(self, frame_id: int) -> bool:
        sql = "SELECT 1 FROM frames WHERE id = ?"
        return self._db.execute(sql, [frame_id]).fetchone() is not None

    def _check_frame(self, frame_id: int):
        if not self._is_there(frame_id):
            raise BankError(f"no frame {frame_id} in {self.path}")

    def _readable(
        self, ids: Iterable[int], references: References | None = None
    ) -> Iterator[Frame]:
        references = references or References(self._db)
        for frame_id in ids:
            try:
                frame = queries.read_frame(self._db, frame_id, references)
            except queries.DamagedFrame as error:
                log.warning("%s: %s", self.path, error)
                continue
            if frame is not None:
                yield frame
