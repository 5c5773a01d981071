"""What SQLite says of a memory file, in a sentence that says what to do."""

import shutil
import sqlite3
from pathlib import Path

ROOM = 2**25  # bytes that are free on a disk which is not full
REPAIR = "the file is damaged: save what is sound in it with gaussvae bank repair"
UPDATE = "open it once for writing to bring it up to date, as `gaussvae bank add-model` does"


def in_words(error: Exception, path: Path) -> str:
    """Why a memory file could not be read or written, or its copy at `path`.

    A number of a page that cannot be is a full disk to SQLite.
    """
    if isinstance(error, OSError):
        return error.strerror or str(error)  # without the name of a draft
    if not isinstance(error, (sqlite3.Error, UnicodeError)):
        return str(error)
    if "full" in str(error) and _has_room(path):
        return f"{error}, SQLite says, and the disk is not: {REPAIR}"
    if is_of_damage(error):
        return f"{error}; {REPAIR}"
    return str(error)


def is_of_damage(error: BaseException | None) -> bool:
    """Whether SQLite or Python says so of a file that is damaged: what this package writes breaks
    no constraint of a sound one."""
    words = ("malformed", "decode")
    return isinstance(error, sqlite3.IntegrityError) or any(word in str(error) for word in words)


def not_written(path: Path, error: Exception) -> str:
    """A sentence that says so, and why."""
    return f"{path} could not be written: {in_words(error, path)}"


def _has_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free >= ROOM
    except OSError:
        return False
