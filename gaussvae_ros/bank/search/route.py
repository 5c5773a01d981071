"""Where frames were taken, without what they show: for drawing a route, again and again."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import has_corrections, placed
from gaussvae_ros.bank.frame import Pose
from gaussvae_ros.errors import BankError

_PLACED = """
    SELECT f.stamp_ns, f.camera, f.session, {map}, {pose}
    FROM frames f JOIN sessions s ON s.id = f.session JOIN poses p ON p.frame = f.id {moved}
    WHERE f.id = ?
"""


@dataclass(frozen=True)
class Placed:
    """A frame that has a pose."""

    id: int
    stamp_ns: int
    camera: str
    session: int
    map_id: str
    pose: Pose


def ids_after(db: Database, frame_id: int, limit: int) -> list[int]:
    """See `MemoryBank.ids_after`."""
    sql = "SELECT id FROM frames WHERE id > ? ORDER BY id LIMIT ?"
    return [row[0] for row in db.execute(sql, [frame_id, limit]).fetchall()]


def read_placed(db: Database, ids: Iterable[int]) -> list[Placed]:
    """See `MemoryBank.placed`."""
    moved, pose = placed(db)
    map_id = "s.map_id" if has_corrections(db) else "''"
    sql = _PLACED.format(map=map_id, pose=", ".join(pose.values()), moved=moved)
    found = []
    for frame_id in ids:
        with closing(db.execute(sql, [frame_id])) as rows:
            row = rows.fetchone()
        if row is None:
            continue
        try:
            found.append(Placed(frame_id, *row[:4], Pose(*row[4:])))
        except BankError:  # damaged, as `verify` says
            continue
    return found
