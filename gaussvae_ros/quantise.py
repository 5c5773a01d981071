"""A fit onto the grid of a record, with what is not yet on the grid re-fitted after each group.

Sizes first, then thinness and angles, each followed by a short descent of the rest, then positions. Colours come last:
with the geometry fixed they are a linear least-squares problem, so they take up what the groups before left over.
Rounding them one by one, each carrying the error of those before (Babai's nearest plane, the step of GPTQ), was tried:
it gains 0.01 dB over plain rounding, since few splats overlap much.
"""

import math

import numpy as np

from gaussvae_ros.entropy import cells, grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit import scaled
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.kernels import inline, kernel
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS

STEPS = {"fast": 10, "best": 40}  # of descent after each group
LEVEL = 600, 4  # pixels per splat and stride of those steps
SOLVED = 150  # pixels per splat on which colours are solved for
RATE = 0.2  # of the fit's learning rate, falling to zero within each group
FINEST, COARSEST = 125, 139  # precision indices that encoders use
CHUNK = 1024  # splats whose colours are solved for together
MOST_SEEN = (
    96  # splats that count at one pixel; more are rare, and then only the colours' estimate suffers
)


def best_precision(state: Descent) -> int:
    """Precision index at which a fit's record has the most PSNR for its bytes: finer by 2^(1/8) for each dB of the fit.

    Measured on fits of 20 to 34 dB with 128 to 2048 splats. The better the fit, the more a rounding error shows.
    """
    return round(min(max(157 + 10 * math.log10(state.error + 1e-9), FINEST), COARSEST))


def quantise(
    image: np.ndarray,  # uint8 [H, W, 3] or [H, W]
    state: Descent,  # the fit, px of the image
    precision: int,
    effort: str,
) -> Grid:
    """Put a fit on the grid of a record."""
    size, n = (image.shape[1], image.shape[0]), len(state.geometry)
    steps, target = STEPS[effort], scaled(image, n, *LEVEL)
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

    cell, shift = _positions(state.geometry[:, :2], scale, shapes, size, precision)
    order = np.argsort(cell, kind="stable")
    draft = Grid(
        size,
        precision,
        *(a[order] for a in (cell, scale, aspect, angle, shift)),
        np.zeros((n, 3), np.int64),
    )
    target = scaled(image, n, SOLVED)[0]
    sx, sy = target.shape[1] / size[0], target.shape[0] / size[1]
    geometry = grid.geometry(draft) * [sx, sy, sx, sx / sy, sy]
    colour = _colours(geometry, state.colour[order], target, draft)
    draft.colour = colour[:, : 3 if image.ndim == 3 else 1]
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
    """Shapes whose s1 is at most `longest` px: needles reach far out of the picture, farther than the grid."""
    middle, (ratio, theta) = log_size(geometry), axes(geometry)
    return grid.root(np.minimum(middle + ratio / 2, np.log(longest)), middle - ratio / 2, theta)


def _positions(xy, scale, shapes, size, precision):
    """Cells [N] and shifts [N, 2]: y to the nearest, then x where the splat's slant puts it after y's rounding."""
    n = len(xy)
    parts = grid.shifts(scale, shapes, size, precision)
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


def _colours(geometry, colour, target, draft):
    """Colour indices [N, 3] in opponent space, for fixed geometry [N, 5] in px of `target`, from colours [N, 3]."""
    step = grid.colour_step(draft.scale, draft.precision)
    colour, index = colour - BACKGROUND, np.empty((len(geometry), 3), np.int64)
    for first in range(
        0, len(geometry), CHUNK
    ):  # chunks along the Z-order, each with the others' colours as they are
        rows = slice(first, first + CHUNK)
        gram, right = _normal_equations(
            geometry, colour, target, first, min(first + CHUNK, len(geometry))
        )
        ridge = 1e-3 * np.median(np.diag(gram)) + 1e-6
        gram[np.diag_indices(len(gram))] += ridge
        best = np.linalg.solve(gram, right + ridge * colour[rows]) @ grid.OPPONENT.T
        index[rows] = np.clip(
            np.round(best / step[rows, None]), -grid.COLOURS // 2, grid.COLOURS // 2 - 1
        )
        colour[rows] = index[rows] * step[rows, None] @ grid.OPPONENT
    return index


@kernel()
def _normal_equations(geometry, colour, target, first, end):
    """Gram matrix [M, M] and right side [M, 3] of the colours of splats first..end-1 that fit `target` [h, w, 3] best.

    Colours [N, 3] are relative to BACKGROUND; those of the other splats are taken as given.
    """
    height, width = target.shape[:2]
    gram, right = np.zeros((end - first, end - first)), np.zeros((end - first, 3))
    who, weight, count = (
        np.empty((width, MOST_SEEN), np.int64),
        np.empty((width, MOST_SEEN)),
        np.zeros(width, np.int64),
    )
    for y in range(height):
        count[:] = 0
        for i in range(len(geometry)):
            mx, my, lxx, shear, lyy = geometry[i]
            z2 = (y + 0.5 - my) / lyy
            room = CUT * CUT - z2 * z2
            if room <= 0:
                continue
            half, middle = lxx * np.sqrt(room), mx + shear * (y + 0.5 - my)
            for x in range(
                max(0, int(middle - half)), min(width, int(max(middle + half, -1.0)) + 1)
            ):
                q = ((x + 0.5 - middle) / lxx) ** 2 + z2 * z2
                if q < CUT * CUT and count[x] < MOST_SEEN:
                    who[x, count[x]], weight[x, count[x]] = i, np.exp(-q / 2) - CUT_WEIGHT
                    count[x] += 1
        for x in range(width):
            _add_pixel(
                who[x, : count[x]],
                weight[x, : count[x]],
                colour,
                target[y, x],
                first,
                end,
                gram,
                right,
            )
    return gram, right


@inline
def _add_pixel(who, weight, colour, wanted, first, end, gram, right):
    total = EPS + weight.sum()
    left = np.empty(3)  # of the wanted colour, after the splats whose colours are given
    for channel in range(3):
        left[channel] = wanted[channel] - BACKGROUND
    for k in range(len(who)):
        if not first <= who[k] < end:
            for channel in range(3):
                left[channel] -= weight[k] / total * colour[who[k], channel]
    for k in range(len(who)):
        if first <= who[k] < end:
            share = weight[k] / total
            for channel in range(3):
                right[who[k] - first, channel] += share * left[channel]
            for other in range(len(who)):
                if first <= who[other] < end:
                    gram[who[k] - first, who[other] - first] += share * weight[other] / total
