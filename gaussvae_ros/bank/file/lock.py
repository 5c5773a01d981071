"""The right to write a memory file, which one process at a time holds."""

import errno
import fcntl
import os
import socket
import threading
import time
from datetime import datetime
from pathlib import Path

from gaussvae_ros.errors import BankError
from gaussvae_ros.files import PRIVATE, set_mode

HELD = errno.EWOULDBLOCK, errno.EACCES  # another process has the lock
LOOKS, LOOK_S = 5, 0.01  # at a lock that is held: readers hold it for microseconds, to ask for it


class WriterLock:
    """A locked file beside the database, which the system frees when the process dies.

    A file beside: closing a second descriptor of the database itself would drop SQLite's own locks
    on it. Whoever removes the file while it is locked lets in a second writer, so the first must
    ask `lost` within each commit.

    Raises:
        BankError: another process holds it, or the file cannot be made.
    """

    def __init__(self, path: Path, mode: int = PRIVATE):
        """`mode` is the lock file's, where the memory file has none yet that it could share."""
        self._database, self._path, self._mode = path, str(lock_path(path)), mode
        self._changing = threading.Lock()
        self._file = self._take()

    def lost(self) -> str:
        """Empty while the right is held; else who has it now. A lock file that was only deleted is
        made again.
        """
        with self._changing:
            if self._file is None or _is_open(self._path, self._file):
                return ""
            try:
                taken = self._take()
            except BankError as error:
                return f"the lock file of {self._database} was deleted or replaced, and now {error}"
            os.close(self._file)
            self._file = taken
            return ""

    def held(self) -> bool:
        """Whether the lock file is still the one that was locked."""
        return self._file is not None and _is_open(self._path, self._file)

    def release(self):
        """Let others write; the lock file of another process stays."""
        with self._changing:
            if self.held():
                os.unlink(self._path)
            # Also for children that were forked with this descriptor.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None

    def _take(self) -> int:
        looks = 0
        while True:
            try:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
            except OSError as error:
                raise BankError(
                    f"{self._database} cannot be opened for writing: {error.strerror}"
                ) from error
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The holder before us may have removed the name between our open and our lock.
                if _is_open(self._path, file):
                    self._share(file)
                    _sign(file)
                    return file
            except OSError as error:
                holder = _holder(os.pread(file, 200, 0))
                os.close(file)
                if error.errno in HELD and (looks := looks + 1) < LOOKS:
                    time.sleep(LOOK_S)
                    continue
                if error.errno not in HELD:
                    raise BankError(f"{self._path} cannot be locked: {error.strerror}") from error
                raise BankError(
                    f"{self._database} is being written by {holder}: open it for reading only or"
                    " close it there"
                ) from error
            os.close(file)

    def _share(self, file: int):
        """Let those read who is writing that may read the memory file."""
        try:
            mode = self._database.stat().st_mode & 0o666 | PRIVATE
        except OSError:
            mode = self._mode  # it is to be made
        set_mode(file, mode)


def lock_path(path: Path) -> Path:
    """Where the lock file of a memory file lies."""
    return Path(f"{path}-lock")


def may_be_written(path: Path) -> bool:
    """Whether some process may be writing a memory file; True if that cannot be told from here.

    What the lock file says is not trusted where the lock can be asked: a process that was killed
    leaves it, its number may be another one's by now, and it may be a copy from another machine.
    """
    try:
        file = os.open(lock_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # for a moment
        return False
    except OSError as error:
        if error.errno in HELD:
            return True
        pid, host, _ = _signature(os.pread(file, 200, 0))  # a file system without such locks
        return host != socket.gethostname() or _lives(pid)
    finally:
        os.close(file)


def _is_open(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except OSError:
        return False


def _sign(file: int):
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    signature = f"{os.getpid()} {socket.gethostname()} {since}\n"
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, signature.encode(), 0)
    except OSError:
        pass  # on a full disk the lock holds all the same, without a name


def _signature(text: bytes) -> tuple[int | None, str, str]:
    """(process id, host, time) of who holds the lock, empty where not known; earlier releases wrote
    the id alone.
    """
    pid, host, since, *_ = *text.decode(errors="replace").split(), "", "", ""
    return int(pid) if pid.isdecimal() else None, host, since


def _holder(text: bytes) -> str:
    pid, host, since = _signature(text)
    if pid is None:
        return "another process"
    facts = [f"since {since}"] if since else []
    if host and host != socket.gethostname():
        facts = [*facts, "from here nobody can tell whether it still runs"]
        return f"process {pid} on {host} ({', '.join(facts)})"
    # A child that was forked has the lock as well; in a container, processes have other numbers.
    if not _lives(pid):
        facts.append(
            "which has ended: one that it started, or one in a container, still has the file open"
        )
    return f"process {pid} ({', '.join(facts)})" if facts else f"process {pid}"


def _lives(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True
