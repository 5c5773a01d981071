"""The last choice of a record's integers: each moved by one where distortion and rate gain by it.

Rounding group by group leaves every number where it is best alone. Here the splats are visited in
turn: one is taken off the picture, tried with each of its numbers one up and one down, and put back
as the variant with the least squared error plus price times bits (iterated conditional modes,
Besag 1986).
"""

from collections.abc import Callable

import numpy as np

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.kernels import kernel
from gaussvae_ros.raster import BACKGROUND, EPS
from gaussvae_ros.raster._simd import add_splat, splat_gain, take_splat
from gaussvae_ros.raster.cpu import draw, end_row, first_row, planes, stretch

PIXELS = 600  # per splat, of the picture on which errors are compared
PRICE = 0.02  # of a bit per splat, in mean squared errors, as in fit/__init__.py


def refine(levels: Levels, g: Grid, bits: Callable[[Grid], np.ndarray]) -> Grid:
    """A grid of a frame, with better integers.

    `bits` says of any number of grids' rows, one grid after the other, what each splat takes.
    """
    n, target = len(g.cell), levels.at(PIXELS)[0]
    height, width = target.shape[:2]
    variants = _joined([g, *moved(g)])
    geometry = grid.geometry(variants, n) * stretch(width / g.size[0], height / g.size[1])
    colour = np.broadcast_to(grid.rgb(variants), (len(geometry), 3)).astype(np.float32)
    price = 2 / 3 * PRICE / n * _error(*_drawn(geometry[:n], colour[:n], target), width)
    chosen = best_of(
        *(a.reshape(-1, n, *a.shape[1:]) for a in (geometry, colour, price * bits(variants))),
        target,
    )
    return _rows(variants, chosen * n + np.arange(n))


def best_of(
    geometry: np.ndarray,  # [V, N, 5] px of the target
    colour: np.ndarray,  # float32 [V, N, 3]
    costs: np.ndarray,  # [V, N] in squared errors, summed over pixels and channels
    target: np.ndarray,  # float32 [h, w, 3], 0 to 1
) -> np.ndarray:  # [N]
    """Which of V variants each splat should be: tried in turn, the others as they are then.

    At first all are the variant 0.
    """
    width = target.shape[1]
    canvas, wanted = _drawn(geometry[0], colour[0], target)
    canvas[:, 0, width:] = np.inf  # beyond the picture nothing is an error
    return _choose(geometry, colour, costs, canvas, wanted, width)


def _drawn(geometry, colour, target) -> tuple[np.ndarray, np.ndarray]:
    """The sums of splats, and a target, in the kernels' layout."""
    height, width = target.shape[:2]
    canvas, wanted = planes((width, height)), planes((width, height))
    wanted[:, 1:, :width] = target.transpose(0, 2, 1)
    draw(geometry, colour, canvas, width)
    return canvas, wanted


def moved(g: Grid) -> list[Grid]:
    """Grids in each of which one number of every splat is one more or less, if it can be.

    The others stay as near as their steps allow, which follow the splat's size and shape.
    """
    shapes = grid.shape(g.scale, g.aspect, g.angle, g.size, g.precision)
    parts = grid.shifts(g.scale, shapes, g.size, g.precision)
    turn = grid.theta(g.scale, g.aspect, g.angle, g.precision)
    turns = np.multiply(*grid.angles(g.scale, g.aspect, g.precision))
    ratio = grid.log_ratio(g.scale, g.aspect, g.precision)
    opponent = g.colour * grid.colour_step(g.scale, g.precision)[:, None]
    most, out = grid.COLOURS // 2, []

    def reshaped(scale, aspect, turn) -> Grid:
        aspect = np.clip(np.round(aspect), 0, grid.ASPECTS - 1).astype(np.int64)
        angle = grid.angle_index(turn, scale, aspect, g.precision)
        shapes = grid.shape(scale, aspect, angle, g.size, g.precision)
        now = grid.shifts(scale, shapes, g.size, g.precision)
        shift = ((g.shift + 0.5) / parts * now).astype(np.int64)
        colour = np.round(opponent / grid.colour_step(scale, g.precision)[:, None])
        colour = np.clip(colour, -most, most - 1).astype(np.int64)
        return Grid(g.size, g.precision, g.cell, scale, aspect, angle, shift, colour)

    for step in (1, -1):
        scale = np.clip(g.scale + step, 0, grid.SIZES - 1)
        aspect = ratio / (grid.shape_step(scale, g.precision) * grid.ASPECT_STEP)
        out.append(reshaped(scale, aspect, turn))
        out.append(reshaped(g.scale, g.aspect + step, turn))
        out.append(reshaped(g.scale, g.aspect, turn + step * np.pi / turns))
        for axis in np.eye(2, dtype=np.int64):
            out.append(_with(g, shift=np.clip(g.shift + step * axis, 0, parts - 1)))
        for channel in np.eye(g.colour.shape[1], dtype=np.int64):
            out.append(_with(g, colour=np.clip(g.colour + step * channel, -most, most - 1)))
    return out


ROWS = ("cell", "scale", "aspect", "angle", "shift", "colour")  # of a grid


def _with(g: Grid, **changed) -> Grid:
    return Grid(**{**vars(g), **changed})


def _rows(g: Grid, rows: np.ndarray) -> Grid:
    return _with(g, **{name: getattr(g, name)[rows] for name in ROWS})


def _joined(grids: list[Grid]) -> Grid:
    """The rows of one grid after those of the other."""
    columns = {name: np.concatenate([getattr(g, name) for g in grids]) for name in ROWS}
    return _with(grids[0], **columns)


@kernel()
def _error(canvas, wanted, width):
    """The squared error of the picture of a canvas (weight, weighted r, g, b) [h, 4, stride]."""
    total = 0.0
    for y in range(canvas.shape[0]):
        for x in range(width):
            share = 1.0 / (canvas[y, 0, x] + EPS)
            for k in range(1, 4):
                away = (canvas[y, k, x] + EPS * BACKGROUND) * share - wanted[y, k, x]
                total += away * away
    return total


@kernel()
def _choose(geometry, colour, costs, canvas, wanted, width):
    """The best variant [N] of each splat, of [V, N]; the canvas holds the first of all."""
    chosen = np.zeros(geometry.shape[1], np.int64)
    address, stride, height = canvas.ctypes.data, canvas.shape[2], canvas.shape[0]
    apart = (wanted.ctypes.data - address) // 4
    for i in range(len(chosen)):
        g, c = geometry[0, i], colour[0, i]
        y0, y1 = first_row(g, 0), end_row(g, height)
        take_splat(address, stride, width, y0, y1, g[0], g[1], g[2], g[3], g[4], c[0], c[1], c[2])
        least = np.inf
        for v in range(len(geometry)):
            g, c = geometry[v, i], colour[v, i]
            y0, y1 = first_row(g, 0), end_row(g, height)
            total = costs[v, i] + splat_gain(
                address, stride, width, y0, y1,
                g[0], g[1], g[2], g[3], g[4], c[0], c[1], c[2], apart,
            )  # fmt: skip
            if total < least:
                least, chosen[i] = total, v
        g, c = geometry[chosen[i], i], colour[chosen[i], i]
        y0, y1 = first_row(g, 0), end_row(g, height)
        add_splat(address, stride, width, y0, y1, g[0], g[1], g[2], g[3], g[4], c[0], c[1], c[2])
    return chosen
