"""Which process a node runs in, so that a second node of its name finds out before it does harm.

ROS lets two nodes have one name, and then both answer each other's services.
"""

import json
import os
import socket
import time
from dataclasses import asdict, dataclass

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from gaussvae_ros.nodes.polled import Polled

TOPIC = "~/process"
FOUND_S = 1.0  # after which a node has learned of the others on the graph
LATEST_S = 10.0  # after which it has on the busiest machine
# Its publisher keeps it for nodes that come later: of a process that was killed, nothing arrives.
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True, order=True)
class Process:
    """One that a node runs in."""

    since_ns: int  # of its computer's clock
    host: str
    process: int


class Presence:
    """Tells others of this node's process, and knows an older one that runs a node of its name."""

    def __init__(self, node: Node) -> None:
        self._node, self._begun = node, time.monotonic()
        self._mine = Process(time.time_ns(), socket.gethostname(), os.getpid())
        self._older: tuple[Process, float] | None = None  # and when it was received, s
        self._others = Polled(node, String, TOPIC, LATCHED)
        self._publisher = node.create_publisher(String, TOPIC, LATCHED)
        self._publisher.publish(String(data=json.dumps(asdict(self._mine))))

    def conflict(self) -> str:
        """A sentence on the older node of this name, empty if there is none; waits until it is
        known.
        """
        time.sleep(max(self._begun + FOUND_S - time.monotonic(), 0.0))
        return self.known_conflict()

    def known_conflict(self) -> str:
        """The same, at once."""
        for message in self._others.take():
            other = _read(message.data)
            if other is not None and other < self._mine:
                self._older = other, time.monotonic()
        if self._older is None:
            return ""
        older, received = self._older
        if self._node.count_publishers(self._publisher.topic_name) < 2:
            # It has ended, or the graph does not show its publisher yet, which may come after
            # what that published.
            if time.monotonic() - received > LATEST_S:
                self._older = None
            return ""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(older.since_ns / 1e9))
        return (
            f"a node {self._node.get_fully_qualified_name()} runs already: process"
            f" {older.process} on {older.host}, since {since}."
            " End that one, or start this one in another namespace"
        )


def _read(text: str) -> Process | None:
    """What another node told of itself; None if it is something else."""
    try:
        told = json.loads(text)
        return Process(int(told["since_ns"]) % 2**63, str(told["host"]), int(told["process"]))
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
