"""Reading the rows of a damaged table past what cannot be read."""

import sqlite3
from collections.abc import Iterator

from sqlite_utils import Database

from gaussvae_ros.bank.frame import INT64

PIECE = 256  # rows that are read at once
MISSED = 16  # such pieces in which no row is found one by one, before a larger step is taken
DOUBTED = 10**5  # by which two counts of the same may differ; else the smaller one is believed
FARTHEST = 2**40  # the number of a row at most, where nothing says how many there are
_DAMAGE = (sqlite3.DatabaseError, UnicodeError)


def tables(db: Database) -> list[str]:
    """The tables that rows are kept in, those that others refer to first; what SQLite and its
    indexes keep for themselves is left out.
    """
    hidden = "name LIKE 'sqlite_%' OR name LIKE '\\_sqlite\\_%' ESCAPE '\\'"
    sql = f"SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT ({hidden})"
    names = {name for (name,) in db.execute(sql).fetchall()}
    made = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    return [name for (name,) in made.fetchall() if name in names]


def columns(db: Database, table: str) -> list[str]:
    """The names of a table's columns."""
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})").fetchall()]


def rows(db: Database, table: str, names: list[str]) -> Iterator[tuple]:
    """The rows of a table that can be read, these columns of each; None for a value that cannot."""
    try:
        db.execute(f"SELECT rowid FROM {table} LIMIT 0")
    except _DAMAGE:  # it has no numbers to go on by after damage
        yield from _until_damage(db, f"SELECT {', '.join(names)} FROM {table}")
        return
    at, last, missed = -INT64, last_number(db, table), 0
    while True:
        found = _piece(db, table, names, at)
        if found == [] or (found is None and at > last):
            return
        if found is None:
            at = max(at, _first(db, table))
            numbers = range(at, at + PIECE)
            found = [row for number in numbers if (row := _one(db, table, names, number))]
            at, missed = at + PIECE, 0 if found else missed + 1
            if missed == MISSED:
                at, missed = _beyond(db, table, at, last), 0
        else:
            at = found[-1][0] + 1
        yield from (row[1:] for row in found)


def _piece(db: Database, table: str, names: list[str], at: int) -> list[tuple] | None:
    """The next rows from a number on, with their numbers; None where there is damage."""
    sql = f"SELECT rowid, {', '.join(names)} FROM {table} NOT INDEXED WHERE rowid >= ?"
    try:
        found = db.execute(f"{sql} ORDER BY rowid LIMIT {PIECE}", [at]).fetchall()
    except _DAMAGE:
        return None
    numbers = [row[0] for row in found]
    in_order = numbers == sorted(set(numbers)) and (not numbers or numbers[0] >= at)
    return found if in_order else None


def _one(db: Database, table: str, names: list[str], number: int) -> tuple | None:
    """The row with a number, after that; None if there is none."""
    sql = f"SELECT {{}} FROM {table} NOT INDEXED WHERE rowid = ?"
    row = _ask(db, sql.format("rowid, " + ", ".join(names)), number)
    if row is None and _ask(db, sql.format("rowid"), number) == (number,):
        values = (_ask(db, sql.format(name), number) for name in names)
        row = number, *((value or (None,))[0] for value in values)
    return row if row and row[0] == number else None


def _beyond(db: Database, table: str, at: int, last: int) -> int:
    """A number after `at`, about the first from which on rows can be read again."""
    step = PIECE
    while (there := at + step) <= last and not _is_sound(db, table, there):
        step *= 2
    if there > last:
        return there
    lost = at + step // 2
    while there - lost > 1:
        middle = (lost + there) // 2
        lost, there = (lost, middle) if _is_sound(db, table, middle) else (middle, there)
    return there


def _is_sound(db: Database, table: str, at: int) -> bool:
    return _ask(db, f"SELECT rowid FROM {table} WHERE rowid >= ? LIMIT 1", at) is not None


def _until_damage(db: Database, select: str) -> Iterator[tuple]:
    try:
        yield from db.execute(select)
    except _DAMAGE:
        return


def _first(db: Database, table: str) -> int:
    """Where to begin to look for rows, if the first cannot be read."""
    first = _ask(db, f"SELECT min(rowid) FROM {table}")
    return (
        first[0] if first and isinstance(first[0], int) and -FARTHEST < first[0] < 1 else 1 - PIECE
    )


def last_number(db: Database, table: str) -> int:
    """The number beyond which no row is looked for where there is damage."""
    asked = (
        _ask(db, f"SELECT max(rowid) FROM {table}"),
        _ask(db, "SELECT max(seq) FROM sqlite_sequence"),
    )
    numbers = sorted(row[0] for row in asked if row and isinstance(row[0], int))
    if not numbers:
        return FARTHEST
    return numbers[-1] if numbers[-1] < numbers[0] + DOUBTED else numbers[0]


def _ask(db: Database, sql: str, *values: int) -> tuple | None:
    """The first row of an answer; None if there is none, or damage."""
    try:
        return db.execute(sql, values).fetchone()
    except _DAMAGE:
        return None
