"""What a memory file takes up, known without a look at all of it."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank.forgetting.budget import Usage

COUNTED = 20_000  # ids that are counted at once


class FrameCount:
    """How many frames there are: each is counted once."""

    def __init__(self):
        self._last = 0  # the highest id that is counted
        self.frames = 0

    def advance(self, db: Database) -> bool:
        """Count frames that are new; whether there are more."""
        newest = db.execute("SELECT max(id) FROM frames").fetchone()[0] or 0
        end = min(newest, self._last + COUNTED)
        if end > self._last:
            sql = "SELECT count(*) FROM frames WHERE id > ? AND id <= ?"
            self.frames += db.execute(sql, [self._last, end]).fetchone()[0]
            self._last = end
        return end < newest

    def removed(self, ids: Iterable[int]):
        """These frames are gone."""
        self.frames -= sum(frame_id <= self._last for frame_id in ids)


def measured(db: Database, path: Path, frames: int) -> Usage:
    """What a file of so many frames takes up."""
    pages, free, page = (
        db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    try:
        left = shutil.disk_usage(path.parent).free
    except OSError:
        left = None
    # Whole pages of 4 bytes less: about what SQLite takes for a long value.
    sql = "SELECT coalesce(sum((length(model) + ?) / (? - 4)), 0) FROM models"
    models = db.execute(sql, [page - 5, page]).fetchone()[0]
    return Usage(frames, pages * page, (pages - free) * page, left, models * page)
