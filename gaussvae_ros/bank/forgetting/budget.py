"""How much a memory may hold, and what is done where it would be more."""

import math
from dataclasses import dataclass, fields

from gaussvae_ros.bank.frame import INT64
from gaussvae_ros.errors import BankError

POLICIES = ("fade", "fifo", "stop")
SPARED = 64  # frames stored last
EMPTY = 184_320  # bytes that a file uses without any frames
RESERVE = 2**18  # bytes of the file that stay free for new frames, at most
LIMITS = ("max_bytes", "max_age", "max_frames", "max_sessions", "min_free_bytes")


@dataclass(frozen=True)
class Budget:
    """The limits of a memory, 0 for none, and the policy where one is passed.

    `fade` removes those frames first that others cover best in place, time and looks; `fifo` those
    that were stored first; `stop` removes none and says that no more are to be added. Labelled
    frames, and those of their session from `protect_before` s before to `protect_after` s after
    them, always stay.

    Raises:
        BankError: a value that is no limit, or no policy.
    """

    max_bytes: int = 0  # of the file
    max_age: float = 0.0  # s that a frame may be older than those stored last
    max_frames: int = 0
    max_sessions: int = 0  # that have frames
    min_free_bytes: int = 0  # of the disk that stay free
    policy: str = "fade"
    protect_before: float = 5.0  # s
    protect_after: float = 5.0  # s

    def __post_init__(self):
        for field in fields(self):
            value, whole = getattr(self, field.name), field.type is int
            if field.name == "policy":
                continue
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "whole number" if whole else "number"
                raise BankError(f"{field.name} is a {kind}, not {value!r}")
            if not (math.isfinite(value) and 0 <= value < INT64 / (1 if whole else 1e9)):
                raise BankError(f"{field.name} is a number from 0 on, not {value!r}")
        if self.policy not in POLICIES:
            raise BankError(f"policy is one of {', '.join(POLICIES)}, not {self.policy!r}")

    @property
    def spared(self) -> int:
        """How many frames stored last stay while others are being stored, since who writes may
        still be about them: half of few."""
        return min(SPARED, self.max_frames // 2) if self.max_frames else SPARED

    def out_of_reach(self, models: int = 0) -> str:
        """A sentence where not even a file that has no frames, and carries `models` bytes of
        models, is within `max_bytes`; else empty."""
        least = EMPTY + models
        if not 0 < self.max_bytes - _reserve(self.max_bytes) < least:
            return ""
        carried = f", of which its models have {models:,}" if models else ""
        needed = min(-(-least * 16 // 15), least + RESERVE)
        return (
            f"max_bytes is {self.max_bytes:,}, and a memory file without any frames takes"
            f" {least:,} bytes{carried}: at least {needed:,} are needed"
        )

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return any(getattr(self, limit) for limit in LIMITS)


@dataclass(frozen=True)
class Usage:
    """What a memory takes up, beside its limits."""

    frames: int
    bytes: int  # of the file
    used: int  # bytes of it that are not free for new frames
    disk: int | None  # bytes that are free on the disk; None where that cannot be told
    models: int = 0  # bytes that models take, which stay when all frames go

    def share(self, budget: Budget) -> float | None:
        """How full the budget is, 1 is full; None without a limit of frames or bytes."""
        shares = [self.frames / budget.max_frames] if budget.max_frames else []
        if math.isfinite(most := self.most_bytes(budget)):
            shares.append(self.used / max(most - _reserve(most), 1))
        return max(shares, default=None)

    def most_bytes(self, budget: Budget) -> float:
        """Bytes that the file may have, inf without a limit. A floor that is out of reach is none:
        others have filled the disk, and nothing is to be forgotten for that.
        """
        most = budget.max_bytes or math.inf
        if budget.min_free_bytes and self.disk is not None and not self.out_of_reach(budget):
            most = min(most, self.bytes + self.disk - budget.min_free_bytes)
        return most

    def out_of_reach(self, budget: Budget) -> str:
        """A sentence where not even without the memory the disk had enough free space."""
        if not budget.min_free_bytes or self.disk is None:
            return ""
        if self.bytes + self.disk > budget.min_free_bytes:
            return ""
        return f"others have filled the disk: {self._floor(budget)}"

    def frames_over(self, budget: Budget) -> int:
        """How many frames there are too many; below 0 where there is room."""
        return self.frames - budget.max_frames if budget.max_frames else -INT64

    def bytes_over(self, budget: Budget) -> float:
        """How many bytes are used too many, some room for new frames left; below 0 likewise."""
        most = self.most_bytes(budget)
        return self.used - (most - _reserve(most)) if math.isfinite(most) else -math.inf

    def too_many(self, budget: Budget) -> int:
        """How many frames are to go, about, by the limits of frames and bytes."""
        frames = self.frames_over(budget)
        if self.frames and (over := self.bytes_over(budget)) > 0:
            theirs = max(self.used - EMPTY - self.models, 1)
            frames = max(frames, math.ceil(over * self.frames / theirs))
        return min(max(frames, 0), self.frames)

    def sentence(self, budget: Budget) -> str:
        """By which limit of frames or bytes the memory is as large as it may be; empty if none."""
        if self.frames_over(budget) >= 0:
            return f"{self.frames:,} frames, and max_frames is {budget.max_frames:,}"
        if self.bytes_over(budget) < 0:
            return self.out_of_reach(budget)
        if budget.max_bytes and self.most_bytes(budget) == budget.max_bytes:
            free = f"of which {_reserve(budget.max_bytes):,.0f} stay free for new frames"
            return f"{self.used:,} bytes are used, and max_bytes is {budget.max_bytes:,}, {free}"
        return self._floor(budget)

    def _floor(self, budget: Budget) -> str:
        floor = f"min_free_bytes is {budget.min_free_bytes:,}"
        return f"{self.disk:,} bytes of the disk are free, and {floor}"


@dataclass
class Forgotten:
    """What `MemoryBank.forget` did: how many frames it `removed`, and `reencoded`, and how many
    `volumes` it removed. `why` is a sentence on why the memory is still larger than its budget,
    empty if it is not.
    """

    removed: int = 0
    reencoded: int = 0
    why: str = ""
    volumes: int = 0


def _reserve(most: float) -> float:
    return min(RESERVE, most / 16)
