"""Where a memory file lies, and whether it is still the file that was opened there."""

import ctypes
import os
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.errors import BankError

JOURNALS = ("-wal", "-shm")  # what SQLite keeps beside the file


class Place:
    """The files that were opened at a path, told from others by device and inode."""

    def __init__(self, path: Path):
        self.path, self._name = path, str(path)
        self._files: dict[str, tuple[int, int]] = {}
        self._before = self._find("")
        self._frozen: tuple[int, int] | None = None

    def settle(self):
        """The files are open now; from here on `lost` compares with them.

        Raises:
            BankError: another process moved the file while it was opened.
        """
        self._files = {ending: found for ending in ("", *JOURNALS) if (found := self._find(ending))}
        # It is read as it lies, without a journal.
        self._frozen = self._time() if len(self._files) == 1 else None
        if "" not in self._files or self._before not in (None, self._files[""]):
            raise BankError(
                f"{self.path} was moved or replaced while it was being opened: try again"
            )

    def moved(self) -> bool:
        """Whether `lost` has something to say of the database, by one look."""
        try:
            frozen = self._frozen and self._frozen != self._time()
            return bool(frozen or (self._files and self._find("") != self._files[""]))
        except OSError:
            return True

    def lost(self) -> str:
        """Empty while the open files lie at the path, else one sentence on what became of them."""
        try:
            for ending, opened in self._files.items():
                found = self._find(ending)
                if found == opened:
                    continue
                if not self.path.parent.is_dir():
                    return f"the folder of {self.path} is gone"
                if found is None:
                    return f"{self.path}{ending} was deleted"
                return f"{self.path}{ending} was replaced by another file"
            if self._frozen not in (None, self._time()):
                return f"{self.path} was changed since it was opened"
        except OSError as error:
            return f"{self.path} cannot be reached any more: {error.strerror}"
        return ""

    def same_number_elsewhere(self) -> bool:
        """Whether a file of the same inode on another device lies there now."""
        found, opened = self._find(""), self._files.get("")
        return (
            found is not None and opened is not None and found != opened and found[1] == opened[1]
        )

    def left(self, overwritten: bool) -> list[Path]:
        """The journals of the opened file that still lie at the path, though the file does not, or
        holds another one.

        They are to go also in the second case: a reader that has the file open keeps the index of
        the old log alive, with which nobody could open the new file, and sees by its journals that
        it is another one.
        """
        if self._find("") == self._files[""] and not overwritten:
            return []
        return [
            Path(f"{self.path}{e}")
            for e in JOURNALS
            if e in self._files and self._find(e) == self._files[e]
        ]

    def _time(self) -> tuple[int, int]:
        facts = os.stat(self.path)
        return facts.st_size, facts.st_mtime_ns

    def _find(self, ending: str) -> tuple[int, int] | None:
        try:
            facts = os.stat(self._name + ending)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return facts.st_dev, facts.st_ino


def mount_of(path: Path) -> Path | None:
    """Where the disk of a file is mounted, None for the system's own.

    A stick that is pulled out leaves an empty folder.
    """
    mount = next((folder for folder in path.parents if os.path.ismount(folder)), None)
    return mount if mount != Path(path.anchor) else None


def forget(db: Database, place: Place):
    """Close a connection whose file is gone from its place, and leave alone what lies there now.

    SQLite, too, leaves the journal of another file alone, but it compares inodes without their
    device: where a disk was exchanged for another whose file has the same inode, the connection
    stays open until the process ends.
    """
    if place.same_number_elsewhere():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(db.conn))
    else:
        db.close()
