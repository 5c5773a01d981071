"""Volumes in blocks of cosines, for what is smooth or noisy."""

import numpy as np

from gaussvae_ros.volume import chunks, model, synthesis
from gaussvae_ros.volume.contexts import PREDICTED
from gaussvae_ros.volume.format import VolumeRecord, pack, step_of
from gaussvae_ros.volume.layers import buffer, chunks_of, in_batches, labels, part, put, scaled
from gaussvae_ros.volume.transform import SIDE, SIZE

HELPED = 15, 55  # qualities at which the network adds to blocks: at others it gained nothing


def encode(
    array: np.ndarray,
    known: np.ndarray | None,
    quality: int,
    ends: tuple[float, float],
    place: tuple,
    made: model.VolumeModel,
) -> bytes:
    """The record of a volume whose known values are within `ends`."""
    parts, step = [], np.float32(step_of(quality))
    for voxels, mask in scaled(array, known, ends):
        parts += in_batches(chunks.write, (voxels, mask, made.tables, step), voxels.shape)
    record = VolumeRecord(
        "blocks", array.dtype, array.shape, made.hash, *place, unknown=known is not None,
        quality=quality, low=ends[0], high=ends[1],
    )  # fmt: skip
    return pack(record, parts)


def decode(
    record: VolumeRecord, begin: np.ndarray, end: np.ndarray, linear: bool = False
) -> np.ndarray:
    """The voxels `begin`..`end`; `linear` leaves out what the network adds."""
    margin = np.maximum(begin - SIDE, 0), np.minimum(end + SIDE, record.shape)
    start, q, low, known = _read(record, *margin)
    out = np.empty(end - begin, record.dtype)
    _draw(record, q, low, begin - start, end - start, out, linear)
    if record.unknown:
        there = known[part(begin, end, start)]
        out[there == 0] = np.nan if out.dtype.kind == "f" else 0
    return out


def known(record: VolumeRecord, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which of the voxels `begin`..`end` are known, of a volume that has unknown ones."""
    return labels(record, 2, begin, end) != 0


def _read(record: VolumeRecord, begin, end) -> tuple[np.ndarray, ...]:
    """Where the chunks of voxels `begin`..`end` start, and what `chunks.read` finds in them."""
    which, start, size = chunks_of(record, begin, end)
    grid = tuple(-(-s // SIDE) for s in size)
    q = np.empty((*grid, SIZE + 1), np.int16)
    low = np.empty((*grid, PREDICTED), np.int32)
    there = np.ones(size if record.unknown else (0, 0, 0), np.uint8)
    chunks.read(
        buffer(record), record.starts, model.get(record.model).tables, which,
        np.array(record.shape), q, low, there,
    )  # fmt: skip
    return start, q, low, there


def _draw(record, q, low, begin, end, out, linear) -> None:
    """Draw the voxels `begin`..`end` of decoded blocks into `out`."""
    made, step = model.get(record.model), np.float32(step_of(record.quality))
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
        at = z * SIDE + top - begin[0]
        put(record, layer[(slice(top, bottom), *inside)], out[at : at + bottom - top])
