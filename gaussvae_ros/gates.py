"""Which frames are worth storing: those after the camera moved, after a while, or that show something new. No ROS."""

from dataclasses import dataclass
from math import acos

import numpy as np

from gaussvae_ros.likeness import likeness


@dataclass(frozen=True)
class Limits:
    """When a frame is admitted; each counts from the frame that was admitted last."""

    min_interval: float = 0.0  # s, never sooner
    max_interval: float = 60.0  # s, always later
    min_distance: float = 0.05  # m
    min_angle: float = 0.05  # rad
    novelty: float = 0.05  # 0 to 1, 1 minus the likeness


class Gate:
    """Admits the frames of one camera that are worth storing. `limits` may be replaced at any time."""

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()
        self._last: tuple[int, np.ndarray, np.ndarray | None] | None = None

    def admits(self, stamp_ns: int, descriptor: np.ndarray, pose: np.ndarray | None) -> bool:
        """Whether to store a frame.

        Args:
            descriptor: what `likeness.describe` gives, int8 [N].
            pose: position (m) and unit quaternion x y z w, [7], or None where it is not known.
        """
        admitted = self._last is None or self._is_due(stamp_ns, descriptor, pose)
        if admitted:
            self._last = stamp_ns, descriptor, pose
        return admitted

    def _is_due(self, stamp_ns: int, descriptor: np.ndarray, pose: np.ndarray | None) -> bool:
        stamp, before, place = self._last
        elapsed = (stamp_ns - stamp) / 1e9
        if elapsed < self.limits.min_interval:
            return False
        if elapsed >= self.limits.max_interval:
            return True
        if pose is not None and place is not None:
            if np.linalg.norm(pose[:3] - place[:3]) >= self.limits.min_distance:
                return True
            if 2 * acos(min(abs(float(pose[3:] @ place[3:])), 1.0)) >= self.limits.min_angle:
                return True
        return 1 - float(likeness(descriptor, before[None])[0]) >= self.limits.novelty
