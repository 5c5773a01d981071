"""The arithmetic of poses.

A pose is float64 [7]: x, y, z (m) and the unit quaternion qx, qy, qz, qw of one frame in another.
"""

import math

import numpy as np

IDENTITY = np.array([0, 0, 0, 0, 0, 0, 1], np.float64)
# x forward, z up as seen in z forward, y down (REP 103)
BODY_IN_OPTICAL = np.array([0, 0, 0, 0.5, -0.5, 0.5, 0.5])
OPTICAL_IN_BODY = np.array([0, 0, 0, -0.5, 0.5, -0.5, 0.5])  # the other way round

FAR_M = 1e10  # beyond all coordinates: UTM and ECEF stay below 1e7


def as_pose(pose: np.ndarray) -> np.ndarray | None:  # [7] with a unit quaternion
    """Seven numbers as a pose, None where they are none."""
    x, y, z, *turn = map(float, pose)  # quicker than numpy, for so few
    norm = math.hypot(*turn)
    if not (max(abs(x), abs(y), abs(z)) <= FAR_M and 0.1 < norm < 10 and not math.isnan(x + y + z)):
        return None
    return np.array([x, y, z, *(v / norm for v in turn)])


def compose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The pose of C in A from `a`, of B in A, and `b`, of C in B; all [..., 7]."""
    at, turned = a[..., :3] + rotate(a[..., 3:], b[..., :3]), multiply(a[..., 3:], b[..., 3:])
    return np.concatenate([at, turned], axis=-1)


def inverse(a: np.ndarray) -> np.ndarray:
    """The poses [..., 7] of A in B from those of B in A."""
    back = a[..., 3:] * [-1, -1, -1, 1]
    return np.concatenate([-rotate(back, a[..., :3]), back], axis=-1)


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Hamilton product of quaternions [..., 4], x y z w."""
    (u, s), (v, t) = ((q[..., :3], q[..., 3:]) for q in (p, q))
    real = s * t - (u * v).sum(-1, keepdims=True)
    return np.concatenate([s * v + t * u + np.cross(u, v), real], axis=-1)


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] turned by unit quaternions [..., 4], x y z w."""
    t = 2 * np.cross(q[..., :3], v)
    return v + q[..., 3:] * t + np.cross(q[..., :3], t)


def angles(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The angles (rad) [N] between unit quaternions [N, 4], and [N, 4] or [4]."""
    return 2 * np.arccos(np.clip(np.abs((p * q).sum(-1)), 0, 1))


def interpolate(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Between two poses [7] at t = 0 and 1: linear in position, slerp in rotation."""
    p, q = a[3:], b[3:]
    dot = p @ q
    p, dot = (p, dot) if dot >= 0 else (-p, -dot)  # q and -q turn alike; take the short way
    angle = np.arccos(min(dot, 1.0))
    if angle < 1e-6:
        turned = (1 - t) * p + t * q
    else:
        turned = (np.sin((1 - t) * angle) * p + np.sin(t * angle) * q) / np.sin(angle)
    return np.concatenate([(1 - t) * a[:3] + t * b[:3], turned / np.linalg.norm(turned)])
