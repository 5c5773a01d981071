"""Splats to a picture to look at, uint8, of any size and of any part of the frame.

The CPU path, in one pass. Splats have no resolution: a larger picture scales their geometry and is
sharper than an enlarged one. A smaller one takes more than a sample a pixel, or fine splats would
flicker: it is drawn at a whole multiple of its size, about as fine as the fitted image or, where
splats are wide, half as fine, and averaged over each pixel's own square.
"""

import math
import operator
from collections.abc import Sequence

import numpy as np

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.kernels import inline, parallel, prange
from gaussvae_ros.kernels.simd import LANES
from gaussvae_ros.raster import BACKGROUND, CUT, EPS
from gaussvae_ros.raster.cpu import BAND, draw_band, split, stretch
from gaussvae_ros.splats import LOG_S2, Splats

MAX_SIDE = 65535  # px
MAX_PIXELS = 1 << 26  # of a picture: 8192x8192
# Px of the fitted image between samples at most: a thumbnail differs by some
# 58 dB, in half the time.
WIDEST = 2.0
# Pixels to draw for a smaller picture; beyond, each of its pixels is a mean of fewer samples.
MAX_DRAWN = 1 << 24
# Pixels times splats over them, some seconds; a fitted picture has about 7 over each pixel.
MAX_WORK = 1 << 35


def render(
    splats: Splats,
    size: tuple[int, int] | None = None,  # (w, h) px
    roi: tuple[int, int, int, int] | None = None,  # (x, y, w, h) px
    window: tuple[int, int, int, int] | None = None,  # (x, y, w, h) px
) -> np.ndarray:  # uint8 [h, w, 3] or [h, w]
    """Draw splats, or a part of them.

    Args:
        size: of the picture; None takes the size of the fitted image, or of `roi`. Width and
            height scale on their own.
        roi: the part to show, in px of the fitted image; None shows all of it.
            The work shrinks with it.
        window: the part of the picture, in its own px, that is drawn and returned; None is all.

    Raises:
        GaussVaeError: `roi` is empty or not wholly inside the image, or the picture would have no
            pixels or more than MAX_PIXELS (the default size too, if the fitted image has more).
    """
    x, y, roi_w, roi_h = checked_roi(roi, splats.size)
    width, height = checked_size((roi_w, roi_h) if size is None else size)
    fine_x, fine_y = _multiples((width, height), (roi_w, roi_h), _spacing(splats))
    geometry, colour = split(splats.params)
    geometry[:, :2] -= x, y
    geometry *= stretch(width * fine_x / roi_w, height * fine_y / roi_h)
    if window is not None:
        left, top, width, height = window
        geometry[:, :2] -= left * fine_x, top * fine_y
    seen, work = _in_view(geometry, width * fine_x, height * fine_y)
    if work > MAX_WORK:
        raise GaussVaeError(
            f"{len(splats)} splats that large take too long to draw at {width}x{height} px"
        )
    image = np.empty((height, width, splats.channels), np.uint8)
    _paint(geometry[seen], colour[seen], fine_x, fine_y, image)
    return image if splats.channels == 3 else image[..., 0]


def checked_size(size: Sequence[int]) -> tuple[int, int]:
    """A picture's (w, h), px, if `render` draws such (GaussVaeError if not)."""
    width, height = _whole("size", size, 2)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise GaussVaeError(
            f"a picture of {width}x{height} px cannot be made: a side has 1 to {MAX_SIDE} px,"
            f" all of it at most {MAX_PIXELS} px; ask for another size, or for a part"
        )
    return width, height


def checked_roi(roi: Sequence[int] | None, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part (x, y, w, h) of an image of `size` (w, h) px; GaussVaeError if it is not inside."""
    x, y, width, height = (0, 0, *size) if roi is None else _whole("roi", roi, 4)
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > size[0] or y + height > size[1]:
        raise GaussVaeError(
            f"roi {x},{y},{width},{height} is empty or not inside the frame"
            f" of {size[0]}x{size[1]} px"
        )
    return x, y, width, height


def _whole(name: str, values: Sequence[int], count: int) -> tuple[int, ...]:
    try:
        found = tuple(operator.index(v) for v in values)
    except TypeError:
        found = ()
    if len(found) != count:
        raise GaussVaeError(f"{name} is {count} whole numbers, not {values!r}")
    return found


def _spacing(splats: Splats) -> float:
    """How far apart, px, samples may be: as a quarter of the splats is thin, from 1 to WIDEST."""
    thin = np.exp(splats.params[:, LOG_S2])
    return float(np.clip(np.quantile(thin, 0.25), 1, WIDEST)) if len(thin) else WIDEST


def _multiples(size: tuple[int, int], roi: tuple[int, int], spacing: float) -> tuple[int, int]:
    """Samples across and down a pixel: two or more where it shrinks, as far as MAX_DRAWN goes."""
    fine = [max(math.ceil(of / (spacing * to)), 2 if of > to else 1) for of, to in zip(roi, size)]
    while max(fine) > 1 and size[0] * size[1] * fine[0] * fine[1] > MAX_DRAWN:
        wider = 0 if fine[0] >= fine[1] else 1
        fine[wider] = -(-fine[wider] // 2)
    return fine[0], fine[1]


def _in_view(geometry: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    """Which splats [N] bool can reach the picture, and the sum of their bounding boxes in px."""
    reach_x = CUT * np.hypot(geometry[:, 2], geometry[:, 3] * geometry[:, 4])
    reach_y = CUT * geometry[:, 4]
    across = np.clip(geometry[:, 0] + reach_x + 1, 0, width) - np.clip(
        geometry[:, 0] - reach_x - 1, 0, width
    )
    down = np.clip(geometry[:, 1] + reach_y + 1, 0, height) - np.clip(
        geometry[:, 1] - reach_y - 1, 0, height
    )
    boxes = across * down
    return boxes > 0, float(boxes.sum())


# error_model: Python's own would test each divisor for zero, and loops with tests in
# them are not vectorised
@parallel(error_model="numpy", fastmath={"contract"})
def _paint(geometry, colour, fine_x, fine_y, image):
    """Draw `image` uint8 [h, w, C] as means of fine_x * fine_y samples, the unit of `geometry`.

    Each band of rows is drawn, divided, averaged and rounded while the cache still holds it.
    """
    height, width, channels = image.shape
    rows = max(1, BAND // fine_y)  # of the image, in a band
    across = width * fine_x
    for band in prange((height + rows - 1) // rows):
        y0, y1 = band * rows, min(height, (band + 1) * rows)
        canvas = np.empty(((y1 - y0) * fine_y, 4, across + LANES), np.float32)
        draw_band(geometry, colour, canvas, across, y0 * fine_y, y1 * fine_y, y0 * fine_y)
        total = np.empty((channels, across), np.float32)
        for y in range(y0, y1):
            total[:] = 0
            for line in range((y - y0) * fine_y, (y - y0 + 1) * fine_y):
                _add_row(canvas[line], total)
            if fine_x * fine_y > 1:
                _average(total, fine_x, width, np.float32(1) / np.float32(fine_x * fine_y))
            _write_row(total, image[y])


@inline
def _add_row(sums, total):
    """Add one drawn row of (weight, r, g, b) to `total` [C, across], as values cut to 0 to 255."""
    weight = sums[0]
    for k in range(len(total)):
        mixed, out = sums[1 + k], total[k]
        for x in range(len(out)):
            value = mixed[x] * np.float32(255) + np.float32(255 * EPS * BACKGROUND)
            out[x] += min(
                max(value / (weight[x] + np.float32(EPS)), np.float32(0)), np.float32(255)
            )


@inline
def _average(total, fine, width, share):
    """Put `share` of the sum of each `fine` columns into the first `width` columns."""
    for k in range(len(total)):
        for x in range(width):
            value = np.float32(0)
            for i in range(x * fine, (x + 1) * fine):
                value += total[k, i]
            total[k, x] = value * share


@inline
def _write_row(total, row):
    for k in range(len(total)):
        values = total[k]
        for x in range(len(row)):
            row[x, k] = np.uint8(np.int32(values[x] + np.float32(0.5)))
