"""What SQLite does to its files in this process, in order: every write, cut, sync and deletion.

A virtual file system (https://sqlite.org/vfs.html) is laid over SQLite's own one with ctypes. It
passes everything on and keeps what changes files; what readers share in memory (-shm) is no part of
a disk and not kept.
"""

import _sqlite3
import ctypes
import threading
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path

from gaussvae_ros.errors import GaussVaeError

NAME = b"gaussvae_log"


class _Methods(Structure):
    """sqlite3_io_methods, version 3."""

    _fields_ = [
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read", "write", "cut", "sync")),
        ("others", c_void_p * 13),
    ]


class _File(Structure):
    """sqlite3_file; what follows belongs to the file system below."""

    _fields_ = [("methods", POINTER(_Methods))]


class _System(Structure):
    """sqlite3_vfs, version 3."""

    _fields_ = [
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        ("others", c_void_p * 13),
    ]


# Names are passed on by address, since parameters lie behind their end.
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(_File), c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_CUT = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


@dataclass(frozen=True)
class Change:
    """One thing that was done: `what` is open, write, cut, sync, delete or mark.

    `at` is the offset of a write, the size after a cut, or the number of a mark.
    """

    what: str
    path: str = ""
    at: int = 0
    data: bytes = b""


class DiskLog:
    """Keeps the changes to all databases that are opened from now on; close it after them.

    Raises:
        GaussVaeError: Python's SQLite is built in such a way that it cannot be reached.
    """

    def __init__(self):
        self.changes: list[Change] = []
        self._lock = threading.Lock()
        try:
            self._library = ctypes.CDLL(_sqlite3.__file__)
            find = self._library.sqlite3_vfs_find
        except (AttributeError, OSError) as error:
            raise GaussVaeError(f"SQLite's file system cannot be reached: {error}") from error
        find.restype = POINTER(_System)
        self._below = find(None)
        self._paths: dict[int, str] = {}  # of the open files, by address
        self._tables: dict[int, tuple] = {}  # of methods, by the address of those below
        self._open_below = _OPEN(self._below.contents.open)
        self._delete_below = _DELETE(self._below.contents.delete)
        self._system = _System.from_buffer_copy(self._below.contents)
        self._system.name = NAME
        self._callbacks = _OPEN(self._open), _DELETE(self._delete)
        self._system.open, self._system.delete = (
            ctypes.cast(callback, c_void_p) for callback in self._callbacks
        )
        self._library.sqlite3_vfs_register(ctypes.byref(self._system), 1)

    def __enter__(self) -> "DiskLog":
        return self

    def __exit__(self, *_):
        self._library.sqlite3_vfs_register(self._below, 1)
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._system))

    def mark(self, number: int):
        """Note that something was promised."""
        self._keep(Change("mark", at=number))

    # Inside

    def _keep(self, change: Change):
        with self._lock:
            self.changes.append(change)

    def _open(self, system, name, file, flags, given) -> int:
        path = ctypes.string_at(name).decode() if name else ""  # empty: of a temporary file
        is_new = not Path(path).exists()
        failed = self._open_below(system, name, file, flags, given)
        if path and not failed:
            self._paths[ctypes.addressof(file.contents)] = path
            file.contents.methods = self._methods(file.contents.methods)
            if is_new:
                self._keep(Change("open", path))
        return failed

    def _delete(self, system, name, sync) -> int:
        failed = self._delete_below(system, name, sync)
        if not failed:
            self._keep(Change("delete", ctypes.string_at(name).decode(), sync))
        return failed

    def _methods(self, below):
        """Methods that keep what they do, and do it with those below."""
        address = ctypes.addressof(below.contents)
        if address not in self._tables:
            table = _Methods.from_buffer_copy(below.contents)
            do_close, do_write = _CLOSE(table.close), _WRITE(table.write)
            do_cut, do_sync = _CUT(table.cut), _SYNC(table.sync)

            def close(file):
                self._paths.pop(file, None)
                return do_close(file)

            def write(file, data, size, at):
                self._keep(Change("write", self._paths[file], at, ctypes.string_at(data, size)))
                return do_write(file, data, size, at)

            def cut(file, size):
                self._keep(Change("cut", self._paths[file], size))
                return do_cut(file, size)

            def sync(file, how):
                failed = do_sync(file, how)
                self._keep(Change("sync", self._paths[file]))
                return failed

            callbacks = _CLOSE(close), _WRITE(write), _CUT(cut), _SYNC(sync)
            table.close, table.write, table.cut, table.sync = (
                ctypes.cast(callback, c_void_p) for callback in callbacks
            )
            self._tables[address] = table, callbacks
        return ctypes.pointer(self._tables[address][0])
