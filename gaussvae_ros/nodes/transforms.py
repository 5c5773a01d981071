"""Poses out of TF, never waiting for it."""

from collections.abc import Iterator

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from tf2_msgs.msg import TFMessage
from tf2_py import BufferCore, TransformException

from gaussvae_ros.bank import Pose
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes.convert import stamp_ns
from gaussvae_ros.nodes.polled import Polled
from gaussvae_ros.poses import BODY_IN_OPTICAL, compose
from gaussvae_ros.poses.track import JUMP_NS

KEPT_S = 10.0  # as in tf2
STEP_NS = 100_000_000  # between two samples of a motion
SHOWN = 20  # names of frames in a sentence
WAITING = 1000  # messages between two looks at TF
SOURCE = "gaussvae_ros"


class Transforms:
    """What TF knows of the cameras' poses in the coordinate frame `reference`.

    Rotations follow REP 103's body axes, x forward and z up, also for cameras whose frame is named
    "*optical*".
    """

    def __init__(self, node: Node, reference: str) -> None:
        self.reference = reference.strip("/")
        self._buffer = BufferCore(Duration(seconds=KEPT_S))
        self._frames: set[str] = set()  # all that were named
        self._newest: dict[str, int] = {}  # ns, the stamp of each child frame's last transform
        self._moving = Polled(node, TFMessage, "/tf", QoSProfile(depth=WAITING))
        # What never moves is published once, so nothing may be lost.
        self._fixed = Polled(
            node,
            TFMessage,
            "/tf_static",
            QoSProfile(depth=WAITING, durability=DurabilityPolicy.TRANSIENT_LOCAL),
        )

    def close(self) -> None:
        """Unsubscribe."""
        self._moving.close()
        self._fixed.close()

    def take(self) -> None:
        """Look at what came."""
        for message in self._fixed.take():
            for transform in message.transforms:
                self._put(transform, self._buffer.set_transform_static)
        for message in self._moving.take():
            for transform in message.transforms:
                stamp, child = stamp_ns(transform.header.stamp), transform.child_frame_id
                if stamp < self._newest.get(child, stamp) - JUMP_NS:
                    self._clear()
                self._newest[child] = max(stamp, self._newest.get(child, stamp))
                self._put(transform, self._buffer.set_transform)

    def at(self, frame_id: str, stamp_ns: int) -> Pose | None:
        """Where a camera was at a stamp; None where TF does not know, or not yet."""
        pose = self.seen_from(self.reference, frame_id, stamp_ns)
        try:
            return None if pose is None else Pose(*pose.tolist(), reference=self.reference)
        except BankError:  # not a pose: numbers that are not finite
            return None

    def newest(
        self, frame_id: str
    ) -> np.ndarray | None:  # float64 [7], x y z (m) and unit quaternion
        """Where a camera was when TF last knew."""
        return self._look_up(self.reference, frame_id, Time())

    def seen_from(self, reference: str, frame_id: str, stamp_ns: int) -> np.ndarray | None:  # [7]
        """Where a camera was in any frame at a stamp, with body axes as in `at`."""
        if stamp_ns < 0:  # Time has no others
            return None
        return self._look_up(reference, frame_id, Time(nanoseconds=stamp_ns))

    def since(self, after_ns: int, reference: str, frame: str) -> Iterator[tuple[int, np.ndarray]]:
        """(ns, pose [7]) of a frame in another, from a stamp on in steps of STEP_NS, and where TF
        last knew.
        """
        try:
            newest = self._buffer.get_latest_common_time(reference, frame).nanoseconds
        except TransformException:
            return
        begin = max(after_ns + STEP_NS, newest - round(KEPT_S * 1e9))
        for stamp in (*range(begin, newest, STEP_NS), newest):
            if (pose := self.between(reference, frame, Time(nanoseconds=stamp))) is not None:
                yield stamp, pose

    def why_not(self, frame_id: str, stamp_ns: int) -> str:
        """Why `at` returns None, in a sentence that names what is missing and what there is."""
        if not frame_id:
            return "the images have no frame_id"
        named = {"map_frame": self.reference, "the images' frame_id": frame_id}
        if unknown := self.unknown(named):
            return unknown
        newest = self._buffer.get_latest_common_time(self.reference, frame_id).nanoseconds
        behind = (stamp_ns - newest) / 1e9
        if behind > 0:
            return f"TF from {self.reference} to {frame_id} is {behind:.3f} s behind the images"
        return (
            f"TF from {self.reference} to {frame_id} is {-behind:.3f} s ahead of the images, and"
            " does not reach back"
        )

    def unknown(self, frames: dict[str, str]) -> str:
        """Why nothing leads from one of two frames to the other, in a sentence that calls them so;
        empty if it does.
        """
        known = sorted(self._frames)
        if not known:
            return f"nothing came on {self._moving.topic} and {self._fixed.topic}"
        for what, frame in frames.items():
            if frame not in known:
                there = ", ".join(known[:SHOWN] + ["..."] * (len(known) > SHOWN))
                return f"{what} {frame} is not in TF, which has {there}"
        try:
            self._buffer.get_latest_common_time(*frames.values())
        except TransformException:
            return f"TF has {' and '.join(frames.values())}, but nothing connects them"
        return ""

    def between(
        self, reference: str, frame_id: str, time: Time
    ) -> np.ndarray | None:  # float64 [7]
        """The pose of a frame in another, with its own axes; Time() is when TF last knew."""
        try:
            found = self._buffer.lookup_transform_core(reference, frame_id, time).transform
        except TransformException:
            return None
        at, turned = found.translation, found.rotation
        return np.array([at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w])

    def set_back(self, from_ns: int, to_ns: int) -> None:
        """The images' clock was set back: forget TF from before it, unless TF's own was set back
        already.
        """
        if max(self._newest.values(), default=to_ns) > (from_ns + to_ns) // 2:
            self._clear()

    def _clear(self) -> None:
        self._buffer.clear()  # what never moves stays
        self._newest.clear()

    def _put(self, transform: TransformStamped, put) -> None:
        try:
            put(transform, SOURCE)
            self._frames |= {
                transform.header.frame_id.strip("/"),
                transform.child_frame_id.strip("/"),
            }
        except TransformException:  # no frame names, or numbers that are not finite
            pass

    def _look_up(self, reference: str, frame_id: str, time: Time) -> np.ndarray | None:
        if not (frame_id and reference):
            return None
        pose = self.between(reference, frame_id, time)
        return (
            compose(pose, BODY_IN_OPTICAL) if pose is not None and "optical" in frame_id else pose
        )
