"""Poses: arithmetic, tracks of them, TF, trajectories that are corrected."""

from gaussvae_ros.poses.arithmetic import (
    BODY_IN_OPTICAL,
    IDENTITY,
    OPTICAL_IN_BODY,
    angles,
    as_pose,
    compose,
    interpolate,
    inverse,
    rotate,
)
from gaussvae_ros.poses.track import Track

__all__ = [
    "BODY_IN_OPTICAL",
    "IDENTITY",
    "OPTICAL_IN_BODY",
    "Track",
    "angles",
    "as_pose",
    "compose",
    "interpolate",
    "inverse",
    "rotate",
]
