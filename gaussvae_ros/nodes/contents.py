"""What stored frames show, looked at beside everything else and kept with them."""

import logging
from collections.abc import Callable
from functools import partial

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError
from gaussvae_ros.looking.background import Background
from gaussvae_ros.looking.looks import Found, Looks
from gaussvae_ros.nodes.pending import PendingFrame

MOST = 100  # frames whose findings wait for the memory

log = logging.getLogger(__name__)


class Contents:
    """Has pictures of stored frames looked at, one a second at most, and keeps what they show.

    `call(function)` calls it in the thread that writes the bank, and `file()` is the number of the
    file that is open.
    """

    def __init__(
        self,
        looks: Looks,
        bank: MemoryBank,
        call: Callable[[Callable[[], None]], None],
        file: Callable[[], int],
    ) -> None:
        self._bank, self._call, self._file = bank, call, file
        self._due: list[tuple[PendingFrame, Found]] = []
        self._background = Background(looks, self._found) if looks else None

    def look(self, frame: PendingFrame) -> None:
        """A frame goes into the memory; its picture is looked at if there is time."""
        if self._background is not None:
            self._background.offer(frame.camera, frame, frame.image)

    def close(self) -> None:
        """Look at nothing more."""
        if self._background is not None:
            self._background.close()

    def _found(self, frame: PendingFrame, found: Found) -> None:
        self._call(partial(self._keep, frame, found))

    def _keep(self, frame: PendingFrame, found: Found) -> None:
        """Keep what a frame shows, and what could not be kept before."""
        self._due.append((frame, found))
        left = []
        for frame, found in self._due:
            if frame.id is None:
                if frame.data or frame.image is not None:  # else it is lost itself
                    left.append((frame, found))
                continue
            if frame.file != self._file():  # gone; this id may be another frame's now
                continue
            try:
                found.keep(self._bank, frame.id)
            except BankError as error:
                if self._bank.refusal or self._bank.check_place():
                    left.append((frame, found))
                else:  # such as that the frame was removed
                    log.debug("what frame %d shows is not kept: %s", frame.id, error)
        if len(left) > MOST:
            log.warning("what %d frames show is not kept: the memory refuses it", len(left) - MOST)
        self._due = left[-MOST:]
