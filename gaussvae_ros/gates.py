"""Which frames are worth storing: after the camera moved, with something new, or after a while."""

import math
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.likeness import likeness

# Of min_interval: a camera at just that rate jitters, and must not lose every other frame.
SLACK = 0.25


@dataclass(frozen=True)
class Limits:
    """How far a frame must be from the one admitted last.

    docs/bank.md has the figures behind the defaults. A limit of 0 in the last three lets every
    frame through that `min_interval` does; math.inf switches one of them off.
    """

    min_interval: float = 0.1  # s, never sooner, but for SLACK
    max_interval: float = 60.0  # s, always after so long
    min_distance: float = 0.1  # m
    min_angle: float = 0.1  # rad
    # 1 - likeness: sensor noise makes 0.01, a shift by 1 px of 640 makes 0.005 to 0.02.
    novelty: float = 0.025


class Gate:
    """Admits the frames of one camera that are worth storing; `limits` may be replaced at any time.

    Make a new one when the clock was set back. A stamp before the last one counts as just as far
    after it, so that a gate never stays shut.
    """

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()
        # What was admitted last.
        self._last: tuple[int, np.ndarray, np.ndarray | None] | None = None

    def admits(self, stamp_ns: int, descriptor: np.ndarray, pose: np.ndarray | None) -> bool:
        """Whether to store a frame: the first, and those one limit away from the last admitted.

        Args:
            descriptor: what `likeness.describe` made of it, int8 [N].
            pose: of the camera or the robot, x, y, z (m) and unit quaternion qx, qy, qz,
                qw; None where not known.
        """
        admitted = self._last is None or self._is_due(*self._last, stamp_ns, descriptor, pose)
        if admitted:
            self._last = (stamp_ns, descriptor, pose)
        return admitted

    def _is_due(
        self,
        last_ns: int,
        last_descriptor: np.ndarray,
        last_pose: np.ndarray | None,
        stamp_ns: int,
        descriptor: np.ndarray,
        pose: np.ndarray | None,
    ) -> bool:
        limits = self.limits
        elapsed = abs(stamp_ns - last_ns) / 1e9
        if elapsed < (1 - SLACK) * limits.min_interval:
            return False
        if elapsed >= limits.max_interval:
            return True
        if pose is not None and last_pose is not None:
            if math.dist(pose[:3], last_pose[:3]) >= limits.min_distance:
                return True
            if (
                2 * math.acos(min(abs(float(np.dot(pose[3:], last_pose[3:]))), 1.0))
                >= limits.min_angle
            ):
                return True
        return 1 - float(likeness(descriptor, last_descriptor[None])[0]) >= limits.novelty
