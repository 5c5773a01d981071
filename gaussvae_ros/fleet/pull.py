"""A memory file made again from what an archive has."""

import json
from bisect import bisect, bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.bulk import Whole
from gaussvae_ros.bank.file.schema import TALLY
from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.bank.search.texts import Text
from gaussvae_ros.errors import FleetError
from gaussvae_ros.fleet.archive import Archive, Manifest, Part, day_of
from gaussvae_ros.record import checksum

Frame = tuple[str, str, int]  # robot, memory, id


@dataclass(frozen=True)
class Wanted:
    """Which frames of an archive are meant: those of some robots, with stamps from `after` to
    `before`, ns, both included, and where `frames` are named, those alone.
    """

    robots: Sequence[str] | None = None  # None: all
    after: int = -INT64
    before: int = INT64 - 1
    frames: Collection[Frame] | None = None

    def of(self, archive: Archive) -> Iterator[tuple[Manifest, list[Part], set[int] | None]]:
        """Each memory that may have such frames, those of its parts that may, and their ids. Raises
        FleetError where `memories` does.
        """
        named: dict[tuple[str, str], set[int]] = {}
        for robot, bank, number in self.frames or ():
            named.setdefault((robot, bank), set()).add(number)
        days = day_of(self.after), day_of(self.before)
        for manifest in memories(archive, self.robots):
            ids = None if self.frames is None else named.get((manifest.robot, manifest.bank), set())
            parts = [part for part in manifest.parts if days[0] <= part.day <= days[1]]
            if ids is not None:
                order = sorted(ids)
                parts = [p for p in parts if bisect(order, p.last) > bisect_left(order, p.first)]
            if parts or (ids is None and self.all_times):
                yield manifest, parts, ids

    @property
    def all_times(self) -> bool:
        """Whether stamps do not matter."""
        return (self.after, self.before) == (-INT64, INT64 - 1)


def pull(
    archive: Archive,
    target: MemoryBank,
    wanted: Wanted = Wanted(),
    progress: Callable[[int], object] = lambda frames: None,
) -> dict[Frame, int]:
    """Add frames of an archive to a memory file, with all that belongs to them.

    Each memory's frames come in the order of their ids, each session becomes a new one of the same
    name, with its cameras and tally, and the models that a memory carries come along. Of memories
    that are wanted whole, sessions without a frame come, too. `progress` is called with counts of
    frames that were read. Returns the new id of each frame.

    Raises:
        FleetError: the archive cannot be read, is damaged, or has no memory of one of the robots.
        BankError: as `MemoryBank.add`.
    """
    copied: dict[Frame, int] = {}
    for manifest, parts, ids in wanted.of(archive):
        adding = _Adding(archive, target, manifest)
        for row in rows_of(archive, manifest, parts):
            in_time = wanted.after <= row.stamp_ns <= wanted.before
            if in_time and (ids is None or row.id in ids):
                copied[manifest.robot, manifest.bank, row.id] = adding.add(row)
            progress(1)
        if ids is None and wanted.all_times:
            for session in adding.facts:
                adding.session(session)
        adding.describe_cameras()
    target.flush()
    return copied


def memories(source: Archive, robots: Sequence[str] | None = None) -> list[Manifest]:
    """The memories of all robots of an archive, or of some. Raises FleetError if one has none."""
    found = source.manifests(robots)
    missing = sorted(set(robots or ()) - {manifest.robot for manifest in found})
    if missing or not found:
        whose = f" of robot {missing[0]}" if missing else ""
        raise FleetError(f"{source.url}: no memory{whose} is there")
    return found


def rows_of(
    archive: Archive, manifest: Manifest, parts: Sequence[Part] | None = None
) -> Iterator[Whole]:
    """The frames of a memory, or of some of its parts, by their ids; of days whose frames overlap,
    all are read at once.
    """
    waiting: list[Whole] = []
    for part in sorted(manifest.parts if parts is None else parts, key=lambda part: part.first):
        while waiting and waiting[0].id < part.first:
            yield heappop(waiting)
        for row in archive.read_part(manifest.robot, manifest.bank, part):
            heappush(waiting, row)
    while waiting:
        yield heappop(waiting)


class _Adding:
    """What of a memory of the archive is in the target already."""

    def __init__(self, archive: Archive, target: MemoryBank, manifest: Manifest):
        self._target = target
        path = f"sessions/robot={manifest.robot}/{manifest.bank}.parquet"
        self.facts = {row["session"]: row for row in archive.read(path).to_pylist()}
        self._sessions: dict[int, int] = {}
        self._frames: dict[int, tuple[int, int]] = {}  # new ids, and checksums of records
        for hash_ in manifest.models:
            [row] = archive.read(f"models/{hash_}.parquet").to_pylist()
            target.add_model(row["hash"], row["name"], row["model"])

    def session(self, session: int) -> int:
        """The session of the target that a session becomes."""
        if session not in self._sessions:
            facts = self.facts[session]
            new = self._target.begin_session(
                facts["name"], start_ns=facts["start_ns"], map_id=facts["map_id"]
            )
            self._target.set_tally(new, {count: facts[count] for count in TALLY})
            self._sessions[session] = new
        return self._sessions[session]

    def add(self, row: Whole) -> int:
        """A frame; returns its new id."""
        first = row.original or row.pose
        reference, record = self._frames.get(row.reference, (None, None))
        if not row.needed or record != checksum(row.needed[-1]):
            reference = row.needed
        new = self._target.add(
            row.data,
            stamp_ns=row.stamp_ns,
            camera=row.camera,
            pose=first and Pose(*first),
            session=self.session(row.session),
            label=row.label,
            descriptor=row.descriptor,
            frame_id=row.frame_id,
            reference=reference,
        )
        self._frames[row.id] = new, checksum(row.data)
        if row.original is not None:
            self._target.set_pose(new, Pose(*row.pose))
        if row.texts:
            texts = [Text(text, tuple(box), sure) for text, *box, sure in row.texts]
            self._target.set_texts(new, texts)
        for encoder, vector in row.vectors:
            numbers = np.frombuffer(vector, np.int8).astype(np.float32)
            self._target.set_vector(new, encoder, numbers)
        return new

    def describe_cameras(self) -> None:
        """What is known of the cameras of the sessions that are there by now."""
        for session, new in self._sessions.items():
            for camera in self.facts[session]["cameras"]:
                if camera["calibration"] is not None:
                    known = json.loads(camera["calibration"])
                    self._target.set_calibration(camera["camera"], known, session=new)
