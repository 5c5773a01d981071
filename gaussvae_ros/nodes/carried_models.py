"""The models that a memory carries, so that whoever gets the file can decode all of it."""

import logging
import time

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.maintenance.needed_models import carry, model_of

AGAIN_S = 60.0  # after which a model that the disk had no room for is tried again

log = logging.getLogger(__name__)


class CarriedModels:
    """Adds the models of the records that go into a memory, each once and after them."""

    def __init__(self, bank: MemoryBank, codec: FrameCodec) -> None:
        self._bank, self._codec = bank, codec
        self.begin_again()

    def begin_again(self) -> None:
        """Another file is open, which may carry none."""
        self._seen: set[bytes] = set()
        self._due: list[bytes] = []
        self._not_before = 0.0  # s, monotonic

    def see(self, record: bytes) -> None:
        """A record goes into the memory."""
        hash_ = model_of(record)
        if hash_ is not None and hash_ not in self._seen:
            self._seen.add(hash_)
            self._due.append(hash_)

    def catch_up(self) -> None:
        """Add what the memory does not carry yet. Frames never wait for it, nor fail with it."""
        while self._due and time.monotonic() >= self._not_before:
            try:
                if carry(self._bank, self._codec.models, self._due[0]):
                    log.info("%s carries model %s", self._bank.path, self._due[0].hex())
                del self._due[0]
            except GaussVaeError as error:
                if not self._not_before:
                    log.warning(
                        "%s does not carry the model of its records yet: %s", self._bank.path, error
                    )
                self._not_before = time.monotonic() + AGAIN_S
