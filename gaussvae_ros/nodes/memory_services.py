"""The services of the memory node: pause and resume, names for frames, a copy of the memory."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from std_srvs.srv import Trigger

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.likeness.label_likeness import LIKE
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.lifecycle import ManagedNode, refusal
from gaussvae_ros.nodes.pooled_service import PooledService
from gaussvae_ros.srv import BackupMemory, LabelFrame


class MemoryServices:
    """Offered from the beginning until `close`. `paused`: images are to be passed over."""

    def __init__(self, node: ManagedNode, bank: MemoryBank) -> None:
        self.paused = False
        self._node, self._bank = node, bank
        self._offered = [
            node.create_service(Trigger, "~/pause", partial(self._pause, True)),
            node.create_service(Trigger, "~/resume", partial(self._pause, False)),
            node.create_service(LabelFrame, "~/label_frame", self._label),
        ]
        # Images are stored meanwhile.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="backup")
        guarded = node.faults.guarded("the service ~/backup", self._backup, refusal)
        self._copying = PooledService(node, BackupMemory, "~/backup", guarded, self._pool)

    def close(self) -> None:
        """Take them back."""
        while self._offered:
            self._node.destroy_service(self._offered.pop())
        self._copying.close()
        self._pool.shutdown(wait=False)

    def _pause(
        self, paused: bool, _: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        self.paused = paused
        response.success, response.message = (
            True,
            "images are passed over" if paused else "images are remembered",
        )
        return response

    def _label(
        self, request: LabelFrame.Request, response: LabelFrame.Response
    ) -> LabelFrame.Response:
        try:
            if request.label.startswith(LIKE):
                raise BankError(f"a label does not begin with {LIKE}, which asks for what looks so")
            frame_id = request.id
            if not frame_id:
                if (newest := self._bank.newest()) is None:
                    raise BankError("there is no frame yet")
                frame_id = newest.id
            self._bank.set_label(frame_id, request.label or None)
            self._bank.flush()
            now_ns = self._node.get_clock().now().nanoseconds
            response.frame = convert.memory_frame(self._bank.get(frame_id), now_ns)
            response.success = True
        except BankError as error:
            response.success, response.message = False, str(error)
        return response

    def _backup(
        self, request: BackupMemory.Request, response: BackupMemory.Response
    ) -> BackupMemory.Response:
        try:
            path = Path(request.path).expanduser()
            if not path.is_absolute():
                raise BankError(f"the path of a backup is absolute, not {request.path!r}")
            response.message = self._bank.backup(path)
            response.path, response.bytes, response.success = str(path), path.stat().st_size, True
        except (BankError, OSError, ValueError, RuntimeError) as error:
            response.message = str(error)
        return response
