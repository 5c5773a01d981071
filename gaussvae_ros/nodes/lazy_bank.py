"""A memory file that another process writes, replaces, or has yet to make."""

import threading
from pathlib import Path

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.lock import may_be_written
from gaussvae_ros.errors import BankError


class LazyBank:
    """Opens the file when it is asked for, and again when another one lies in its place. Any thread
    may ask.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._lock = threading.RLock()
        self._bank: MemoryBank | None = None
        self._facts: tuple[int, ...] = ()  # of the file that is open

    def get(self) -> MemoryBank:
        """The memory as it is now, open for reading.

        Raises:
            BankError: there is none yet, or it cannot be read.
        """
        with self._lock:
            facts = self._look()
            if self._bank is None or facts != self._facts or self._bank.check_place():
                self.close()
                self._bank, self._facts = MemoryBank(self.path, readonly=True), facts
            return self._bank

    def model(self, hash_: bytes) -> bytes | None:
        """What the memory carries of a model, see `MemoryBank.model`. Raises BankError as `get`."""
        return self.get().model(hash_)

    def close(self) -> None:
        """Let go of the file, which the next `get` opens again. A thread that is not done with it
        gets a BankError.

        Without it Python would close the file some time later, and meanwhile nobody could open
        another one with the same inode.
        """
        with self._lock:
            if self._bank is not None:
                self._bank.close()
                self._bank = None

    def _look(self) -> tuple[int, ...]:
        """What tells the file from another in its place."""
        try:
            path = self.path.resolve()
            facts = path.stat()
            written = may_be_written(path)
        except (OSError, ValueError) as error:
            self.close()
            if isinstance(error, FileNotFoundError):
                raise BankError(f"there is no memory at {self.path} yet") from None
            reason = getattr(error, "strerror", None) or error
            raise BankError(f"the memory at {self.path} cannot be read: {reason}") from None
        # A file that is copied over keeps its number and changes its time. So does one under its
        # writer, at times.
        return (
            facts.st_dev,
            facts.st_ino,
            *(() if written else (facts.st_size, facts.st_mtime_ns)),
        )
