"""A fit onto the grid of a record, with what is not yet on the grid re-fitted after each group.

Sizes first, then thinness and angles, each followed by a short descent of the rest, then positions.
Colours come last: with the geometry fixed they are a linear least-squares problem, so they take up
what the groups before left over. Rounding them one by one, each carrying the error of those before
(Babai's nearest plane, the step of GPTQ), was tried: it gains 0.01 dB over plain rounding, since
few splats overlap much.
"""

import math

import numpy as np

from gaussvae_ros.entropy import cells, grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.kernels import parallel, prange
from gaussvae_ros.raster import BACKGROUND, EPS
from gaussvae_ros.raster._simd import MOMENTS
from gaussvae_ros.raster.cpu import BAND, draw_band, gather_splat, planes, slopes, stretch

STEPS = {"fast": 10, "best": 40}  # of descent after each group
LEVEL = 600, 4  # pixels per splat and stride of those steps
SOLVED = 600  # pixels per splat on which colours are solved for
SOLVER_STEPS = 1
RATE = 0.2  # of the fit's learning rate, falling to zero within each group
FINEST, COARSEST = 121, 139  # precision indices that encoders use
ERROR_OF_1 = 157  # the index for a mean squared error of 1, ten for each factor of ten


def best_precision(state: Descent) -> int:
    """Precision index at which a fit's record has the most PSNR for its bytes: finer by
    2^(1/8) for each dB of the fit.

    Measured on fits of 20 to 34 dB with 128 to 2048 splats. The better the fit, the
    more a rounding error shows.
    """
    return round(min(max(ERROR_OF_1 + 10 * math.log10(state.error + 1e-9), FINEST), COARSEST))


def quantise(
    levels: Levels,  # of the frame
    state: Descent,  # the fit, px of the frame
    precision: int,
    effort: str,
) -> Grid:
    """Put a fit on the grid of a record."""
    size, n = levels.size, levels.n
    steps, target = STEPS[effort], levels.at(*LEVEL)
    rates = RATE * (1 - np.arange(steps) / steps)

    def refit(free, keep_size=False):
        descent = Descent(state.geometry, state.colour)
        with descent.seen_at(size, target):
            descent.run(target, rates, None, np.array(free), keep_size)

    state = Descent(state.geometry.copy(), state.colour.copy())
    state.geometry[:, 2:] = _shortened(state.geometry, max(size) / 2)
    scale = grid.scale_index(log_size(state.geometry), size, n, precision)
    fixed = np.exp(2 * (grid.log_size(scale, size, precision) - log_size(state.geometry)))
    state.geometry[:, 2:5:2] *= np.sqrt(fixed)[:, None]
    refit([1, 1, 1, 1, 1, 1, 1, 1], keep_size=True)

    ratio, theta = axes(state.geometry)
    aspect = np.round(ratio / (grid.shape_step(scale, precision) * grid.ASPECT_STEP)).astype(
        np.int64
    )
    aspect = np.clip(aspect, 0, grid.ASPECTS - 1)
    angle = grid.angle_index(theta, scale, aspect, precision)
    shapes = grid.shape(scale, aspect, angle, size, precision)
    state.geometry[:, 2:] = shapes
    refit([1, 1, 0, 0, 0, 1, 1, 1])

    cell, shift = positions(state.geometry[:, :2], scale, shapes, size, precision)
    order = np.argsort(cell, kind="stable")
    draft = Grid(
        size,
        precision,
        *(a[order] for a in (cell, scale, aspect, angle, shift)),
        np.zeros((n, 3), np.int64),
    )
    target = levels.at(SOLVED)
    zoom = stretch(target.shape[2] / size[0], target.shape[1] / size[1])
    geometry = grid.geometry(draft) * zoom
    best = solved_colours(geometry, state.colour[order], target[0]) - BACKGROUND
    step = grid.colour_step(draft.scale, precision)[:, None]
    colour = np.round(best @ grid.OPPONENT.T / step).astype(np.int64)
    colour = np.clip(colour, -grid.COLOURS // 2, grid.COLOURS // 2 - 1)
    draft.colour = colour[:, : levels.channels]
    return draft


def log_size(geometry: np.ndarray) -> np.ndarray:
    """log sqrt(s1 s2) [N] of geometry [N, 5]."""
    return 0.5 * np.log(geometry[:, 2] * geometry[:, 4])


def axes(geometry: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(s1 / s2) [N] and theta [N] in 0..pi of geometry [N, 5]."""
    yy = geometry[:, 4] ** 2
    xx, xy = geometry[:, 2] ** 2 + geometry[:, 3] ** 2 * yy, geometry[:, 3] * yy
    mean, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return np.log((mean + spread) / (geometry[:, 2] * geometry[:, 4])), np.mod(
        0.5 * np.arctan2(2 * xy, xx - yy), np.pi
    )


def _shortened(geometry: np.ndarray, longest: float) -> np.ndarray:  # [N, 3]: lxx, shear, lyy
    """Shapes whose s1 is at most `longest` px: needles reach far out of the picture,
    farther than the grid."""
    middle, (ratio, theta) = log_size(geometry), axes(geometry)
    return grid.root(np.minimum(middle + ratio / 2, np.log(longest)), middle - ratio / 2, theta)


def positions(xy, scale, shapes, size, precision, n: int | None = None):
    """Cells [N] and shifts [N, 2] of splats among `n` (default: N): y to the nearest, then x
    where the splat's slant puts it after y's rounding."""
    n = n or len(xy)
    parts = grid.shifts(scale, shapes, size, precision, n)
    corner, side = cells.corner(cells.cell_of(xy, size, n), size, n)
    part_y = np.clip(np.floor((xy[:, 1] - corner[:, 1]) / side * parts[:, 1]), 0, parts[:, 1] - 1)
    y = corner[:, 1] + (part_y + 0.5) * side / parts[:, 1]
    x = xy[:, 0] + shapes[:, 1] * (y - xy[:, 1])
    cell = cells.cell_of(
        np.stack([x, np.clip(xy[:, 1], corner[:, 1], corner[:, 1] + side * 0.999)], 1), size, n
    )
    corner, side = cells.corner(cell, size, n)
    part_x = np.clip(np.floor((x - corner[:, 0]) / side * parts[:, 0]), 0, parts[:, 0] - 1)
    return cell, np.stack([part_x, part_y], 1).astype(np.int64)


def solved_colours(geometry, colour, target) -> np.ndarray:  # [N, 3]
    """Colours that fit `target` [h, w, 3] best, for fixed geometry [N, 5] in its px,
    beginning with `colour` [N, 3].

    With A the shares [pixels, N] of splats in pixels, A'A c = A' target by conjugate gradients
    (Hestenes and Stiefel 1952), divided by the sums of A'A's rows, which are sums of shares. A and
    A' are what draws and what gathers.
    """
    canvas = planes((target.shape[1], target.shape[0]))
    scale = 1 / (_normal(geometry, np.ones_like(colour), canvas, target, False) + 1e-3)
    colour = colour.astype(np.float32)
    residual = -_normal(geometry, colour, canvas, target, True)
    ahead = scale * residual
    was = (residual * ahead).sum(0)
    for _ in range(SOLVER_STEPS):
        through = _normal(geometry, ahead, canvas, target, False)
        step = was / np.maximum((ahead * through).sum(0), 1e-20)
        colour = colour + step * ahead
        residual = residual - step * through
        now = (residual * scale * residual).sum(0)
        ahead = scale * residual + now / np.maximum(was, 1e-20) * ahead
        was = now
    return colour


@parallel(fastmath={"contract"})
def _normal(geometry, colour, canvas, target, compare):
    """A'A colour [N, 3] or, to `compare`, A'(A colour - target), colours then with
    the background's share."""
    height, width = target.shape[:2]
    nothing, background = np.zeros((width, 3), np.float32), EPS * BACKGROUND if compare else 0.0
    for band in prange((height + BAND - 1) // BAND):
        r0, r1 = band * BAND, min(height, (band + 1) * BAND)
        draw_band(geometry, colour, canvas, width, r0, r1)
        for y in range(r0, r1):
            slopes(canvas, y, target[y] if compare else nothing, background)
    out = np.empty(colour.shape, np.float32)
    for i in prange(len(geometry)):
        moments = np.empty(MOMENTS, np.float32)
        gather_splat(geometry[i], colour[i], canvas, width, moments)
        out[i] = moments[5:8]
    return out
