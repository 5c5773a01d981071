"""Which place a picture shows: descriptors of 128 numbers, compared by the angle between them.

The picture is made very small, each of its edges is held against those around it, and how strong
they are in each direction is added up in overlapping parts (histograms of oriented gradients,
Dalal and Triggs, CVPR 2005). A learned projection keeps of that what tells pictures apart, and not
what another light, a step aside or a record changes (after Fisher). docs/recognition.md has what it
was chosen by, and `gaussvae train places` makes the model. No ROS, no torch.
"""

import functools
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gaussvae_ros.errors import ModelError
from gaussvae_ros.likeness import slopes

LENGTH = 128  # numbers of a descriptor
LARGEST = 7  # of them: 4 bits each, which memory files store in half the bytes
WIDTH, HEIGHT = 96, 72  # px, to which a picture is shrunk, or at which a record is drawn
DIRECTIONS, ROWS, COLUMNS = 8, 5, 7  # of edges, and parts of the picture
FEATURES = DIRECTIONS * ROWS * COLUMNS
HALVED = 2  # times that size, down to which pictures are halved
AROUND = 8.0  # px, how far around edges are compared
FLOOR = 1.0  # grey levels a pixel: fainter edges are taken for noise
OVERLAP = 0.8  # of a part's side, the standard deviation of its weights
MODEL, ARCHITECTURE = "places", "places"


class Decoder(Protocol):
    """What draws records, such as `FrameCodec`."""

    def decode(
        self, data: bytes | Sequence[bytes], size: tuple[int, int] | None = None
    ) -> np.ndarray:
        """A record as a picture of `size` (w, h) px."""


def describe(image: np.ndarray) -> np.ndarray:
    """The descriptor of the place that a picture shows.

    Args:
        image: uint8 [H, W, 3] RGB or [H, W], of any size.

    Returns:
        int8 [LENGTH], -LARGEST to LARGEST.

    Raises:
        ImageError: not such a picture.
        ModelError: the model is not installed, or damaged.
    """
    mean, projection = _model()
    # Not by @, whose library wakes a thread for it, which waits where others use the cores.
    return quantised(np.einsum("f,fl->l", features(image) - mean, projection))


def describe_record(codec: Decoder, records: bytes | Sequence[bytes]) -> np.ndarray:
    """The descriptor of a record's frame, which is drawn at WIDTH x HEIGHT only: int8 [LENGTH].
    Raises as `codec.decode` and `describe`.
    """
    return describe(codec.decode(records, size=(WIDTH, HEIGHT)))


def features(image: np.ndarray) -> np.ndarray:
    """How strong edges of each direction are in each part of a picture, float32 [FEATURES] of
    length 1. Takes what `describe` takes.
    """
    import cv2

    across, down = slopes(image, (WIDTH, HEIGHT), HALVED)
    strength = np.square(across) + np.square(down)
    around = np.sqrt(cv2.GaussianBlur(strength, (0, 0), AROUND)) + FLOOR
    strength = np.sqrt(strength) / around
    # An edge is one from dark to bright as well as from bright to dark, as by day and night.
    turn = cv2.phase(across, down) * (DIRECTIONS / math.pi)
    turn[turn >= DIRECTIONS] -= DIRECTIONS
    apart = np.abs(turn - np.arange(DIRECTIONS, dtype=np.float32)[:, None, None])
    shares = np.maximum(1 - np.minimum(apart, DIRECTIONS - apart), 0) * strength
    parts = _weights(HEIGHT, ROWS) @ shares @ _weights(WIDTH, COLUMNS).T
    values = np.sqrt(parts).ravel()
    return values / max(float(np.linalg.norm(values)), 1e-9)


def quantised(values: np.ndarray) -> np.ndarray:  # [..., N] -> int8 [..., N]
    """Descriptors of numbers: the largest of each becomes LARGEST."""
    largest = np.maximum(np.abs(values).max(-1, keepdims=True), 1e-9)
    return np.rint(values * (LARGEST / largest)).astype(np.int8)


@functools.cache
def _weights(size: int, parts: int) -> np.ndarray:  # float32 [parts, size]
    """What each pixel of a side counts in each of its parts."""
    side = size / parts
    away = np.arange(size) + 0.5 - (np.arange(parts)[:, None] + 0.5) * side
    weights = np.exp(-np.square(away / (OVERLAP * side)) / 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@functools.cache
def _model() -> tuple[np.ndarray, np.ndarray]:
    """The mean of features, float32 [FEATURES], and the projection, float32 [FEATURES, LENGTH]."""
    from gaussvae_ros.model_files import find, read

    path = find(MODEL)
    about, tensors = read(path)
    mean, projection = tensors.get("mean"), tensors.get("projection")
    if about.get("architecture") != ARCHITECTURE or mean is None or projection is None:
        raise ModelError(f"{path}: is no model of descriptors of places")
    if mean.shape != (FEATURES,) or projection.shape != (FEATURES, LENGTH):
        raise ModelError(f"{path}: this release describes places in another way")
    return mean, projection
