"""The payload of a splat record: 3 bytes of header, then one range-coded stream.

byte 0      precision (step factor, see grid.factor)
bytes 1, 2  number of splats, little endian; the top bit is set for mono
rest        cells, scales, colours, aspects, angles, shifts
"""

import numpy as np

from gaussvae_ros.entropy import cells, contexts, grid, prior
from gaussvae_ros.entropy.coder import Reader, Writer
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import RecordError

_HEADER = 3  # bytes
MONO = 0x8000
MOST_SPLATS = 8192


def write(g: Grid) -> bytes:
    """The payload of a grid of splats."""
    count = len(g.cell) | (MONO if g.colour.shape[1] == 1 else 0)
    writer = Writer()
    code(writer, g.size, len(g.cell), g.precision, g.colour.shape[1], g)
    return bytes([g.precision, count & 255, count >> 8]) + writer.finish()


def read(payload: bytes, size: tuple[int, int]) -> Grid:
    """The grid of a payload, for a frame of `size` (w, h) px.

    Raises RecordError on anything malformed.
    """
    if len(payload) < _HEADER:
        raise RecordError("record is damaged: its payload has no header")
    count = payload[1] | payload[2] << 8
    n, channels = count & ~MONO, 1 if count & MONO else 3
    if not 1 <= n <= MOST_SPLATS:
        raise RecordError(f"record is damaged: it claims {n} splats")
    return code(Reader(payload[_HEADER:]), size, n, payload[0], channels, None)


def code(
    coder, size: tuple[int, int], n: int, precision: int, channels: int, g: Grid | None, model=None
) -> Grid:
    """Write, weigh or (with `g` None) read a grid of `n` splats under `model` (default: the
    shipped prior); returns it."""
    model = model or prior.load()
    coder.part = "cells"
    cell = cells.code_cells(coder, size, n, g and g.cell)
    near = Neighbourhood(cell)

    step = grid.SIZE_STEP * grid.POWER * grid.factor(precision)
    scale, _ = _linear(
        coder,
        model,
        "scale",
        g and g.scale,
        np.full(n, step),
        near.spacing[:, None],
        near,
        0,
        grid.SIZES,
    )
    u = grid.relative_size(scale, precision)

    colour_step, surprise = grid.colour_step(scale, precision), np.zeros(n)
    index, colour = np.empty((n, channels), np.int64), np.empty((n, channels))
    for k in range(channels):
        values = None if g is None else g.colour[:, k]
        extra = np.stack([u, surprise], 1)
        index[:, k], colour[:, k] = _linear(
            coder,
            model,
            f"colour{k}",
            values,
            colour_step,
            extra,
            near,
            -grid.COLOURS // 2,
            grid.COLOURS,
        )
        if k == 0:  # where light jumps, colour does too
            surprise = np.abs(colour[:, 0] - near.mean(np.arange(n), colour[:, 0]))

    aspect_step = grid.shape_step(scale, precision) * grid.ASPECT_STEP
    extra = np.stack([u, near.spacing], 1)
    aspect, thinness = _linear(
        coder, model, "aspect", g and g.aspect, aspect_step, extra, near, 0, grid.ASPECTS
    )
    angle = _angles(
        coder, model, g and g.angle, *grid.angles(scale, aspect, precision), thinness, colour, near
    )

    coder.part = "shifts"
    parts = grid.shifts(scale, grid.shape(scale, aspect, angle, size, precision), size, precision)
    shift = coder.uniform(None if g is None else g.shift.ravel(), parts.ravel()).reshape(n, 2)
    return Grid(size, precision, cell, scale, aspect, angle, shift, index)


def _linear(coder, model, name, indices, steps, extra, near, low, count):
    """Code integers [n] whose natural values are index * step, pass by pass, from their
    neighbours' natural values."""
    coder.part = name
    out, natural = np.zeros(len(steps), np.int64), np.zeros(len(steps))
    for number, rows in enumerate(near.rounds):
        features = near.features(rows, natural, extra)
        p = model.linear(name, number > 0, features, steps[rows], low, count)
        out[rows] = coder.symbols(None if indices is None else indices[rows] - low, p) + low
        natural[rows] = out[rows] * steps[rows]
    return out, natural


def _angles(coder, model, indices, sectors, fine, thinness, colour, near):
    """Code angle indices [n]: the sector by what the neighbours suggest, the
    angle inside it plainly."""
    coder.part = "angle"
    out, cosine, sine = (np.zeros(len(sectors), kind) for kind in (np.int64, float, float))
    for number, rows in enumerate(near.rounds):
        guesses = near.directions(rows, cosine, sine, thinness, colour)
        p = model.angle(number > 0, guesses, sectors[rows])
        out[rows] = coder.symbols(None if indices is None else indices[rows] // fine[rows], p)
        if (out[rows] >= sectors[rows]).any():
            raise RecordError("record is damaged: impossible splat angles")
        cosine[rows], sine[rows] = (table[sectors[rows], out[rows]] for table in prior.axes())
    return out * fine + coder.uniform(None if indices is None else indices % fine, fine)


class Neighbourhood:
    """The splats around each splat, as `contexts` wants them."""

    def __init__(self, cell: np.ndarray):
        self.x, self.y = cells.coordinates(cell)
        self.known, self.around = contexts.neighbours(self.x, self.y)
        self.spacing = contexts.spacing(self.x, self.y, self.around)
        self.rounds = contexts.rounds(len(cell))

    def features(self, rows, values, extra):
        return contexts.features(rows, values, extra, self.known, self.x, self.y)

    def mean(self, rows, values):
        return self.features(rows, values, np.zeros((len(values), 0)))[:, 1]

    def directions(self, rows, cosine, sine, thinness, colour):
        return contexts.directions(
            rows, cosine, sine, thinness, colour, self.known, self.around, self.x, self.y
        )
