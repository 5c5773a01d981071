"""Words in a memory file: what was read in its frames, their labels and the names of sessions, all
in one index.

The index is SQLite's FTS5, over a view of the three tables that have the words, whose triggers keep
it. A word is a run of letters and digits, whatever their case and accents.
"""

import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from gaussvae_ros.bank.file.reasons import UPDATE
from gaussvae_ros.bank.frame import NAME_LENGTH, checked_int, checked_text
from gaussvae_ros.errors import BankError

FTS = "fts5"  # the module of SQLite that it takes
MOST = 200  # texts of a frame
_SOURCES = ("texts", "id", "text"), ("labels", "frame", "label"), ("sessions", "id", "name")
_TEXT, _LABEL, _SESSION = range(3)  # which of these, in the last two bits of an entry's number
_MATCHING = "SELECT rowid & 3, rowid >> 2 FROM words WHERE words MATCH ?"

Statement = tuple[str, tuple]


@dataclass(frozen=True)
class Text:
    """A line of text that was read in a frame."""

    text: str
    box: tuple[int, int, int, int]  # (x, y, w, h) px of the camera frame
    confidence: float  # 0 to 1


def create(db: Database) -> None:
    """The table of texts, and the index with what the file has by now."""
    db.execute("""
        CREATE TABLE texts (
            id INTEGER PRIMARY KEY,
            frame INTEGER NOT NULL REFERENCES frames(id) ON DELETE CASCADE,
            text TEXT NOT NULL,
            x INTEGER NOT NULL, y INTEGER NOT NULL, w INTEGER NOT NULL, h INTEGER NOT NULL,
            confidence REAL NOT NULL
        )
    """)
    db.execute("CREATE INDEX texts_by_frame ON texts(frame)")
    entries = (
        f"SELECT {id_} << 2 | {kind} AS entry, {text} AS text FROM {table}"
        for kind, (table, id_, text) in enumerate(_SOURCES)
    )
    db.execute(f"CREATE VIEW entries AS {' UNION ALL '.join(entries)}")
    db.execute(f"""
        CREATE VIRTUAL TABLE words USING {FTS}(text, content='entries', content_rowid='entry',
            tokenize='unicode61 remove_diacritics 2')
    """)
    for kind, (table, id_, text) in enumerate(_SOURCES):
        add = f"INSERT INTO words (rowid, text) VALUES (new.{id_} << 2 | {kind}, new.{text});"
        drop = f"""
            INSERT INTO words (words, rowid, text)
                VALUES ('delete', old.{id_} << 2 | {kind}, old.{text});
        """
        for event, does in (
            ("INSERT", add),
            ("DELETE", drop),
            (f"UPDATE OF {id_}, {text}", drop + add),
        ):
            db.execute(f"""
                CREATE TRIGGER {table}_{event.split()[0].lower()}_words AFTER {event} ON {table}
                BEGIN {does} END
            """)
    db.execute(REBUILD)


REBUILD = "INSERT INTO words (words) VALUES ('rebuild')"  # so that nothing of what was is left


def check_module(db: Database, path: Path) -> None:
    """Raise a BankError where this SQLite cannot keep the index."""
    known = "SELECT 1 FROM pragma_module_list WHERE name = ?"
    if not db.execute(known, [FTS]).fetchone():
        raise BankError(
            f"{path} cannot be written: the SQLite of this Python has no {FTS.upper()}, which"
            " the index of words takes; use a Python whose SQLite has it, as python.org's and"
            " those of Linux distributions do"
        )


def has_texts(db: Database) -> bool:
    """Whether the file has that index, which those of earlier releases lack."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = 'words'"
    return db.execute(sql).fetchone() is not None


def statements(frame_id: int, texts: Iterable[Text]) -> list[Statement]:
    """What replaces the texts of a frame by these."""
    rows = [row for text in texts if (row := _row(frame_id, text))]
    if len(rows) > MOST:
        raise BankError(f"a frame has at most {MOST} texts, not {len(rows)}")
    add = "INSERT INTO texts (frame, text, x, y, w, h, confidence) VALUES (?, ?, ?, ?, ?, ?, ?)"
    return [("DELETE FROM texts WHERE frame = ?", (frame_id,)), *((add, row) for row in rows)]


def of_frame(db: Database, frame_id: int) -> list[Text]:
    """The texts of a frame, as they were given; none in a file that has no such table."""
    if not has_texts(db):
        return []
    sql = "SELECT text, x, y, w, h, confidence FROM texts WHERE frame = ? ORDER BY id"
    rows = db.execute(sql, [frame_id]).fetchall()
    return [Text(text, tuple(box), confidence) for text, *box, confidence in rows]


def count(db: Database) -> int:
    """How many texts the file has."""
    return db.execute("SELECT count(*) FROM texts").fetchone()[0] if has_texts(db) else 0


def frames_with(db: Database, asked: str) -> tuple[list[int], list[int]]:
    """The frames in whose texts, label and session's name all words are, and sessions in whose
    names they are, with all of their frames. `*` after a word stands for any ending.

    Raises:
        BankError: no word is asked for, or the file has no index of words.
    """
    if not has_texts(db):
        _, _, path = db.execute("PRAGMA database_list").fetchone()
        raise BankError(f"{path} has no index of words yet: {UPDATE}")
    words = checked_text("text", asked).split()
    found = [_matches(db, word) for word in words if any(letter.isalnum() for letter in word)]
    if not found:
        raise BankError(f"which words? {asked!r} has no letter and no digit")
    sessions = set.intersection(*(sessions for _, sessions in found))
    some = set().union(*(frames for frames, _ in found))
    session_of = {}
    if any(named for _, named in found):
        sql = "SELECT id, session FROM frames WHERE id IN (SELECT value FROM json_each(?))"
        session_of = dict(db.execute(sql, [json.dumps(list(some))]).fetchall())
    every = (
        frame_id
        for frame_id in some
        if all(frame_id in ids or session_of.get(frame_id) in named for ids, named in found)
    )
    return sorted(every), sorted(sessions)


def damage(db: Database) -> str:
    """What is wrong with the index, empty if it has the words of all that it is of."""
    if not has_texts(db):
        return ""
    try:
        db.execute("CREATE VIRTUAL TABLE temp.indexed USING fts5vocab(main, words, instance)")
        try:
            found = {entry for (entry,) in db.execute("SELECT DISTINCT doc FROM indexed")}
            told = dict(db.execute("SELECT entry, text FROM entries").fetchall())
        finally:
            db.execute("DROP TABLE temp.indexed")
    except (sqlite3.DatabaseError, UnicodeError) as error:
        return f"the index of words is damaged: {error}"
    # Python may know letters that SQLite does not, so only those count that both surely do.
    words = {k for k, text in told.items() if any(c.isascii() and c.isalnum() for c in text)}
    if found - told.keys() or words - found:
        return "the index of words does not go with the texts, labels and names in the file"
    return ""


def _matches(db: Database, word: str) -> tuple[set[int], set[int]]:
    """The frames, and the sessions, that have a word in what is told of them."""
    ending = "*" if word.endswith("*") else ""
    quoted = '"' + word.removesuffix("*").replace('"', '""') + f'"{ending}'
    kinds = {_TEXT: set(), _LABEL: set(), _SESSION: set()}
    for kind, number in db.execute(_MATCHING, [quoted]).fetchall():
        kinds[kind].add(number)
    sql = "SELECT frame FROM texts WHERE id IN (SELECT value FROM json_each(?))"
    read = {frame for (frame,) in db.execute(sql, [json.dumps(list(kinds[_TEXT]))]).fetchall()}
    return read | kinds[_LABEL], kinds[_SESSION]


def _row(frame_id: int, text: Text) -> tuple | None:
    """A row of the table; None for a text without any letter."""
    if not isinstance(text, Text):
        raise BankError(f"a text is a Text, not {type(text).__name__}")
    if not isinstance(text.text, str):
        raise BankError(f"what was read is text, not {text.text!r}")
    line = "".join(letter if letter.isprintable() else " " for letter in text.text)
    line = " ".join(line.split())[:NAME_LENGTH]
    try:
        box, sure = list(text.box), float(text.confidence)
    except (TypeError, ValueError):
        box, sure = [], math.nan
    box = [checked_int("box of a text", value) for value in box]
    if len(box) != 4 or min(box[2:]) < 1 or not (math.isfinite(sure) and 0 <= sure <= 1):
        raise BankError(f"a text has a box (x, y, w, h) px and a confidence of 0 to 1, not {text}")
    return (frame_id, line, *box, sure) if line else None
