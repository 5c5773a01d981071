"""Where frames were taken: at once if TF knows, else a little later."""

import time
from collections.abc import Callable, Iterable

import numpy as np
from rclpy.clock import Clock, ClockType

from gaussvae_ros.bank import Pose
from gaussvae_ros.nodes.late_poses import LatePoses
from gaussvae_ros.nodes.lifecycle import ManagedNode
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.nodes.transforms import Transforms

RETRY_S = 0.1  # between two looks at TF for late poses


class FramePoses:
    """Looks poses up in TF between `listen` and `quiet`; else there are none, and none is awaited.

    `settled(frame, pose, why)` is called once for each late pose: None is final, and `why` says in
    a sentence what TF lacks.
    """

    def __init__(
        self, node: ManagedNode, settled: Callable[[PendingFrame, Pose | None, str], None]
    ) -> None:
        self._node, self._settled = node, settled
        self._transforms: Transforms | None = None
        self._odometry = ""
        self._late = LatePoses(self._at, self._settle)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on where a simulation stands still
        self._timer = node.create_timer(RETRY_S, self._retry_poses, clock=steady)
        self._timer.cancel()  # until a pose is late

    def listen(self, reference: str, odometry: str = "") -> None:
        """Poses are in the coordinate frame `reference` from now on; those of frames in `odometry`
        are found, too, where that is one.
        """
        self._transforms, self._odometry = Transforms(self._node, reference), odometry.strip("/")

    def quiet(self) -> None:
        """Ask for those that are late a last time, and listen to TF no more."""
        if self._transforms is not None:
            self._transforms.take()
            self._late.give_up()
            self._transforms.close()
            self._transforms = None

    def close(self) -> None:
        """Let go of the timer; `quiet` comes before."""
        self._node.destroy_timer(self._timer)

    def newest(self, frame_id: str) -> np.ndarray | None:  # float64 [7]
        """Where a camera was when TF last knew."""
        if self._transforms is None:
            return None
        self._transforms.take()
        return self._transforms.newest(frame_id)

    def since(self, after_ns: int, reference: str, frame: str) -> Iterable[tuple[int, np.ndarray]]:
        """(ns, pose [7]) of any frame in another from a stamp on, see `Transforms.since`."""
        if self._transforms is None:
            return ()
        self._transforms.take()
        return self._transforms.since(after_ns, reference.strip("/"), frame.strip("/"))

    def unknown(self, frames: dict[str, str]) -> str:
        """Why TF connects two frames not, see `Transforms.unknown`."""
        return "" if self._transforms is None else self._transforms.unknown(frames)

    def find(self, frame: PendingFrame) -> None:
        """Give a frame its pose; without one it is not settled, and to be awaited."""
        if self._transforms is not None:
            frame.pose = self._at(frame)
            frame.settled = frame.pose is not None

    def await_late(self, frame: PendingFrame) -> None:
        """Ask again for a frame's pose until it is there or has taken too long."""
        self._late.add(frame, time.monotonic())
        if self._timer.is_canceled():  # one that is reset with every image never fires
            self._timer.reset()

    def set_back(self, from_ns: int, to_ns: int) -> None:
        """The images' clock was set back: TF of before it is forgotten."""
        if self._transforms is not None:
            self._transforms.take()
            self._late.give_up()
            self._transforms.set_back(from_ns, to_ns)

    def _at(self, frame: PendingFrame) -> Pose | None:
        pose = self._transforms.at(frame.frame_id, frame.stamp_ns)
        if pose is not None and self._odometry:
            frame.odometry = self._transforms.seen_from(
                self._odometry, frame.frame_id, frame.stamp_ns
            )
        return pose

    def _settle(self, frame: PendingFrame, pose: Pose | None) -> None:
        why = ""
        if pose is None:
            why = self._transforms.why_not(frame.frame_id, frame.stamp_ns)
        self._settled(frame, pose, why)

    def _retry_poses(self) -> None:
        if self._transforms is not None:
            self._transforms.take()
            self._late.retry(time.monotonic(), self._node.settings.pose_timeout)
        if not self._late:
            self._timer.cancel()
