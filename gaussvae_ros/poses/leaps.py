"""Where odometry's origin was in a map, as its leaps tell: SLAM that closes a loop publishes at
least how map ← odom changed.

Where along the way the drift arose, that does not say. So a leap is laid on the way since the last
one, in proportion to how far the robot had driven and turned: right for odometry that drifts
evenly. Stamps are int64 [N], ns; poses float64 [N, 7] as in arithmetic.py.
"""

from array import array

import numpy as np

from gaussvae_ros.poses.arithmetic import angles, compose, inverse
from gaussvae_ros.poses.trajectory import mixed, moved

LEAP_M, LEAP_RAD = 0.1, 0.05  # by which the robot moves in STEP_NS where it leaps, and not slides
STEP_NS = 900_000_000  # between two samples, at least
TURN_M = 0.5  # of driving that a turn by 1 rad counts as


class Origins:
    """Where odometry's origin was in the map, and the robot in odometry's frame, as both were known
    then: samples by stamp.
    """

    def __init__(self) -> None:
        self._stamps, self._poses = array("q"), array("d")
        self.leap_ns = 0  # the stamp of the sample after the last leap, 0 before the first

    @property
    def last_ns(self) -> int:
        """The stamp of the last sample, 0 before the first."""
        return self._stamps[-1] if self._stamps else 0

    def add(self, stamp_ns: int, origin: np.ndarray, robot: np.ndarray) -> None:  # [7] each
        """One more; one that is hardly newer than the last is left out."""
        if self._stamps and stamp_ns < self._stamps[-1] + STEP_NS:
            return
        if self._stamps:
            before = np.array(self._poses[-14:])
            if _leaps(before[:7], origin, before[7:]):
                self.leap_ns = stamp_ns
        self._stamps.append(stamp_ns)
        self._poses.extend(origin)
        self._poses.extend(robot)

    def corrected(self) -> tuple[np.ndarray, np.ndarray]:
        """(stamps [N], poses [N, 7]) of odometry's origin in the map, as later leaps say."""
        columns = np.array(self._poses).reshape(-1, 14)
        return np.array(self._stamps), without_leaps(columns[:, :7], columns[:, 7:])


def without_leaps(origins: np.ndarray, robot: np.ndarray) -> np.ndarray:  # [N, 7]
    """Where odometry's origin was, as the leaps after it say."""
    poses = origins.copy()
    driven = np.linalg.norm(np.diff(robot[:, :3], axis=0), axis=1)
    driven += TURN_M * angles(robot[:-1, 3:], robot[1:, 3:])
    way = np.concatenate([[0.0], np.cumsum(driven)])
    begin = 0
    for at in np.flatnonzero(_leaps(origins[:-1], origins[1:], robot[:-1])):
        part, length = slice(begin, at + 1), way[at] - way[begin]
        if length > 0:
            leap = compose(origins[at + 1], inverse(origins[at]))
            share = (way[part] - way[begin]) / length
            poses[part] = mixed(poses[part], compose(leap, poses[part]), share)
        begin = at + 1
    return poses


def _leaps(before: np.ndarray, after: np.ndarray, robot: np.ndarray) -> np.ndarray:  # bool [...]
    """Whether the robot is elsewhere in the map by the one pose of odometry's origin [..., 7] than
    by the other.
    """
    return moved(compose(before, robot), compose(after, robot), LEAP_M, LEAP_RAD)
