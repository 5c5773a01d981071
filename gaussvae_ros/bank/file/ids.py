"""The ids that a memory file hands out, of frames, sessions and volumes: each once, also after a
crash.
"""

from sqlite_utils import Database

from gaussvae_ros.bank.file.waiting import GROUP_WRITES


class Ids:
    """`frame`, `session` and `volume` are the next ones, and the first of them are these at least.
    `kept`, below 0, is the next for a record that was never a frame's of this file.

    The file always holds an id of frames beyond those handed out: after a crash the lost frames'
    ids are skipped, not given to other frames.
    """

    def __init__(self, db: Database, frame: int = 1, session: int = 1, volume: int = 1):
        self._db = db
        if _last(db, "frames") is None:
            db.execute("INSERT INTO sqlite_sequence VALUES ('frames', 0)")
        self.frame = max((_last(db, "frames") or 0) + 1, frame)
        self.session = max((_last(db, "sessions") or 0) + 1, session)
        self.volume = max((_last(db, "volumes") or 0) + 1, volume)
        self.kept = min(db.execute("SELECT min(frame) FROM kept").fetchone()[0] or 0, 0) - 1
        self._reserved = 0

    def reserve(self):
        """Reserve some more, within a transaction; not in each, which would write a page more."""
        if self.frame + GROUP_WRITES > self._reserved:
            self._write(self.frame + 2 * GROUP_WRITES)

    def give_back(self):
        """Those that were reserved and not handed out."""
        self._write(self.frame)

    def _write(self, number: int):
        self._db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'frames'", [number - 1])
        self._reserved = number


def _last(db: Database, table: str) -> int | None:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", [table]).fetchone()
    return row[0] if row else None
