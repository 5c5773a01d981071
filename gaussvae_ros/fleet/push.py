"""What is new or changed in a memory file, sent to an archive.

What was sent is said by the archive itself, in the memory's manifest there. So a push that was cut
off goes on with the next one, from wherever, and one with nothing new sends nothing.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.bulk import PIECE, Whole
from gaussvae_ros.errors import FleetError
from gaussvae_ros.files import PRIVATE
from gaussvae_ros.fleet import schema
from gaussvae_ros.fleet.archive import Archive, Manifest, Part, day_of

ROWS, BYTES = 50_000, 2**26  # of frames that are held at once before they are written, about
SMALL = 10_000  # rows: a part with fewer gets the next frames of its day, too

log = logging.getLogger(__name__)


@dataclass
class Pushed:
    """What a push did, in frames."""

    bank: str  # the name of the memory in the archive
    new: int = 0
    changed: int = 0  # other poses, labels, texts, vectors, pictures
    removed: int = 0
    kept: int = 0  # looked at again, and not in the memory any more
    damaged: int = 0  # left out


Stored = Callable[[Manifest, Part, list[Whole]], None]


def push(
    bank: MemoryBank,
    archive: Archive,
    robot: str,
    *,
    redact: bool = False,
    progress: Callable[[int], object] = lambda frames: None,
    stored: Stored = lambda manifest, part, rows: None,
) -> Pushed:
    """Send what of a memory file the archive does not have; its writer may go on meanwhile.

    Frames that the memory has no more stay in the archive, and so do records that were replaced by
    others of the same picture; `redact` removes and replaces them there, too. `progress` is called
    with counts of frames, of `bank.count` above `Manifest.last`. `stored` is called with each part
    once it is in its place.

    Raises:
        FleetError: the archive cannot be reached or written, or another push of this memory goes
            on. What was sent is not sent again.
    """
    checked_robot(robot)
    state = _state(bank.path)
    sessions = bank.whole_sessions()
    name = bank_name(sessions)
    if not sessions:
        return Pushed(name)
    with _alone(archive, robot, name):
        manifest = archive.manifest(robot, name)
        work = _Push(bank, archive, manifest, redact, progress, stored)
        if manifest.state == state and not redact:
            return work.done
        work.clean()
        work.send_models()
        work.send_sessions(sessions)
        work.send_changes()
        work.send_new()
        manifest.source, manifest.state = bank.path.name, state
        archive.publish_manifest(manifest)
        return work.done


def bank_name(sessions: list[dict]) -> str:
    """What a memory is called in archives, wherever its file lies: made of its first session, whose
    begin is one nanosecond of one robot.
    """
    first = [sessions[0][key] for key in ("session", "name", "start_ns")] if sessions else []
    return hashlib.blake2b(json.dumps(first).encode(), digest_size=6).hexdigest()


def checked_robot(name: str) -> str:
    """`name` if it can be part of a path and of a role's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name):
        raise FleetError(
            f"a robot's name is made of at most 63 letters, digits, '-', '_' and '.', not {name!r}"
        )
    return name


class _Push:
    def __init__(
        self,
        bank: MemoryBank,
        archive: Archive,
        manifest: Manifest,
        redact: bool,
        progress: Callable[[int], object],
        stored: Stored,
    ):
        self._bank, self._archive, self._manifest = bank, archive, manifest
        self._redact, self._progress, self._stored = redact, progress, stored
        self._finer: set[int] = set()  # frames whose records the archive keeps, though replaced
        self.done = Pushed(manifest.bank)

    def clean(self) -> None:
        """Drop what a push that was cut off has left."""
        manifest = self._manifest
        named = {
            part.path(table, manifest.robot, manifest.bank)
            for part in manifest.parts
            for table in ("frames", "records")
        }
        own = re.compile(rf"(partial/.*/)?{manifest.bank}[-.][^/]*")
        for folder in ("partial", *(f"{t}/robot={manifest.robot}" for t in ("frames", "records"))):
            for path in self._archive.paths(folder):
                if path not in named and own.fullmatch(path.rpartition("/")[2]):
                    if folder != "partial" or f"/robot={manifest.robot}/" in path:
                        self._archive.remove(path)

    def send_models(self) -> None:
        for hash_, name, _ in self._bank.models():
            if hash_.hex() not in self._manifest.models:
                path, model = f"models/{hash_.hex()}.parquet", self._bank.model(hash_)
                if not self._archive.paths(path):
                    rows = [{"hash": hash_, "name": name, "model": model}]
                    self._archive.write(path, pa.Table.from_pylist(rows, schema.MODELS))
                self._manifest.models.append(hash_.hex())

    def send_sessions(self, sessions: list[dict]) -> None:
        digest = hashlib.blake2b(json.dumps(sessions).encode(), digest_size=8).hexdigest()
        if digest != self._manifest.sessions:
            manifest = self._manifest
            rows = [{"bank": manifest.bank, **session} for session in sessions]
            path = f"sessions/robot={manifest.robot}/{manifest.bank}.parquet"
            self._archive.write(path, pa.Table.from_pylist(rows, schema.SESSIONS))
            manifest.sessions = digest

    def send_changes(self) -> None:
        """What became otherwise of frames that were sent."""
        manifest, digests = self._manifest, {}
        for piece, known in manifest.pieces.items():
            first = int(piece) * PIECE
            last = min(first + PIECE - 1, manifest.last)
            now = list(self._bank.digests(first, last))
            if now != known or self._redact:
                digests[piece] = now
        for part in list(manifest.parts):
            some = [p for p in digests if part.first < (int(p) + 1) * PIECE]
            some = [int(p) * PIECE for p in some if int(p) * PIECE <= part.last]
            if some:
                self._send_change(part, some)
        if digests:
            manifest.pieces |= digests
            self._archive.publish_manifest(manifest)

    def _send_change(self, part: Part, firsts: list[int]) -> None:
        manifest = self._manifest
        there = {row.id: row for at in firsts for row in self._bank.whole(at, at + PIECE - 1)}
        inside = {number for at in firsts for number in range(at, at + PIECE)}
        before, rows = self._archive.read_part(manifest.robot, manifest.bank, part), []
        for old in before:
            now = there.get(old.id)
            if old.id not in inside:
                rows.append(old)
            elif now is not None:
                rows.append(self._merged(old, now))
                self.done.changed += rows[-1] != old
            elif self._redact and old.id not in self._bank:  # else it is there, and damaged
                self.done.removed += 1
            else:
                self.done.kept += 1
                rows.append(old)
        if rows == before:
            return
        at = manifest.parts.index(part)
        if rows:
            manifest.parts[at] = self._write(part.day, rows, part.first)
        else:
            del manifest.parts[at]
            self._archive.publish_manifest(manifest)
            for table in ("frames", "records"):
                self._archive.remove(part.path(table, manifest.robot, manifest.bank))
            self._stored(manifest, part, [])

    def _merged(self, old: Whole, now: Whole) -> Whole:
        """What the archive is to have of a frame that it has, and that the memory has as `now`."""
        if old.stamp_ns != now.stamp_ns:
            raise FleetError(
                f"frame {now.id} of {self._bank.path} is another one than {self._archive.url} has"
                " of it: the file was put back from an older copy, or is another memory that begins"
                " with the same session; push it under another robot's name"
            )
        other_picture = now.descriptor is None or now.descriptor != old.descriptor
        if now.data != old.data and not (self._redact or other_picture) and self._decodes(old):
            self._finer.add(old.id)
            same = {"reference": old.reference, "needed": old.needed, "data": old.data}
            return now._replace(**same, tier=old.tier)
        return now

    def _decodes(self, old: Whole) -> bool:
        """Whether the archive goes on having what a record needs: that of a frame with filled boxes
        goes, and it is not to stay beside those that were predicted from it.
        """
        if not old.needed or old.reference in self._finer:
            return True
        now = self._bank.whole(old.reference, old.reference)
        return not now or now[0].data == old.needed[-1]

    def send_new(self) -> None:
        """Frames that were not sent."""
        manifest, end = self._manifest, self._bank.last_id()
        days: dict[str, list[Whole]] = {}
        digests: dict[str, list[str]] = {}
        while manifest.last < end:
            last, waiting, size = manifest.last, 0, 0
            while last < end and waiting < (ROWS if size < BYTES else SMALL):
                piece, first = (last + 1) // PIECE, last + 1
                last = min((piece + 1) * PIECE - 1, end)
                # Before its frames: what changes in between is seen by the next push.
                digests[str(piece)] = list(self._bank.digests(piece * PIECE, last))
                rows = self._bank.whole(first, last)
                self.done.damaged += max(0, self._bank.count(first, last) - len(rows))
                for row in rows:
                    days.setdefault(day_of(row.stamp_ns), []).append(row)
                    waiting, size = waiting + 1, size + len(row.data)
            for day in sorted(days):
                self._send_day(day, days[day])
            manifest.last = last
            manifest.pieces |= digests
            self._archive.publish_manifest(manifest)
            days.clear()

    def _send_day(self, day: str, rows: list[Whole]) -> None:
        manifest, count = self._manifest, len(rows)
        small = [part for part in manifest.parts if part.day == day and part.rows < SMALL]
        if small:
            rows = self._archive.read_part(manifest.robot, manifest.bank, small[-1]) + rows
            at = manifest.parts.index(small[-1])
            manifest.parts[at] = self._write(day, rows, small[-1].first)
        else:
            manifest.parts.append(self._write(day, rows, rows[0].id))
        self.done.new += count
        self._progress(count)

    def _write(self, day: str, rows: list[Whole], first: int) -> Part:
        manifest = self._manifest
        part = self._archive.write_part(manifest.robot, manifest.bank, day, rows, first)
        self._stored(manifest, part, rows)
        return part


def _state(path: Path) -> list[int]:
    """Of a memory file and its journal: another one once they were written."""
    found = []
    for file in (path, Path(f"{path}-wal")):
        size, at = (file.stat().st_size, file.stat().st_mtime_ns) if file.exists() else (0, 0)
        found += [size, at if size else 0]
    return found


@contextmanager
def _alone(archive: Archive, robot: str, bank: str) -> Iterator[None]:
    """One push at a time of a memory to an archive from this machine."""
    key = hashlib.blake2b(f"{archive.url}\n{robot}\n{bank}".encode(), digest_size=8).hexdigest()
    path = Path(tempfile.gettempdir()) / f"gaussvae-push-{os.getuid()}-{key}.lock"
    with open(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, PRIVATE), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FleetError(f"another push of this memory to {archive.url} goes on") from None
        yield
