"""How a memory file is opened: made, brought up to date, or refused."""

import os
import shutil
import sqlite3
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank.file.journal import ask_alone, belongs, connect, delete, journals, log_path
from gaussvae_ros.bank.file.lock import may_be_written
from gaussvae_ros.bank.file.reasons import UPDATE
from gaussvae_ros.bank.file.schema import migrate, migrations, refuse_newer, too_old
from gaussvae_ros.bank.search import texts
from gaussvae_ros.errors import BankError
from gaussvae_ros.files import PRIVATE, make_file

APPLICATION_ID = (
    0x47535642  # "GSVB", in every memory file's header: any other SQLite file is refused
)
# Measured, records of 515 bytes with pose and descriptor, ten frames a second: pages of 2048 take
# 824 bytes a frame and 3.9 KB of writes, 4096 take 779 and 6.2, 8192 take 762 and 10.4.
PAGE_SIZE = 4096
NO_JOURNAL = (
    "its file system has no memory that processes share, or no locks, as some network shares:"
    " put it on a local disk"
)
_REFUSALS = ("SQLITE_IOERR_SHM", "SQLITE_IOERR_LOCK", "SQLITE_PROTOCOL")  # of the journal's index
# Ends of names, of files that belong to another one.
BESIDE = ("-journal", "-wal", "-shm", "-lock", ".partial")


def checked_path(path: str | Path, readonly: bool) -> Path:
    """The absolute path of a memory file, if there is or can be one."""
    try:
        path = Path(path).resolve()
        _check_kind(path)
        if readonly and not path.exists():
            raise BankError(f"{path} does not exist")
        if not path.parent.is_dir():
            raise BankError(f"{path} cannot be made: its folder does not exist")
        if not path.exists() and path.name.endswith(BESIDE):
            raise BankError(
                f"{path} cannot be made: {', '.join(BESIDE)} end the names of what lies beside"
                " memory files"
            )
        return path
    except OSError as error:
        raise BankError(f"{path} cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a zero byte in the name
        raise BankError(f"{str(path)!r} cannot be opened: {error}") from error


def open_file(path: Path, readonly: bool, mode: int = PRIVATE) -> Database:
    """Open a memory file of the current schema; a writer creates a missing one, of this mode, and
    migrates an older one.

    Raises:
        BankError: foreign, newer, not a database, without the journal that it needs or beside one
            of another file, or in a place that does not allow it. A file that could not be made is
            not left behind.
    """
    _check_kind(path)
    db, new = None, not readonly and not path.exists()
    try:
        if new:
            for journal in journals(path):  # of a file that is gone
                journal.unlink(missing_ok=True)
            make_file(path, mode)  # SQLite gives its journals the mode of the file
        elif not (readonly and may_be_written(path)):  # its writer has looked
            check_journal(path)
        db = _connect(path, readonly)
        if _pragma(db, "application_id") != APPLICATION_ID:
            if readonly or not _is_begun(db):
                raise BankError(f"{path} is not a memory file of gaussvae_ros")
            _start_file(db)
        refuse_newer(db, path)
        if not readonly:
            texts.check_module(db, path)
        if readonly:
            if too_old(db):
                raise BankError(f"{path} has an older schema: {UPDATE}")
            return db
        if not migrations.applied(db):
            # Before there is a log, so that a copy of the file alone has all tables.
            migrate(db)
        db.enable_wal()
        if _pragma(db, "journal_mode") != "wal":
            raise BankError(f"{path} cannot be opened: {NO_JOURNAL}")
        # NORMAL would sync only at checkpoints: a power cut could take minutes of frames instead of
        # the last second.
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA cache_spill=OFF")  # the disk is asked for space by commits only
        if migrations.pending(db):
            migrate(db)
        return db
    except BaseException as error:
        if db is not None:
            db.close()
        if new:
            delete(path)
        # The latter two: damage in the schema itself.
        if isinstance(error, (sqlite3.Error, UnicodeError, LookupError)):
            raise BankError(f"{path} cannot be opened: {why(path, readonly, error)}") from error
        if isinstance(error, OSError):
            raise BankError(f"{path} cannot be opened: {error.strerror}") from error
        raise


def _check_kind(path: Path):
    """Refuse what is no file; to open a pipe would wait for whoever writes to it."""
    if path.is_dir():
        raise BankError(f"{path} is a folder, not a memory file")
    if path.exists() and not path.is_file():
        raise BankError(f"{path} is a device or a pipe, not a memory file")


def check_journal(path: Path):
    """Refuse a database that lies beside the journal of another one, or without its own and so
    empty.
    """
    if not belongs(path):
        raise BankError(
            f"{log_path(path)} is not the journal of {path}: one of them was replaced, or they were"
            " copied at different times. Put back the one that belongs here, or move"
            f" {log_path(path).name} away to open the file without"
        )
    if (
        not log_path(path).exists()
        and ask_alone(path, "PRAGMA application_id") == APPLICATION_ID
        and ask_alone(path, "SELECT count(*) = 0 FROM sqlite_master")
        and path.read_bytes()[18:20] == b"\2\2"  # has had a journal
    ):
        raise BankError(
            f"{path} is a copy of a memory that was being written, without {log_path(path).name},"
            " in which all frames are: copy both, or make the copy with gaussvae bank backup"
        )


def why(path: Path, readonly: bool, error: Exception) -> str:
    """What an error means that SQLite, or what reads its tables, raises for a file."""
    if not isinstance(error, sqlite3.Error) or "decode" in str(error):
        return "it is damaged where its tables are described"
    if "disk I/O" in str(error) and _is_full(path):
        return "the disk is full"
    if getattr(error, "sqlite_errorname", "").startswith(_REFUSALS):  # from Python 3.11 on
        return NO_JOURNAL
    if "unable to open" not in str(error):
        return str(error)
    if not os.access(path, os.R_OK if readonly else os.W_OK) and path.exists():
        return "permission denied"
    return (
        str(error) if os.access(path.parent, os.W_OK) else f"its folder cannot be written ({error})"
    )


def _is_full(path: Path) -> bool:
    return shutil.disk_usage(path.parent).free < 65536  # the log's index takes 32 KiB


def _connect(path: Path, readonly: bool) -> Database:
    if not readonly:
        return connect(path, "mode=rwc")
    db = connect(path, "mode=ro")
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        db.close()
        # A WAL file needs a folder where its index can be made. On a medium that cannot be written,
        # or is full, SQLite may read the file as it lies, if no unmerged log belongs to it and
        # nobody writes.
        log = log_path(path)
        unmerged = log.exists() and log.stat().st_size
        writable = os.access(path.parent, os.W_OK) and not _is_full(path)
        if (
            unmerged
            or writable
            or may_be_written(path)
            or not isinstance(error, sqlite3.OperationalError)
        ):
            raise
        for journal in journals(path) if os.access(path.parent, os.W_OK) else ():
            journal.unlink(missing_ok=True)  # empty, made just now
        db = connect(path, "immutable=1")
    return db


def _is_begun(db: Database) -> bool:
    """Whether a file is empty, or was left by a process that was killed while it made it."""
    if not _pragma(db, "page_count"):
        return True
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return not tables and _pragma(db, "auto_vacuum") == 2 and not _pragma(db, "application_id")


def _start_file(db: Database):
    # The first two only take effect before the first table; the third writes the first page.
    db.execute(f"PRAGMA page_size={PAGE_SIZE}")
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _pragma(db: Database, name: str) -> int:
    return db.execute(f"PRAGMA {name}").fetchone()[0]
