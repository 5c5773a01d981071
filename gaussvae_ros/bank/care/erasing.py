"""What is gone for good: no byte of what was removed or replaced stays in the file or beside it.

SQLite leaves the bytes of deleted rows in free pages, in gaps of pages and in its log. So the whole
file is written anew, from what it holds, over itself.
"""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from gaussvae_ros.bank.file import statements
from gaussvae_ros.bank.file.journal import log_path
from gaussvae_ros.bank.frame import checked_descriptor, checked_int
from gaussvae_ros.bank.likeness.descriptors import Descriptors
from gaussvae_ros.bank.likeness.packing import packed
from gaussvae_ros.bank.reading import Reader
from gaussvae_ros.bank.search import runs, stamps, texts
from gaussvae_ros.errors import BankError
from gaussvae_ros.files import PRIVATE, make_file

# The frames whose records need those of some, also by way of others, and how far away those are.
_NEEDING = """
    WITH RECURSIVE
        needs(frame, reference) AS (
            SELECT id, reference FROM frames WHERE reference IS NOT NULL
            UNION ALL SELECT frame, reference FROM kept WHERE reference IS NOT NULL
        ),
        found(frame, depth) AS (
            SELECT needs.frame, 1 FROM json_each(?) JOIN needs ON needs.reference = value
            UNION SELECT needs.frame, depth + 1 FROM found JOIN needs ON reference = found.frame
        )
    SELECT frame FROM found JOIN frames ON id = frame GROUP BY frame ORDER BY max(depth) DESC, frame
"""


class Eraser(Reader):
    """What a `MemoryBank` does to forget for good, to which it adds the rest of the writing."""

    def needing(self, ids: Iterable[int]) -> list[int]:
        """The frames whose records need those of these frames, or of removed ones with such an id;
        those first that no others of them need.
        """
        given = json.dumps([checked_int("frame id", frame_id) for frame_id in ids])
        with self._use():
            return [frame_id for (frame_id,) in self._db.execute(_NEEDING, [given]).fetchall()]

    def kept(self, data: bytes | None = None) -> list[int]:
        """The ids of frames that were removed, or below 0 never were in the file, and whose records
        others need; of those with this record, if one is given.
        """
        with self._use():
            sql = "SELECT frame FROM kept WHERE ?1 IS NULL OR record = ?1"
            return [frame_id for (frame_id,) in self._db.execute(sql, [data])]

    def set_descriptor(self, frame_id: int, descriptor: bytes):
        """Give a frame another descriptor. Other programs that have the file open compare by the
        old one until `scrub` or `announce_descriptors`.
        """
        frame_id, descriptor = checked_int("frame id", frame_id), checked_descriptor(descriptor)
        with self._use_to_write() as group:
            self._check_frame(frame_id)
            group.write([(statements.SET_DESCRIPTOR, packed(frame_id, descriptor))])
            self._descriptors = Descriptors()

    def announce_descriptors(self):
        """Let other programs that have the file open read all descriptors anew."""
        with self._use_to_write() as group:
            # They go by the version of the schema, which such a change counts up.
            group.write_now([("CREATE TABLE announced (a)", ()), ("DROP TABLE announced", ())])

    def scrub(self):
        """Write the whole file anew and empty its journal, so that nothing of what was removed or
        replaced before is left in them. Takes the space of another two such files meanwhile.

        Raises:
            BankError: there is no space, or another program reads an old state of the file: then
                call it again.
        """
        draft = Path(f"{self.path}.partial")
        with self._use_to_write() as group:
            # The indexes, of which those of places and words would go on holding what is gone.
            anew = (runs.CLEAR, runs.FILL, stamps.CLEAR, stamps.FILL, texts.REBUILD)
            group.write_now([(sql, ()) for sql in anew])
            try:
                # Not VACUUM, which takes its space where the system keeps temporary files.
                draft.unlink(missing_ok=True)
                make_file(draft, PRIVATE)
                self._db.execute("VACUUM INTO ?", [str(draft)])
                self._db.execute("PRAGMA cache_spill=ON")  # else all of it would be in memory
                with closing(sqlite3.connect(draft)) as made:
                    made.backup(self._db.conn)
            except OSError as error:
                raise BankError(f"{self.path} could not be written: {error.strerror}") from error
            finally:
                self._db.execute("PRAGMA cache_spill=OFF")
                draft.unlink(missing_ok=True)
            group.merge()
            log = log_path(self.path)
            if log.exists() and log.stat().st_size:
                raise BankError(
                    f"{log} still holds what was removed, since another program reads {self.path}:"
                    " end that and do this again"
                )
