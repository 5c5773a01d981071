"""Which crops a set of pictures gives, to which part of the data, and a crop to a sample."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.fit import fit

SPLATS = 512
PARTS = ("train", "valid")
VALID = 0.03  # share of the pictures that validation gets
BLOCK = 8  # pictures in a row that go to validation together: neighbours may show the same
SMALLEST = 0.5  # side of a crop, at least, relative to the largest that fits into the picture
ENLARGED = 1.3  # how much a crop is enlarged, at most


@dataclass(frozen=True)
class Picture:
    """A picture that samples can be cut from."""

    path: Path
    size: tuple[int, int]  # (w, h) px
    source: int  # index among the sources


@dataclass(frozen=True)
class Crop:
    """A sample before it is made."""

    path: Path
    box: tuple[int, int, int, int]  # x, y, w, h px
    size: tuple[int, int]  # (w, h) px that it is resized to


def split(n: int, seed: int) -> np.ndarray:  # int [n]: index in PARTS, or -1
    """Which part each of `n` pictures in a row belongs to.

    Validation gets about VALID of them, in blocks of up to BLOCK spread over the row. The pictures
    on both sides of a block belong to no part: in a sequence they are nearly those inside. Fewer
    than 8 pictures are all for training.
    """
    part = np.zeros(n, np.int64)
    if n < 8:
        return part
    blocks = max(1, round(VALID * n / BLOCK))
    length = min(BLOCK, max(1, round(VALID * n)))
    edges, rng = np.linspace(0, n, blocks + 1).astype(int), np.random.default_rng([seed, 1])
    starts = [int(rng.integers(lo, hi - length + 1)) for lo, hi in zip(edges, edges[1:])]
    for start in starts:
        part[max(0, start - 1) : start + length + 1] = -1
    for start in starts:
        part[start : start + length] = 1
    return part


def plan(
    pictures: list[Picture], chosen: np.ndarray, crops: int, size: tuple[int, int], seed: int
) -> list[Crop]:
    """The samples of one part, in the order of its shards: `crops` of each picture in `chosen`."""
    made = []
    for i in np.flatnonzero(chosen):
        rng = np.random.default_rng([seed, 2, i])
        made += [
            Crop(pictures[i].path, _box(pictures[i].size, size, rng), size) for _ in range(crops)
        ]
    order = np.random.default_rng([seed, 3]).permutation(len(made))
    return [made[i] for i in order]


def make_sample(
    crop: Crop,
) -> tuple[np.ndarray, np.ndarray]:  # float32 [SPLATS, 8], uint8 [h, w, 3]
    """Cut, resize and fit."""
    image = cut(read_image(crop.path), crop.box, crop.size)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return fit(image, SPLATS, "fast").params, image


def cut(
    image: np.ndarray,  # uint8 [H, W, 3] or [H, W]
    box: tuple[int, int, int, int],  # x, y, w, h px
    size: tuple[int, int],
) -> np.ndarray:  # uint8 [h, w, 3] or [h, w]
    """A part of an image, resized to `size` (w, h) px: by area, or enlarged by bicubic
    interpolation."""
    x, y, w, h = box
    how = cv2.INTER_AREA if w >= size[0] else cv2.INTER_CUBIC
    return cv2.resize(image[y : y + h, x : x + w], size, interpolation=how)


def middle_box(picture: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box of the shape of `size` in the middle of a picture: x, y, w, h px."""
    w, h = (max(1, int(side)) for side in largest_box(picture, size))
    return (picture[0] - w) // 2, (picture[1] - h) // 2, w, h


def largest_box(picture: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """(w, h) px of the largest box of the shape of `size` in a picture, both (w, h) px."""
    scale = min(picture[0] / size[0], picture[1] / size[1])
    return size[0] * scale, size[1] * scale


def _box(
    picture: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A random crop: x, y, w, h px."""
    width, height = largest_box(picture, size)
    scale = rng.uniform(min(1, max(SMALLEST, size[0] / ENLARGED / width)), 1)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    return int(rng.integers(picture[0] - w + 1)), int(rng.integers(picture[1] - h + 1)), w, h
