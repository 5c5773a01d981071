"""Encodes frames and stores them. All but `Recorder.label` is called by the worker's thread."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.bank import Frame, MemoryBank, Pose
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.nodes.counters import Counters

log = logging.getLogger(__name__)


@dataclass(eq=False)
class PendingFrame:
    """A frame on its way into the memory."""

    camera: str
    session: int  # its number in this recording, see sessions.py
    stamp_ns: int
    image: np.ndarray | None  # uint8 [H, W, 3] RGB or [H, W]; None once it is encoded
    descriptor: bytes
    frame_id: str  # the camera's coordinate frame, empty where not known
    pose: Pose | None = None
    settled: bool = True  # False: `settle` is still to say whether there is a pose
    id: int | None = None  # in the bank, once it is there


class Recorder:
    """One recording. `name` is that of its sessions, empty for the time at which each begins.

    `stored(frames)` is called after each commit with what it stored, and `now_ns()` is the clock of the stamps.
    `encoding` is keyword arguments for `FrameCodec.encode` and may be replaced at any time. `refusal` is why the bank
    did not take what was written last, empty if it did. `behind`: `tally` would tell the bank of stored frames.
    """

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
        self.encoding, self.refusal, self.behind = encoding, "", False
        self._bank, self._codec, self._counters, self._name = bank, codec, counters, name
        self._stored, self._now_ns, self._wants_poses = stored, now_ns, wants_poses
        self._ids: dict[int, int] = {}  # session: its id in the bank
        self._waiting: list[PendingFrame] = []  # for the commit
        self._accepts = True  # whether the bank took the last frame
        self._tallies: dict[int, dict[str, int]] = {}  # session: what the bank has
        self._calibrations: dict[str, dict] = {}

    def work(self, frame: PendingFrame) -> None:
        """Encode a frame and add it to the bank; a frame that cannot be is counted."""
        begun = time.perf_counter()
        try:
            data = self._codec.encode(frame.image, **self.encoding)
            self._counters.took(frame.camera, "encode", time.perf_counter() - begun)
            frame.id = self._bank.add(
                data,
                stamp_ns=frame.stamp_ns,
                camera=frame.camera,
                pose=frame.pose,
                session=self._session(frame),
                descriptor=frame.descriptor,
                frame_id=frame.frame_id,
            )
            self._accepts = True
            self._waiting.append(frame)
            if frame.settled:
                self._count_pose(frame)
        except GaussVaeError as error:
            self._failed(frame, error)
        finally:
            frame.image = None

    def settle(self, frame: PendingFrame, pose: Pose | None) -> None:
        """Give a frame its late pose, or None for good."""
        frame.settled, frame.pose, self.behind = True, pose, True
        if frame.id is None:  # not encoded yet, or never
            return
        if pose is not None:
            try:
                self._bank.set_pose(frame.id, pose)
            except BankError as error:
                self._refused(error)
                frame.pose = None
        self._count_pose(frame)

    def calibrate(self, camera: str, calibration: dict) -> None:
        """Keep a camera's calibration with the sessions from the newest on."""
        self._calibrations[camera] = calibration
        for session in list(self._ids.values())[-1:]:
            self._set_calibration(camera, session)

    def commit(self) -> bool:
        """Commit what was added; False if the bank refuses, which keeps it for the next time."""
        try:
            self._bank.flush()
        except BankError as error:
            self._refused(error)
            return False
        frames, self._waiting = self._waiting, []
        self.behind |= bool(frames)
        if self.refusal and frames and self._accepts:
            log.warning("%s takes frames again", self._bank.path)
            self.refusal = ""
        now = self._now_ns()
        for frame in frames:
            self._counters.count(frame.camera, frame.session, "stored")
            self._counters.took(frame.camera, "latency", (now - frame.stamp_ns) / 1e9)
        self._stored([self._bank.get(frame.id) for frame in frames])
        return True

    def tally(self) -> None:
        """Write what the sessions counted, where it changed."""
        self.behind = False
        for session, bank_session in self._ids.items():
            tally = self._counters.tally(session)
            if tally == self._tallies.get(session):
                continue
            try:
                self._bank.set_tally(bank_session, tally)
                self._tallies[session] = tally
            except BankError as error:
                self._refused(error)

    def _session(self, frame: PendingFrame) -> int:
        if frame.session not in self._ids:
            self.tally()
            for session in [session for session in self._ids if session < frame.session - 1]:  # over for good
                self._counters.forget(session)
                self._tallies.pop(session, None)
                del self._ids[session]
            name = self._name or time.strftime("%Y-%m-%d %H:%M:%S")
            self._ids[frame.session] = self._bank.begin_session(name, start_ns=frame.stamp_ns)
            for camera in self._calibrations:
                self._set_calibration(camera, self._ids[frame.session])
        return self._ids[frame.session]

    def _set_calibration(self, camera: str, session: int) -> None:
        try:
            self._bank.set_calibration(camera, self._calibrations[camera], session=session)
        except BankError as error:
            self._refused(error)

    def _count_pose(self, frame: PendingFrame) -> None:
        if self._wants_poses:
            self._counters.count(frame.camera, frame.session, "poses_missing" if frame.pose is None else "with_pose")

    def _failed(self, frame: PendingFrame, error: GaussVaeError) -> None:
        self._counters.count(frame.camera, frame.session, "failed")
        if isinstance(error, BankError):
            self._accepts = False
            self._refused(error)
        else:
            log.warning("a frame of %s could not be encoded: %s", frame.camera, error)

    def _refused(self, error: BankError) -> None:
        if not self.refusal:
            log.error("%s", error)
        self.refusal = str(error)
