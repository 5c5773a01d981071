"""The surfaces of the simulated building, painted with OpenCV: walls, floor, furniture.

What makes a surface returns uint8 [h, w, 4], RGB and a mask (0 is a hole); what hangs on a wall
paints into the wall's RGB. Lengths are metres, positions on a wall run from its left end.
"""

import cv2
import numpy as np

SCALE = 160  # px per metre on walls and furniture
GROUND_SCALE = 100  # px per metre on floor and ceiling
HEIGHT = 2.6  # m, of the rooms

Colour = tuple[int, int, int]


def wall(
    rng: np.random.Generator, length: float, paint: Colour, dado: Colour, things: list[tuple]
) -> np.ndarray:
    """A painted wall; `things` are (function, position m, *arguments) that paint on it in turn."""
    h, w = px(HEIGHT), px(length)
    canvas = np.empty((h, w, 3), np.uint8)
    canvas[:] = paint
    canvas[y(1.05) :] = dado
    canvas[y(1.09) : y(1.03)] = [c // 2 for c in dado]
    canvas = _weather(canvas, rng, 9, 3)
    canvas[y(0.1) :] = (72, 66, 62)
    canvas[y(0.105) : y(0.09)] = (112, 104, 98)
    for function, position, *arguments in things:
        function(canvas, rng, position, *arguments)
    return _solid(canvas)


def door(
    canvas: np.ndarray, rng: np.random.Generator, at: float, number: str, colour: Colour
) -> None:
    """A door 0.95 m wide with frame, handle, glass, kick plate and number sign."""
    _rect(canvas, at - 0.07, 2.12, at + 1.02, 0, (196, 190, 180))
    _rect(canvas, at, 2.05, at + 0.95, 0, colour)
    leaf = canvas[y(2.05) : y(0), px(at) : px(at + 0.95)]
    if leaf.size:
        grain = cv2.GaussianBlur(rng.normal(0, 30, leaf.shape[:2]).astype(np.float32), (3, 151), 0)
        leaf[:] = np.clip(leaf + 2.5 * grain[..., None], 0, 255)
    _rect(canvas, at + 0.66, 1.8, at + 0.82, 1.15, (52, 70, 82))
    _rect(canvas, at + 0.68, 1.78, at + 0.74, 1.3, (120, 150, 165))
    _rect(canvas, at + 0.05, 1.08, at + 0.2, 1.03, (200, 200, 205))
    _rect(canvas, at + 0.05, 1.03, at + 0.09, 0.93, (160, 160, 165))
    _rect(canvas, at, 0.25, at + 0.95, 0.02, (150, 152, 156))
    _rect(canvas, at, 2.05, at + 0.012, 0, (30, 28, 26))
    _rect(canvas, at + 0.93, 2.05, at + 0.95, 0, (30, 28, 26))
    _rect(canvas, at + 1.12, 1.68, at + 1.42, 1.5, (36, 62, 110))
    _text(canvas, at + 1.15, 1.54, number, 0.11, (240, 240, 240))


def window(canvas: np.ndarray, rng: np.random.Generator, at: float, width: float) -> None:
    """A window onto sky, roofs and trees, with two sashes and a sill."""
    _rect(canvas, at - 0.06, 2.26, at + width + 0.06, 0.84, (226, 226, 222))
    view = canvas[y(2.2) : y(0.9), px(at) : px(at + width)]
    if not view.size:
        return
    h, w = view.shape[:2]
    t = np.linspace(0, 1, h)[:, None, None]
    view[:] = (1 - t) * (185, 215, 250) + t * (255, 255, 255)
    left = 0
    while left < w:
        step, top = int(rng.integers(w // 9 + 1, w // 4 + 2)), int(h * rng.uniform(0.45, 0.75))
        shade = int(rng.integers(130, 195))
        view[top:, left : left + step] = (shade, shade - 12, shade - 22)
        view[top + 8 :: 16, left + 5 : left + step - 4 : 12] = (90, 100, 118)
        left += step
    for _ in range(w // 8):
        centre = (int(rng.integers(0, w)), int(h * rng.uniform(0.78, 1.0)))
        cv2.circle(
            view, centre, int(rng.integers(6, 20)), _vary(rng, (70, 110, 52), 25), -1, cv2.LINE_AA
        )
    for x in np.linspace(0, w - 1, 3).astype(int):
        cv2.line(view, (x, 0), (x, h), (232, 232, 230), 8)
    cv2.rectangle(view, (0, 0), (w - 1, h - 1), (205, 205, 205), 5)
    _rect(canvas, at - 0.12, 0.87, at + width + 0.12, 0.82, (176, 172, 165))


def poster(
    canvas: np.ndarray, rng: np.random.Generator, at: float, width: float, title: str
) -> None:
    """A printed poster: title, picture of random shapes, lines of text."""
    height = 1.4 * width
    top = 1.25 + height / 2
    _rect(canvas, at - 0.015, top + 0.015, at + width + 0.015, top - height - 0.015, (40, 40, 44))
    _rect(canvas, at, top, at + width, top - height, _vary(rng, (225, 222, 214), 24))
    ink = _vary(rng, (110, 90, 90), 85)
    _text(canvas, at + 0.04 * width, top - 0.13 * width, title, 0.11 * width, ink)
    picture = canvas[
        y(top - 0.2 * width) : y(top - 0.92 * width), px(at + 0.06 * width) : px(at + 0.94 * width)
    ]
    if picture.size:
        picture[:] = _vary(rng, (150, 160, 170), 80)
        h, w = picture.shape[:2]
        for _ in range(int(rng.integers(7, 13))):
            centre, colour = (
                (int(rng.integers(0, w)), int(rng.integers(0, h))),
                _vary(rng, (128, 128, 128), 120),
            )
            if rng.random() < 0.5:
                cv2.circle(
                    picture,
                    centre,
                    int(rng.integers(h // 12 + 1, h // 3 + 2)),
                    colour,
                    -1,
                    cv2.LINE_AA,
                )
            else:
                corners = np.array(centre) + rng.integers(-h // 3 - 1, h // 3 + 1, (3, 2))
                cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    for i in range(7):
        z = top - (1.0 + 0.055 * i) * width
        _rect(
            canvas,
            at + 0.07 * width,
            z,
            at + rng.uniform(0.6, 0.93) * width,
            z - 0.022 * width,
            (90, 90, 95),
        )


def board(canvas: np.ndarray, rng: np.random.Generator, at: float, width: float) -> None:
    """A cork board with notes."""
    _rect(canvas, at, 1.85, at + width, 0.95, (120, 92, 62))
    _rect(canvas, at + 0.04, 1.81, at + width - 0.04, 0.99, (186, 148, 104))
    cork = canvas[y(1.81) : y(0.99), px(at + 0.04) : px(at + width - 0.04)]
    cork[:] = np.clip(cork + rng.normal(0, 14, cork.shape[:2])[..., None], 0, 255)
    for _ in range(int(width * 9)):
        x, z = at + rng.uniform(0.06, width - 0.3), rng.uniform(1.25, 1.76)
        w, h = rng.uniform(0.1, 0.22), rng.uniform(0.1, 0.24)
        _rect(canvas, x, z, x + w, z - h, _vary(rng, (225, 220, 190), 30))
        for i in range(1, 5):
            _rect(
                canvas,
                x + 0.015,
                z - i * h / 5.5,
                x + w * rng.uniform(0.5, 0.9),
                z - i * h / 5.5 - 0.006,
                (95, 95, 105),
            )


def radiator(canvas: np.ndarray, rng: np.random.Generator, at: float, width: float) -> None:
    """A flat radiator under a window."""
    _rect(canvas, at, 0.72, at + width, 0.16, (214, 212, 206))
    for x in np.arange(at + 0.03, at + width, 0.06):
        _rect(canvas, x, 0.7, x + 0.018, 0.18, (168, 166, 162))
    _rect(canvas, at, 0.16, at + width, 0.13, (96, 92, 88))


def sign(
    canvas: np.ndarray,
    rng: np.random.Generator,
    at: float,
    text: str,
    colour: Colour,
    z: float = 2.2,
) -> None:
    """A coloured plate with white letters, its lower edge at height `z` m."""
    _rect(canvas, at, z + 0.2, at + 0.09 * len(text) + 0.12, z, colour)
    _text(canvas, at + 0.06, z + 0.05, text, 0.11, (245, 245, 245))


def floor(rng: np.random.Generator, width: float, depth: float) -> np.ndarray:
    """Vinyl tiles of 0.5 m in two tones with speckle, joints and wear."""
    w, h, tile = int(width * GROUND_SCALE), int(depth * GROUND_SCALE), GROUND_SCALE // 2
    rows, columns = np.mgrid[:h, :w] // tile
    tone = rng.normal(0, 4, (h // tile + 1, w // tile + 1))[rows, columns]
    canvas = np.float32((150, 142, 130)) - 24 * ((rows + columns) % 2)[..., None] + tone[..., None]
    canvas += rng.normal(0, 6, (h, w, 1))
    canvas[::tile] -= 34
    canvas[:, ::tile] -= 34
    return _solid(_weather(np.clip(canvas, 0, 255).astype(np.uint8), rng, 12, 2))


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
    return _solid(canvas)


def panel(
    rng: np.random.Generator, width: float, height: float, colour: Colour, seams: int = 0
) -> np.ndarray:
    """A plain side of a piece of furniture, with vertical seams and handles if it is a cupboard."""
    canvas = np.empty((max(px(height), 8), max(px(width), 8), 3), np.uint8)
    canvas[:] = colour
    canvas = _weather(canvas, rng, 10, 4)
    h, w = canvas.shape[:2]
    for i in range(seams):
        x0, x1 = i * w // seams, (i + 1) * w // seams
        cv2.rectangle(canvas, (x0 + 1, 1), (x1 - 2, h - 2), tuple(c // 2 for c in colour), 2)
        cv2.rectangle(canvas, (x1 - 14, h // 2 - 9), (x1 - 10, h // 2 + 9), (205, 205, 210), -1)
    cv2.rectangle(canvas, (0, 0), (w - 1, h - 1), tuple(3 * c // 5 for c in colour), 2)
    return _solid(canvas)


def books(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """A filled bookshelf."""
    canvas = panel(rng, width, height, (116, 84, 56))
    h, w = canvas.shape[:2]
    for top in range(6, h - 30, px(0.34)):
        bottom, x = min(top + px(0.3), h - 6), 8
        canvas[top:bottom, 6 : w - 6, :3] = (44, 32, 24)
        while x < w - 16:
            thick, tall = int(rng.integers(4, 11)), int((bottom - top) * rng.uniform(0.62, 0.97))
            canvas[bottom - tall : bottom, x : x + thick, :3] = _vary(rng, (120, 100, 90), 85)
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
        colour = _vary(rng, (62, 112, 48), 34)
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


def px(metres: float) -> int:
    """Metres on a wall to pixels."""
    return int(round(metres * SCALE))


def y(z: float) -> int:
    """A height above the floor, m, to a row of a wall's canvas."""
    return px(HEIGHT) - px(z)


def _rect(canvas: np.ndarray, x0: float, z1: float, x1: float, z0: float, colour: Colour) -> None:
    canvas[max(y(z1), 0) : max(y(z0), 0), max(px(x0), 0) : max(px(x1), 0)] = colour


def _text(canvas: np.ndarray, x: float, z: float, text: str, height: float, colour: Colour) -> None:
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


def _weather(
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


def _vary(rng: np.random.Generator, colour: Colour, by: int) -> Colour:
    return tuple(int(c) for c in np.clip(np.array(colour) + rng.integers(-by, by + 1, 3), 0, 255))


def _solid(canvas: np.ndarray) -> np.ndarray:
    return np.dstack([canvas, np.full(canvas.shape[:2], 255, np.uint8)])
