"""Vectors that encoders of images made of frames, under the encoder's name, to be compared with
vectors of texts or other images.

A vector is kept as one byte a number, scaled by its largest; only its direction counts.
"""

import json
from collections.abc import Iterable, Iterator

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.frame import checked_text
from gaussvae_ros.errors import BankError

LONGEST = 8192  # numbers of a vector
BLOCK = 4096  # vectors that are compared at once
_OF = "FROM vectors v JOIN encoders e ON e.id = v.encoder WHERE e.name = ?"

Statement = tuple[str, tuple]


def create(db: Database) -> None:
    """The tables of encoders and their vectors."""
    db.execute("CREATE TABLE encoders (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
    db.execute("""
        CREATE TABLE vectors (
            id INTEGER PRIMARY KEY,
            frame INTEGER NOT NULL REFERENCES frames(id) ON DELETE CASCADE,
            encoder INTEGER NOT NULL REFERENCES encoders(id) ON DELETE CASCADE,
            vector BLOB NOT NULL,
            UNIQUE (frame, encoder)
        )
    """)


def statements(frame_id: int, encoder: str, vector: np.ndarray) -> list[Statement]:
    """What gives a frame its vector by an encoder, in the place of one that is there."""
    name = checked_text("name of an encoder", encoder)
    return [
        ("INSERT OR IGNORE INTO encoders (name) VALUES (?)", (name,)),
        (
            "INSERT INTO vectors (frame, encoder, vector)"
            " SELECT ?, id, ? FROM encoders WHERE name = ?"
            " ON CONFLICT (frame, encoder) DO UPDATE SET vector = excluded.vector",
            (frame_id, _packed(vector), name),
        ),
    ]


def drop_statement(frame_id: int) -> Statement:
    """What takes a frame's vectors away."""
    return "DELETE FROM vectors WHERE frame = ?", (frame_id,)


def of_frame(db: Database, frame_id: int) -> dict[str, np.ndarray]:
    """The vectors of a frame, float32 [N] of length 1, by the name of their encoder."""
    sql = "SELECT e.name, v.vector FROM vectors v JOIN encoders e ON e.id = v.encoder"
    rows = db.execute(f"{sql} WHERE v.frame = ?", [frame_id]).fetchall()
    return {name: _units([data], len(data))[0] for name, data in rows}


def encoders(db: Database) -> dict[str, int]:
    """How many frames have a vector by which encoder."""
    sql = "SELECT e.name, count(*) FROM vectors v JOIN encoders e ON e.id = v.encoder GROUP BY 1"
    return dict(db.execute(sql).fetchall())


def lengths(db: Database, encoder: str) -> list[int]:
    """How many numbers the vectors by an encoder have."""
    sql = f"SELECT DISTINCT length(v.vector) {_OF} ORDER BY 1"
    return [length for (length,) in db.execute(sql, [encoder]).fetchall()]


def ranked(
    db: Database, encoder: str, vector: np.ndarray, among: Iterable[int] | None
) -> Iterator[tuple[int, float]]:
    """(frame id, cosine) of the frames, or of those in `among`, whose vectors are most like one,
    best first, then by id.
    """
    query = _units([_packed(vector)], len(vector))[0]
    sql, values = f"SELECT v.frame, v.vector {_OF} AND length(v.vector) = ?", [encoder, len(query)]
    if among is not None:
        sql += " AND v.frame IN (SELECT value FROM json_each(?))"
        values.append(json.dumps(list(among)))
    ids, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    rows = db.execute(sql, values)
    while block := rows.fetchmany(BLOCK):
        ids.append(np.array([frame_id for frame_id, _ in block], np.int64))
        scores.append(_units([data for _, data in block], len(query)) @ query)
    ids, scores = np.concatenate(ids), np.concatenate(scores)
    for at in np.lexsort((ids, -scores)):
        yield int(ids[at]), float(scores[at])


def _packed(vector: np.ndarray) -> bytes:
    """A vector as one byte a number."""
    try:
        with np.errstate(over="ignore"):
            values = np.asarray(vector, np.float32)
    except (TypeError, ValueError) as error:
        raise BankError(f"a vector has 1 to {LONGEST} finite numbers: {error}") from error
    if values.ndim != 1 or not 1 <= len(values) <= LONGEST or not np.isfinite(values).all():
        raise BankError(f"a vector has 1 to {LONGEST} finite numbers, not {values.shape}")
    if not (largest := np.abs(values).max()):
        raise BankError("a vector that is all 0 points nowhere")
    return np.rint(values * (127 / largest)).astype(np.int8).tobytes()


def _units(packed: list[bytes], length: int) -> np.ndarray:
    """Vectors of length 1, float32 [M, N]."""
    rows = np.frombuffer(b"".join(packed), np.int8).reshape(-1, length).astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
