"""What a memory file is as a whole: its figures, its models, and whether it is sound."""

import logging
from contextlib import closing

from gaussvae_ros.bank import models
from gaussvae_ros.bank.care import upkeep
from gaussvae_ros.bank.file.handle import Handle
from gaussvae_ros.bank.file.opening import open_file
from gaussvae_ros.bank.frame import checked_int
from gaussvae_ros.errors import BankError

log = logging.getLogger(__name__)


class Overview(Handle):
    """A `MemoryBank` as a whole, to which it adds its frames."""

    # Models

    def models(self) -> list[tuple[bytes, str, int]]:
        """The models that the file carries: the hash that records name each by, its name and bytes.

        Damaged ones are skipped; `verify` names them.
        """
        with self._use():
            found = []
            for hash_ in models.hashes(self._db):
                try:
                    name, model = models.read_model(self._db, hash_)
                    found.append((hash_, name, len(model)))
                except BankError as error:
                    log.warning("%s: %s", self.path, error)
            return found

    def model(self, hash_: bytes) -> bytes | None:
        """The model that `add_model` was given for a hash, None if there is none.

        Raises:
            BankError: it is damaged.
        """
        with self._use():
            try:
                row = models.read_model(self._db, hash_)
            except BankError as error:
                raise BankError(f"{self.path}: {error}") from error
        return None if row is None else row[1]

    def beginnings(self, length: int) -> dict[bytes, int]:
        """How many records begin with which `length` bytes: their kinds, and models, at a
        glance.
        """
        with self._use():
            return models.beginnings(self._db, checked_int("length", length))

    # The whole file

    def info(self) -> dict:
        """What the file holds, ready for JSON.

        path, schema (version), bytes (file and log), frames, first_ns, last_ns, kept (records of
        removed frames that others need), tiers {tier: frames}, cameras {name: frames}, sessions
        [{id, name, map_id, start_ns, frames, first_ns, last_ns, and the counts of `set_tally`}],
        labels {label: frames}, texts (lines that were read in frames), volumes, poses (frames with
        one), corrected (those whose pose changed), bounds_m [[min x, max x], [min y, max y], [min
        z, max z]].
        """
        with self._use_at_once():
            return upkeep.summary(self._db, self.path)

    def version(self) -> int:
        """A number that is another one once another process has changed the file."""
        with self._use():
            return self._db.execute("PRAGMA data_version").fetchone()[0]

    def size(self) -> int:
        """Bytes of the pages that hold all this; the file and its log together may be larger for a
        while.
        """
        with self._use():
            return upkeep.size(self._db)

    def verify(self) -> list[tuple[int | None, str]]:
        """Read every frame and check the file's structure: (frame id, what is wrong) for each
        damage.

        The id is None where the damage is not one frame's. Uses a connection of its own: adding
        goes on meanwhile.
        """
        self._commit_waiting()
        with closing(open_file(self.path, readonly=True)) as db:
            return list(upkeep.damages(db))
