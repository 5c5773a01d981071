"""What SQLite says of a memory file, in a sentence that says what to do."""

import shutil
import sqlite3
from pathlib import Path

ROOM = 2**25  # bytes that are free on a disk which is not full
# What this package writes breaks no constraint of a sound file.
_BROKEN = "malformed", "constraint failed", "decode"
REPAIR = "the file is damaged: save what is sound in it with gaussvae bank repair"


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
    if any(broken in str(error) for broken in _BROKEN):
        return f"{error}; {REPAIR}"
    return str(error)


def not_written(path: Path, error: Exception) -> str:
    """A sentence that says so, and why."""
    return f"{path} could not be written: {in_words(error, path)}"


def _has_room(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free >= ROOM
    except OSError:
        return False
