"""A memory that stays within a budget while frames go into it one by one."""

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.bank.forgetting.budget import Forgotten
from gaussvae_ros.bank.forgetting.forgetter import Recode

EACH = 10  # frames between two looks at the budget


class Budgeted:
    """Call `refuses` before each frame and `added` after it; without a budget they do nothing."""

    def __init__(self, bank: MemoryBank, budget: Budget, recode: Recode | None = None):
        self._bank, self._budget, self._recode = bank, budget, recode
        self._done, self._added, self._refused = Forgotten(), 0, 0

    def refuses(self) -> bool:
        """Whether the memory is full, and its policy is to stop."""
        refuses = bool(self._bank.why_full(self._budget))
        self._refused += refuses
        return refuses

    def added(self):
        """A frame was stored."""
        self._added += 1
        if self._added % EACH == 0:
            self.forget()

    def forget(self):
        """Keep to the budget now."""
        done = self._bank.forget(self._budget, self._recode, spare=self._budget.spared)
        self._done.removed += done.removed
        self._done.reencoded += done.reencoded
        self._done.why = done.why

    def figures(self) -> dict:
        """forgotten, reencoded and refused (frames), left (frames of the bank), over_budget (why it
        is not met, empty if it is); empty without a budget.
        """
        if not self._budget.limited:
            return {}
        return {
            "forgotten": self._done.removed,
            "reencoded": self._done.reencoded,
            "refused": self._refused,
            "left": len(self._bank),
            "over_budget": "" if self._budget.policy == "stop" else self._done.why,
        }
