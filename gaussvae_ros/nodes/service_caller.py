"""Services called from any thread, by a node and an executor that are the caller's own."""

import atexit
import logging
import math
import threading
import time
from contextlib import suppress

from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.utilities import get_default_context

from gaussvae_ros.errors import RecallError

LOOK_S = 0.1  # how often a call that waits looks whether ROS has ended
FIND_S = 0.02  # how often it looks for a service that is not there yet
# After which a request is sent again, then after twice as long: a node that has just been found may
# lose one.
AGAIN_S = 1.0

log = logging.getLogger(__name__)


class ServiceCaller:
    """Asks services for answers that say `success` and `message`, and waits `timeout_s` for each.

    Raises:
        RecallError: from `ask`, with the node's sentence, or because no answer came.
    """

    def __init__(self, namespace: str, timeout_s: float, services: dict[type, str]) -> None:
        """`services`: the name of the service of each kind."""
        default = get_default_context()
        self._timeout_s = timeout_s
        # Not the caller's: it may end before this client, and may remap its nodes.
        self._context = Context()
        self._context.init(args=[], domain_id=default.get_domain_id() if default.ok() else None)
        self._node = Node(
            "memory_client",
            namespace=namespace,
            context=self._context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._clients = {
            kind: self._node.create_client(kind, name) for kind, name in services.items()
        }
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="memory_client", daemon=True)
        self._closing, self._closed = threading.Lock(), False
        self._thread.start()
        atexit.register(self.close)  # a thread inside the middleware would abort Python as it ends

    def close(self) -> None:
        """End, also calls that wait for an answer; a second call does nothing."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            atexit.unregister(self.close)
            self._context.try_shutdown()  # which ends the thread; only then may go what it uses
            deadline = time.monotonic() + self._timeout_s
            while self._thread.is_alive() and time.monotonic() < deadline:
                # A signal wakes the executor just before its context ends: it may sleep on.
                with suppress(rclpy_implementation.RCLError, rclpy_implementation.InvalidHandle):
                    self._executor.wake()
                self._thread.join(LOOK_S)
            self._executor.shutdown()
            self._node.destroy_node()

    def ask(self, request: object, once: bool = False) -> object:
        """The answer to a request, if it is one of success; `once`: it is not to be sent again."""
        client = next(
            client for kind, client in self._clients.items() if isinstance(request, kind.Request)
        )
        try:
            answer = self._answer(client, request, once)
        except (rclpy_implementation.RCLError, rclpy_implementation.InvalidHandle):
            if self._context.ok() and not self._closed:
                raise
            answer = (
                None  # ROS was shut down, such as by Ctrl-C, or this client was closed meanwhile
            )
        if answer is None:
            raise RecallError("the memory client is closed")
        if not answer.success:
            raise RecallError(answer.message)
        if answer.message:
            log.warning("%s", answer.message)
        return answer

    def _answer(self, client: Client, request: object, once: bool) -> object | None:
        """What comes in time; None where ROS ends before. A request that gets no answer is sent
        again.
        """
        deadline = time.monotonic() + self._timeout_s
        while not client.service_is_ready():
            if not self._context.ok():
                return None
            if time.monotonic() >= deadline:
                node = client.service_name.rsplit("/", 1)[0]
                raise RecallError(
                    f"no {client.service_name} in {self._timeout_s:g} s: {node} is not there or"
                    " not configured"
                )
            time.sleep(FIND_S)
        futures, done, now = [], threading.Event(), time.monotonic()
        deadline, again, wait = now + self._timeout_s, now, AGAIN_S
        try:
            while True:
                now = time.monotonic()
                if not self._context.ok():
                    return None
                if now >= deadline:
                    raise RecallError(
                        f"no answer from {client.service_name} in {self._timeout_s:g} s"
                    )
                if now >= again:
                    futures.append(client.call_async(request))
                    futures[-1].add_done_callback(lambda _: done.set())
                    again, wait = math.inf if once else now + wait, 2 * wait
                if done.wait(min(LOOK_S, deadline - now)):
                    break
            return next(future.result() for future in futures if future.done())
        finally:
            for future in futures:
                client.remove_pending_request(future)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, ShutdownException):
            pass
