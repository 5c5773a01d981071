"""Volumes of few values, such as free, unknown and occupied: kept exactly, as labels."""

import numpy as np

from gaussvae_ros.volume import chunks, model
from gaussvae_ros.volume.format import CHUNK, VolumeRecord, pack
from gaussvae_ros.volume.layers import in_batches, labels


def encode(
    array: np.ndarray,
    known: np.ndarray | None,
    values: np.ndarray,
    place: tuple,
    made: model.VolumeModel,
) -> bytes:
    """The record of a volume that has these values, see `checks.few`."""
    parts, unknown = [], known is not None and array.dtype.kind != "f"
    for z in range(0, array.shape[0], CHUNK):
        layer = array[z : z + CHUNK]
        found = np.zeros(layer.shape, np.uint8)
        for k, value in enumerate(values):
            found[(layer == value) if value == value else np.isnan(layer)] = k
        if unknown:
            found[~known[z : z + CHUNK]] = 0
        args = found, made.tables[1], len(values)
        parts += in_batches(chunks.write_labels, args, found.shape)
    record = VolumeRecord(
        "labels", array.dtype, array.shape, made.hash, *place, unknown=unknown, labels=values
    )
    return pack(record, parts)


def decode(record: VolumeRecord, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The voxels `begin`..`end`."""
    return record.labels[labels(record, len(record.labels), begin, end)]


def known(record: VolumeRecord, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which of the voxels `begin`..`end` are known, of a volume that has unknown integers."""
    return labels(record, len(record.labels), begin, end) != 0
