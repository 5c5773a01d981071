"""Which frames a memory can do without: those that others cover best in place, time and looks.

Frames are counted by the cell that they are in. The fullest cells lose frames first, and of a
cell's frames those go that another is nearest to. Where every cell is down to one, larger cells are
looked at. So what is left is spread out over space, in one place over time, and at one time over
looks. Only the counts are kept in memory; what is in a cell is asked of the file.
"""

import math
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank.file.schema import POSE, has_corrections, has_references, placed
from gaussvae_ros.bank.forgetting.cells import LAST_LEVEL, Cells
from gaussvae_ros.bank.forgetting.groups import Groups
from gaussvae_ros.bank.forgetting.thinning import NEEDED, Member, distances, thinned
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.likeness.packing import unpacked
from gaussvae_ros.bank.search import runs, stamps

READ = 2000  # frames that are counted at once
CROWD = 256  # frames in and around a cell, of which not all are looked at each time
SHARE, LEAST = 4, 64  # of a crowd, frames looked at for each one that goes, and at least
BATCH = 256  # frames that are chosen at once at most
GROWN = 1.5  # times the frames that there were, beyond which small cells are looked at again
_FRAMES = """
    SELECT f.id, f.session, f.camera, f.stamp_ns, {map_id}, {pose} {descriptor}
    FROM frames f LEFT JOIN sessions s ON s.id = f.session
        LEFT JOIN poses p ON p.frame = f.id {moved} {descriptors} WHERE f.id {ids}
"""


class Redundancy:
    """The counts of a file's frames by cell, and which frames they let go first.

    Frames that were removed since are noticed where they are looked for. `moved` says of a frame,
    `recount` of all, that they have other poses than before; both may be called from any thread.
    """

    def __init__(self):
        self._moved: set[int] = set()
        self._begin()

    def recount(self):
        """All frames may have other poses than before."""
        self._stale = True

    def _begin(self):
        self._stale = False
        self._cells, self._groups = Cells(), Groups()
        self._last = 0  # the highest id that is counted
        self._frames = 0  # that are counted
        self._coarsened = math.inf  # how many were when cells became larger
        # Frames in and around cells of many, the ones looked at last at the end.
        self._crowds: dict[int, deque[int]] = {}
        self._soon: set[int] = set()  # cells that were set aside for their newest frames
        self._moved.clear()

    def moved(self, frame_id: int):
        """A frame has another pose than before."""
        self._moved.add(frame_id)

    def bring_back(self):
        """Frames may go that could not when they were looked at."""
        self._groups.bring_back()

    def update(self, db: Database) -> bool:
        """Count frames that are new; whether there are more."""
        if self._stale or self._frames > GROWN * self._coarsened:
            self._begin()
        moved = [self._moved.pop() for _ in range(min(len(self._moved), READ))]
        frames = [*_read(db, "> ? ORDER BY f.id LIMIT ?", [self._last, READ])]
        more = len(frames) == READ or bool(self._moved)
        frames += _of_ids(db, [frame_id for frame_id in moved if frame_id <= self._last])
        self._last = max([self._last, *(frame.id for frame in frames)])
        self._frames += len(frames)
        for frame in frames:
            self._groups.add(cell := self._cell(frame))
            if (crowd := self._crowds.get(cell)) is not None:
                crowd.append(frame.id)
        return more

    def choose(
        self,
        db: Database,
        count: int,
        gone: set[int],
        stays: Callable[[int, int], bool],
        newest: int = INT64,
    ) -> list[int]:
        """At most `count` frames that others cover best, with ids below `newest`, not among those
        `gone`, to which they are added, and of which `stays(session, stamp_ns)` is false. None
        where no frame can go but those that are the last ones far around.
        """
        chosen: list[int] = []
        self._groups.bring_back(self._soon)
        self._soon.clear()
        left, most = self._groups.left_after(count), min(count, BATCH)
        while len(chosen) < most:
            if (fullest := self._groups.fullest()) is None:
                if chosen or self._cells.level == LAST_LEVEL:
                    break
                self._coarsen()
                left = self._groups.left_after(count)
                continue
            cell, size = fullest
            wanted = min(max(size - left, 1), most - len(chosen))
            members, others, whole = self._members(db, cell, wanted, gone, stays, newest)
            if whole:
                size = len(members) + len(others)
            left = max(min(left, size - 1), 1)
            wanted = min(wanted, size - left)
            most_now = len(members) if whole else len(members) // SHARE
            picked = self._thin(db, members, others, min(wanted, most_now))
            self._groups.set(cell, size - len(picked))
            if len(picked) < wanted and whole:
                self._groups.set_aside(cell)
                if any(frame.id >= newest for frame in others):
                    self._soon.add(cell)
            chosen += picked
            gone.update(picked)
        self._frames -= len(chosen)
        return chosen

    # Inside

    def _coarsen(self):
        self._groups = self._groups.merged(self._cells.larger)
        self._cells.level += 1
        self._coarsened = self._frames
        self._crowds.clear()
        self._soon.clear()

    def _cell(self, frame: Member) -> int:
        if frame.pose is None:
            return self._cells.of_stamp(frame.session, frame.camera, frame.stamp_ns)
        return self._cells.of_pose(frame.map_id, frame.reference, frame.pose)

    def _members(
        self,
        db: Database,
        cell: int,
        wanted: int,
        gone: set[int],
        stays: Callable[[int, int], bool],
        newest: int,
    ) -> tuple[list[Member], list[Member], bool]:
        """Frames of a cell that may go, others of it, and whether that is all of them; if not,
        several for each that is `wanted`.
        """
        crowd = self._crowds.get(cell)
        if crowd is None:
            crowd = deque(self._around(db, cell))
            if len(crowd) > CROWD:
                self._crowds[cell] = crowd
        enough = min(max(SHARE * wanted, LEAST), CROWD)
        members, others, left = [], [], len(crowd)
        while left and (len(members) < enough or left < CROWD):
            ids = [crowd.popleft() for _ in range(min(enough, left))]
            left -= len(ids)
            for frame in _of_ids(db, ids):
                if self._cell(frame) == cell:
                    crowd.append(frame.id)
                    if frame.id not in gone:
                        stay = frame.id >= newest or stays(frame.session, frame.stamp_ns)
                        (others if stay else members).append(frame)
        return members, others if not left else others[-enough:], not left

    def _around(self, db: Database, cell: int) -> list[int]:
        """Frames of a cell and its surroundings, by id."""
        area, box = self._cells.box(cell)
        ends = [end for axis in box for end in axis]
        if len(area) != 3:
            return sorted(runs.in_box(db, ends, *placed(db)))
        after, before = (min(max(end, -INT64), INT64 - 1) for end in ends)
        of = {"sessions": [area[0]], "camera": area[1]}
        return sorted(i for _, i in stamps.walk(db, after=after, before=before, **of))

    def _thin(
        self, db: Database, members: list[Member], others: list[Member], count: int
    ) -> list[int]:
        if count <= 0 or not members:
            return []
        needed = _needed(db, [frame.id for frame in members])
        costs = [NEEDED * (frame.id in needed) for frame in members] + [math.inf] * len(others)
        frames = [*members, *others]
        rows = thinned(distances(frames, self._cells.width), np.array(costs), count)
        return [frames[row].id for row in rows]


def _of_ids(db: Database, ids: list[int]) -> Iterator[Member]:
    """Frames with their descriptors; without where there is damage."""
    try:
        yield from list(_read(db, _in(ids), ids, looks=True))
    except (sqlite3.DatabaseError, UnicodeError) as error:
        if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
            raise
        for frame_id in ids:
            try:
                yield from list(_read(db, _in([frame_id]), [frame_id]))
            except (sqlite3.DatabaseError, UnicodeError):
                continue


def _in(ids: list[int]) -> str:
    return f"IN ({', '.join('?' * len(ids))}) ORDER BY f.id"


def _read(db: Database, ids: str, values: Iterable[int], looks: bool = False) -> Iterator[Member]:
    moved, pose = placed(db)
    sql = _FRAMES.format(
        map_id="s.map_id" if has_corrections(db) else "''",
        pose=", ".join(pose.values()),
        descriptor=", d.checksum, d.descriptor" if looks else "",
        moved=moved,
        descriptors="LEFT JOIN descriptors d ON d.frame = f.id" if looks else "",
        ids=ids,
    )
    for row in db.execute(sql, values).fetchall():
        pose, reference, stored = row[5 : 4 + len(POSE)], row[4 + len(POSE)], row[5 + len(POSE) :]
        sound = isinstance(reference, str) and all(isinstance(number, float) for number in pose)
        pose = pose if sound and all(map(math.isfinite, pose)) else None
        descriptor = unpacked(row[0], *stored) if stored else None
        if isinstance(row[3], int):  # else the row is damaged
            yield Member(*row[:5], pose, reference, descriptor)


def _needed(db: Database, ids: list[int]) -> set[int]:
    """Those of the frames whose records others need."""
    if not has_references(db):
        return set()
    sql = f"SELECT reference FROM frames WHERE reference IN ({', '.join('?' * len(ids))})"
    return {frame_id for (frame_id,) in db.execute(sql, ids).fetchall()}
