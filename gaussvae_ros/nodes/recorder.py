"""Encodes frames and stores them; what the memory does not take yet waits.

All of it is called by the worker's thread, but for `waiting`, `lost` and `refusal`, and for
`close`, once that thread has ended or been given up.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable

from gaussvae_ros.bank import Frame, MemoryBank, Pose
from gaussvae_ros.bank.file.place import mount_of
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, BankGone, GaussVaeError
from gaussvae_ros.nodes.carried_models import CarriedModels
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.nodes.sequences import Sequences
from gaussvae_ros.nodes.session_facts import SessionFacts

# Frames, and bytes of their records, that may wait for the memory.
WAITING, WAITING_BYTES = 2000, 32 * 2**20
LOST_S = 10.0  # that a file which was gone is trouble, once the next one is open

log = logging.getLogger(__name__)


class Recorder:
    """One recording. `name` is that of its sessions, empty for the time at which each begins.

    `stored(frames)` is called after each commit with what it stored, and `now_ns()` is the clock of
    the stamps. `encoding` is keyword arguments for `Sequences.encode` and may be replaced at any
    time. `refusal` is why the bank takes nothing now, empty if it does. `behind`: `tally` would
    tell the bank of stored frames. `file`: how many files were gone. `placed(frame)` is called once
    the bank has a frame with its pose, `taken(frame)` before one is encoded, with its image still,
    and `forgotten()` when it lies in a file that is gone. `full(more)` says why a frame is not to
    be stored beside `more` that the bank does not have yet, empty if it is.
    """

    full: Callable[[int], str] = staticmethod(lambda more: "")
    placed: Callable[[PendingFrame], None] = staticmethod(lambda frame: None)
    taken: Callable[[PendingFrame], None] = staticmethod(lambda frame: None)
    forgotten: Callable[[], None] = staticmethod(lambda: None)

    def __init__(
        self,
        bank: MemoryBank,
        codec: FrameCodec,
        counters: Counters,
        name: str,
        encoding: dict,
        stored: Callable[[list[Frame]], None],
        now_ns: Callable[[], int],
        wants_poses: bool,
    ) -> None:
        self.encoding, self.refusal, self.behind, self.file = encoding, "", False, 0
        self._bank, self._counters = bank, counters
        self._sequences = Sequences(codec, bank, self._coded, self._not_coded)
        self._stored, self._now_ns, self._wants_poses = stored, now_ns, wants_poses
        self._mount = mount_of(bank.path)
        self._lost = 0.0, ""  # when and why the last one was gone
        # For the bank, or for the commit if they have an id, oldest first.
        self._waiting: list[PendingFrame] = []
        self._poses: list[PendingFrame] = []  # whose late pose the bank does not have yet
        self._sessions = SessionFacts(bank, counters, name, self._attempt, self._added)
        self._models = CarriedModels(bank, codec)

    @property
    def waiting(self) -> int:
        """Frames that are encoded and not stored yet."""
        return len(self._waiting)

    @property
    def lost(self) -> str:
        """What became of the file before this one, if that is news; else empty."""
        since, lost = self._lost
        return lost if time.monotonic() - since < LOST_S else ""

    def work(self, frame: PendingFrame) -> None:
        """Encode a frame and add it to the bank; it may wait, for later ones until the next commit.
        One that cannot be encoded is counted.
        """
        if self.full(len(self._not_added())):
            frame.image = None
            self._counters.count(frame.camera, frame.session, "refused")
            return
        frame.file = self.file
        self.taken(frame)
        self._sequences.encode(frame, **self.encoding)

    def settle(self, frame: PendingFrame, pose: Pose | None) -> None:
        """Give a frame its late pose, or None for good."""
        frame.settled, frame.pose, self.behind = True, pose, True
        # Not there yet, or never, or with a file that is gone.
        if frame.id is None or frame.file != self.file:
            return
        self._count_pose(frame)
        if pose is not None:
            self._poses.append(frame)
            self._attempt(self._set_poses)

    def session_at(self, stamp_ns: int, map_id: str) -> int:
        """The bank's id of the session that goes on. Raises BankError."""
        return self._sessions.latest(stamp_ns, map_id)

    def name_map(self, map_id: str) -> None:
        """The map of the sessions that did not know theirs."""
        self._sessions.name_map(map_id)

    def calibrate(self, camera: str, calibration: dict) -> None:
        """Keep a camera's calibration with the sessions that frames go into from now on."""
        self._sessions.calibrate(camera, calibration)

    def commit(self) -> bool:
        """Store what waits; False if the bank refuses, which keeps it for the next time."""
        self._sequences.flush()
        if not self._attempt(self._catch_up):
            return False
        frames = [frame for frame in self._waiting if frame.id is not None]
        self._waiting = [frame for frame in self._waiting if frame.id is None]
        if self.refusal:
            log.warning("%s takes frames again", self._bank.path)
            self.refusal = ""
        self.behind |= bool(frames)
        now = self._now_ns()
        for frame in frames:
            self._counters.stored(frame.camera, frame.session, len(frame.data), not frame.needed)
            frame.data, frame.needed = b"", ()
            self._counters.took(frame.camera, "latency", (now - frame.stamp_ns) / 1e9)
        self._announce(frames)
        self._models.catch_up()
        return True

    def tally(self) -> None:
        """Write what the sessions counted, where it changed."""
        self.behind = False
        self._sessions.tally()

    def close(self) -> None:
        """Close the bank, and announce what it takes still; the log tells what is lost with it."""
        if never := len(self._not_added()):
            why = self.refusal or "there was no time to encode them"
            log.error("%d frames that waited for %s are lost: %s", never, self._bank.path, why)
        try:
            self._bank.flush()
            self._announce([frame for frame in self._waiting if frame.id is not None])
        except BankError:
            pass  # closing says it
        try:
            self._bank.close()
        except BankError as error:
            log.error("%s", error)

    # Inside

    def _coded(self, frames: list[PendingFrame]) -> None:
        """Let the bank take frames that have their records."""
        for frame in frames:
            frame.image = None
            self._counters.took(frame.camera, "encode", frame.encode_s)
            size = sum(len(other.data) for other in self._waiting)
            if self.waiting < WAITING and size < WAITING_BYTES:
                self._waiting.append(frame)
            else:
                waiting = f"{self.waiting} frames wait for {self._bank.path}"
                self._fail(frame, f"{waiting}, and no more can: one is lost")
        self._attempt(self._add)

    def _not_coded(self, frame: PendingFrame, error: Exception) -> None:
        self._fail(frame, f"a frame of {frame.camera} could not be encoded: {error}")

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Whether the bank took something; if not, that is the refusal."""
        try:
            work()
            return True
        except BankError as error:
            if not self.refusal:
                log.error("%s", error)
            self.refusal = str(error)
            return False

    def _catch_up(self) -> None:
        """Add all that waits to the bank and commit it."""
        if reason := self._bank.check_place():
            self._begin_again(reason)
        self._add()
        self._bank.flush()
        if self._poses or self._sessions.due:
            self._set_poses()
            self._sessions.write()
            self._bank.flush()

    def _announce(self, frames: list[PendingFrame]) -> None:
        """Tell of frames that are on the disk, but for those that were removed since."""
        found = []
        for frame in frames:
            try:
                found.append(self._bank.get(frame.id))
            except BankError as error:
                log.warning("a stored frame is not announced: %s", error)
        if found:
            self._stored(sorted(found, key=lambda frame: frame.stamp_ns))

    def _begin_again(self, reason: str) -> None:
        """Go on in another file, as the one that is open is gone."""
        self._lost = time.monotonic(), reason
        if self._mount is not None and not os.path.ismount(self._mount):
            raise BankGone(f"{reason}: nothing is mounted at {self._mount} any more")
        where = "the file that is there now" if self._bank.path.exists() else "a new file"
        self._bank.reopen()
        self.file += 1
        for frame in self._waiting:
            frame.id = None
        self._counters.begin_again()
        self._poses.clear()
        self._sessions.begin_again()
        self._models.begin_again()
        self.forgotten()
        self._lost = time.monotonic(), f"{reason}; the memory goes on in {where}"
        log.error("%s. %d frames that waited go into it", self._lost[1], self.waiting)

    def _add(self) -> None:
        """Give the bank the frames that it does not have yet."""
        for frame in [frame for frame in self._waiting if frame.id is None]:
            try:
                frame.id = self._add_one(frame)
            except GaussVaeError as error:
                if _is_of_the_disk(error):
                    raise
                self._waiting.remove(frame)
                self._fail(frame, f"a frame of {frame.camera} could not be stored: {error}")
                continue
            frame.file = self.file
            for data in (*frame.needed, frame.data):
                self._models.see(data)
            if frame.pose is not None:
                self.placed(frame)
            if frame.settled:
                self._count_pose(frame)

    def _add_one(self, frame: PendingFrame) -> int:
        where = frame.session, frame.map_id
        those = [one for one in self._not_added() if (one.session, one.map_id) == where]
        begun = min(one.stamp_ns for one in those)  # a key record comes before earlier frames
        frame.bank_session = self._sessions.id_of(frame.session, begun, frame.map_id)
        names = ("stamp_ns", "camera", "pose", "descriptor", "frame_id")
        facts = {name: getattr(frame, name) for name in names} | {"session": frame.bank_session}
        before = frame.before
        if before is not None and before.id is not None and before.file == self.file:
            try:
                return self._bank.add(frame.data, reference=before.id, **facts)
            except BankError as error:
                if _is_of_the_disk(error):
                    raise
                frame.before = None  # it was removed since
        return self._bank.add(frame.data, reference=frame.needed or None, **facts)

    def _not_added(self) -> list[PendingFrame]:
        """Frames on their way that the bank does not have yet."""
        return [*(one for one in self._waiting if one.id is None), *self._sequences.waiting]

    def _added(self, session: int) -> int:
        """Frames of a session that the bank has, and that are not committed."""
        return sum(one.id is not None and one.session == session for one in self._waiting)

    def _set_poses(self) -> None:
        while self._poses:
            frame = self._poses[0]
            try:
                self._bank.set_pose(frame.id, frame.pose)
                self.placed(frame)
            except BankError as error:
                if frame in self._waiting or _is_of_the_disk(error):
                    raise
                log.warning("a late pose could not be stored: %s", error)
            del self._poses[0]

    def _count_pose(self, frame: PendingFrame) -> None:
        if self._wants_poses and not frame.counted:
            frame.counted = True
            self._counters.count(
                frame.camera, frame.session, "poses_missing" if frame.pose is None else "with_pose"
            )

    def _fail(self, frame: PendingFrame, why: str) -> None:
        frame.data, frame.needed = b"", ()
        self._counters.count(frame.camera, frame.session, "failed")
        log.warning("%s", why)


def _is_of_the_disk(error: GaussVaeError) -> bool:
    """Whether a refusal comes from the disk or the file: other frames would be refused as well."""
    return isinstance(error, BankGone) or isinstance(
        error.__cause__, (sqlite3.Error, OSError, BankError)
    )
