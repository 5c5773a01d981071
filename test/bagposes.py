"""Bags of images with poses, a frame each STEP, and which poses are found."""

from pathlib import Path

import numpy as np
from bagmaker import START, BagMaker

from gaussvae_ros.bags import Bag
from gaussvae_ros.poses.source import PoseSource

STEP = 100_000_000  # ns between frames
COUNT = 12
NO_TURN = (0.0, 0.0, 0.0, 1.0)
MOUNT = (0.2, 0.0, 1.0, *NO_TURN)
PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
NAN, INF = float("nan"), float("inf")


def stamp(i: float) -> int:
    return START + round(i * STEP)


def place(x: float, y: float = 0.0) -> tuple:
    return (float(x), float(y), 0.0, *NO_TURN)


def images(maker: BagMaker, topic: str = "/cam", frame: str = "cam", late: float = 0) -> BagMaker:
    for i in range(COUNT):
        maker.image(topic, stamp(i + late), PICTURE, frame, recorded_ns=stamp(i))
    return maker


def found(
    maker: BagMaker, folder: Path, topic: str = "/cam", pose_topic: str | None = None
) -> tuple[list, PoseSource]:
    """x and y of every image's pose, or None; and the source that was asked."""
    with Bag(maker.write(folder)) as bag:
        source = bag.poses(bag.frame_id(topic), pose_topic, topic)
        poses = [source.at(i.stamp_ns, i.recorded_ns) for i in bag.images(topic)]
    return [None if p is None else tuple(p[:2].round(6)) for p in poses], source


def line(x: float = 0.0, step: float = 0.5) -> list[tuple]:
    return [(round(x + step * i, 6), 0.0) for i in range(COUNT)]


NOWHERE = [None] * COUNT
