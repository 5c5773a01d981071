"""Frames of one memory file into another, with all that belongs to them."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gaussvae_ros.bank.file.schema import TALLY
from gaussvae_ros.bank.frame import Frame
from gaussvae_ros.bank.memory import MemoryBank
from gaussvae_ros.errors import BankError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copied:
    """The new ids of frames, sessions and volumes, by their old ones, and how many frames and
    volumes were left out.
    """

    frames: dict[int, int]
    sessions: dict[int, int]
    lost: int
    volumes: dict[int, int]


def copy_frames(
    source: MemoryBank,
    target: MemoryBank,
    ids: Iterable[int] | None = None,
    volumes: Iterable[int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Copied:
    """Add frames of one memory file, those with these ids or all, to another one, and of its
    volumes those with these ids, or all where all frames are meant.

    Each session becomes a new one of the same name, with its cameras and tally; the models that
    `source` carries come along, and so do the records that those of the frames need, of frames that
    are not among them out of sight. Damaged frames are left out, and those that are removed
    meanwhile. `progress` is called with each count of frames.

    Raises:
        BankError: as `MemoryBank.add`.
    """
    whole = ids is None
    ids = sorted(source.ids() if whole else ids)  # what others need comes before them
    copying = _Copying(source, target)  # knows the sessions of all those by now
    for hash_, name, _ in source.models():
        target.add_model(hash_, name, source.model(hash_))
    if whole:
        for session in copying.facts:
            copying.session(session)
    copied: dict[int, int] = {}
    references: dict[int, int] = {}  # those that are not among the frames
    for frame in source.frames(ids):
        reference = copied.get(frame.reference, references.get(frame.reference))
        new = copied[frame.id] = copying.add(frame, reference or frame.needed)
        if frame.needed and reference is None:
            references[frame.reference] = target.get(new).reference
        if progress is not None:
            progress(1)
    target.flush()
    wanted = sorted(source.volume_ids() if whole and volumes is None else volumes or ())
    moved = {n: new for n in wanted if (new := copying.add_volume(n)) is not None}
    lost = len(ids) - len(copied) + len(wanted) - len(moved)
    return Copied(copied, copying.sessions, lost, moved)


class _Copying:
    """What of sessions and cameras is in the target already."""

    def __init__(self, source: MemoryBank, target: MemoryBank):
        self._source, self._target = source, target
        self.facts = {session["id"]: session for session in source.info()["sessions"]}
        self.sessions: dict[int, int] = {}
        self._cameras: set[tuple[int, str]] = set()

    def session(self, session: int) -> int:
        """The session of the target that a session of the source becomes."""
        if session not in self.sessions:
            facts = self.facts[session]
            new = self._target.begin_session(
                facts["name"], start_ns=facts["start_ns"], map_id=facts["map_id"]
            )
            self._target.set_tally(new, {count: facts[count] for count in TALLY})
            self.sessions[session] = new
        return self.sessions[session]

    def add(self, frame: Frame, reference: int | tuple[bytes, ...]) -> int:
        """A frame, its record with this reference."""
        session = self.session(frame.session)
        first = frame.pose and self._sound(self._source.original_pose, frame.id)
        new = self._target.add(
            frame.data,
            stamp_ns=frame.stamp_ns,
            camera=frame.camera,
            pose=first or frame.pose,
            session=session,
            label=frame.label,
            descriptor=self._sound(self._source.descriptor, frame.id),
            frame_id=frame.frame_id,
            reference=reference,
        )
        if read := self._sound(self._source.texts, frame.id):
            self._target.set_texts(new, read)
        for encoder, vector in (self._sound(self._source.vectors, frame.id) or {}).items():
            self._target.set_vector(new, encoder, vector)
        if first and first != frame.pose:
            self._target.set_pose(new, frame.pose)
        if (frame.session, frame.camera) not in self._cameras:
            self._cameras.add((frame.session, frame.camera))
            if known := self._sound(self._source.calibration, frame.session, frame.camera):
                self._target.set_calibration(frame.camera, known, session=session)
        return new

    def add_volume(self, number: int) -> int | None:
        """A volume; None where it is damaged."""
        if (volume := self._sound(self._source.volume, number)) is None:
            return None
        about = {"stamp_ns": volume.stamp_ns, "pose": volume.pose}
        return self._target.add_volume(volume.data, session=self.session(volume.session), **about)

    def _sound(self, ask: Callable, *what: object) -> object:
        """What the source says; None where that is damaged."""
        try:
            return ask(*what)
        except BankError as error:
            log.warning("%s: %s", self._source.path, error)
            return None
