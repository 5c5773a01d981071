"""The subscriptions of one camera: images, as reliable as their publishers are, and camera_info."""

from collections import deque
from collections.abc import Callable
from functools import partial

from builtin_interfaces.msg import Time
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions, QoSPolicyKind
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from gaussvae_ros.errors import ConfigError
from gaussvae_ros.nodes.parameters import RELIABILITIES
from gaussvae_ros.nodes.polled import Polled
from gaussvae_ros.nodes.topics import TYPES

INFOS = 200  # camera_infos between two looks at them, one a second
DEPTH_BYTES = 64 * 2**20  # of images that DDS keeps; of large ones fewer than image_depth
TWICE = 100  # images that two subscriptions may bring, before one of them goes
# Of qos_overrides; the rest is here.
OTHERS = QoSOverridingOptions([QoSPolicyKind.HISTORY, QoSPolicyKind.DURABILITY])
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT


class ImageTopic:
    """Subscribes to images and to the camera_info beside them.

    `image_reliability` and `image_depth` hold unless the parameters reliability and depth of
    qos_overrides.<topic>.subscription say otherwise, and no more than DEPTH_BYTES of images wait.
    `announced` counts the camera_infos that came.

    Raises:
        ConfigError: the overrides are not what they should be.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topics: tuple[str, str],  # of the images and of camera_info
        wanted: tuple[str, int],  # image_reliability and image_depth
        receive: Callable[[Image | CompressedImage], None],
    ) -> None:
        self.announced = 0
        self._bytes = 1  # of the largest image
        # All that ever were; the last that brought an image serves.
        self._subscriptions: list[Subscription | None] = []
        self._serving = 0
        # What the next subscription may bring again.
        self._twice: deque[tuple[int, Time]] = deque(maxlen=TWICE)
        self._node, self._kind, self._receive = node, kind, receive
        self._topic, info = topics
        self._declared: list[str] = []
        try:
            self._wanted, self._depth = self._overridden(*wanted)
            self._reliability = self._offered()
            self._subscribe()
        except ConfigError:
            self._undeclare()
            raise
        self._info = Polled(
            node, CameraInfo, info, QoSProfile(depth=INFOS, reliability=BEST_EFFORT)
        )

    @property
    def reliability(self) -> str:
        """What is asked of DDS now: reliable or best_effort."""
        return self._reliability.name.lower()

    def adapt(self) -> None:
        """Subscribe anew if publishers offer something else, or images are too large for the
        depth.
        """
        reliability, depth = self._offered(), min(self._depth, max(DEPTH_BYTES // self._bytes, 1))
        if (reliability, depth) != (self._reliability, self._depth):
            self._reliability, self._depth = reliability, depth
            self._subscribe()

    def last_info(self) -> CameraInfo | None:
        """The last camera_info since the last call, if any came."""
        infos = list(self._info.take())
        self.announced += len(infos)
        return infos[-1] if infos else None

    def close(self) -> None:
        """Unsubscribe."""
        self._unsubscribe(len(self._subscriptions))
        self._info.close()
        self._undeclare()

    def _subscribe(self) -> None:
        """Subscribe as is asked for now; another one serves until this one has brought an image."""
        number = len(self._subscriptions)
        quality = QoSProfile(depth=self._depth, reliability=self._reliability)
        self._twice.clear()
        self._subscriptions.append(
            self._node.create_subscription(
                self._kind,
                self._topic,
                partial(self._take, number),
                quality,
                qos_overriding_options=OTHERS,
            )
        )

    def _unsubscribe(self, before: int) -> None:
        for number, subscription in enumerate(self._subscriptions[:before]):
            if subscription is not None:
                self._node.destroy_subscription(subscription)
                self._subscriptions[number] = None

    def _take(self, number: int, message: Image | CompressedImage) -> None:
        if number > self._serving:
            self._serving = number
            self._unsubscribe(number)
        stamp, self._bytes = message.header.stamp, max(self._bytes, len(message.data))
        if number == self._serving and (number - 1, stamp) in self._twice:
            self._twice.remove((number - 1, stamp))
            return
        if number < len(self._subscriptions) - 1:  # another one is to come
            self._twice.append((number, stamp))
        self._receive(message)

    def _offered(self) -> ReliabilityPolicy:
        """What to ask for: a reliable subscription gets nothing of publishers that are not."""
        if self._wanted != "auto":
            return RELIABLE if self._wanted == "reliable" else BEST_EFFORT
        ours = TYPES[self._kind]
        infos = self._node.get_publishers_info_by_topic(self._topic)
        offers = [info.qos_profile.reliability for info in infos if info.topic_type == ours]
        if not offers:
            return getattr(self, "_reliability", BEST_EFFORT)
        return RELIABLE if all(offer == RELIABLE for offer in offers) else BEST_EFFORT

    def _overridden(self, reliability: str, depth: int) -> tuple[str, int]:
        """What qos_overrides make of both."""
        values = []
        for policy, value in (("reliability", reliability), ("depth", depth)):
            name = f"qos_overrides.{self._topic}.subscription.{policy}"
            try:
                # Not by rclpy, which would keep what it declares first, also where the publishers
                # offer something else.
                values.append(self._node.declare_parameter(name, value).value)
            except InvalidParameterTypeException as error:
                raise ConfigError(f"parameter {name}: {error}") from error
            self._declared.append(name)
        if values[0] not in RELIABILITIES or values[1] < 1:
            raise ConfigError(
                f"{self._declared[0].rpartition('.')[0]}: reliability is one of"
                f" {', '.join(RELIABILITIES)} and depth at least 1,"
                f" not {values[0]!r} and {values[1]}"
            )
        return values[0], values[1]

    def _undeclare(self) -> None:
        while self._declared:
            self._node.undeclare_parameter(self._declared.pop())
