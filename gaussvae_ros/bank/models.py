"""The models that a memory file carries for its records: bytes by hash, whatever is in them."""

import logging
import sqlite3
import zlib
from collections.abc import Iterator

from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import has_references
from gaussvae_ros.bank.file.statements import ADD_MODEL, Statement
from gaussvae_ros.bank.frame import name_from_outside
from gaussvae_ros.errors import BankError

_BEGINNINGS = "SELECT substr(record, 1, ?), count(*)"

log = logging.getLogger(__name__)


def model_statement(hash_: bytes, name: str, model: bytes) -> Statement:
    """Keeps a model under the hash that records name it by, in the place of one that is there."""
    for what, value in {"the hash of a model": hash_, "a model": model}.items():
        if not isinstance(value, bytes) or not value:
            raise BankError(f"{what} is made of bytes, at least one, not {value!r}")
    name = name_from_outside("the name of a model", name)
    return ADD_MODEL, (hash_, name, _checksum(hash_, name, model), model)


def hashes(db: Database) -> list[bytes]:
    """What the models of the file are kept under, damaged ones too."""
    return [hash_ for (hash_,) in db.execute("SELECT hash FROM models ORDER BY hash").fetchall()]


def read_model(db: Database, hash_: bytes) -> tuple[str, bytes] | None:
    """The name and the bytes of a model, None if the file does not carry it.

    Raises:
        BankError: it is there and cannot be read.
    """
    named = f"the model {hash_.hex()} is damaged"
    try:
        row = db.execute(
            "SELECT name, checksum, model FROM models WHERE hash = ?", [hash_]
        ).fetchone()
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        raise BankError(f"{named}: {error}") from error
    if row is None:
        return None
    name, checksum, model = row
    sound = isinstance(name, str) and isinstance(model, bytes)
    if not sound or _checksum(hash_, name, model) != checksum:
        raise BankError(f"{named}: its checksum does not match")
    return name, model


def beginnings(db: Database, length: int) -> dict[bytes, int]:
    """How many records begin with which `length` bytes; those that cannot be read are left out."""
    tables = ["records", "kept"] if has_references(db) else ["records"]
    counts: dict[bytes, int] = {}
    for table in tables:
        try:
            found = db.execute(f"{_BEGINNINGS} FROM {table} GROUP BY 1", [length]).fetchall()
        except sqlite3.DatabaseError as error:  # a page is lost: go by the frames, past the damage
            log.warning("some records cannot be read: %s", error)
            found = _beginnings_past_damage(db, table, length)
        for start, count in found:
            if not isinstance(start, bytes):
                log.warning("damaged records are left out, %d of them: see verify", count)
                continue
            counts[start] = counts.get(start, 0) + count
    return counts


def _beginnings_past_damage(db: Database, table: str, length: int) -> Iterator[tuple[bytes, int]]:
    ids = "SELECT id FROM frames" if table == "records" else "SELECT frame FROM kept"
    for (frame_id,) in db.execute(ids).fetchall():
        try:
            sql = f"{_BEGINNINGS} FROM {table} WHERE frame = ?"
            start, count = db.execute(sql, [length, frame_id]).fetchone()
        except sqlite3.DatabaseError:
            continue
        if count:
            yield start, count


def _checksum(hash_: bytes, name: str, model: bytes) -> int:
    """CRC-32 of all of a model's row: a model does not pass under another one's hash."""
    return zlib.crc32(model, zlib.crc32(name.encode(), zlib.crc32(hash_)))
