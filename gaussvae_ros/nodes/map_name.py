"""Which map poses are in: what a parameter says, or what a latched topic shows."""

import hashlib
import logging
import time

from nav_msgs.msg import MapMetaData, OccupancyGrid
from rclpy.qos import DurabilityPolicy, QoSProfile

from gaussvae_ros.bank.frame import checked_map
from gaussvae_ros.errors import BankError
from gaussvae_ros.map_message import metadata
from gaussvae_ros.nodes.lifecycle import ManagedNode
from gaussvae_ros.nodes.polled import Polled

BUILT_S = 60.0  # a map that changes again so soon is one that SLAM is building
THROTTLE_S = 60.0  # between two log lines on a name that cannot be one
KINDS = {True: MapMetaData, False: OccupancyGrid}  # by whether a topic's name ends in "metadata"

log = logging.getLogger(__name__)


class MapName:
    """`id` is the map's name, empty while none is known. `look` takes what came since."""

    def __init__(self, node: ManagedNode) -> None:
        self._node, self._topic = node, None
        self._named = self._shown = ""  # by the parameter, and by the topic
        self._changed_s = 0.0

    @property
    def id(self) -> str:
        """The parameter `map_id`, or if that is empty a hash of the map on `map_topic`."""
        try:
            self._named = checked_map(self._node.settings.map_id)
        except BankError as error:
            self._node.get_logger().warning(str(error), throttle_duration_sec=THROTTLE_S)
        return self._named or self._shown

    def listen(self, topic: str) -> None:
        """Go by the maps on a topic from now on, an empty one being none."""
        if topic:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            kind = KINDS[topic.endswith("metadata")]
            self._topic = Polled(self._node, kind, topic, latched, raw=True)

    def quiet(self) -> None:
        """Listen no more."""
        if self._topic is not None:
            self._topic.close()
            self._topic = None

    def look(self) -> None:
        """Take what came."""
        for raw in self._topic.take() if self._topic is not None else ():
            facts = metadata(raw, header=not self._topic.topic.endswith("metadata"))
            shown = hashlib.blake2b(facts, digest_size=6).hexdigest() if facts else ""
            if not facts or shown == self._shown:
                continue
            if self._shown and time.monotonic() - self._changed_s < BUILT_S:
                log.warning(
                    "the map on %s changes while it is built: it is called %s from now on, give it"
                    " a map_id",
                    self._topic.topic,
                    self._shown,
                )
                return self.quiet()
            self._shown, self._changed_s = shown, time.monotonic()
