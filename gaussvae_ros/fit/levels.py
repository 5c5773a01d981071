"""An image at the resolutions that a fit looks at.

A level has so many pixels for each splat, and is seen in sets of rows, one set a step.
"""

import cv2
import numpy as np

SETS = 4  # of rows that a level divides into


class Levels:
    """An image, uint8 [H, W, 3] RGB or [H, W] mono, as `n` splats see it: each level is
    made on first use."""

    def __init__(self, image: np.ndarray, n: int):
        self.image, self.n = image, n
        self.size = image.shape[1], image.shape[0]  # (w, h) px
        self.channels = 3 if image.ndim == 3 else 1
        self._made: dict[tuple[float, int], np.ndarray] = {}
        self._small: dict[float, np.ndarray] = {}

    def at(self, pixels: float, stride: int = 1) -> np.ndarray:  # [S, h, w, 3] float32, 0 to 1
        """A level as the descent takes it, see `rows_of`; to read only."""
        if (pixels, stride) not in self._made:
            level = self.rows(pixels, stride).astype(np.float32)
            level /= np.float32(255)
            self._made[pixels, stride] = level
        return self._made[pixels, stride]

    def rows(self, pixels: float, stride: int) -> np.ndarray:  # uint8 [S, h, w, 3]
        """The same as bytes."""
        if pixels not in self._small:
            self._small[pixels] = shrunk(self.image, self.n, pixels)
        return rows_of(self._small[pixels], stride)


def rows_of(image: np.ndarray, stride: int) -> np.ndarray:  # uint8 [S, h, w, 3]
    """Rows 0, S, 2 S, ... of an image, then rows 1, S + 1, ...

    S is `stride`, or the next smaller number that divides the height.
    """
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    height, width, _ = image.shape
    stride = next(k for k in range(stride, 0, -1) if height % k == 0)
    rows = image.reshape(height // stride, stride, width, 3).swapaxes(0, 1)
    return np.ascontiguousarray(rows)


def shrunk(image: np.ndarray, n: int, pixels: float) -> np.ndarray:  # uint8 [h, w, 3] or [h, w]
    """The image, area-averaged to about `pixels` pixels for each of `n` splats where it has more.

    Its height is then a multiple of 4, for sets of rows.
    """
    height, width = image.shape[:2]
    factor = min(1.0, np.sqrt(n * pixels / (width * height)))
    if factor == 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor / SETS)) * SETS
    if width % 2 == 0 and height % 2 == 0 and min(width / size[0], height / size[1]) >= 4:
        # By half first, which takes a third of the time; where less is left to do, it blurs.
        half = width // 2, height // 2
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
