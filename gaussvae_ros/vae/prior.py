"""The learned prior of latents: a record's splats coded as in entropy/stream.py, their
numbers under small networks.

The order is the same (cells, scales, colours, aspects, angles, shifts; each in passes), and so is
the coder. What a number is likely to be, given the splats around it, is said by one network of
integers for its kind (contexts.py).
"""

import numpy as np

from gaussvae_ros.entropy import cells, grid, prior
from gaussvae_ros.entropy import contexts as passes
from gaussvae_ros.entropy.coder import Meter, Reader, Writer
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import RecordError
from gaussvae_ros.vae import contexts
from gaussvae_ros.vae.contexts import ANGLE, KINDS
from gaussvae_ros.vae.networks import Networks

RANGES = (  # lowest index and count of a kind's values
    (1, grid.SIZES),
    *[(-grid.COLOURS // 2, grid.COLOURS)] * 3,
    (0, grid.ASPECTS),
)


class Prior(Networks):
    """The networks of a record alone."""

    FEATURES = {kind: contexts.feature_count.py_func(k) for k, kind in enumerate(KINDS)}

    def write(self, g: Grid) -> bytes:
        """The stream of a grid of splats."""
        writer = Writer()
        code(writer, self, g.size, len(g.cell), g.precision, g.colour.shape[1], g)
        return writer.finish()

    def read(
        self, data: bytes, size: tuple[int, int], count: int, precision: int, channels: int
    ) -> Grid:
        """The grid of `count` splats that a stream holds. Raises RecordError on impossible ones."""
        return code(Reader(data), self, size, count, precision, channels, None)

    def bits(self, g: Grid) -> dict[str, float]:
        """What a grid takes, by part of the stream."""
        meter = Meter()
        code(meter, self, g.size, len(g.cell), g.precision, g.colour.shape[1], g)
        return meter.bits

    def values(self, kind: str, features, middle, steps) -> np.ndarray:  # [rows, count]
        """Unnormalised probabilities of the indices in RANGES of values beside `middle`
        [rows], in `steps` [rows]."""
        k = KINDS.index(kind)
        outputs, unit = self.outputs(kind, features), contexts.UNITS[k]
        return contexts.mixtures(outputs, middle, unit, steps, *RANGES[k], contexts.POWERS)

    def angles(self, features, sectors) -> np.ndarray:  # [rows, SECTORS]
        """Unnormalised probabilities of the sectors below `sectors` [rows]."""
        outputs = self.outputs(KINDS[ANGLE], features)
        return contexts.axial_mixtures(
            outputs, sectors, *prior.axes(), grid.SECTORS, contexts.POWERS
        )


def code(
    coder,
    model: Prior,
    size: tuple[int, int],
    n: int,
    precision: int,
    channels: int,
    g: Grid | None,
) -> Grid:
    """Write, weigh or (with `g` None) read a grid of `n` splats under `model`; returns it."""
    coder.part = "cells"
    cell = cells.code_cells(coder, size, n, g and g.cell)
    splats = _Splats(coder, model, cell, size, precision)

    step = np.full(n, grid.SIZE_STEP * grid.POWER * grid.factor(precision))
    scale = splats.code(0, g and g.scale + 1, step) - 1
    colour_step = grid.colour_step(scale, precision)
    colour = [splats.code(1 + k, g and g.colour[:, k], colour_step) for k in range(channels)]
    aspect_step = grid.shape_step(scale, precision) * grid.ASPECT_STEP
    aspect = splats.code(4, g and g.aspect, aspect_step)
    angle = splats.code_angles(g and g.angle, *grid.angles(scale, aspect, precision))

    coder.part = "shifts"
    shapes = grid.shape(scale, aspect, angle, size, precision)
    parts = grid.shifts(scale, shapes, size, precision)
    shift = coder.uniform(None if g is None else g.shift.ravel(), parts.ravel()).reshape(n, 2)
    return Grid(size, precision, cell, scale, aspect, angle, shift, np.stack(colour, 1))


class _Splats:
    """What is known of the splats while they are coded."""

    def __init__(
        self, coder, model: Prior, cell: np.ndarray, size: tuple[int, int], precision: int
    ):
        self.coder, self.model = coder, model
        self.x, self.y = cells.coordinates(cell)
        self.known, self.around = passes.neighbours(self.x, self.y)
        self.spacing = passes.spacing(self.x, self.y, self.around)
        side = max(size) / 2 ** cells.depth(size, len(cell))  # px
        self.base = contexts.base(
            self.x, self.y, self.spacing, size[0] / side, size[1] / side, precision
        )
        self.values = np.zeros((len(cell), contexts.VALUES))
        rounds = passes.rounds(len(cell))
        # A writer knows what all passes will know.
        self.rounds = rounds if coder.reads else [np.concatenate(rounds)]

    def code(self, kind: int, indices, steps) -> np.ndarray:
        """Code integers [n] whose values are index * step."""
        self.coder.part, low = KINDS[kind], RANGES[kind][0]
        out, column = np.zeros(len(steps), np.int64), self.values[:, kind]
        if indices is not None:
            column[:] = indices * steps
        for rows in self.rounds:
            features, middle = self.features(kind, rows)
            p = self.model.values(KINDS[kind], features, middle, steps[rows])
            out[rows] = (
                self.coder.symbols(None if indices is None else indices[rows] - low, p) + low
            )
            column[rows] = out[rows] * steps[rows]
        return out

    def code_angles(self, indices, sectors, fine) -> np.ndarray:
        """Code angle indices [n]: the sector by context, the angle inside it plainly."""
        self.coder.part = KINDS[ANGLE]
        out = np.zeros(len(sectors), np.int64)
        strength = np.minimum(self.values[:, 4], contexts.THIN)
        if indices is not None:
            self._place(slice(None), indices // fine, sectors, strength)
        for rows in self.rounds:
            features, _ = self.features(ANGLE, rows)
            p = self.model.angles(features, sectors[rows])
            out[rows] = self.coder.symbols(
                None if indices is None else indices[rows] // fine[rows], p
            )
            if (out[rows] >= sectors[rows]).any():
                raise RecordError("record is damaged: impossible splat angles")
            self._place(rows, out[rows], sectors, strength)
        return out * fine + self.coder.uniform(None if indices is None else indices % fine, fine)

    def features(self, kind: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return contexts.features(
            kind,
            rows,
            self.values,
            self.base,
            self.spacing,
            self.known,
            self.around,
            self.x,
            self.y,
        )

    def _place(self, rows, sector, sectors, strength) -> None:
        """Note the axes of splats, as long as they are thin."""
        for column, table in zip((5, 6), prior.axes()):
            self.values[rows, column] = table[sectors[rows], sector] * strength[rows]
