"""Small bags of numbered frames, and which of them are read."""

from pathlib import Path

import numpy as np
from bagmaker import START, BagMaker
from mcap.writer import IndexType

from gaussvae_ros.bags import Bag

STEP = 100_000_000  # ns between frames
BARE = {  # an MCAP file without summary and indexes
    "index_types": IndexType.NONE,
    "repeat_channels": False,
    "repeat_schemas": False,
    "use_statistics": False,
    "use_summary_offsets": False,
}


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 255, (12, 16, 3), np.uint8)


def frames(kind: str = "mcap", numbers: range = range(6), topic: str = "/cam") -> BagMaker:
    maker = BagMaker(kind)
    for i in numbers:
        maker.image(topic, START + i * STEP, picture(i))
    return maker


def read(path: Path, topic: str = "/cam") -> tuple[list[int], list[str]]:
    """Numbers of the frames whose pictures are right, and what is said."""
    with Bag(path) as bag:
        images = list(bag.images(bag.image_topic(topic)))
        numbers = [(image.stamp_ns - START) // STEP for image in images]
        right = [n for n, i in zip(numbers, images) if np.array_equal(i.pixels, picture(n))]
        return right, bag.problems


def storage(folder: Path) -> Path:
    [file] = (p for p in folder.iterdir() if p.suffix in (".mcap", ".db3"))
    return file
