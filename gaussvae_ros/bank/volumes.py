"""Volumes in a memory file: what a mapper made of a place, with stamp, session and pose.

The record says how large the grid is and where it lies in its own coordinates, the pose where those
are. A row has the box around it along the axes of the pose's coordinate frame, so that questions
read no record.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from itertools import product

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.frame import Pose, checked_int
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.poses import rotate
from gaussvae_ros.volume_record import open_envelope

SPREAD = 0.1  # of its sides: so much farther than a later volume one may reach that it covers
_BOX = tuple(f"{end}_{axis}" for axis in "xyz" for end in ("min", "max"))
_FACTS = ("id", "stamp_ns", "session", "x", "y", "z", "qx", "qy", "qz", "qw", "reference")
ADD = f"INSERT INTO volumes VALUES ({', '.join('?' * (len(_FACTS) + len(_BOX) + 2))})"
REMOVE = "DELETE FROM volumes WHERE id = ?"
_COVERS = " AND ".join(
    f"n.min_{axis} - {SPREAD} * (n.max_{axis} - n.min_{axis}) <= v.min_{axis}"
    f" AND n.max_{axis} + {SPREAD} * (n.max_{axis} - n.min_{axis}) >= v.max_{axis}"
    for axis in "xyz"
)
COVERED = f"""
    SELECT v.id, v.session, v.stamp_ns FROM volumes v JOIN sessions s ON s.id = v.session
    WHERE EXISTS (
        SELECT 1 FROM volumes n JOIN sessions t ON t.id = n.session
        WHERE n.id > v.id AND n.reference = v.reference AND {_COVERS}
            AND (n.session = v.session OR (t.map_id != '' AND t.map_id = s.map_id))
    ) ORDER BY v.id
"""

REPLACED = f"""
    DELETE FROM volumes WHERE id IN (
        SELECT v.id FROM volumes v, volumes n
        WHERE n.id = ? AND v.id < n.id AND v.session = n.session AND v.reference = n.reference
            AND {_COVERS}
    )
"""


@dataclass(frozen=True)
class Volume:
    """A stored volume: `data` is what `VolumeCodec.decode` takes, and `pose` where the coordinates
    of its grid are.
    """

    id: int
    stamp_ns: int
    session: int
    pose: Pose
    data: bytes
    map_id: str = ""  # the map that the poses of its session are in; empty where not known


class DamagedVolume(BankError):
    """A volume that cannot be read."""


def create(db: Database) -> None:
    """The table of volumes."""
    db.execute(f"""
        CREATE TABLE volumes (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            stamp_ns INTEGER NOT NULL,
            session INTEGER NOT NULL REFERENCES sessions(id),
            x REAL NOT NULL, y REAL NOT NULL, z REAL NOT NULL,
            qx REAL NOT NULL, qy REAL NOT NULL, qz REAL NOT NULL, qw REAL NOT NULL,
            reference TEXT NOT NULL,
            {" ".join(f"{side} REAL NOT NULL," for side in _BOX)}
            checksum INTEGER NOT NULL,
            record BLOB NOT NULL
        )
    """)


def has_volumes(db: Database) -> bool:
    """Whether the file has that table, which those of earlier releases lack."""
    sql = "SELECT 1 FROM sqlite_master WHERE name = 'volumes'"
    return db.execute(sql).fetchone() is not None


def row(number: int, stamp_ns: int, session: int, pose: Pose, data: bytes) -> tuple:
    """The row of a volume. Raises RecordError: `data` is no whole record of a volume."""
    if not isinstance(pose, Pose):
        raise BankError(f"a pose is a Pose, not {type(pose).__name__}")
    box = _box(pose, data)
    facts = number, checked_int("stamp_ns", stamp_ns), session
    at = (value + 0.0 for value in (*pose.position, *pose.orientation))  # SQLite has no -0
    facts = *facts, *at, pose.reference
    return *facts, *box, _checksum(facts, data), data


def read(db: Database, number: int) -> Volume | None:
    """A volume by its id, None if there is none.

    Raises:
        DamagedVolume: it is there and cannot be read.
    """
    if not has_volumes(db):
        return None
    facts = ", ".join(f"v.{name}" for name in _FACTS)
    sql = f"""
        SELECT {facts}, v.checksum, v.record, s.map_id
        FROM volumes v LEFT JOIN sessions s ON s.id = v.session WHERE v.id = ?
    """
    try:
        found = db.execute(sql, [number]).fetchone()
        if found is None:
            return None
        *facts, checksum, data, map_id = found
        if not isinstance(data, bytes) or _checksum(facts, data) != checksum:
            raise DamagedVolume(f"volume {number} is damaged: its checksum does not match")
        return Volume(*facts[:3], Pose(*facts[3:]), data, map_id or "")
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        raise DamagedVolume(f"volume {number} is damaged: {error}") from error


def ids(db: Database) -> list[int]:
    """All of them."""
    if not has_volumes(db):
        return []
    return [number for (number,) in db.execute("SELECT id FROM volumes ORDER BY id").fetchall()]


def references(db: Database) -> list[str]:
    """The coordinate frames that poses of volumes are in."""
    if not has_volumes(db):
        return []
    sql = "SELECT DISTINCT reference FROM volumes ORDER BY reference"
    return [name for (name,) in db.execute(sql).fetchall()]


def totals(db: Database) -> tuple[int, int]:
    """How many volumes there are, and the bytes of their records."""
    if not has_volumes(db):
        return 0, 0
    return db.execute("SELECT count(*), coalesce(sum(length(record)), 0) FROM volumes").fetchone()


def damages(db: Database) -> dict[int, str]:
    """The volumes that cannot be read, and why."""
    found = {}
    for number in ids(db):
        try:
            if (volume := read(db, number)) is not None:
                _box(volume.pose, volume.data)
        except DamagedVolume as error:
            found[number] = str(error)
        except RecordError as error:
            found[number] = f"volume {number} is damaged: {error}"
    return found


def _box(pose: Pose, data: bytes) -> list[float]:
    """How far a volume reaches along each axis of its pose's frame, least and most, m. Raises
    RecordError: `data` is no whole record of a volume.
    """
    envelope, at = open_envelope(data), pose.array
    low = np.array(envelope.origin)
    ends = zip(low, low + envelope.voxel_size * np.array(envelope.shape[::-1]))
    corners = at[:3] + rotate(at[3:], np.array(list(product(*ends))))
    return np.stack([corners.min(0), corners.max(0)], 1).ravel().tolist()


def _checksum(facts: tuple, data: bytes) -> int:
    """BLAKE2b, 32 bits, of a row: it ties the record to its id, stamp, session and pose."""
    about = " ".join(map(str, facts)) + "\n"
    return int.from_bytes(hashlib.blake2b(about.encode() + data, digest_size=4).digest(), "little")
