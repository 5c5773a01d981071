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
from gaussvae_ros.errors import ModelError, RecordError
from gaussvae_ros.vae import contexts
from gaussvae_ros.vae.contexts import ANGLE, KINDS

RANGES = (  # lowest index and count of a kind's values
    (1, grid.SIZES),
    *[(-grid.COLOURS // 2, grid.COLOURS)] * 3,
    (0, grid.ASPECTS),
)
LAYERS = 3
GAIN = 2.0**10  # unit of stored means and gains: 1 / GAIN
TENSORS = ("mean", "gain") + tuple(
    f"{what}{k}" for k in range(LAYERS) for what in ("weight", "bias")
)
TYPES = {"mean": np.int32, "gain": np.int32, "weight": np.int16, "bias": np.int32}


class Prior:
    """Networks of integers by kind: `mean`, `gain` [F], then `weight` [in, out] and
    `bias` [out] of each layer."""

    def __init__(self, networks: dict[str, dict[str, np.ndarray]]):
        """Check the networks and take them.

        Raises:
            ModelError: a network or tensor is missing, or has another shape or larger numbers
                than such networks have.
        """
        self.networks, self._arrays = {}, {}
        for k, kind in enumerate(KINDS):
            arrays = {name: np.asarray(networks.get(kind, {}).get(name)) for name in TENSORS}
            _check(kind, arrays, contexts.feature_count(k))
            # weights as floats: exact, see contexts.network
            layers = [arrays[name].astype(np.float32, order="C") for name in TENSORS[2:]]
            self.networks[kind] = (arrays["mean"] / GAIN, arrays["gain"] / GAIN, *layers)
            self._arrays[kind] = arrays

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Prior":
        """The prior whose `tensors` these are. Raises ModelError as the class."""
        split: dict[str, dict] = {}
        for name, array in tensors.items():
            kind, _, part = name.partition("_")
            split.setdefault(kind, {})[part] = array
        return cls(split)

    def tensors(self) -> dict[str, np.ndarray]:
        """int16 and int32 arrays by name, such as scale_weight0, for a model file."""
        return {
            f"{kind}_{name}": array.astype(TYPES[name.rstrip("012")], order="C")
            for kind, arrays in self._arrays.items()
            for name, array in arrays.items()
        }

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

    def outputs(self, kind: str, features: np.ndarray) -> np.ndarray:  # int32 [rows, OUTPUTS]
        """What the network of a kind makes of features [rows, F]."""
        return contexts.network(features, *self.networks[kind])

    def values(self, kind: int, features, middle, steps) -> np.ndarray:  # [rows, count]
        """Unnormalised probabilities of the indices in RANGES of values beside `middle`
        [rows], in `steps` [rows]."""
        outputs, unit = self.outputs(KINDS[kind], features), contexts.UNITS[kind]
        return contexts.mixtures(outputs, middle, unit, steps, *RANGES[kind], contexts.POWERS)

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
            p = self.model.values(kind, features, middle, steps[rows])
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


def _check(kind: str, arrays: dict[str, np.ndarray], count: int) -> None:
    """ModelError unless the network reads `count` features and no sum in it can reach 2^24."""
    fits, width, most = True, count, contexts.MOST + 1
    for name, array in arrays.items():
        fits &= array.dtype.kind in "iu" and (array.ndim == (2 if name.startswith("weight") else 1))
    fits = fits and arrays["mean"].shape == arrays["gain"].shape == (count,)
    for layer in range(LAYERS):
        weight, bias = (arrays[f"{what}{layer}"] for what in ("weight", "bias"))
        fits = fits and weight.shape == (width, len(bias))
        if fits:  # as floats, in which no absolute value overflows
            sums = np.abs(weight.astype(float)).sum(0) * most + np.abs(bias.astype(float))
            fits = sums.max() < contexts.LARGEST
        width = len(bias) if fits else 0
    if not fits or width != contexts.OUTPUTS:
        raise ModelError(f"the prior's network for {kind} is missing, or not one of this version")
