"""The services of the memory node beside its images: pause and resume, and names for frames."""

from collections.abc import Callable
from functools import partial

from rclpy.node import Node
from std_srvs.srv import Trigger

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes import convert
from gaussvae_ros.srv import LabelFrame


class MemoryServices:
    """Offered from the beginning until `close`. `bank()` is the memory file as it is open now.

    `paused` says whether images are to be passed over.
    """

    def __init__(self, node: Node, bank: Callable[[], MemoryBank]) -> None:
        self.paused = False
        self._node, self._bank = node, bank
        self._offered = [
            node.create_service(Trigger, "~/pause", partial(self._pause, True)),
            node.create_service(Trigger, "~/resume", partial(self._pause, False)),
            node.create_service(LabelFrame, "~/label_frame", self._label),
        ]

    def close(self) -> None:
        """Take them back."""
        while self._offered:
            self._node.destroy_service(self._offered.pop())

    def _pause(self, paused: bool, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.paused = paused
        response.success, response.message = True, "images are passed over" if paused else "images are remembered"
        return response

    def _label(self, request: LabelFrame.Request, response: LabelFrame.Response) -> LabelFrame.Response:
        try:
            bank, frame_id = self._bank(), request.id
            if not frame_id:
                if (newest := bank.newest()) is None:
                    raise BankError("there is no frame yet")
                frame_id = newest.id
            bank.set_label(frame_id, request.label or None)
            bank.flush()
            response.frame = convert.memory_frame(bank.get(frame_id))
            response.success = True
        except BankError as error:
            response.success, response.message = False, str(error)
        return response
