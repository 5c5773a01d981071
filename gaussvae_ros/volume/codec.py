"""Volumes to bytes and back.

codec = VolumeCodec()
data = codec.encode(grid, quality=50, voxel_size=0.02, origin=(-1, -1, 0))
grid = codec.decode(data)
part = codec.decode(data, roi=(96, 64, 0, 32, 32, 32))  # first voxel, size; z, y, x
"""

import threading
from numbers import Real
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.volume import chunks, model, synthesis
from gaussvae_ros.volume.checks import checked, checked_place, checked_roi, few, value_range
from gaussvae_ros.volume.contexts import PREDICTED
from gaussvae_ros.volume.format import CHUNK, VolumeRecord, pack, unpack
from gaussvae_ros.volume.transform import SIDE, SIZE

AT_ONCE = 64  # chunks that are encoded side by side
HELPED = 15, 55  # qualities at which the network adds to blocks: at others it gained nothing
NOWHERE = 1.0, (0.0, 0.0, 0.0)  # voxel size and origin of a volume without a place


class VolumeCodec:
    """Encodes and decodes volumes. One may be shared by any number of threads.

    `model` is the name or path of the model to encode with.
    """

    def __init__(self, model: str | Path = model.ARCHITECTURE):
        self._name, self._model, self._loading = model, None, threading.Lock()

    def encode(
        self,
        array: np.ndarray,
        quality: float = 50,
        known: np.ndarray | None = None,
        voxel_size: float = 1.0,
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> bytes:
        """A volume as a record; the same arguments give the same bytes.

        A volume of at most eight different values, unknown counting as one, is kept exactly, as
        labels. Which voxels are unknown is kept exactly, too; their values are not.

        Args:
            array: [z, y, x] of a type in `format.DTYPES`; NaN is unknown, and so is what is masked
                in a masked array.
            quality: 0 to 100: a step of 2^(1 - quality / 10) of the range of values, 1/16 at 50.
            known: bool, as large; False where a voxel is unknown. Default: all, but NaN.
            voxel_size: edge of a voxel, m.
            origin: x, y, z of the first voxel's outer corner, m.

        Raises:
            VolumeError: not such an array, or values that are infinite.
            GaussVaeError: another argument is out of range.
            ModelError: the model is not there, or damaged.
        """
        if isinstance(quality, bool) or not isinstance(quality, Real) or not 0 <= quality <= 100:
            raise GaussVaeError(f"quality is a number from 0 to 100, not {quality!r}")
        place = checked_place(voxel_size, origin)
        array, there = checked(array, known)
        if (values := few(array, there)) is not None:
            return self._encode_labels(array, there, values, place)
        return self._encode_blocks(array, there, round(quality), place)

    def encode_blocks(self, array: np.ndarray, quality: float) -> bytes:
        """`encode` without a look at how many values there are. Raises as it does."""
        return self._encode_blocks(*checked(array, None), round(quality), NOWHERE)

    def decode(
        self,
        data: bytes,
        roi: tuple[int, int, int, int, int, int] | None = None,
        linear: bool = False,
    ) -> np.ndarray:
        """A record as an array, or the part `roi` of it: (z, y, x, depth, height, width) in
        voxels.

        `linear` leaves out what the network adds. Unknown voxels are NaN, or 0 in an array of
        integers (`known` tells them).

        Raises:
            RecordError: not a volume's record, truncated, altered, or of another version.
            ModelError: the model that it was made with is not at hand.
            GaussVaeError: `roi` is not inside the volume.
        """
        record = unpack(data)
        if record.kind == "labels":
            return record.labels[self._labels(record, roi)]
        begin, end = checked_roi(roi, record.shape)
        made = model.get(record.model)
        margin = [max(b - SIDE, 0) for b in begin], [e + SIDE for e in end]
        which, start, size = _chunks_of(record, *margin)
        grid = tuple(-(-s // SIDE) for s in size)
        q = np.empty((*grid, SIZE + 1), np.int16)
        low = np.empty((*grid, PREDICTED), np.int32)
        known = np.ones(size if record.unknown else (0, 0, 0), np.uint8)
        chunks.read(
            _buffer(record), record.starts, made.tables, which,
            np.array(record.shape), q, low, known,
        )  # fmt: skip
        out = np.empty([e - b for b, e in zip(begin, end)], record.dtype)
        _draw(record, made, q, low, begin - start, end - start, out, linear)
        if record.unknown:
            part = tuple(slice(b, e) for b, e in zip(begin - start, end - start))
            out[known[part] == 0] = np.nan if out.dtype.kind == "f" else 0
        return out

    def known(
        self, data: bytes, roi: tuple[int, int, int, int, int, int] | None = None
    ) -> np.ndarray:
        """Which voxels are known: bool, as large as what `decode` gives. Raises as it does."""
        record = unpack(data)
        if record.dtype.kind == "f":
            return ~np.isnan(self.decode(data, roi))
        begin, end = checked_roi(roi, record.shape)
        if not record.unknown:
            return np.ones(end - begin, bool)
        if record.kind == "labels":
            return self._labels(record, roi) != 0
        made = model.get(record.model)
        which, start, size = _chunks_of(record, begin, end)
        grid = tuple(-(-s // SIDE) for s in size)
        q = np.empty((*grid, SIZE + 1), np.int16)
        known = np.ones(size, np.uint8)
        chunks.read(
            _buffer(record), record.starts, made.tables, which,
            np.array(record.shape), q, np.empty((*grid, PREDICTED), np.int32), known,
        )  # fmt: skip
        return known[tuple(slice(b, e) for b, e in zip(begin - start, end - start))].astype(bool)

    def _mine(self) -> model.VolumeModel:
        with self._loading:
            if self._model is None:
                self._model = model.load(self._name)
                model.remember(self._model)
        return self._model

    def _encode_labels(
        self, array: np.ndarray, known: np.ndarray | None, values: np.ndarray, place: tuple
    ) -> bytes:
        made = self._mine()
        parts, unknown = [], known is not None and array.dtype.kind != "f"
        for z in range(0, array.shape[0], CHUNK):
            layer = array[z : z + CHUNK]
            found = np.zeros(layer.shape, np.uint8)
            for k, value in enumerate(values):
                found[(layer == value) if value == value else np.isnan(layer)] = k
            if unknown:
                found[~known[z : z + CHUNK]] = 0
            args = found, made.tables[1], len(values)
            parts += _in_batches(chunks.write_labels, args, found.shape)
        record = VolumeRecord(
            "labels", array.dtype, array.shape, made.hash, *place, unknown=unknown, labels=values
        )
        return pack(record, parts)

    def _labels(self, record: VolumeRecord, roi: tuple | None) -> np.ndarray:  # uint8
        """Which of its labels each voxel has."""
        begin, end = checked_roi(roi, record.shape)
        which, start, size = _chunks_of(record, begin, end)
        found = np.empty(size, np.uint8)
        chunks.read_labels(
            _buffer(record), record.starts, model.get(record.model).tables[1],
            len(record.labels), which, np.array(record.shape), found,
        )  # fmt: skip
        return found[tuple(slice(b, e) for b, e in zip(begin - start, end - start))]

    def _encode_blocks(
        self, array: np.ndarray, known: np.ndarray | None, quality: int, place: tuple
    ) -> bytes:
        made, parts = self._mine(), []
        low, high = value_range(array, known)
        unit, step = (high - low) or 1.0, np.float32(2 ** (1 - quality / 10))
        scale = _scale(low, high)
        for z in range(0, array.shape[0], CHUNK):
            voxels = array[z : z + CHUNK].astype(np.float32, order="C")
            mask = np.zeros((0, 0, 0), np.uint8)
            if known is not None:
                mask = np.ascontiguousarray(known[z : z + CHUNK]).view(np.uint8)
                voxels[mask == 0] = np.nan
            voxels *= scale
            voxels -= np.float32(low) * scale
            voxels /= np.float32(unit * scale)
            args = voxels, mask, made.tables, step
            parts += _in_batches(chunks.write, args, voxels.shape)
        record = VolumeRecord(
            "blocks", array.dtype, array.shape, made.hash, *place, unknown=known is not None,
            quality=quality, low=low, high=high,
        )  # fmt: skip
        return pack(record, parts)


def _in_batches(write, args: tuple, shape: tuple) -> list[bytes]:
    """The chunks of a layer, some at a time."""
    count, parts = -(-shape[1] // CHUNK) * -(-shape[2] // CHUNK), []
    out = np.zeros((min(count, AT_ONCE), chunks.MOST), np.uint8)
    ends = np.zeros(len(out), np.int64)
    for first in range(0, count, AT_ONCE):
        n = min(count - first, AT_ONCE)
        write(*args, first, out[:n], ends[:n])
        for row, end in zip(out[:n], ends):
            parts.append(row[:end].tobytes())
            row[: end + 8] = 0
    return parts


def _scale(low: float, high: float) -> np.float32:
    """By which a range of values fits into float32."""
    return np.float32(1 if high - low <= np.finfo(np.float32).max else 0.5)


def _draw(record, made, q, low, begin, end, out, linear) -> None:
    """Draw the voxels `begin`..`end` of decoded blocks into `out`."""
    step, scale = np.float32(2 ** (1 - record.quality / 10)), _scale(record.low, record.high)
    first, last = begin // SIDE, -(-end // SIDE)
    most = int(np.prod(last[1:] - first[1:]))
    inputs = np.empty((most, synthesis.INPUTS), np.float32)
    places = np.empty((most, 2), np.int64)
    layer = np.empty((SIDE, *(SIDE * (last[1:] - first[1:]))), np.float32)
    inside = tuple(slice(b - SIDE * f, e - SIDE * f) for b, e, f in zip(begin, end, first))[1:]
    for z in range(first[0], last[0]):
        n = 0
        if not linear and HELPED[0] <= record.quality <= HELPED[1]:
            n = synthesis.gather(q, low, made.bias, step, z, first[1:], last[1:], inputs, places)
        numbers = np.full(last[1:] - first[1:], -1)
        numbers[tuple((places[:n] - first[1:]).T)] = np.arange(n)
        added = synthesis.correct(made.network, inputs[:n])
        synthesis.draw(q, low, made.bias, step, z, first[1:], last[1:], numbers, added, layer)
        top, bottom = max(begin[0] - z * SIDE, 0), min(end[0] - z * SIDE, SIDE)
        voxels = layer[(slice(top, bottom), *inside)]
        voxels = voxels * np.float32((record.high - record.low) * scale)
        voxels += np.float32(record.low) * scale
        at = z * SIDE + top - begin[0]
        if out.dtype.kind in "iub":
            np.rint(voxels, out=voxels)
        if scale < 1:
            np.clip(voxels, record.low * scale, record.high * scale, out=voxels)
            voxels /= scale
        out[at : at + bottom - top] = voxels


def _buffer(record: VolumeRecord) -> np.ndarray:
    """The bytes of a record as kernels take them, who write into others."""
    return np.array(np.frombuffer(record.data, np.uint8))


def _chunks_of(record: VolumeRecord, begin, end) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chunks that hold voxels `begin`..`end` as `chunks.read` takes them, where the first
    begins, and the size of all."""
    grid, box = record.chunks, np.array(record.shape)
    first = np.array(begin) // CHUNK
    last = np.minimum(-(-np.array(end) // CHUNK), grid)
    places = np.stack(np.meshgrid(*map(np.arange, first, last), indexing="ij"), -1).reshape(-1, 3)
    numbers = np.ravel_multi_index(tuple(places.T), grid)
    start = first * CHUNK
    return np.column_stack([numbers, places * CHUNK]), start, np.minimum(last * CHUNK, box) - start
