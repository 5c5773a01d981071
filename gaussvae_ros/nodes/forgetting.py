"""Keeps the memory within its budget while the node writes it, in a thread of its own."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.bank.forgetting.budget import Forgotten, Usage
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError
from gaussvae_ros.maintenance.coarsening import Coarsening

LOOK_S = 1.0  # between two looks at the budget

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BudgetState:
    """What is known of the budget when a status is made."""

    budget: Budget = Budget()
    usage: Usage | None = None  # None: no limit, or it cannot be told
    removed: int = 0  # frames, since the node was configured
    reencoded: int = 0
    why: str = ""  # the budget is not met, or no frame is taken

    @property
    def share(self) -> float | None:
        """How full the budget is, None where that is not known."""
        return self.usage and self.usage.share(self.budget)


class Forgetting:
    """Forgets from the beginning until `close`. `failed(where, error)` takes what nobody foresaw.

    `take` says of another budget, and of the quality that older frames are encoded with again.
    """

    def __init__(
        self, bank: MemoryBank, codec: FrameCodec, failed: Callable[[str, Exception], None]
    ) -> None:
        self._bank, self._codec, self._failed = bank, codec, failed
        self._budget, self._quality = Budget(), 100.0
        self._before, self._now, self._why = Forgotten(), Forgotten(), ""
        self._changed, self._ended = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="forgetting", daemon=True)
        self._thread.start()

    def take(self, budget: Budget, quality: float) -> None:
        """Another budget holds."""
        if (budget, quality) != (self._budget, self._quality):
            self._budget, self._quality = budget, quality
            self._changed.set()

    def refusal(self, more: int = 0) -> str:
        """Why no frame is to be stored beside `more` that are on their way, in a sentence; empty if
        one is.
        """
        try:
            why = self._bank.why_full(self._budget, more)
        except BankError:
            return ""  # of which storing it says more
        if self._budget.policy == "stop":
            self._say("nothing new is remembered", why)
        return why

    def state(self) -> BudgetState:
        """For the diagnostics."""
        budget, before, now = self._budget, self._before, self._now
        try:
            usage = self._bank.usage() if budget.limited else None
        except BankError:
            usage = None
        removed, reencoded = before.removed + now.removed, before.reencoded + now.reencoded
        return BudgetState(budget, usage, removed, reencoded, self._why if usage else "")

    def close(self, timeout: float) -> None:
        """Forget no more; the piece at hand is done soon."""
        self._ended = True
        self._changed.set()
        self._thread.join(timeout)

    # Inside

    def _run(self) -> None:
        while not self._ended:
            self._changed.wait(LOOK_S)
            self._changed.clear()
            try:
                self._forget()
            except BankError as error:
                if not self._ended:
                    self._say("nothing is forgotten now", str(error))
            except Exception as error:
                self._failed("forgetting", error)

    def _forget(self) -> None:
        budget = self._budget
        if self._ended or not budget.limited:
            return
        done = self._bank.forget(
            budget,
            Coarsening(self._codec, self._quality),
            spare=budget.spared,
            ends=self._changed.is_set,
            progress=self._note,
        )
        self._note(Forgotten())
        self._before = Forgotten(
            self._before.removed + done.removed, self._before.reencoded + done.reencoded
        )
        if budget.policy != "stop":
            self._say("the memory is larger than its budget", done.why)
        else:
            self.refusal()

    def _say(self, what: str, why: str) -> None:
        if why and not self._why:
            log.warning("%s: %s", what, why)
        self._why = why

    def _note(self, done: Forgotten) -> None:
        self._now = done
