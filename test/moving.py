"""What a moving camera sees, and its records as a sequence has them."""

from collections.abc import Iterable

import cv2
import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.sequence import encode_sequence


def view(shift: float = 0, scene: int = 0, size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """From `shift` px to the right of the middle of a scene; uint8 [h, w, 3], `size` is (w, h)."""
    world = np.random.default_rng(scene).integers(0, 256, (15, 50, 3)).astype(np.uint8)
    world = cv2.resize(world, (800, 240), interpolation=cv2.INTER_CUBIC)
    left = round(300 + shift)
    return world[: size[1], left : left + size[0]].copy()


def drive(count: int, **more: object) -> list[np.ndarray]:
    """Views that follow one another 3 px apart."""
    return [view(3 * i, **more) for i in range(count)]


def sequence(
    codec: FrameCodec, images: Iterable[np.ndarray], quality: float = 50
) -> list[list[bytes]]:
    """What each image's frame needs, with its own record last, from a key record on."""
    return [one.records for one in encode_sequence(codec, images, quality, ahead=0)]
