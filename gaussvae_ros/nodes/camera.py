"""One camera of the memory node: its topics, and what was last heard on them."""

import time
from collections.abc import Callable

import numpy as np
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from gaussvae_ros.bank.frame import checked_text
from gaussvae_ros.errors import ConfigError
from gaussvae_ros.gates import Gate, Limits
from gaussvae_ros.messages import ImageDecoder
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.diagnostics import CameraState
from gaussvae_ros.nodes.polled import Polled

DEPTH = 5  # images that wait while another one is looked at, so that a burst is not lost uncounted
QUIET_S = 60.0  # between two log lines on what images lack
COMPRESSED = "/compressed"
KINDS = {"raw": Image, "compressed": CompressedImage}
TYPES = {kind: f"sensor_msgs/msg/{kind.__name__}" for kind in KINDS.values()}


class Camera:
    """Listens to `image` if it is alone, else to `<name>/image`, and to the camera_info beside it."""

    def __init__(self, node: Node, name: str, alone: bool, transport: str, limits: Limits) -> None:
        self.name, self.session, self.gate = name, 0, Gate(limits)
        self.last_ns = 0  # stamp of the last image
        self.heard = 0.0  # s of the monotonic clock, the last image or the begin of listening
        self.calibration: CameraInfo | None = None
        self.unstamped = False  # whether an image without stamp was warned of
        self.kind = KINDS[transport]
        self._node, self._subscription, self._info = node, None, None
        image = node.resolve_topic_name("image" if alone else f"{name}/image")
        self.topic, self._info_topic = topics_of(image, transport)
        self._decoder = ImageDecoder(self.topic)

    def listen(self, hear: Callable[["Camera", Image | CompressedImage], None]) -> None:
        """Subscribe; `hear(camera, message)` gets the images."""
        self.heard = time.monotonic()
        quality = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = self._node.create_subscription(
            self.kind, self.topic, lambda message: hear(self, message), quality
        )
        # It comes with every image and says the same each time.
        only_last = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._info = Polled(self._node, CameraInfo, self._info_topic, only_last)

    def quiet(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._info.close()
            self._subscription = self._info = None

    def image(self, message: Image | CompressedImage) -> np.ndarray:
        """The picture in a message, see `convert.image_from`; what is missing of it is logged."""
        image = convert.image_from(message, self._decoder)
        if lost := self._decoder.problem:
            self._node.get_logger().warning(f"camera {self.name}: {lost}", throttle_duration_sec=QUIET_S)
        return image

    def new_calibration(self) -> CameraInfo | None:
        """What the camera says of itself, if that has changed."""
        for info in self._info.take() if self._info is not None else ():
            info.header.stamp, known = CameraInfo().header.stamp, self.calibration
            if info != known:
                self.calibration = info
                return info
        return None

    def state(self, counters: Counters, paused: bool) -> CameraState:
        """What diagnostics tell of it."""
        types = [info.topic_type for info in self._node.get_publishers_info_by_topic(self.topic)]
        ours = TYPES[self.kind]
        return CameraState(
            name=self.name,
            topic=self.topic,
            type_name=ours,
            counts=counters.of_camera(self.name),
            encode_s=counters.median(self.name, "encode"),
            latency_s=counters.median(self.name, "latency"),
            silence_s=None if self._subscription is None else time.monotonic() - self.heard,
            paused=paused,
            publishers=types.count(ours),
            others=sorted({kind for kind in types if kind != ours}),
        )


def topics_of(image: str, transport: str) -> tuple[str, str]:
    """Those of the images and of the camera_info beside them, as image_transport derives them from an image topic."""
    base = image.removesuffix(COMPRESSED)
    return base + COMPRESSED if transport == "compressed" else base, f"{base.rpartition('/')[0]}/camera_info"


def check_names(names: list[str]) -> None:
    """Raise ConfigError unless there can be cameras of these names."""
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"cameras needs one name or several different ones, not {list(names)}")
    for name in names:
        try:
            checked_text("the name of a camera", name)
            if len(names) > 1:
                validate_topic_name(f"{name}/image")
        except InvalidTopicNameException as error:
            raise ConfigError(
                f"camera {name!r} cannot be part of a topic's name: {' '.join(str(error).split())}"
            ) from error
