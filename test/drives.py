"""Memories of drives, for tests of what is forgotten of them."""

import math

import numpy as np
from references import record

from gaussvae_ros.bank import MemoryBank, Pose

SECOND = 10**9  # ns


def look(number: int) -> bytes:
    """A descriptor; those of different numbers are unlike each other."""
    return np.random.default_rng(number).integers(-120, 121, 64, np.int8).tobytes()


def pose(x: float, y: float = 0.0, yaw: float = 0.0) -> Pose:
    return Pose(x, y, 0.0, 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))


def add(bank: MemoryBank, number: int, where: Pose | None, **more) -> int:
    """A frame of its own content and look, a second after the one with the number before."""
    facts = {"data": record(number), "stamp_ns": number * SECOND, "descriptor": look(number)}
    return bank.add(pose=where, **{**facts, **more})


def drive(bank: MemoryBank, count: int, length: float = 20.0, rounds: int = 4) -> list[int]:
    """Frames of a robot that goes round a course of `length` m."""
    return [
        add(bank, i, pose(length * (i * rounds / count % 1), look_from(i))) for i in range(count)
    ]


def look_from(number: int) -> float:
    """A small step to the side, as robots do not drive on rails."""
    return 0.05 * math.sin(number)


def cells(bank: MemoryBank) -> set[tuple[int, int]]:
    """Those 0.5 m wide that have a frame."""
    return {
        (math.floor(2 * frame.pose.x), math.floor(2 * frame.pose.y))
        for frame in bank
        if frame.pose is not None
    }
