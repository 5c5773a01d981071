"""Frames whose pose TF does not have yet."""

from collections.abc import Callable
from typing import Generic, TypeVar

from gaussvae_ros.bank import Pose

T = TypeVar("T")


class LatePoses(Generic[T]):
    """Asks for poses again until they are there, or have taken too long.

    `look_up(frame)` returns a pose or None; `settle(frame, pose)` gets the answer, once a frame;
    None is final.
    """

    def __init__(
        self, look_up: Callable[[T], Pose | None], settle: Callable[[T, Pose | None], None]
    ) -> None:
        self._look_up, self._settle = look_up, settle
        self._waiting: list[tuple[float, T]] = []  # (s, when it was added, frame), oldest first

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, frame: T, now: float) -> None:
        """Begin to ask for a frame's pose at `now` s."""
        self._waiting.append((now, frame))

    def retry(self, now: float, timeout: float) -> None:
        """Ask again for all; those added `timeout` s ago or more stay without."""
        still = []
        for added, frame in self._waiting:
            pose = self._look_up(frame)
            if pose is not None or now - added >= timeout:
                self._settle(frame, pose)
            else:
                still.append((added, frame))
        self._waiting = still

    def give_up(self) -> None:
        """Ask for all a last time."""
        self.retry(float("inf"), 0.0)
