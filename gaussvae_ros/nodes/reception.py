"""What becomes of each image that arrives: which session it belongs to, and whether it is worth a
frame.
"""

import logging
import time
from collections.abc import Callable

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from gaussvae_ros import likeness
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.camera import Camera
from gaussvae_ros.nodes.corrected_poses import CorrectedPoses
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.frame_poses import FramePoses
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.recognition import places
from gaussvae_ros.sessions import Clock, Sessions

THROTTLE_S = 5.0  # between two log lines on bad images

log = logging.getLogger(__name__)


class Reception:
    """Takes the images of a recording's cameras, and gives `put(frame)` those that differ enough
    from the one before, with what is known of their pose.

    `paused()` says whether images are only counted now. `map_id` is the map that poses are in, and
    `ended` that nothing more is to be taken; both may change at any time.
    """

    def __init__(
        self,
        node: Node,
        counters: Counters,
        poses: FramePoses,
        corrected: CorrectedPoses,
        paused: Callable[[], bool],
        put: Callable[[PendingFrame], None],
    ) -> None:
        self.map_id, self.ended = "", False
        self._node, self._counters = node, counters
        self._poses, self._corrected = poses, corrected
        self._paused, self._put = paused, put
        self._sessions = Sessions()

    def receive(self, camera: Camera, message: Image | CompressedImage) -> None:
        """Take an image."""
        if self.ended:
            return
        camera.last_s = time.monotonic()
        stamp_ns = convert.stamp_ns(message.header.stamp) or self._arrival(camera)
        clock = self._clock_of(camera, stamp_ns)
        session = clock.session
        self._counters.count(camera.name, session, "received")
        if self._paused():
            self._counters.count(camera.name, session, "paused")
            return
        try:
            image = camera.image(message)
            seen = likeness.describe(image)
        except GaussVaeError as error:
            camera.refusal = str(error)
            self._counters.count(camera.name, session, "bad")
            self._node.get_logger().warning(
                f"camera {camera.name}: {error}", throttle_duration_sec=THROTTLE_S
            )
            return
        frame_id = message.header.frame_id.strip("/")
        if not camera.gate(clock).admits(stamp_ns, seen, self._poses.newest(frame_id)):
            self._counters.count(camera.name, session, "gated")
            return
        descriptor = places.describe(image).tobytes()
        frame = PendingFrame(camera.name, session, stamp_ns, image, descriptor, frame_id)
        frame.map_id = self.map_id
        self._poses.find(frame)
        self._put(frame)
        if not frame.settled:
            self._poses.await_late(frame)

    def _arrival(self, camera: Camera) -> int:
        if not camera.unstamped:
            camera.unstamped = True
            log.warning(
                "camera %s: its images have no stamp; the time of their arrival is taken",
                camera.name,
            )
        return self._node.get_clock().now().nanoseconds

    def _clock_of(self, camera: Camera, stamp_ns: int) -> Clock:
        """Which clock, and so which session, an image belongs to; TF of before a new session is
        forgotten.
        """
        newest, last_ns = self._sessions.newest, camera.last_ns
        clock = self._sessions.clock_of(camera.name, stamp_ns)
        is_behind = camera.out_of_order(stamp_ns)
        if clock.session > newest:
            self._node.get_logger().info(
                f"camera {camera.name}: its clock was set back: a new session begins"
            )
            self._poses.set_back(last_ns, stamp_ns)
            self._corrected.set_back()
        elif is_behind:
            self._counters.count(camera.name, clock.session, "out_of_order")
        return clock
