"""A memory file made again from what an archive has."""

import json
from collections.abc import Callable, Collection, Iterator
from heapq import heappop, heappush

import numpy as np

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.bulk import Whole
from gaussvae_ros.bank.schema import TALLY
from gaussvae_ros.bank.texts import Text
from gaussvae_ros.fleet.archive import Archive, Manifest

Frame = tuple[str, str, int]  # robot, memory, id


def pull(
    archive: Archive,
    target: MemoryBank,
    manifests: Collection[Manifest],
    wanted: Callable[[Manifest, Whole], bool] | None = None,
    progress: Callable[[int], object] = lambda frames: None,
) -> dict[Frame, int]:
    """Add frames of an archive to a memory file, those of these memories that are `wanted`, or all.

    Each memory's frames come in the order of their ids, each session becomes a new one of the same
    name, with its cameras and tally, and the models that a memory carries come along. Sessions
    without a frame that is wanted are left out. Returns the new id of each frame.

    Raises:
        FleetError: the archive cannot be read, or is damaged.
        BankError: as `MemoryBank.add`.
    """
    copied: dict[Frame, int] = {}
    for manifest in manifests:
        adding = _Adding(archive, target, manifest)
        for row in rows_of(archive, manifest):
            if wanted is None or wanted(manifest, row):
                copied[manifest.robot, manifest.bank, row.id] = adding.add(row)
            progress(1)
        if wanted is None:
            for session in adding.facts:
                adding.session(session)
        adding.describe_cameras()
    target.flush()
    return copied


def rows_of(archive: Archive, manifest: Manifest) -> Iterator[Whole]:
    """The frames of a memory by their ids; of days whose frames overlap, all are read at once."""
    waiting: list[Whole] = []
    for part in sorted(manifest.parts, key=lambda part: part.first):
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
        self._frames: dict[int, int] = {}
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
        reference = self._frames.get(row.reference) if row.needed else None
        new = self._frames[row.id] = self._target.add(
            row.data,
            stamp_ns=row.stamp_ns,
            camera=row.camera,
            pose=first and Pose(*first),
            session=self.session(row.session),
            label=row.label,
            descriptor=row.descriptor,
            frame_id=row.frame_id,
            reference=reference or row.needed,
        )
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
