"""A frame from an earlier one's splats: motion, then the changes that are worth their bits.

All splats descend on the frame from where the field has moved them; those whose move does not pay
go back there and are held, and the rest descend further, a few times over (iterative hard
thresholding). What pays is exact: each splat is tried both ways on the picture, in turn
(refine.py).
"""

import math

import cv2
import numpy as np

from gaussvae_ros.entropy import changes as what
from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.changes import CHANGED, NEW, Changes, Decoded, applied
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.motion import Motion, moved
from gaussvae_ros.fit import PRICE, motion
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.levels import Levels, shrunk
from gaussvae_ros.fit.reseeding import reseed
from gaussvae_ros.raster import BACKGROUND
from gaussvae_ros.raster.cpu import stretch
from gaussvae_ros.vae.quantise import (
    COARSEST,
    ERROR_OF_1,
    FINEST,
    axes,
    log_size,
    positions,
    solved_colours,
)
from gaussvae_ros.vae.refine import best_of

LEVEL = 150, 2  # pixels a splat and stride of the descent
ROUNDS, STEPS = 2, 12  # of thresholding, and of descent in each
RATE = 0.7  # of the fit's learning rate
SHARE = 0.05  # of the splats that are tried as new ones
# About what a change and a new splat take, bits; and numbers that are zero, one, and each doubling.
CHANGE_BITS, NEW_BITS, FLAG_BITS = 20.0, 34.0, 3.0
ZERO_BITS, ONE_BITS, DOUBLING_BITS = 0.6, 2.8, 1.7
# Which of a splat's moves, shapes and colours are tried as zero, together.
VARIANTS = ((1, 1, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0))


FALL = 0.6  # errors fall with the number of splats to this power
BITS_A_SPLAT = 31  # of a record alone
HOPELESS = 3  # times what a record alone costs, where the moved reference shows something else
COARSER = 8  # precision indices by which changes may be coarser than records alone
FINER = 1.5  # times a reference's splats, in which no frame is predicted: their number stays


def price_of(reference: Decoded, n: float) -> tuple[float, int]:
    """The price of a bit, in mean squared errors, and the precision of changes, for frames worth as
    much as records alone of `n` splats."""
    error = _error_alone(reference, n)
    precision = round(ERROR_OF_1 + 10 * math.log10(error))
    return PRICE * error / n, min(max(precision, FINEST), COARSEST + COARSER)


def serves(reference: Decoded, image: np.ndarray, n: int) -> bool:
    """Whether a reference tells what a record alone of an image costs in `n` splats: it has about
    as many, and the error that it tells is about below that of the image shrunk to a pixel for
    each, as any record's is. One of noise, or of much more detail, does not."""
    if n > FINER * len(reference.geometry):
        return False
    if reference.precision <= FINEST:  # its error may be smaller than it tells
        return True
    # The coarsest have an error that is larger than they tell.
    most = 0.5 if reference.precision >= COARSEST else 1.5
    return _error_alone(reference, n) <= most * _error_shrunk(image, n)


def _error_shrunk(image: np.ndarray, n: int) -> float:
    """The mean squared error of an image shrunk to about `n` pixels, where the descent looks."""
    seen = shrunk(image, n, LEVEL[0])
    small = cv2.resize(shrunk(image, n, 1), seen.shape[1::-1]).astype(np.float32)
    return float(np.square(small - seen).mean()) / 255**2


def cost_alone(reference: Decoded, n: float) -> float:
    """About what a record alone of `n` splats costs, at the price of `price_of`."""
    return _error_alone(reference, n) * (1 + PRICE * BITS_A_SPLAT)


def _error_alone(reference: Decoded, n: float) -> float:
    """The mean squared error of such a record: its precision tells that of the reference
    (quantise.py), and errors fall with the number of splats."""
    error = 10 ** ((reference.precision - ERROR_OF_1) / 10)
    return error * (len(reference.geometry) / n) ** FALL


def error_of(image: np.ndarray, made: Decoded) -> float:
    """The mean squared error of what splats draw, where the descent looks."""
    return View(image, len(made.geometry)).error(made)


def predict(
    image: np.ndarray,  # uint8 [H, W, 3] or [H, W]
    reference: Decoded,
    price: float,  # of a bit, in mean squared errors
    precision: int,
    hopeless: float = math.inf,
) -> tuple[Changes, float] | None:
    """The changes that make the reference's splats an image, and the mean squared error left.

    None where that of the moved splats alone is over `hopeless`: the image shows something else.
    """
    view = View(image, len(reference.geometry))
    field, cost = motion.find(reference.geometry, reference.colour, view.image, price)
    if cost > hopeless:
        return None
    made = _Prediction(view, reference, field, price, precision).changes()
    return made, view.error(applied(reference, made))


class View:
    """An image as the splats' descent sees it: smaller, and in rows."""

    def __init__(self, image: np.ndarray, n: int):
        self.image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
        self.rows = Levels(self.image, n).at(*LEVEL)  # [S, h, w, 3] float32, 0 to 1
        stride, height, width, _ = self.rows.shape
        whole = self.rows.swapaxes(0, 1).reshape(stride * height, width, 3)
        self.whole = np.ascontiguousarray(whole)
        # of geometry [N, 5] in px of the image
        self.scale = stretch(width / image.shape[1], stride * height / image.shape[0])

    def error(self, made: Decoded) -> float:
        """The mean squared error of what splats draw."""
        drawn = motion.picture(made.geometry, made.colour, made.size, self.whole.shape[1::-1])
        return float(np.square(drawn - self.whole).mean())


class _Prediction:
    """The splats of a reference on the way to those of an image. While they descend they are in px
    of the view."""

    def __init__(self, view: View, reference: Decoded, field: Motion, price: float, precision: int):
        self.view, self.reference, self.field = view, reference, field
        self.precision, self.price = precision, price * view.whole.size
        self.start = moved(reference.geometry, field, reference.size)
        self.held = self.start * view.scale, reference.colour.astype(np.float32)

    def changes(self) -> Changes:
        """Descend, then round."""
        return self._rounded(*self._descended())

    def _descended(self) -> tuple[Descent, np.ndarray, np.ndarray]:
        """Splats after descent and thresholding, which of them are new, and which changed."""
        n = len(self.start)
        state = Descent(*(a.copy() for a in self.held))
        new, free = np.zeros(n, bool), np.ones(n, bool)
        total = ROUNDS * STEPS
        rates = RATE * (0.2 + 0.4 * (1 + np.cos(np.pi * np.arange(total) / total)))
        for turn in range(ROUNDS):
            if turn < ROUNDS - 1:
                before = state.geometry.copy()
                reseed(state, self.view.whole, SHARE / (turn + 1))
                new |= (before != state.geometry).any(1)
                free |= new
            for rate in rates[turn * STEPS : (turn + 1) * STEPS]:
                state.run(self.view.rows, np.array([rate]))
                self._hold(state, ~free)
            bits = self.price * np.where(new, NEW_BITS, CHANGE_BITS)
            pairs = zip((state.geometry, state.colour), self.held)
            back = 1 == best_of(*map(np.stack, pairs), np.stack([bits, 0 * bits]), self.view.whole)
            free &= ~back
            new &= ~back
            self._hold(state, back)
        return state, new, free & ~new

    def _hold(self, state: Descent, rows: np.ndarray) -> None:
        """Put splats back where the field has moved them."""
        state.geometry[rows], state.colour[rows] = (held[rows] for held in self.held)
        state.first[rows] = state.second[rows] = 0

    def _rounded(self, state: Descent, new: np.ndarray, free: np.ndarray) -> Changes:
        """The changes as integers, each kind of them left out where it does not pay."""
        view, (_, still), channels = self.view, self.held, self.reference.channels
        step = what.steps(self.start, self.reference.size, self.precision)
        basis, placed = grid.OPPONENT[:channels], state.geometry / view.scale
        move, shape = what.difference(self.start, placed)
        move = _index(move / step.move, what.MOVES) * free[:, None]
        shape = _index(shape / step.shape[:, None], what.SHAPES) * free[:, None]
        fresh = self._gridded(placed[new], len(new))
        fresh_geometry = grid.geometry(fresh, len(new))
        geometries = {}
        for moves, shapes in ((1, 1), (0, 1), (1, 0), (0, 0)):
            sides = moves * move * step.move, shapes * shape * step.shape[:, None]
            geometries[moves, shapes] = what.changed(self.start, *sides)
            geometries[moves, shapes][new] = fresh_geometry
            geometries[moves, shapes] *= view.scale
        best = solved_colours(geometries[1, 1], state.colour, view.whole)
        shade = _index((best - still) @ basis.T / step.colour[:, None], what.COLOURS)
        shade *= free[:, None]
        opponent = (best[new] - BACKGROUND) @ basis.T
        colour_step = grid.colour_step(fresh.scale, self.precision)[:, None]
        fresh.colour = _index(opponent / colour_step, grid.COLOURS // 2 - 1)
        colours = [still, (still + (shade * step.colour[:, None]) @ basis).astype(np.float32)]
        for colour in colours:
            colour[new] = grid.rgb(fresh)
        bits = [_bits(a) for a in (move, shape, shade)]
        none = [np.full(len(new), ZERO_BITS * a.shape[1]) for a in (move, shape, shade)]
        costs = [
            sum((b if part else z) for part, b, z in zip(parts, bits, none))
            + FLAG_BITS * any(parts)
            for parts in VARIANTS
        ]
        chosen = best_of(
            np.stack([geometries[moves, shapes] for moves, shapes, _ in VARIANTS]),
            np.stack([colours[shades] for *_, shades in VARIANTS]),
            self.price * np.stack(costs) * free,
            view.whole,
        )
        moves, shapes, shades = np.array(VARIANTS)[chosen].T[..., None]
        move, shape, shade = moves * move, shapes * shape, shades * shade
        kind = np.where(new, NEW, 0)
        kind[(move != 0).any(1) | (shape != 0).any(1) | (shade != 0).any(1)] = CHANGED
        return Changes(self.precision, self.field, kind, move, shape, shade, fresh)

    def _gridded(self, geometry: np.ndarray, n: int) -> Grid:
        """New splats, not yet coloured, on the grid of a record of `n`, in its order."""
        size, precision = self.reference.size, self.precision
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
