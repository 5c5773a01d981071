"""The pictures that fit, codec, ablation and decode are measured on, and those that ros sends."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gaussvae_ros.evaluation.images import find_images, read_image
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where

FRAMES = 12
SECONDS = 30.0  # of the drive


def drive_frames(count: int = FRAMES) -> list[np.ndarray]:  # uint8 [480, 640, 3]
    """Frames of the simulated drive of `gaussvae demo`, evenly spread over it, without its JPEG."""
    world, sensor = build(0), Sensor(SIZE, FOCAL, 0)
    times = _times(count)
    yaw, soon = where(times, SECONDS)[:, 2], where(times + 0.02, SECONDS)[:, 2]
    turning = (np.mod(soon - yaw + np.pi, 2 * np.pi) - np.pi) / 0.02  # rad/s
    return [
        photograph(world, sensor, *pose, turn)
        for pose, turn in zip(drive_poses(count), turning, strict=True)
    ]


def drive_poses(count: int) -> np.ndarray:  # [count, 3] x, y (m), yaw (rad)
    """Where the robot was at each of `drive_frames`."""
    return where(_times(count), SECONDS)


def read_frames(paths: Sequence[str | Path]) -> list[np.ndarray]:
    """All images among these files and folders."""
    return [read_image(path) for path in find_images(paths)]


def _times(count: int) -> np.ndarray:  # [count] s
    return np.linspace(0, SECONDS, count, endpoint=False)
