"""A trajectory that is corrected afterwards, as SLAM does when it closes a loop, and where that
puts what was seen along the way.

Stamps are int64 [N], ns; poses float64 [N, 7] as in arithmetic.py. Odometry drifts, but it never
leaps. So what is looked for is the pose of odometry's origin in the map at each stamp: it changes
slowly, may be interpolated between the few poses of a corrected trajectory, and holds beyond their
ends.
"""

from array import array

import numpy as np

from gaussvae_ros.poses.arithmetic import FAR_M, angles, compose, inverse
from gaussvae_ros.poses.track import GAP_NS

SAME = 1e-4  # m, or of a quaternion: a path that differs less is the same
STILL_M, STILL_RAD = 2e-3, 2e-3  # a sample that moved less is left out


class Odometry:
    """Where a robot was in a frame that never leaps: samples by stamp, as they come.

    Those of a robot that stands still cost nothing, but for the last one.
    """

    def __init__(self) -> None:
        self._stamps, self._poses = array("q"), array("d")
        self._last = np.zeros(7)
        self._stands = False  # whether the last sample is where the one before is

    @property
    def last_ns(self) -> int:
        """The stamp of the last sample, 0 before the first."""
        return self._stamps[-1] if self._stamps else 0

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, stamp_ns: int, pose: np.ndarray) -> None:  # [7]
        """One more; one that is not newer than the last is left out."""
        if self._stamps and stamp_ns <= self._stamps[-1]:
            return
        stands = bool(self._stamps) and not moved(self._last, pose, STILL_M, STILL_RAD)
        if stands and self._stands:
            self._stamps[-1] = stamp_ns
        else:
            self._last = self._last if stands else pose
            self._stamps.append(stamp_ns)
            self._poses.extend(self._last)
        self._stands = stands

    def samples(self) -> tuple[np.ndarray, np.ndarray]:
        """(stamps, poses), rising."""
        return np.array(self._stamps), np.array(self._poses).reshape(-1, 7)


def cleaned(stamps: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By stamp, without what is no pose; of one stamp the last pose holds."""
    norms = np.linalg.norm(poses[:, 3:], axis=1)
    with np.errstate(invalid="ignore"):
        sound = (np.abs(poses[:, :3]) <= FAR_M).all(1) & (norms > 0.1) & (norms < 10)
    stamps, poses, norms = stamps[sound], poses[sound], norms[sound]
    poses = np.concatenate([poses[:, :3], poses[:, 3:] / norms[:, None]], axis=1)
    stamps, last = np.unique(stamps[::-1], return_index=True)
    return stamps, poses[::-1][last]


def alike(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> int:
    """How many poses two cleaned paths begin alike with."""
    count = min(len(before[0]), len(after[0]))
    (old, new), (a, b) = ([path[part][:count] for path in (before, after)] for part in (0, 1))
    differs = (old != new) | (np.abs(a - b) > SAME).any(axis=1)
    return int(np.argmax(differs)) if differs.any() else count


def interpolated(stamps: np.ndarray, poses: np.ndarray, at: np.ndarray) -> np.ndarray:  # [M, 7]
    """The poses at stamps [M], of a trajectory that is not empty and rises; its ends hold beyond
    them. Linear in position, slerp in rotation.
    """
    after = np.clip(np.searchsorted(stamps, at), 1, max(len(stamps) - 1, 1))
    before, after = after - 1, np.minimum(after, len(stamps) - 1)
    length = np.maximum(stamps[after] - stamps[before], 1)
    return mixed(poses[before], poses[after], np.clip((at - stamps[before]) / length, 0, 1))


def mixed(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:  # [M, 7]
    """Between poses [M, 7], by shares [M] of the second: linear in position, slerp in rotation."""
    t = share[:, None]
    p, q = a[:, 3:], b[:, 3:]
    q = np.where((p * q).sum(1, keepdims=True) < 0, -q, q)  # the short way
    angle = np.arccos(np.clip((p * q).sum(1, keepdims=True), 0, 1))
    close = angle < 1e-6
    sine = np.where(close, 1, np.sin(angle))
    weights = (np.where(close, w, np.sin(w * angle) / sine) for w in (1 - t, t))
    turned = sum(w * x for w, x in zip(weights, (p, q)))
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    return np.concatenate([(1 - t) * a[:, :3] + t * b[:, :3], turned], axis=1)


def origins(
    path: tuple[np.ndarray, np.ndarray], odometry: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(stamps, poses) of odometry's origin in the map, from a cleaned path of the robot in the map
    and from its odometry; empty where they have no time in common.

    Left out is where odometry was silent while the robot moved.
    """
    (stamps, poses), (known, where) = path, odometry
    if not len(known):
        return stamps[:0], poses[:0]
    common = (stamps >= known[0]) & (stamps <= known[-1])
    if len(known) > 1:
        silent = np.diff(known) > GAP_NS
        silent &= moved(where[:-1], where[1:], STILL_M, STILL_RAD)
        step = np.clip(np.searchsorted(known, stamps) - 1, 0, len(silent) - 1)
        within = (stamps > known[step]) & (stamps < known[step + 1])
        common &= ~(silent[step] & within)
    stamps, poses = stamps[common], poses[common]
    return stamps, compose(poses, inverse(interpolated(known, where, stamps)))


def moved(a: np.ndarray, b: np.ndarray, metres: float, radians: float) -> np.ndarray:
    """bool [...]: which of poses [..., 7] are further apart than this."""
    far = np.linalg.norm(a[..., :3] - b[..., :3], axis=-1) > metres
    return far | (angles(a[..., 3:], b[..., 3:]) > radians)
