"""SIGINT and SIGTERM, which end a node: a moment later, so that it can still say what it stored.

rclpy's own handlers shut the graph down at once, and nothing can be published any more. Python's
would raise KeyboardInterrupt in the middle of a commit.
"""

import os
import signal
import threading
from collections.abc import Callable

import rclpy

SIGNALS = signal.SIGINT, signal.SIGTERM


class Ending:
    """Takes both signals from now on. The first calls `last_words()` in a thread of its own, and
    then shuts rclpy down. `came`: there was one.
    """

    def __init__(self) -> None:
        self.came = False
        self.let_go()
        receiver, sender = os.pipe()
        os.set_blocking(sender, False)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
            signal.siginterrupt(number, False)
        threading.Thread(target=self._wait, args=(receiver,), name="ending", daemon=True).start()

    def let_go(self) -> None:
        """Have no last words, so that nothing is kept from its end for them."""
        self.last_words: Callable[[], None] = lambda: None

    def _wait(self, receiver: int) -> None:
        while os.read(receiver, 1)[0] not in SIGNALS:
            pass
        self.came = True
        try:
            self.last_words()
        finally:
            rclpy.try_shutdown()
