"""The volumes of a memory: stored, found by place and time, removed."""

import json
import logging
from collections.abc import Iterable

import numpy as np
from sqlite_utils import Database

from gaussvae_ros.bank import volumes
from gaussvae_ros.bank.frame import Pose, checked_int
from gaussvae_ros.bank.reading import Reader, checked_limit
from gaussvae_ros.bank.search.question import Where, check_place, checked_ball, sessions_of
from gaussvae_ros.bank.volumes import DamagedVolume, Volume
from gaussvae_ros.errors import BankError, RecordError

HERE = Pose(0.0, 0.0, 0.0)
_AWAY = " + ".join(
    f"max(v.min_{axis} - ?, ? - v.max_{axis}, 0) * max(v.min_{axis} - ?, ? - v.max_{axis}, 0)"
    for axis in "xyz"
)  # the square of a box's distance

log = logging.getLogger(__name__)


class Mapped(Reader):
    """What a `MemoryBank` keeps of volumes, to which it adds the rest."""

    def add_volume(
        self,
        data: bytes,
        *,
        stamp_ns: int,
        pose: Pose = HERE,
        session: int | None = None,
        replaces: bool = False,
    ) -> int:
        """Store a volume's record, committed at once or not at all. Returns its id, never reused.

        Args:
            pose: where the coordinates of the grid are; those of the map itself unless said
                otherwise.
            session: defaults to the one begun last.
            replaces: the earlier volumes of the session that this one covers go in the same
                moment; it may fall short of their box by a tenth of its own sides.

        Raises:
            RecordError: not a whole record of a volume.
            BankError: an argument that is not what it should be; or the disk does not take it.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise RecordError(f"a record is made of bytes, not {type(data).__name__}")
        with self._use_to_write() as group:
            row = volumes.row(0, stamp_ns, 0, pose, bytes(data))
            if session is None:
                session = self._session or self.begin_session("unnamed", start_ns=row[1])
            session = self._checked_session(session)
            number = group.ids.volume
            row = volumes.row(number, stamp_ns, session, pose, bytes(data))
            write = [(volumes.ADD, row)]
            if replaces:
                write.append((volumes.REPLACED, (number,)))
            group.write_now(write)
            group.ids.volume += 1
            return number

    def volume(self, number: int) -> Volume:
        """The volume with this id.

        Raises:
            BankError: there is no such volume, or it is damaged.
        """
        number = checked_int("id of a volume", number)
        with self._use():
            found = volumes.read(self._db, number)
        if found is None:
            raise BankError(f"no volume {number} in {self.path}")
        return found

    def find_volumes(self, *, limit: int | None = None, **conditions: object) -> list[Volume]:
        """The volumes that meet every condition given, the latest first, at most `limit` of them;
        damaged ones are skipped.

        Conditions are `after`, `before`, `session` and `map_id` as in `find`; `near` and `radius`:
        the box around the volume along the axes of its reference is at most so far away;
        `reference`: the pose is in this coordinate frame.
        """
        limit = None if limit is None else checked_limit(limit)
        found = []
        with self._use_at_once():
            for number in matching(self._db, **conditions):
                if len(found) == limit:
                    break
                try:
                    found.append(volumes.read(self._db, number))
                except DamagedVolume as error:
                    log.warning("%s: %s", self.path, error)
        return found

    def volume_ids(self, **conditions: object) -> list[int]:
        """The ids of the volumes that meet all conditions, those of `find_volumes`, in its
        order.
        """
        with self._use():
            return matching(self._db, **conditions)

    def volume_references(self) -> list[str]:
        """The coordinate frames that poses of volumes are in, such as ["map"]."""
        with self._use():
            return volumes.references(self._db)

    def remove_volumes(self, numbers: Iterable[int]):
        """Remove volumes, all or none, committed at once.

        Raises:
            BankError: one that is not there, and nothing is removed; or the disk does not take it.
        """
        numbers = {checked_int("id of a volume", number) for number in numbers}
        with self._use_to_write() as group:
            if missing := numbers - set(volumes.ids(self._db)):
                raise BankError(f"no volume {min(missing)} in {self.path}")
            if numbers:
                group.write_now([(volumes.REMOVE, (number,)) for number in sorted(numbers)])


def matching(
    db: Database,
    *,
    after: int | None = None,
    before: int | None = None,
    near: tuple[float, float, float] | None = None,
    radius: float | None = None,
    reference: str | None = None,
    session: int | None = None,
    map_id: str | None = None,
) -> list[int]:
    """The ids of volumes that meet all conditions, see `MemoryBank.find_volumes`."""
    where = Where()
    if after is not None:
        where = where.also("v.stamp_ns >= ?", checked_int("after", after))
    if before is not None:
        where = where.also("v.stamp_ns <= ?", checked_int("before", before))
    check_place(near, radius)
    if near is not None:
        centre, radius = checked_ball(near, radius)
        where = where.also(f"{_AWAY} <= ?", *np.repeat(centre, 4).tolist(), radius * radius)
    if reference is not None:
        where = where.also("v.reference = ?", reference)
    if (among := sessions_of(db, session, map_id)) is not None:
        where = where.also("v.session IN (SELECT value FROM json_each(?))", json.dumps(among))
    if not volumes.has_volumes(db):
        return []
    sql = f"SELECT id FROM volumes v WHERE {where} ORDER BY stamp_ns DESC, id DESC"
    return [number for (number,) in db.execute(sql, where.values).fetchall()]
