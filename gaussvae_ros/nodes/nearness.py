"""Places that are asked about, in the coordinate frame of the memory's poses."""

import threading
import time

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.time import Time

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.nodes.convert import stamp_ns
from gaussvae_ros.nodes.transforms import Transforms
from gaussvae_ros.poses import compose

WAIT_S = 2.0  # from the beginning on, in which TF may not have come yet
LOOK_S = 0.05


class Nearness:
    """Takes places from any coordinate frame that TF knows to that of the poses; any thread may
    ask.
    """

    def __init__(self, node: Node) -> None:
        self._transforms, self._lock = Transforms(node, ""), threading.Lock()
        self._settled = time.monotonic() + WAIT_S

    def close(self) -> None:
        """Unsubscribe."""
        with self._lock:
            self._transforms.close()

    def place(
        self, near: PoseStamped, references: list[str], what: str = "near", whose: str = "poses"
    ) -> tuple[np.ndarray, str]:
        """A pose [7], and the one of `references`, the frames that poses are in, that it is in; ""
        is any.

        Without a stamp it is taken over as TF is now. A sentence on an error says `what` has no
        way to `whose` frame.

        Raises:
            GaussVaeError: nothing leads from its frame to one of `references`; the sentence names
            both.
        """
        at, turned = near.pose.position, near.pose.orientation
        pose = np.array([at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w])
        frame = near.header.frame_id.strip("/")
        if not (frame and references) or frame in references:
            return pose, frame
        when = Time(nanoseconds=max(stamp_ns(near.header.stamp), 0))
        while True:
            with self._lock:
                self._transforms.take()
                for reference in references:
                    if (known := self._transforms.between(reference, frame, when)) is not None:
                        return compose(known, pose), reference
                if time.monotonic() >= self._settled:
                    raise GaussVaeError(self._why_not(frame, references, when, what, whose))
            time.sleep(LOOK_S)

    def _why_not(self, frame: str, references: list[str], when: Time, what: str, whose: str) -> str:
        why = self._transforms.unknown(
            {f"the frame of {what},": frame, f"that of the {whose},": references[0]}
        )
        why = (
            why
            or f"TF does not connect them at {when.nanoseconds / 1e9:.3f} s; a stamp of 0 is now"
        )
        there = ", ".join(references)
        return f"{what} is in the frame {frame} and the {whose} of the memory are in {there}: {why}"
