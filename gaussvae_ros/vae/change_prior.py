"""The learned prior of predicted records: what changes of a splat, under small networks.

After the field come the kinds of all splats, then the numbers of those that change, kind by kind,
each in the passes of entropy/contexts.py; then the new splats: cells, numbers, angles, shifts.
"""

import numpy as np

from gaussvae_ros.entropy import cells, changes, grid
from gaussvae_ros.entropy import contexts as passes
from gaussvae_ros.entropy.changes import CHANGED, NEW, Changes, Decoded
from gaussvae_ros.entropy.coder import Meter, Reader, Writer
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.motion import code_motion, moved
from gaussvae_ros.errors import RecordError
from gaussvae_ros.vae import change_contexts as near
from gaussvae_ros.vae import contexts
from gaussvae_ros.vae.change_contexts import CHANGE, KINDS, MOVE_X, MOVE_Y, NEW_KINDS, SHADE, SHAPE
from gaussvae_ros.vae.networks import Networks
from gaussvae_ros.vae.quantise import axes

RANGES = {  # lowest index and count of a kind's values
    "change": (0, 3),
    **{kind: (-changes.MOVES, 2 * changes.MOVES + 1) for kind in ("move_y", "move_x")},
    **{kind: (-changes.SHAPES, 2 * changes.SHAPES + 1) for kind in KINDS[SHAPE:SHADE]},
    **{kind: (-changes.COLOURS, 2 * changes.COLOURS + 1) for kind in KINDS[SHADE:]},
    "new_scale": (1, grid.SIZES),
    **{f"new_colour{k}": (-grid.COLOURS // 2, grid.COLOURS) for k in range(3)},
    "new_aspect": (0, grid.ASPECTS),
}
UNITS = dict(zip((*KINDS, *NEW_KINDS), (*near.UNITS, *near.NEW_UNITS)))
SHARES = 32  # the share of splats that change is told in so many steps
HALF = 0.5103  # see `coarse`


class ChangePrior(Networks):
    """The networks of predicted records."""

    FEATURES = {
        **{kind: near.feature_count(k) for k, kind in enumerate(KINDS)},
        **{kind: near.new_feature_count(k) for k, kind in enumerate(NEW_KINDS)},
    }

    def write(self, reference: Decoded, made: Changes) -> bytes:
        """The stream of the changes of a reference."""
        writer = Writer()
        code(writer, self, reference, made.precision, made)
        return writer.finish()

    def read(self, data: bytes, reference: Decoded, precision: int) -> Changes:
        """The changes that a stream holds. Raises RecordError on impossible ones."""
        return code(Reader(data), self, reference, precision, None)

    def bits(self, reference: Decoded, made: Changes) -> dict[str, float]:
        """What changes take, by part of the stream."""
        meter = Meter()
        code(meter, self, reference, made.precision, made)
        return meter.bits

    def values(self, kind: str, features, middle, steps) -> np.ndarray:  # [rows, count]
        """Unnormalised probabilities of the indices in RANGES of values beside `middle`
        [rows], in `steps` [rows]."""
        outputs = self.outputs(kind, features)
        return contexts.mixtures(
            outputs, middle, UNITS[kind], steps, *RANGES[kind], contexts.POWERS
        )


def code(
    coder, model: ChangePrior, reference: Decoded, precision: int, made: Changes | None
) -> Changes:
    """Write, weigh or (with `made` None) read the changes of a reference; returns them."""
    size, n, channels = reference.size, len(reference.geometry), reference.channels
    motion = code_motion(coder, made and made.motion)
    splats = _Moved(coder, model, reference, moved(reference.geometry, motion, size), precision)
    coder.part = "change"
    share = None if made is None else np.array([round((made.kind > 0).mean() * (SHARES - 1))])
    splats.begin(coder.uniform(share, np.array([SHARES]))[0] / (SHARES - 1))
    every, one = np.arange(n), np.ones(n)
    kind = splats.code(CHANGE, every, made and made.kind, one)
    rows = np.flatnonzero(kind == CHANGED)
    step = splats.steps
    move, shape = np.zeros((n, 2), np.int64), np.zeros((n, 3), np.int64)
    colour = np.zeros((n, channels), np.int64)
    move[:, 1] = splats.code(MOVE_Y, rows, made and made.move[:, 1], step.move[:, 1])
    move[:, 0] = splats.code(MOVE_X, rows, made and made.move[:, 0], step.move[:, 0])
    for k in range(3):
        shape[:, k] = splats.code(SHAPE + k, rows, made and made.shape[:, k], step.shape)
    for k in range(channels):
        colour[:, k] = splats.code(SHADE + k, rows, made and made.colour[:, k], step.colour)
    new = code_new(coder, splats, kind, channels, made and made.new)
    return Changes(precision, motion, kind, move, shape, colour, new)


def coarse(values: np.ndarray, parts: int) -> np.ndarray:
    """Values to the nearest 1 / `parts`, alike on machines whose functions differ in last bits.

    What is rounded up begins a little below the half: motions and changes are multiples of steps,
    and many end on a half but for their last bits.
    """
    return np.floor(values * parts + HALF) / parts


class _Moved:
    """What is known of the reference's splats, moved, while their changes are coded."""

    def __init__(self, coder, model: ChangePrior, reference: Decoded, geometry, precision: int):
        self.coder, self.model, self.precision = coder, model, precision
        self.size, self.n = reference.size, len(geometry)
        # as far outside as they may be, but in range
        at = np.clip(np.round(geometry[:, :2]), -(1 << 20), 1 << 20).astype(np.int64)
        self.x, self.y = np.ascontiguousarray(at[:, 0]), np.ascontiguousarray(at[:, 1])
        self.known, self.around = passes.neighbours(self.x, self.y)
        self.spacing = passes.spacing(self.x, self.y, self.around)
        self.steps = changes.steps(geometry, self.size, precision)
        ratio, turn = axes(geometry)
        self.ratio = coarse(np.clip(ratio, 0, 20), 64)
        opponent = (reference.colour - 0.5) @ grid.OPPONENT.T
        self.opponent = coarse(np.clip(opponent, -8, 8), 1024)
        away_x, away_y = (geometry[:, :2] - reference.geometry[:, :2]).T
        length = np.sqrt(away_x * away_x + away_y * away_y)
        self.speed = coarse(np.minimum(length, 1 << 20), 1)
        # the slant, by which a move in y takes x along
        self.shear = coarse(np.clip(geometry[:, 3], -64, 64), 256)
        self.values = np.zeros((self.n, len(KINDS)))
        rounds = passes.rounds(self.n)
        self.rounds = rounds if coder.reads else [np.concatenate(rounds)]

    def begin(self, share: float) -> None:
        """Say how many splats change."""
        self.about = near.about(
            self.x, self.y, self.steps.u, self.ratio, self.opponent[:, 0].copy(), self.speed,
            self.spacing, self.around, *map(float, self.size), float(self.precision), share,
        )  # fmt: skip

    def code(self, kind: int, rows: np.ndarray, indices, steps) -> np.ndarray:  # [n]
        """Code the integers of `rows` whose values are index * step; the others are 0."""
        name = KINDS[kind]
        self.coder.part, low = name, RANGES[name][0]
        out, asked = np.zeros(self.n, np.int64), np.zeros(self.n, bool)
        asked[rows] = True
        column = self.values[:, kind]
        # a move in x counts with what the slant adds, as neighbours see it
        slanted = self.shear * self.values[:, MOVE_Y] if kind == MOVE_X else np.zeros(self.n)
        if indices is not None:
            column[rows] = self._value(kind, indices, steps, slanted)[rows]
        for turn in self.rounds:
            some = turn[asked[turn]]
            features, middle = near.features(
                kind, some, self.values, self.about, self.spacing,
                self.known, self.around, self.x, self.y,
            )  # fmt: skip
            p = self.model.values(name, features, middle - slanted[some], steps[some])
            out[some] = self.coder.symbols(None if indices is None else indices[some] - low, p)
            out[some] += low
            column[some] = self._value(kind, out, steps, slanted)[some]
        return out

    def _value(self, kind, indices, steps, slanted):
        return indices * steps + slanted


def code_new(coder, splats: _Moved, kind: np.ndarray, channels: int, new: Grid | None) -> Grid:
    """Write, weigh or (with None) read the new splats, beside those that stay."""
    size, n, precision = splats.size, splats.n, splats.precision
    count, stay = int((kind == NEW).sum()), np.flatnonzero(kind != NEW)
    if not count:
        return changes.none_new(size, precision, channels)
    coder.part = "new_cells"
    cell = cells.code_cells(coder, size, count, new and new.cell, n)
    corner, side = cells.corner(cell, size, n)
    at = (corner + side / 2).astype(np.int64)
    x, y = np.ascontiguousarray(at[:, 0]), np.ascontiguousarray(at[:, 1])
    others = np.concatenate([splats.steps.u[:, None], splats.opponent, splats.ratio[:, None]], 1)[
        stay
    ]
    others_x, others_y = splats.x[stay], splats.y[stay]
    close = near.nearest(x, y, others_x, others_y)
    usual = np.sqrt(size[0] * size[1] / n)
    values = np.zeros((count, len(NEW_KINDS)))

    def number(k: int, indices, steps):
        name = NEW_KINDS[k]
        coder.part, low = name, RANGES[name][0]
        features, middle = near.new_features(
            k, values, close, x, y, others, others_x, others_y, usual, float(precision), size
        )
        p = splats.model.values(name, features, middle, steps)
        out = coder.symbols(None if indices is None else indices - low, p) + low
        values[:, k] = out * steps
        return out

    step = np.full(count, grid.SIZE_STEP * grid.POWER * grid.factor(precision))
    scale = number(0, new and new.scale + 1, step) - 1
    colour_step = grid.colour_step(scale, precision)
    colour = [number(1 + k, new and new.colour[:, k], colour_step) for k in range(channels)]
    aspect = number(4, new and new.aspect, grid.shape_step(scale, precision) * grid.ASPECT_STEP)
    coder.part = "new_angle"
    turns = np.multiply(*grid.angles(scale, aspect, precision))
    angle = coder.uniform(new and new.angle, turns)
    coder.part = "new_shifts"
    shapes = grid.shape(scale, aspect, angle, size, precision, n)
    parts = grid.shifts(scale, shapes, size, precision, n)
    shift = coder.uniform(None if new is None else new.shift.ravel(), parts.ravel())
    if coder.reads and (angle >= turns).any():
        raise RecordError("record is damaged: impossible splat angles")
    return Grid(
        size, precision, cell, scale, aspect, angle, shift.reshape(count, 2), np.stack(colour, 1)
    )
