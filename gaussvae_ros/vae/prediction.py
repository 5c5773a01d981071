"""A frame from an earlier one's splats: motion, then the changes that are worth their bits.

All splats descend on the frame from where the field has moved them; those whose move does not pay
go back there and are held, and the rest descend further, a few times over (iterative hard
thresholding). What pays is exact: each splat is tried both ways on the picture, in turn
(refine.py).
"""

import math

import numpy as np

from gaussvae_ros.entropy import changes as what
from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.changes import CHANGED, NEW, Changes, Decoded
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.motion import moved
from gaussvae_ros.fit import motion, rows_of, scaled
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.reseeding import reseed
from gaussvae_ros.quantise import (
    COARSEST,
    ERROR_OF_1,
    FINEST,
    axes,
    log_size,
    positions,
    solved_colours,
)
from gaussvae_ros.raster import BACKGROUND
from gaussvae_ros.refine import best_of

LEVEL = 150, 2  # pixels a splat and stride of the descent
ROUNDS, STEPS = 3, 10  # of thresholding, and of descent in each
RATE = 0.7  # of the fit's learning rate
SHARE = 0.05  # of the splats that are tried as new ones
# About what a change and a new splat take, bits; and numbers that are zero, one, and each doubling.
CHANGE_BITS, NEW_BITS, FLAG_BITS = 20.0, 34.0, 3.0
ZERO_BITS, ONE_BITS, DOUBLING_BITS = 0.6, 2.8, 1.7
# Which of a splat's moves, shapes and colours are tried as zero, together.
VARIANTS = ((1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0))


PRICE = 0.04  # of a bit per splat, in mean squared errors, as in fit/__init__.py
FALL = 0.6  # errors fall with the number of splats to this power
BITS_A_SPLAT = 31  # of a record alone
COARSER = 8  # precision indices by which changes may be coarser than records alone


def price_of(reference: Decoded, n: float) -> tuple[float, int]:
    """The price of a bit, in mean squared errors, and the precision of changes, for frames worth as
    much as records alone of `n` splats."""
    error = _error_alone(reference, n)
    precision = round(ERROR_OF_1 + 10 * math.log10(error))
    return PRICE * error / n, min(max(precision, FINEST), COARSEST + COARSER)


def cost_alone(reference: Decoded, n: float) -> float:
    """About what a record alone of `n` splats costs, at the price of `price_of`."""
    return _error_alone(reference, n) * (1 + PRICE * BITS_A_SPLAT)


def _error_alone(reference: Decoded, n: float) -> float:
    """The mean squared error of such a record: its precision tells that of the reference
    (quantise.py), and errors fall with the number of splats."""
    error = 10 ** ((reference.precision - ERROR_OF_1) / 10)
    return error * (len(reference.geometry) / n) ** FALL


def error_of(image: np.ndarray, made: Decoded) -> float:
    """The mean squared error of what splats draw, where the fit looks."""
    image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    target = scaled(image, len(made.geometry), LEVEL[0])[0]
    drawn = motion.picture(made.geometry, made.colour, made.size, target.shape[1::-1])
    return float(np.square(drawn - target).mean())


def predict(
    image: np.ndarray,  # uint8 [H, W, 3] or [H, W]
    reference: Decoded,
    price: float,  # of a bit, in mean squared errors
    precision: int,
) -> Changes:
    """The changes that make the reference's splats an image."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    field = motion.find(reference.geometry, reference.colour, image, price)
    start = moved(reference.geometry, field, reference.size)
    return _Prediction(image, reference, start, price, precision).changes(field)


class _Prediction:
    """The splats of a reference on the way to those of an image."""

    def __init__(self, image, reference: Decoded, start: np.ndarray, price: float, precision: int):
        self.reference, self.size, self.precision = reference, reference.size, precision
        self.start, n = start, len(start)
        rows = rows_of(image, n, *LEVEL)
        self.target = rows.astype(np.float32) / np.float32(255)
        stride, height, width, _ = rows.shape
        whole = rows.swapaxes(0, 1).reshape(stride * height, width, 3)
        self.whole = np.ascontiguousarray(whole).astype(np.float32) / np.float32(255)
        self.scale = width / self.size[0], stride * height / self.size[1]
        self.price = price * self.whole.size
        self.still = reference.colour.astype(np.float32)

    def changes(self, field) -> Changes:
        """Descend, then round."""
        return self._rounded(*self._descended(), field)

    def _descended(self) -> tuple[Descent, np.ndarray]:
        """Splats after descent and thresholding, and which of them are new."""
        n = len(self.start)
        state = Descent(self.start.copy(), self.still.copy())
        new, free = np.zeros(n, bool), np.ones(n, bool)
        total = ROUNDS * STEPS
        rates = RATE * (0.2 + 0.4 * (1 + np.cos(np.pi * np.arange(total) / total)))
        for turn in range(ROUNDS):
            if turn < ROUNDS - 1:
                before = state.geometry.copy()
                with state.seen_at(self.size, self.target):
                    mark = state.geometry.copy()
                    reseed(state, self.whole, SHARE / (turn + 1))
                    fresh = (mark != state.geometry).any(1)
                state.geometry[~fresh] = before[~fresh]
                new |= fresh
                free |= fresh
            for step in range(STEPS):
                with state.seen_at(self.size, self.target):
                    state.run(self.target, rates[turn * STEPS + step :][:1])
                self._hold(state, ~free)
            bits = np.where(new, NEW_BITS, CHANGE_BITS)
            back = 1 == self._best(
                [state.geometry, self.start],
                [state.colour, self.still],
                np.stack([self.price * bits, 0 * bits]),
            )
            free &= ~back
            new &= ~back
            self._hold(state, back)
        return state, new

    def _hold(self, state: Descent, rows: np.ndarray) -> None:
        """Put splats back where the field has moved them."""
        state.geometry[rows], state.colour[rows] = self.start[rows], self.still[rows]
        state.first[rows] = state.second[rows] = 0

    def _best(self, geometries, colours, costs) -> np.ndarray:  # [N]
        """Which variant of each splat is best, tried in turn; the first is on the picture."""
        sx, sy = self.scale
        seen = [g * [sx, sy, sx, sx / sy, sy] for g in geometries]
        return best_of(np.stack(seen), np.stack(colours), costs, self.whole)

    def _rounded(self, state: Descent, new: np.ndarray, field) -> Changes:
        """The changes as integers, each kind of them left out where it does not pay."""
        n, channels = len(new), self.reference.channels
        step = what.steps(self.start, self.size, self.precision)
        basis = grid.OPPONENT[:channels]
        free = ~new & ((state.geometry != self.start).any(1) | (state.colour != self.still).any(1))
        move, shape = what.difference(self.start, state.geometry)
        move = _index(move / step.move, what.MOVES) * free[:, None]
        shape = _index(shape / step.shape[:, None], what.SHAPES) * free[:, None]

        def placed(moves: int, shapes: int) -> np.ndarray:
            at = what.changed(
                self.start, moves * move * step.move, shapes * shape * step.shape[:, None]
            )
            at[new] = grid.geometry(fresh, n)
            return at

        fresh = self._gridded(state.geometry[new], n)
        sx, sy = self.scale
        best = solved_colours(placed(1, 1) * [sx, sy, sx, sx / sy, sy], state.colour, self.whole)
        shade = _index((best - self.still) @ basis.T / step.colour[:, None], what.COLOURS)
        shade *= free[:, None]
        opponent = (best[new] - BACKGROUND) @ basis.T
        fresh.colour = _index(
            opponent / grid.colour_step(fresh.scale, self.precision)[:, None], grid.COLOURS // 2 - 1
        )
        geometries, colours, costs = [], [], []
        for moves, shapes, shades in VARIANTS:
            colour = self.still + (shades * shade * step.colour[:, None]) @ basis
            colour[new] = grid.rgb(fresh)
            bits = _bits(moves * move) + _bits(shapes * shape) + _bits(shades * shade)
            bits += FLAG_BITS * bool(moves or shapes or shades)
            geometries.append(placed(moves, shapes))
            colours.append(colour.astype(np.float32))
            costs.append(self.price * np.where(free, bits, 0))
        chosen = np.array(VARIANTS)[self._best(geometries, colours, np.stack(costs))]
        move, shape, shade = move * chosen[:, :1], shape * chosen[:, 1:2], shade * chosen[:, 2:]
        kind = np.where(new, NEW, 0)
        kind[(move != 0).any(1) | (shape != 0).any(1) | (shade != 0).any(1)] = CHANGED
        return Changes(self.precision, field, kind, move, shape, shade, fresh)

    def _gridded(self, geometry: np.ndarray, n: int) -> Grid:
        """New splats, not yet coloured, on the grid of a record of `n`, in its order."""
        size, precision = self.size, self.precision
        scale = grid.scale_index(log_size(geometry), size, n, precision)
        ratio, theta = axes(geometry)
        aspect = ratio / (grid.shape_step(scale, precision) * grid.ASPECT_STEP)
        aspect = np.clip(np.round(aspect), 0, grid.ASPECTS - 1).astype(np.int64)
        angle = grid.angle_index(theta, scale, aspect, precision)
        shapes = grid.shape(scale, aspect, angle, size, precision, n)
        inside = np.clip(geometry[:, :2], 0, size)
        cell, shift = positions(inside, scale, shapes, size, precision, n)
        order = np.argsort(cell, kind="stable")
        columns = (a[order] for a in (cell, scale, aspect, angle, shift))
        return Grid(size, precision, *columns, np.zeros((len(cell), 1), np.int64))


def _index(values: np.ndarray, most: int) -> np.ndarray:
    return np.clip(np.round(values), -most, most).astype(np.int64)


def _bits(indices: np.ndarray) -> np.ndarray:  # [N]
    """About what rows of indices [N, K] take."""
    size = np.abs(indices)
    more = ONE_BITS + DOUBLING_BITS * np.log2(np.maximum(size, 1))
    return np.where(size == 0, ZERO_BITS, more).sum(1)
