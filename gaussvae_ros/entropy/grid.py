"""What a record can say: splats on a grid whose steps follow each splat's own size.

An error of a splat's shape, relative to that shape, hurts the picture in proportion to about
size^0.84, an error of its colour to size^1.7 (measured on fits; size is sqrt(s1 s2)). Steps that
are optimal at one slope therefore shrink with size, for shape like 1 / u and for colour like
1 / u^2, where u = (size / mean distance of splats)^0.42: large splats are stored finely, small ones
coarsely. With u coded in even steps, its own precision does the same.
"""

from dataclasses import dataclass

import numpy as np

from gaussvae_ros.entropy import cells
from gaussvae_ros.splats import OPPONENT, Splats

POWER = 0.42
TYPICAL = 0.54  # u of a typical splat
# Relative u from which on steps no longer shrink: indices must reach the thinnest shapes.
LARGE = 2.5
# Range of opponent colour that indices reach: light spans sqrt(3) / 2, and fits overshoot.
OVERSHOOT = 2.56
SIZES, ASPECTS, SHIFTS = 256, 128, 64  # most values of each kind; indices start at 0
# Angles are coded as one of so many sectors by context, and plainly inside it.
SECTORS, FINE = 48, 32
COLOURS = 256  # colour indices lie in -COLOURS / 2 .. COLOURS / 2 - 1

# Steps of a typical splat at precision 1, found by search for the lowest rate at equal loss
SIZE_STEP, ASPECT_STEP, ANGLE_STEP, SHIFT_STEP, COLOUR_STEP = 0.154, 0.31, 0.26, 0.22, 0.056


@dataclass
class Grid:
    """Integer splats, rows in Z-order of their cells.

    Arrays are [N] int64, `colour` [N, 1 or 3].
    """

    size: tuple[int, int]  # (w, h) px
    precision: int  # index of the record's step factor, see `factor`
    cell: np.ndarray
    scale: np.ndarray  # 0..SIZES-1: u in steps
    aspect: np.ndarray  # 0..ASPECTS-1: log(s1 / s2) in steps
    angle: np.ndarray  # theta in steps of pi over `angles`
    shift: np.ndarray  # [N, 2] position inside the cell, 0..shifts-1
    colour: np.ndarray


def factor(precision: int) -> float:
    """Step factor of a precision index 0..255: 2^(1/8) each, 1 at 128; by multiplication
    alone, so exact everywhere."""
    root = (1.0, 1.0905077326652577, 1.189207115002721, 1.2968395546510096)
    root += tuple(r * 1.4142135623730951 for r in root)
    whole, part = divmod(precision - 128, 8)
    return root[part] * 2.0**whole


def relative_size(scale: np.ndarray, precision: int) -> np.ndarray:
    """u [N] over that of a typical splat."""
    return (scale + 1) * (SIZE_STEP * POWER * factor(precision))


def scale_index(log_size: np.ndarray, size: tuple[int, int], n: int, precision: int) -> np.ndarray:
    """Nearest scale index [N] to log(sqrt(s1 s2)) [N], s in px."""
    u = np.exp(POWER * (log_size - unit(size, n))) / TYPICAL
    return np.clip(np.round(u / (SIZE_STEP * POWER * factor(precision))) - 1, 0, SIZES - 1).astype(
        np.int64
    )


def unit(size: tuple[int, int], n: int) -> float:
    """Log of the mean distance of `n` splats, px."""
    return 0.5 * float(np.log(size[0] * size[1] / n))


def log_size(
    scale: np.ndarray, size: tuple[int, int], precision: int, n: int | None = None
) -> np.ndarray:
    """log sqrt(s1 s2) [N], s in px, that scale indices stand for among `n` splats (default: N)."""
    return np.log(relative_size(scale, precision) * TYPICAL) / POWER + unit(size, n or len(scale))


def shape_step(scale: np.ndarray, precision: int) -> np.ndarray:
    """Relative precision [N] of a splat's shape and position, in units of the typical steps."""
    return factor(precision) / np.minimum(relative_size(scale, precision), LARGE)


def log_ratio(scale: np.ndarray, aspect: np.ndarray, precision: int) -> np.ndarray:
    """log(s1 / s2) [N] that aspect indices stand for; bounded, so that no record overflows."""
    return np.minimum(aspect * shape_step(scale, precision) * ASPECT_STEP, 20.0)


def colour_step(scale: np.ndarray, precision: int) -> np.ndarray:
    """Step [N] of a splat's colour, 1 = full range."""
    u = relative_size(scale, precision)
    return np.maximum(COLOUR_STEP * factor(precision) / (u * u), 2 * OVERSHOOT / COLOURS)


def angles(scale: np.ndarray, aspect: np.ndarray, precision: int) -> tuple[np.ndarray, np.ndarray]:
    """How many sectors [N] the half turn has for a splat, and into how many angles [N] each is cut.

    Turning by t changes a splat like 2 sinh(log(s1 / s2)) t, so a round one has one
    angle, a thin one hundreds.
    """
    k = shape_step(scale, precision)
    count = np.round(2 * np.pi / ANGLE_STEP * np.sinh(log_ratio(scale, aspect, precision)) / k)
    fine = np.clip(np.ceil(count / SECTORS), 1, FINE)
    return np.clip(np.ceil(count / fine), 1, SECTORS).astype(np.int64), fine.astype(np.int64)


def angle_index(theta, scale, aspect, precision) -> np.ndarray:
    """Nearest angle index [N] to theta [N] rad."""
    count = np.multiply(*angles(scale, aspect, precision))
    return np.round(theta / np.pi * count).astype(np.int64) % count


def theta(scale, aspect, angle, precision) -> np.ndarray:
    """Angles [N], rad, that indices stand for."""
    return angle * np.pi / np.multiply(*angles(scale, aspect, precision))


def shape(
    scale, aspect, angle, size, precision, n: int | None = None
) -> np.ndarray:  # geometry [N, 3]: lxx (px), shear, lyy (px)
    """The shapes that indices [N] stand for among `n` splats (default: N)."""
    middle = log_size(scale, size, precision, n)
    half = log_ratio(scale, aspect, precision) / 2
    return root(middle + half, middle - half, theta(scale, aspect, angle, precision))


def root(log_s1, log_s2, turn) -> np.ndarray:  # [N, 3]: lxx (px), shear, lyy (px), as in raster.cpu
    """The shapes of splats with axes s1, s2 [N] px (logarithms) and the angle
    [N] rad of the first."""
    v1, v2 = np.exp(2 * log_s1), np.exp(2 * log_s2)
    c, s = np.cos(turn), np.sin(turn)
    yy = s * s * v1 + c * c * v2
    return np.stack([np.exp(log_s1 + log_s2) / np.sqrt(yy), c * s * (v1 - v2) / yy, np.sqrt(yy)], 1)


def shifts(
    scale, shapes, size, precision, n: int | None = None
) -> np.ndarray:  # [N, 2] for x and y
    """Into how many parts a cell's sides are cut for each splat, of `n` (default: N)."""
    _, side = cells.corner(np.zeros(0, np.int64), size, n or len(scale))
    step = shape_step(scale, precision)[:, None] * SHIFT_STEP * shapes[:, [0, 2]]
    return np.clip(np.ceil(side / step), 1, SHIFTS).astype(np.int64)


def positions(cell, shift, parts, size, n: int | None = None) -> np.ndarray:  # [N, 2] px
    """Centres of the parts of cells that splats lie in, of `n` (default: N)."""
    corner, side = cells.corner(cell, size, n or len(cell))
    return corner + (shift + 0.5) * (side / parts)


def to_splats(g: Grid) -> Splats:
    """The splats that a record decodes to, in canonical form."""
    placed = geometry(g)
    colours, channels = rgb(g), g.colour.shape[1]
    half = log_ratio(g.scale, g.aspect, g.precision) / 2
    middle = log_size(g.scale, g.size, g.precision)
    turn = theta(g.scale, g.aspect, g.angle, g.precision)
    params = np.concatenate(
        [placed[:, :2], np.stack([middle + half, middle - half, turn], 1), colours], 1
    )
    return Splats(params[:, : 5 + channels].astype(np.float32), g.size).canonical()


def geometry(g: Grid, n: int | None = None) -> np.ndarray:  # [N, 5] as in raster.cpu
    """Centres and shapes of splats among `n` (default: N)."""
    shapes = shape(g.scale, g.aspect, g.angle, g.size, g.precision, n)
    parts = shifts(g.scale, shapes, g.size, g.precision, n)
    return np.concatenate([positions(g.cell, g.shift, parts, g.size, n), shapes], 1)


def rgb(g: Grid) -> np.ndarray:  # [N, 1 or 3]
    """Colours of splats, 0 to 1."""
    colour = g.colour * colour_step(g.scale, g.precision)[:, None]
    return colour @ OPPONENT[: colour.shape[1]] + 0.5
