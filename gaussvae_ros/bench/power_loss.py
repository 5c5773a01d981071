"""What a disk may hold after its power failed, worked out from what was written to it.

What was synced is there. Of what was written since a file's last sync, the disk may have kept
nothing, or any of it in any order: here one of

- dropped: none of it;
- torn: the first writes, the last of them in part;
- reordered: each sector of 512 bytes by chance, so that later writes may be there without earlier
  ones.

A sector is whole, old or new, as SQLite expects of disks ("powersafe overwrite"). Where a file grew
and what was written there is lost, it may have its old or its new length, with zeros or old rubbish
in it. A new file's name is there once it was synced, which SQLite and the journals of ext4, XFS and
Btrfs see to; a deletion that nobody synced may have happened or not. Disks that lie about syncs are
not simulated: nothing that runs on them is safe.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gaussvae_ros.bench.disk_log import Change

SECTOR = 512  # bytes
WAYS = ("dropped", "torn", "reordered")


@dataclass(eq=False)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def sync(self):
        for change in self.pending:
            _apply(self.synced, change)
        self.pending.clear()

    def after_loss(self, way: str, rng: random.Random) -> bytes:
        left = bytearray(self.synced)
        kept = rng.randint(0, len(self.pending)) if way == "torn" else len(self.pending)
        for number, change in enumerate(self.pending[: kept + 1]):
            if change.what == "cut":
                if way != "dropped" and number < kept and rng.random() < 0.5:
                    _apply(left, change)
            elif way == "torn" and number < kept:
                _apply(left, change)
            else:
                chance = {"dropped": 0, "torn": 0.5, "reordered": rng.choice((0.2, 0.5, 0.9))}[way]
                for piece in _sectors(change):
                    if rng.random() < chance:
                        _apply(left, piece, rng)
        if rng.random() < 0.5:  # the new length was kept, the new bytes were not
            end = max((change.at + len(change.data) for change in self.pending), default=0)
            _grow(left, end, rng)
        return bytes(left)


class Disk:
    """Files by path, as they are once some changes were made. `promised` is the last mark."""

    def __init__(self):
        self._files: dict[str, _File] = {}  # as programs see them
        self._names: dict[str, _File] = {}  # as the disk has them for sure
        self._changed: list[str] = []  # paths whose name on the disk may be as before
        self.promised = 0  # the last mark

    def take(self, change: Change):
        """Make one change."""
        if change.what == "mark":
            self.promised = change.at
        elif change.what == "delete":
            self._files.pop(change.path, None)
            self._changed.append(change.path)
            if change.at:
                self._sync_names()
        else:
            if change.path not in self._files:
                self._files[change.path] = _File()
                self._changed.append(change.path)
            if change.what in ("write", "cut"):
                self._files[change.path].pending.append(change)
            elif change.what == "sync":
                self._files[change.path].sync()
                if change.path in self._changed:
                    self._sync_names()

    def after_loss(self, way: str, rng: random.Random) -> dict[str, bytes]:
        """What may be found after the power failed now, by path."""
        names = dict(self._names)
        for path in self._changed[: rng.randint(0, len(self._changed))]:
            _point(names, path, self._files)
        return {path: file.after_loss(way, rng) for path, file in names.items()}

    def after_kill(self) -> dict[str, bytes]:
        """What is found after the process that writes was killed now, by path: all of it."""
        found = {}
        for path, file in self._files.items():
            found[path] = bytearray(file.synced)
            for change in file.pending:
                _apply(found[path], change)
        return found

    def _sync_names(self):
        for path in self._changed:
            _point(self._names, path, self._files)
        self._changed.clear()


def losses(
    changes: Iterable[Change], moments: Iterable[int], rng: random.Random
) -> Iterator[tuple[str, int, dict[str, bytes]]]:
    """The power fails before the change of each of these numbers: how, what was promised by then
    (the last mark), and what may be found by path.
    """
    disk, left = Disk(), sorted(moments, reverse=True)
    for number, change in enumerate(changes):
        while left and left[-1] <= number:
            left.pop()
            way = rng.choice(WAYS)
            yield way, disk.promised, disk.after_loss(way, rng)
        disk.take(change)


def _point(names: dict[str, _File], path: str, files: dict[str, _File]):
    if path in files:
        names[path] = files[path]
    else:
        names.pop(path, None)


def _sectors(change: Change) -> Iterator[Change]:
    at, end = change.at, change.at + len(change.data)
    while at < end:
        after = min((at // SECTOR + 1) * SECTOR, end)
        yield Change("write", at=at, data=change.data[at - change.at : after - change.at])
        at = after


def _apply(contents: bytearray, change: Change, rng: random.Random | None = None):
    if change.what == "cut":
        del contents[change.at :]
    _grow(contents, change.at, rng)
    contents[change.at : change.at + len(change.data)] = change.data


def _grow(contents: bytearray, size: int, rng: random.Random | None):
    missing = size - len(contents)
    if missing > 0:
        rubbish = rng is not None and rng.random() < 0.5
        contents += rng.randbytes(missing) if rubbish else bytes(missing)
