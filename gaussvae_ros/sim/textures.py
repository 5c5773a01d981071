"""The surfaces of the simulated building, painted with OpenCV: walls, floor, furniture.

Each is uint8 [h, w, 4], RGB and a mask (0 is a hole). Lengths are metres.
"""

import cv2
import numpy as np

from gaussvae_ros.sim.canvas import HEIGHT, Colour, px, solid, vary, weather, y

GROUND_SCALE = 100  # px per metre on floor and ceiling


def wall(
    rng: np.random.Generator, length: float, paint: Colour, dado: Colour, things: list[tuple]
) -> np.ndarray:
    """A painted wall; `things` are (function, position m, *arguments) that paint on it in turn."""
    h, w = px(HEIGHT), px(length)
    canvas = np.empty((h, w, 3), np.uint8)
    canvas[:] = paint
    canvas[y(1.05) :] = dado
    canvas[y(1.09) : y(1.03)] = [c // 2 for c in dado]
    canvas = weather(canvas, rng, 9, 3)
    canvas[y(0.1) :] = (72, 66, 62)
    canvas[y(0.105) : y(0.09)] = (112, 104, 98)
    for function, position, *arguments in things:
        function(canvas, rng, position, *arguments)
    return solid(canvas)


def floor(rng: np.random.Generator, width: float, depth: float) -> np.ndarray:
    """Vinyl tiles of 0.5 m in two tones with speckle, joints and wear."""
    w, h, tile = int(width * GROUND_SCALE), int(depth * GROUND_SCALE), GROUND_SCALE // 2
    rows, columns = np.mgrid[:h, :w] // tile
    tone = rng.normal(0, 4, (h // tile + 1, w // tile + 1))[rows, columns]
    canvas = np.float32((150, 142, 130)) - 24 * ((rows + columns) % 2)[..., None] + tone[..., None]
    canvas += rng.normal(0, 6, (h, w, 1))
    canvas[::tile] -= 34
    canvas[:, ::tile] -= 34
    return solid(weather(np.clip(canvas, 0, 255).astype(np.uint8), rng, 12, 2))


def stripe(canvas: np.ndarray, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    """Tape on the floor between two points in metres from the canvas's first corner."""
    a, b = (
        (int(x0 * GROUND_SCALE), int(y0 * GROUND_SCALE)),
        (int(x1 * GROUND_SCALE), int(y1 * GROUND_SCALE)),
    )
    cv2.line(canvas, a, b, (*colour, 255), 6, cv2.LINE_AA)


def ceiling(rng: np.random.Generator, width: float, depth: float, lamps: np.ndarray) -> np.ndarray:
    """Panels of 0.6 m with vents, and lit ones at `lamps` [N, 2] m from the first corner."""
    w, h, tile = int(width * GROUND_SCALE), int(depth * GROUND_SCALE), int(0.6 * GROUND_SCALE)
    rows, columns = np.mgrid[:h, :w] // tile
    tone = rng.normal(0, 4, (h // tile + 1, w // tile + 1))[rows, columns]
    canvas = np.float32((206, 205, 200)) + tone[..., None] - 22 * (rng.random((h, w, 1)) < 0.05)
    canvas[::tile] = canvas[:, ::tile] = (150, 150, 148)
    for i, j in rng.integers(0, [h // tile, w // tile], (28, 2)):
        canvas[i * tile + 8 : i * tile + tile - 8 : 6, j * tile + 8 : j * tile + tile - 8] = (
            88,
            90,
            92,
        )
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    for x, y_ in (lamps * GROUND_SCALE / tile).astype(int) * tile:
        canvas[y_ : y_ + tile, x : x + tile] = (176, 178, 178)
        canvas[y_ + 4 : y_ + tile - 4, x + 4 : x + tile - 4] = (255, 255, 248)
    return solid(canvas)


def panel(
    rng: np.random.Generator, width: float, height: float, colour: Colour, seams: int = 0
) -> np.ndarray:
    """A plain side of a piece of furniture, with vertical seams and handles if it is a cupboard."""
    canvas = np.empty((max(px(height), 8), max(px(width), 8), 3), np.uint8)
    canvas[:] = colour
    canvas = weather(canvas, rng, 10, 4)
    h, w = canvas.shape[:2]
    for i in range(seams):
        x0, x1 = i * w // seams, (i + 1) * w // seams
        cv2.rectangle(canvas, (x0 + 1, 1), (x1 - 2, h - 2), tuple(c // 2 for c in colour), 2)
        cv2.rectangle(canvas, (x1 - 14, h // 2 - 9), (x1 - 10, h // 2 + 9), (205, 205, 210), -1)
    cv2.rectangle(canvas, (0, 0), (w - 1, h - 1), tuple(3 * c // 5 for c in colour), 2)
    return solid(canvas)


def books(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A filled bookshelf."""
    canvas = panel(rng, width, height, (116, 84, 56))
    h, w = canvas.shape[:2]
    for top in range(6, h - 30, px(0.34)):
        bottom, x = min(top + px(0.3), h - 6), 8
        canvas[top:bottom, 6 : w - 6, :3] = (44, 32, 24)
        while x < w - 16:
            thick, tall = int(rng.integers(4, 11)), int((bottom - top) * rng.uniform(0.62, 0.97))
            canvas[bottom - tall : bottom, x : x + thick, :3] = vary(rng, (120, 100, 90), 85)
            canvas[bottom - tall // 2 : bottom - tall // 2 + 5, x + 1 : x + thick - 1, :3] = (
                214,
                204,
                180,
            )
            x += thick + (rng.random() < 0.1) * 9
    return canvas


def leaves(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A plant seen from the side: leaves on nothing."""
    h, w = px(height), px(width)
    canvas = np.zeros((h, w, 4), np.uint8)
    for _ in range(150):
        angle, reach = rng.uniform(-2.9, -0.25), rng.uniform(0.15, 0.95)
        centre = (
            int(w / 2 + reach * w / 2 * np.cos(angle)),
            int(h * 0.95 + reach * h * 0.85 * np.sin(angle)),
        )
        colour = vary(rng, (62, 112, 48), 34)
        axes = (int(rng.integers(8, 18)), int(rng.integers(3, 7)))
        cv2.ellipse(
            canvas,
            centre,
            axes,
            np.degrees(angle) + rng.uniform(-40, 40),
            0,
            360,
            (*colour, 255),
            -1,
        )
    return canvas
