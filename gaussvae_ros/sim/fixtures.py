"""What hangs on the walls of the simulated building: doors, windows, posters, boards, signs.

Each paints into a wall's canvas, from `at` m on, and draws its details from `rng`.
"""

import cv2
import numpy as np

from gaussvae_ros.sim.canvas import Colour, px, rect, vary, write, y


def door(
    canvas: np.ndarray, rng: np.random.Generator, at: float, number: str, colour: Colour
) -> None:
    """A door 0.95 m wide with frame, handle, glass, kick plate and number sign."""
    rect(canvas, at - 0.07, 2.12, at + 1.02, 0, (196, 190, 180))
    rect(canvas, at, 2.05, at + 0.95, 0, colour)
    leaf = canvas[y(2.05) : y(0), px(at) : px(at + 0.95)]
    if leaf.size:
        grain = cv2.GaussianBlur(rng.normal(0, 30, leaf.shape[:2]).astype(np.float32), (3, 151), 0)
        leaf[:] = np.clip(leaf + 2.5 * grain[..., None], 0, 255)
    rect(canvas, at + 0.66, 1.8, at + 0.82, 1.15, (52, 70, 82))
    rect(canvas, at + 0.68, 1.78, at + 0.74, 1.3, (120, 150, 165))
    rect(canvas, at + 0.05, 1.08, at + 0.2, 1.03, (200, 200, 205))
    rect(canvas, at + 0.05, 1.03, at + 0.09, 0.93, (160, 160, 165))
    rect(canvas, at, 0.25, at + 0.95, 0.02, (150, 152, 156))
    rect(canvas, at, 2.05, at + 0.012, 0, (30, 28, 26))
    rect(canvas, at + 0.93, 2.05, at + 0.95, 0, (30, 28, 26))
    rect(canvas, at + 1.12, 1.68, at + 1.42, 1.5, (36, 62, 110))
    write(canvas, at + 1.15, 1.54, number, 0.11, (240, 240, 240))


def window(canvas: np.ndarray, rng: np.random.Generator, at: float, width: float) -> None:
    """A window onto sky, roofs and trees, with two sashes and a sill."""
    rect(canvas, at - 0.06, 2.26, at + width + 0.06, 0.84, (226, 226, 222))
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
            view, centre, int(rng.integers(6, 20)), vary(rng, (70, 110, 52), 25), -1, cv2.LINE_AA
        )
    for x in np.linspace(0, w - 1, 3).astype(int):
        cv2.line(view, (x, 0), (x, h), (232, 232, 230), 8)
    cv2.rectangle(view, (0, 0), (w - 1, h - 1), (205, 205, 205), 5)
    rect(canvas, at - 0.12, 0.87, at + width + 0.12, 0.82, (176, 172, 165))


def poster(
    canvas: np.ndarray, rng: np.random.Generator, at: float, width: float, title: str
) -> None:
    """A printed poster: title, picture of random shapes, lines of text."""
    height = 1.4 * width
    top = 1.25 + height / 2
    rect(canvas, at - 0.015, top + 0.015, at + width + 0.015, top - height - 0.015, (40, 40, 44))
    rect(canvas, at, top, at + width, top - height, vary(rng, (225, 222, 214), 24))
    ink = vary(rng, (110, 90, 90), 85)
    write(canvas, at + 0.04 * width, top - 0.13 * width, title, 0.11 * width, ink)
    picture = canvas[
        y(top - 0.2 * width) : y(top - 0.92 * width), px(at + 0.06 * width) : px(at + 0.94 * width)
    ]
    if picture.size:
        picture[:] = vary(rng, (150, 160, 170), 80)
        h, w = picture.shape[:2]
        for _ in range(int(rng.integers(7, 13))):
            centre, colour = (
                (int(rng.integers(0, w)), int(rng.integers(0, h))),
                vary(rng, (128, 128, 128), 120),
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
        rect(
            canvas,
            at + 0.07 * width,
            z,
            at + rng.uniform(0.6, 0.93) * width,
            z - 0.022 * width,
            (90, 90, 95),
        )


def board(canvas: np.ndarray, rng: np.random.Generator, at: float, width: float) -> None:
    """A cork board with notes."""
    rect(canvas, at, 1.85, at + width, 0.95, (120, 92, 62))
    rect(canvas, at + 0.04, 1.81, at + width - 0.04, 0.99, (186, 148, 104))
    cork = canvas[y(1.81) : y(0.99), px(at + 0.04) : px(at + width - 0.04)]
    cork[:] = np.clip(cork + rng.normal(0, 14, cork.shape[:2])[..., None], 0, 255)
    for _ in range(int(width * 9)):
        x, z = at + rng.uniform(0.06, width - 0.3), rng.uniform(1.25, 1.76)
        w, h = rng.uniform(0.1, 0.22), rng.uniform(0.1, 0.24)
        rect(canvas, x, z, x + w, z - h, vary(rng, (225, 220, 190), 30))
        for i in range(1, 5):
            rect(
                canvas,
                x + 0.015,
                z - i * h / 5.5,
                x + w * rng.uniform(0.5, 0.9),
                z - i * h / 5.5 - 0.006,
                (95, 95, 105),
            )


def radiator(canvas: np.ndarray, rng: np.random.Generator, at: float, width: float) -> None:
    """A flat radiator under a window."""
    rect(canvas, at, 0.72, at + width, 0.16, (214, 212, 206))
    for x in np.arange(at + 0.03, at + width, 0.06):
        rect(canvas, x, 0.7, x + 0.018, 0.18, (168, 166, 162))
    rect(canvas, at, 0.16, at + width, 0.13, (96, 92, 88))


def sign(
    canvas: np.ndarray,
    rng: np.random.Generator,
    at: float,
    text: str,
    colour: Colour,
    z: float = 2.2,
) -> None:
    """A coloured plate with white letters, its lower edge at height `z` m."""
    rect(canvas, at, z + 0.2, at + 0.09 * len(text) + 0.12, z, colour)
    write(canvas, at + 0.06, z + 0.05, text, 0.11, (245, 245, 245))
