"""A bag of a short tour, for replays."""

import numpy as np
from bagmaker import START, BagMaker

STEP = 400_000_000  # ns
QUARTER = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))  # a left turn, x y z w


def tour(
    kind: str,
    frames: list[np.ndarray],
    compressed: bool = True,
    topic: str = "/front/image/compressed",
):
    """A bag with TF: map <- base moves along x, base <- camera is fixed and published once."""
    maker = BagMaker(kind)
    maker.tf("base", "camera", START, (0.0, 0.0, 0.5, *QUARTER), "/tf_static", START - 1)
    for i, frame in enumerate(frames):
        (maker.jpeg if compressed else maker.image)(topic, START + i * STEP, frame)
        maker.tf("map", "base", START + i * STEP, (float(i), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    return maker
