"""Frames by the thousand, with all that belongs to them: what takes a memory elsewhere reads it.

Ids are looked at in pieces of `PIECE`. A piece has digests, one for each kind of what may change
later, so that who took it elsewhere knows what to take again.
"""

import hashlib
import logging
import marshal
import math
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import POSE, TALLY, has_corrections, has_references, placed
from gaussvae_ros.bank.frame import FARTHEST, ROUNDING, Pose, checked_int, row_checksum
from gaussvae_ros.bank.likeness.packing import unpacked
from gaussvae_ros.bank.reading import Reader
from gaussvae_ros.bank.references import DamagedReference, References
from gaussvae_ros.bank.search.texts import has_texts
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import PREDICTED

PIECE = 8192  # ids
KINDS = ("facts", "records", "descriptors")  # of what may change: pose, label, texts, vectors first

_TABLES = """
    FROM frames f LEFT JOIN labels l ON l.frame = f.id LEFT JOIN poses p ON p.frame = f.id {moved}
        {original} LEFT JOIN descriptors d ON d.frame = f.id {more}
    WHERE f.id BETWEEN ? AND ? ORDER BY f.id
"""
_ROWS = """
    SELECT f.id, f.stamp_ns, f.camera, f.session, f.width, f.height, f.tier, f.checksum, r.record,
        {reference}, l.label, d.checksum, d.descriptor, {pose}, {first}
"""
_RECORDS = "LEFT JOIN records r ON r.frame = f.id"
_TEXTS = """
    SELECT frame, text, x, y, w, h, confidence FROM texts WHERE frame BETWEEN ? AND ? ORDER BY id
"""
_VECTORS = """
    SELECT v.frame, e.name, v.vector FROM vectors v JOIN encoders e ON e.id = v.encoder
    WHERE v.frame BETWEEN ? AND ? ORDER BY 1, 2
"""

_WITHIN = "FROM {} WHERE frame BETWEEN ? AND ? ORDER BY frame"

log = logging.getLogger(__name__)


class Whole(NamedTuple):
    """A frame with all that belongs to it; poses are (x, y, z, qx, qy, qz, qw, reference)."""

    id: int
    stamp_ns: int
    camera: str
    session: int
    size: tuple[int, int]  # (w, h) px
    tier: str
    frame_id: str
    label: str | None
    pose: tuple | None
    original: tuple | None  # the first pose, where another one holds now
    texts: list[tuple]  # (text, x, y, w, h, confidence)
    vectors: list[tuple[str, bytes]]  # by encoder, a byte a number
    reference: int | None  # the frame whose record this one needs
    needed: tuple[bytes, ...]  # the records that `data` needs, each before those that need it
    data: bytes
    descriptor: bytes | None


class Bulk(Reader):
    """The frames of a `MemoryBank` by the thousand, to which it adds the rest."""

    def last_id(self) -> int:
        """The highest id of a frame, 0 if there is none."""
        with self._use():
            return self._db.execute("SELECT coalesce(max(id), 0) FROM frames").fetchone()[0]

    def count(self, first: int, last: int) -> int:
        """How many frames have ids from `first` to `last`."""
        sql = "SELECT count(*) FROM frames WHERE id BETWEEN ? AND ?"
        with self._use():
            return self._db.execute(sql, [first, last]).fetchone()[0]

    def whole(self, first: int, last: int) -> list[Whole]:
        """All frames with ids from `first` to `last`, in their order, as of one moment. Damaged
        ones are left out with a warning.
        """
        first, last = checked_int("first id", first), checked_int("last id", last)
        with self._use_at_once():
            return list(_read(self._db, self.path, first, last))

    def whole_sessions(self) -> list[dict]:
        """All sessions with their names, maps, tallies and cameras, in the order of their ids."""
        with self._use_at_once():
            maps = "map_id" if has_corrections(self._db) else "''"
            sql = f"SELECT id, name, start_ns, {maps}, {', '.join(TALLY)} FROM sessions ORDER BY 1"
            names = ("session", "name", "start_ns", "map_id", *TALLY)
            found = {
                row[0]: dict(zip(names, row)) | {"cameras": []} for row in self._db.execute(sql)
            }
            sql = "SELECT session, camera, frame_id, calibration FROM cameras ORDER BY 1, 2"
            for session, *camera in self._db.execute(sql):
                named = dict(zip(("camera", "frame_id", "calibration"), camera))
                found.get(session, {"cameras": []})["cameras"].append(named)
            return list(found.values())

    def digests(self, first: int, last: int) -> tuple[str, str, str]:
        """What the frames with these ids are like, as a digest for each of `KINDS`: another one
        once a frame came, was removed, or has something else of that kind.
        """
        first, last = checked_int("first id", first), checked_int("last id", last)
        with self._use_at_once():
            return _digests(self._db, first, last)


def _sql(db: Database, select: str, more: str = "") -> str:
    moved, pose = placed(db)
    corrected = has_corrections(db)
    first = [f"o.{column}" if corrected else "NULL" for column in POSE]
    original = "LEFT JOIN original_poses o ON o.frame = f.id" if corrected else ""
    reference = "f.reference" if has_references(db) else "NULL"
    select = select.format(
        pose=", ".join(pose.values()), first=", ".join(first), reference=reference
    )
    return select + _TABLES.format(moved=moved, original=original, more=more)


def _read(db: Database, path: object, first: int, last: int) -> Iterator[Whole]:
    try:
        rows = db.execute(_sql(db, _ROWS, _RECORDS), [first, last]).fetchall()
        texts, vectors = _lists(db, first, last)
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        if first == last:  # all others are read past the damage
            log.warning("%s: frame %d is damaged: %s", path, first, error)
            return
        middle = (first + last) // 2
        yield from _read(db, path, first, middle)
        yield from _read(db, path, middle + 1, last)
        return
    cameras = db.execute("SELECT session, camera, frame_id FROM cameras").fetchall()
    frame_ids = {(session, camera): frame_id for session, camera, frame_id in cameras}
    references = References(db)
    for row in rows:
        facts, checksum, data, reference, label = row[:7], *row[7:11]
        number = facts[0]
        try:
            if not isinstance(data, bytes) or row_checksum(*facts, data) != checksum:
                raise BankError(f"frame {number} is damaged: its checksum does not match")
            needed = ()
            if facts[6] == PREDICTED:
                needed = references.checked(reference, data)
            data = references.seen(number, data, needed)
            poses = [None if pose[0] is None else pose for pose in (row[13:21], row[21:29])]
            if poses[0] is not None and not _is_pose(poses[0]):
                _check_pose(number, poses[0])
        except DamagedReference as error:
            log.warning("%s: frame %d does not decode: %s", path, number, error)
            continue
        except BankError as error:
            log.warning("%s: %s", path, error)
            continue
        stored = row[11:13]  # with its checksum
        descriptor = None if stored == (None, None) else unpacked(number, *stored)
        if descriptor is None and stored != (None, None):
            log.warning("%s: the descriptor of frame %d is damaged", path, number)
        _, stamp_ns, camera, session, width, height, tier = facts
        yield Whole(
            number,
            stamp_ns,
            camera,
            session,
            (width, height),
            tier,
            frame_ids.get((session, camera), ""),
            label,
            *poses,
            texts.get(number, []),
            vectors.get(number, []),
            reference,
            needed,
            data,
            descriptor,
        )


def _check_pose(number: int, pose: tuple) -> None:
    """Say what is wrong with a pose; that of an earlier release may be sound."""
    try:
        Pose(*pose)
    except BankError as error:
        raise BankError(f"frame {number} is damaged: {error}") from None


def _is_pose(pose: tuple) -> bool:
    """Whether these are sound, three times as fast as a `Pose` says it."""
    try:
        far = max(map(abs, pose[:3])) > FARTHEST
        return not far and abs(math.hypot(*pose[3:7]) - 1) <= ROUNDING and bool(pose[7])
    except TypeError:
        return False


def _lists(db: Database, first: int, last: int) -> tuple[dict[int, list], dict[int, list]]:
    """Texts and vectors of frames, by their ids."""
    found = {}, {}
    if has_texts(db):
        for lists, sql in zip(found, (_TEXTS, _VECTORS)):
            for frame, *row in db.execute(sql, [first, last]):
                lists.setdefault(frame, []).append(tuple(row))
    return found


def _digests(db: Database, first: int, last: int) -> tuple[str, str, str]:
    def rows(sql: str) -> list[tuple]:
        return db.execute(sql, [first, last]).fetchall()

    try:
        facts = [rows(f"SELECT * {_WITHIN.format('labels')}"), *_poses(db, rows)]
        facts += (sorted(some.items()) for some in _lists(db, first, last))
        records = rows("SELECT id, checksum FROM frames WHERE id BETWEEN ? AND ? ORDER BY id")
        descriptors = rows(f"SELECT frame, checksum {_WITHIN.format('descriptors')}")
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if "locked" in str(error):
            raise
        return tuple(secrets.token_hex(8) for _ in KINDS)  # what cannot be read may be otherwise
    # Version 2 writes equal values as equal bytes, whichever objects they are.
    datas = (marshal.dumps(kind, 2) for kind in (facts, records, descriptors))
    return tuple(hashlib.blake2b(data, digest_size=8).hexdigest() for data in datas)


def _poses(db: Database, rows: Callable[[str], list[tuple]]) -> Iterator[list[tuple]]:
    """What may change of poses: one that was given changes by a correction only, which leaves the
    first pose beside it.
    """
    if not has_corrections(db):
        yield rows(f"SELECT * {_WITHIN.format('poses')}")
        return
    yield rows(f"SELECT frame {_WITHIN.format('poses')}")
    moved, pose = placed(db)
    yield rows(f"""
        SELECT o.frame, {", ".join(pose.values())}
        FROM original_poses o JOIN poses p ON p.frame = o.frame {moved}
        WHERE o.frame BETWEEN ? AND ? ORDER BY 1
    """)
    if "moved_poses" in moved:  # which hold already, and whose first ones are not kept yet
        yield rows(f"SELECT * {_WITHIN.format('moved_poses')}")
