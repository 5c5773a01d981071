"""Subscriptions that wake nobody: their messages lie in the middleware until they are asked for.

The executor takes about a millisecond of Python for each message that it hands over, and TF or a
simulation's clock may come a thousand times a second.
"""

from collections.abc import Iterator

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile


class Never(CallbackGroup):
    """Keeps its subscriptions and services out of every executor's wait set."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        pass


class Polled:
    """A topic whose last messages, as many as `qos.depth`, wait for `take`; `raw`: as bytes."""

    def __init__(
        self, node: Node, kind: type, topic: str, qos: QoSProfile, raw: bool = False
    ) -> None:
        self._node, self._raw = node, raw
        self._subscription = node.create_subscription(
            kind, topic, lambda message: None, qos, callback_group=Never()
        )

    @property
    def topic(self) -> str:
        """Its name, with namespace and remapping."""
        return self._subscription.topic_name

    def take(self) -> Iterator:
        """The messages that came since the last call, oldest first."""
        handle, kind = self._subscription.handle, self._subscription.msg_type
        # Messages that come faster must not hold us here.
        for _ in range(self._subscription.qos_profile.depth):
            try:
                with handle:
                    taken = handle.take_message(kind, self._raw)
            except rclpy_implementation.RCLError:  # the context was shut down meanwhile
                return
            if taken is None:
                return
            yield taken[0]

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)
