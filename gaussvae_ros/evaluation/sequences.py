"""Frames in order, of folders of images, videos and bags, at most as large as a camera frame."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.bags import Bag, is_bag
from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation.images import FRAME, VIDEOS, find_images, pictures_of, read_image
from gaussvae_ros.evaluation.metrics import WINDOW

log = logging.getLogger(__name__)


def read_sequence(
    path: str | Path, count: int, every: int = 1, topic: str | None = None
) -> list[np.ndarray]:
    """The first `count` of every `every`-th frame, each as `fitted` makes it, all of one shape.

    Args:
        path: a folder of images, in the order of their names; a video; or a bag.
        topic: of the bag's images; None takes the only one that there is. What of a bag cannot be
            read is logged, and left out.

    Raises:
        ImageError: fewer than two frames, one that cannot be read or differs in shape, or frames
            too small to measure.
        BagError: a bag that cannot be read, or in which it is not clear which images are meant.
    """
    frames, first = [], ""
    for name, picture in islice(_pictures(Path(path), topic), 0, count * every, every):
        frames.append(fitted(picture))
        first = first or name
        if frames[-1].shape != frames[0].shape:
            shapes = [" x ".join(map(str, f.shape)) for f in (frames[-1], frames[0])]
            raise ImageError(f"{path}: {name} has shape {shapes[0]}, and {first} {shapes[1]}")
    if len(frames) < 2:
        raise ImageError(f"{path}: {len(frames)} frames are no sequence")
    if min(frames[0].shape[:2]) < WINDOW:
        height, width = frames[0].shape[:2]
        raise ImageError(f"{path}: frames of {width}x{height} px are too small for SSIM")
    return frames


def fitted(picture: np.ndarray) -> np.ndarray:
    """A picture of even sides within FRAME, its aspect kept.

    A larger one is reduced by area; of a smaller one an odd last column or row is left out.
    """
    height, width = picture.shape[:2]
    scale = min(FRAME[0] / width, FRAME[1] / height)
    if scale >= 1:
        return np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2])
    size = max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _pictures(path: Path, topic: str | None) -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 [H, W, 3] or [H, W]) of every frame."""
    if is_bag(path):
        yield from _of_bag(path, topic)
    elif path.suffix.lower() in VIDEOS:
        yield from ((f"frame {i}", picture) for i, picture in enumerate(pictures_of(path)))
    elif path.is_dir():
        yield from ((file.name, read_image(file)) for file in find_images([path]))
    elif path.exists():
        known = f"a folder of images, a video ({', '.join(sorted(VIDEOS))}), or a bag"
        raise ImageError(f"{path} is no sequence: name {known}")
    else:
        raise ImageError(f"no such file or folder: {path}")


def _of_bag(path: Path, topic: str | None) -> Iterator[tuple[str, np.ndarray]]:
    with Bag(path) as bag:
        try:
            for image in bag.images(bag.image_topic(topic)):
                if image.pixels is None:
                    log.warning("%s: an image is left out: %s", path, image.problem)
                else:
                    yield f"the image at {image.stamp_ns} ns", image.pixels
        finally:
            for problem in bag.problems:
                log.warning("%s: %s", path, problem)
