"""Volumes in levels, for what a transform of blocks takes badly: values that jump between two
voxels, as a hand-held depth camera's distances do, and drawn volumes without noise.
"""

import numpy as np

from gaussvae_ros.volume import chunks, level_table, model
from gaussvae_ros.volume.format import CHUNK, VolumeRecord, pack, step_of
from gaussvae_ros.volume.layers import AT_ONCE, buffer, chunks_of, in_batches, labels, put, scaled
from gaussvae_ros.volume.level_fit import Fit

SHARES = 1.0, 0.7, 0.5  # of the levels of a quality's step, that may do since they are smoothed


def encode(
    array: np.ndarray,
    known: np.ndarray | None,
    quality: int,
    ends: tuple[float, float],
    place: tuple,
    made: model.VolumeModel,
    fitted: Fit,
) -> bytes:
    """The record of a volume whose known values are within `ends`, given what suits its levels."""
    top, weights = fitted.top, fitted.weights
    if array.dtype.kind in "iu" and top == ends[1] - ends[0]:
        weights = np.zeros_like(weights)  # nothing is lost
    parts = []
    for voxels, mask in scaled(array, known, ends):
        args = voxels, mask, made.tables[1], fitted.table, fitted.plan, top
        parts += in_batches(chunks.write_levels, args, voxels.shape)
    record = VolumeRecord(
        "levels", array.dtype, array.shape, made.hash, *place, unknown=known is not None,
        quality=quality, low=ends[0], high=ends[1], top=top, plan=fitted.plan,
        table=level_table.pack(fitted.table), weights=weights,
    )  # fmt: skip
    return pack(record, parts)


def decode(record: VolumeRecord, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The voxels `begin`..`end`."""
    out, given = np.empty(end - begin, record.dtype), _given(record)
    first, last = begin // CHUNK, -(-end // CHUNK)
    layers = max(AT_ONCE // np.prod((last - first)[1:]), 1)  # of chunks
    for layer in range(first[0], last[0], layers):
        lower, upper = begin.copy(), end.copy()
        lower[0], upper[0] = max(lower[0], layer * CHUNK), min(upper[0], (layer + layers) * CHUNK)
        voxels = np.empty(upper - lower, np.float32)
        which = chunks_of(record, lower, upper)[0]
        chunks.read_levels(*given, which, np.array(record.shape), lower, voxels)
        part = out[lower[0] - begin[0] : upper[0] - begin[0]]
        if record.unknown:
            there = ~np.isnan(voxels)
            voxels[~there] = 0
        put(record, voxels, part)
        if record.unknown:
            part[~there] = np.nan if out.dtype.kind == "f" else 0
    return out


def known(record: VolumeRecord, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which of the voxels `begin`..`end` are known, of a volume that has unknown ones."""
    return labels(record, 2, begin, end) != 0


def tops(quality: int, ends: tuple[float, float], dtype: np.dtype) -> list[int]:
    """The last levels that may suit a quality, the finest steps first. They are odd, so that the
    middle of the range, where distances change their sign, is between two levels; integers need no
    more levels than they have values.
    """
    found = [int(np.ceil(share / step_of(quality))) | 1 for share in SHARES]
    if dtype.kind in "iu":
        found = [int(max(min(top, ends[1] - ends[0]), 1)) for top in found]
    return list(dict.fromkeys(found))


def _given(record: VolumeRecord) -> tuple:
    """What `chunks.read_levels` takes of a whole record; no weights where all are zero."""
    weights = record.weights.astype(np.int64).reshape(2, -1)
    return (
        buffer(record), record.starts, model.get(record.model).tables[1],
        level_table.unpack(record.table), record.plan,
        weights if weights.any() else weights[:0], record.top, record.unknown,
    )  # fmt: skip
