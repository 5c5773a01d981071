"""Follow a remembered route by sight, up to a frame with a label: gives the next picture at 4 Hz.

    python3 $(ros2 pkg prefix --share gaussvae_ros)/examples/follow_route.py --ros-args \\
        -p goal:=dock -r image:=/camera/image_raw

Images come from that topic or, as in the bag of `make demo`, as JPEG from <topic>/compressed.

The route is the recording that the labelled frame belongs to. `subgoal` is what the camera
saw there `ahead` frames farther along, small, as controllers by image goal take it; it
ends with the goal itself.
"""

import numpy as np
import rclpy
from cv_bridge import CvBridge
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from gaussvae_ros.client import MemoryClient, RecallError
from gaussvae_ros.likeness import describe, likeness

SIZE = (96, 96)  # px
# Frames before and after the last known place that are compared with what the camera sees.
RADIUS = 5


class FollowRoute(Node):
    def __init__(self) -> None:
        super().__init__("follow_route")
        self.label = self.declare_parameter("goal", "dock").value
        self.ahead = self.declare_parameter("ahead", 3).value  # frames
        self.least = self.declare_parameter(
            "least_likeness", 0.65
        ).value  # below, the robot is somewhere else
        self.memory = MemoryClient(self.get_namespace(), timeout_s=1.0)
        self.bridge, self.seen = CvBridge(), None
        self.goal, self.here = None, None  # frames of the memory
        topic = self.resolve_topic_name("image").removesuffix("/compressed")
        for kind, name in ((Image, topic), (CompressedImage, f"{topic}/compressed")):
            self.create_subscription(kind, name, self.see, qos_profile_sensor_data)
        self.publisher = self.create_publisher(Image, "subgoal", 1)
        self.create_timer(0.25, self.step)

    def see(self, message: Image | CompressedImage) -> None:
        self.seen = message  # only the newest counts

    def step(self) -> None:
        if self.seen is None:
            return
        message, self.seen = self.seen, None
        try:
            subgoal = self.next_picture(self.pixels(message))
        except RecallError as error:  # the node's sentence: no memory yet, not active, ...
            self.get_logger().warning(str(error), throttle_duration_sec=5.0)
            return
        if subgoal is not None:
            self.publisher.publish(self.bridge.cv2_to_imgmsg(subgoal, "rgb8", message.header))

    def pixels(self, message: Image | CompressedImage) -> np.ndarray:  # uint8 [h, w, 3]
        if isinstance(message, CompressedImage):
            return self.bridge.compressed_imgmsg_to_cv2(message, "rgb8")
        return self.bridge.imgmsg_to_cv2(message, "rgb8")

    def next_picture(self, image: np.ndarray) -> np.ndarray | None:  # uint8 [h, w, 3] both
        """What to steer for; None where the robot does not know its place."""
        self.goal = self.goal or self.find_goal()
        if self.here is None:  # anywhere along the route
            route = {"session": self.goal.session, "camera": self.goal.camera}
            found = self.memory.find(like=image, limit=1, **route)
            if not found:
                return None
            self.here = found[0][0]
        window = self.memory.recall_window(self.here.id, radius=RADIUS, size=SIZE)
        scores = likeness(
            describe(image), np.stack([describe(recalled.image) for recalled in window])
        )
        best = int(scores.argmax())
        if scores[best] < self.least:
            self.here = None
            self.get_logger().warning(
                f"nothing like this: likeness {scores[best]:.2f}", throttle_duration_sec=5.0
            )
            return None
        self.here = window[best].frame
        ids = [recalled.frame.id for recalled in window]
        last = ids.index(self.goal.id) if self.goal.id in ids else len(ids) - 1
        if best >= last and self.goal.id in ids:
            self.get_logger().info(f"at {self.label}", throttle_duration_sec=5.0)
        return window[min(best + self.ahead, last)].image

    def find_goal(self) -> object:
        found = self.memory.find(label=self.label)
        if not found:
            raise RecallError(
                f"no frame is labelled {self.label!r}: call /visual_memory/label_frame there"
            )
        return found[-1][0]


def main() -> None:
    rclpy.init()
    node = FollowRoute()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.memory.close()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
