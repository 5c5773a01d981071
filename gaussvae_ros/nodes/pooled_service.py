"""Services whose requests are answered by a few threads, so that a long answer does not hold up the
short ones.

rclpy's executor with several threads is no way to it: it keeps a core busy while a callback waits.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.waitable import NumberOfEntities, Waitable

from gaussvae_ros.nodes.polled import Never


class PooledService(Waitable):
    """A service. The executor takes its requests; `answer(request, response)` fills in the response
    in a pool's thread.

    `answer` must not raise. What is answered after `close` reaches nobody.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        name: str,
        answer: Callable[[object, object], object],
        pool: ThreadPoolExecutor,
    ) -> None:
        super().__init__(node.default_callback_group)
        self._node, self._kind, self._answer, self._pool = node, kind, answer, pool
        # The executor would wait for each answer if this were a service of its own.
        self._service = node.create_service(
            kind, name, lambda _, response: response, callback_group=Never()
        )
        self._index: int | None = None
        node.add_waitable(self)

    def close(self) -> None:
        """Take no more requests."""
        self._node.remove_waitable(self)
        self._node.destroy_service(self._service)

    def __enter__(self) -> None:
        self._service.handle.__enter__()

    def __exit__(self, *error: object) -> None:
        self._service.handle.__exit__(*error)

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(num_services=1)

    def add_to_wait_set(self, wait_set) -> None:
        self._index = wait_set.add_service(self._service.handle)

    def is_ready(self, wait_set) -> bool:
        return self._index is not None and wait_set.is_ready("service", self._index)

    def take_data(self) -> tuple:
        with self._service.handle:
            return self._service.handle.service_take_request(self._kind.Request)

    async def execute(self, taken_data: tuple) -> None:
        request, header = taken_data
        if header is not None:
            self._pool.submit(self._work, request, header)

    def _work(self, request: object, header: object) -> None:
        response = self._answer(request, self._kind.Response())
        try:
            self._service.send_response(response, header)
        except (rclpy_implementation.RCLError, rclpy_implementation.InvalidHandle):  # the node ends
            pass
