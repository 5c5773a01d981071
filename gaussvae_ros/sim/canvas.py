"""A canvas to paint a surface of the simulated building on: lengths in metres, and brushes.

A wall's canvas is uint8 [h, w, 3] RGB. Positions run from its left end, heights from the floor.
"""

import cv2
import numpy as np

SCALE = 160  # px per metre on walls and furniture
HEIGHT = 2.6  # m, of the rooms

Colour = tuple[int, int, int]


def px(metres: float) -> int:
    """Metres on a wall to pixels."""
    return int(round(metres * SCALE))


def y(z: float) -> int:
    """A height above the floor, m, to a row of a wall's canvas."""
    return px(HEIGHT) - px(z)


def rect(canvas: np.ndarray, x0: float, z1: float, x1: float, z0: float, colour: Colour) -> None:
    """Fill the rectangle between two corners, upper left and lower right, m."""
    canvas[max(y(z1), 0) : max(y(z0), 0), max(px(x0), 0) : max(px(x1), 0)] = colour


def write(canvas: np.ndarray, x: float, z: float, text: str, height: float, colour: Colour) -> None:
    """Letters of a height, m, from the lower left corner `x`, `z` m."""
    scale = px(height) / 22  # OpenCV's simplex capitals are 22 px high at scale 1
    cv2.putText(
        canvas,
        text,
        (px(x), y(z)),
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        colour,
        max(1, round(2.5 * scale)),
        cv2.LINE_AA,
    )


def weather(
    canvas: np.ndarray, rng: np.random.Generator, stains: float, grain: float
) -> np.ndarray:
    """Uneven paint: broad stains and fine grain, standard deviations in grey levels."""
    h, w = canvas.shape[:2]
    broad = cv2.resize(
        rng.normal(0, 1, (h // 60 + 2, w // 60 + 2)).astype(np.float32),
        (w, h),
        interpolation=cv2.INTER_CUBIC,
    )
    fine = rng.normal(0, 1, (h, w)).astype(np.float32)
    return np.clip(canvas + (stains * 0.6 * broad + grain * fine)[..., None], 0, 255).astype(
        np.uint8
    )


def vary(rng: np.random.Generator, colour: Colour, by: int) -> Colour:
    """A colour with up to `by` grey levels more or less in each channel."""
    return tuple(int(c) for c in np.clip(np.array(colour) + rng.integers(-by, by + 1, 3), 0, 255))


def solid(canvas: np.ndarray) -> np.ndarray:
    """A canvas without holes as a surface, uint8 [h, w, 4]."""
    return np.dstack([canvas, np.full(canvas.shape[:2], 255, np.uint8)])
