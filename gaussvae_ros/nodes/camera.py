"""One camera of the memory node: its topics, what came on them, and what became of it."""

import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from gaussvae_ros.gates import Gate, Limits
from gaussvae_ros.images.messages import ImageDecoder
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.diagnostics import CameraState
from gaussvae_ros.nodes.image_topic import ImageTopic
from gaussvae_ros.nodes.topics import KINDS, TYPES, topics_of, transport_of
from gaussvae_ros.sessions import SLACK_NS, Clock

QUIET_S = 60.0  # between two log lines on what images lack


class Camera:
    """Listens to `image` if it is alone, else to `<name>/image`, and to the camera_info beside
    it.
    """

    def __init__(self, node: Node, name: str, alone: bool, transport: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self.last_ns = 0  # stamp of the last image
        self.behind_ns = 0  # how far the last stamp that was behind another one was so
        self.last_s = 0.0  # s of the monotonic clock, the last image or the begin of listening
        self.calibration: CameraInfo | None = None
        self.unstamped = False  # whether an image without stamp was warned of
        self.refusal = ""  # why the last image that could not be decoded could not
        self.no_pose = ""  # why the last frame without a pose has none
        self._gates: WeakKeyDictionary[Clock, Gate] = WeakKeyDictionary()
        self._node = node
        image = node.resolve_topic_name("image" if alone else f"{name}/image")
        transport = transport_of(image, transport)
        self.kind = KINDS[transport]
        self.topic, self._info_topic = map(node.resolve_topic_name, topics_of(image, transport))
        self._images: ImageTopic | None = None
        self._decoder = ImageDecoder(self.topic)

    def listen(
        self,
        reliability: str,
        depth: int,
        receive: Callable[["Camera", Image | CompressedImage], None],
    ) -> None:
        """Subscribe; `receive(camera, message)` gets the images."""
        self.last_s = time.monotonic()
        self._images = ImageTopic(
            self._node,
            self.kind,
            (self.topic, self._info_topic),
            (reliability, depth),
            lambda message: receive(self, message),
        )

    def quiet(self) -> None:
        """Unsubscribe."""
        if self._images is not None:
            self._images.close()
            self._images = None

    def gate(self, clock: Clock) -> Gate:
        """What admits the images of one clock."""
        gate = self._gates.setdefault(clock, Gate())
        gate.limits = self.limits
        return gate

    def out_of_order(self, stamp_ns: int) -> bool:
        """Whether a stamp is behind that of the image before, which is noted."""
        behind_ns, self.last_ns = self.last_ns - stamp_ns, stamp_ns
        if behind_ns > SLACK_NS:
            self.behind_ns = behind_ns
        return behind_ns > SLACK_NS

    def image(self, message: Image | CompressedImage) -> np.ndarray:
        """The picture in a message, see `convert.image_from`; what is missing of it is logged."""
        image = convert.image_from(message, self._decoder)
        if lost := self._decoder.problem:
            self._node.get_logger().warning(
                f"camera {self.name}: {lost}", throttle_duration_sec=QUIET_S
            )
        return image

    def new_calibration(self) -> CameraInfo | None:
        """What the camera says of itself, if that has changed."""
        info = None if self._images is None else self._images.last_info()
        if info is None:
            return None
        info.header.stamp = CameraInfo().header.stamp
        if info == self.calibration:
            return None
        self.calibration = info
        return info

    def state(self, counters: Counters, paused: bool) -> CameraState:
        """What diagnostics tell of it; the subscription becomes what its publishers offer now."""
        if self._images is not None:
            self._images.adapt()
        ours, infos = TYPES[self.kind], self._node.get_publishers_info_by_topic(self.topic)
        publishers = sorted(_node_name(info) for info in infos if info.topic_type == ours)
        beside = map(_node_name, self._node.get_publishers_info_by_topic(self._info_topic))
        # Who publishes both does so for every image; who thins images out or repeats a calibration
        # publishes one.
        telling = self._images is not None and set(publishers) == set(beside)
        return CameraState(
            name=self.name,
            topic=self.topic,
            type_name=ours,
            counts=counters.of_camera(self.name),
            keys=counters.records(self.name, True),
            predicted=counters.records(self.name, False),
            encode_s=counters.median(self.name, "encode"),
            latency_s=counters.median(self.name, "latency"),
            silence_s=None if self._images is None else time.monotonic() - self.last_s,
            paused=paused,
            publishers=publishers,
            others=sorted({info.topic_type for info in infos} - {ours}),
            behind_s=self.behind_ns / 1e9,
            announced=self._images.announced if telling else 0,
            reliability="" if self._images is None else self._images.reliability,
            refusal=self.refusal,
            no_pose=self.no_pose,
        )


def _node_name(info) -> str:
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"
