"""A volume's chunks, layer by layer: what all kinds of records share on the way to bytes and
back.
"""

from collections.abc import Callable, Iterator

import numpy as np

from gaussvae_ros.volume import chunks, model
from gaussvae_ros.volume.format import CHUNK, VolumeRecord

AT_ONCE = 64  # chunks that are coded side by side


def in_batches(write: Callable, args: tuple, shape: tuple) -> list[bytes]:
    """The chunks of a layer of so many voxels, some at a time."""
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


def scaled(
    array: np.ndarray, known: np.ndarray | None, ends: tuple[float, float]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Layers of chunks: voxels float32 in 0..1, NaN where unknown, and which of them are known,
    uint8, empty where all are.
    """
    low, high = ends
    unit, scale = (high - low) or 1.0, scale_of(low, high)
    for z in range(0, array.shape[0], CHUNK):
        voxels = array[z : z + CHUNK].astype(np.float32, order="C")
        mask = np.zeros((0, 0, 0), np.uint8)
        if known is not None:
            mask = np.ascontiguousarray(known[z : z + CHUNK]).view(np.uint8)
            voxels[mask == 0] = np.nan
        voxels *= scale
        voxels -= np.float32(low) * scale
        voxels /= np.float32(unit * scale)
        yield voxels, mask


def scale_of(low: float, high: float) -> np.float32:
    """By which a range of values fits into float32."""
    return np.float32(1 if high - low <= np.finfo(np.float32).max else 0.5)


def put(record: VolumeRecord, voxels: np.ndarray, out: np.ndarray) -> None:
    """Write voxels float32 in 0..1 as values of the record's range and type."""
    scale = scale_of(record.low, record.high)
    voxels = voxels * np.float32((record.high - record.low) * scale)
    voxels += np.float32(record.low) * scale
    if out.dtype.kind in "iub":
        np.rint(voxels, out=voxels)
    if scale < 1:
        np.clip(voxels, record.low * scale, record.high * scale, out=voxels)
        voxels /= scale
    out[:] = voxels


def buffer(record: VolumeRecord) -> np.ndarray:
    """The bytes of a record as kernels take them, who write into others."""
    return np.array(np.frombuffer(record.data, np.uint8))


def chunks_of(record: VolumeRecord, begin, end) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chunks that hold voxels `begin`..`end` as `chunks.read` takes them, where the first
    begins, and the size of all.
    """
    grid, box = record.chunks, np.array(record.shape)
    first = np.array(begin) // CHUNK
    last = np.minimum(-(-np.array(end) // CHUNK), grid)
    places = np.stack(np.meshgrid(*map(np.arange, first, last), indexing="ij"), -1).reshape(-1, 3)
    numbers = np.ravel_multi_index(tuple(places.T), grid)
    start = first * CHUNK
    return np.column_stack([numbers, places * CHUNK]), start, np.minimum(last * CHUNK, box) - start


def labels(record: VolumeRecord, count: int, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which label each of the voxels `begin`..`end` has, uint8, of the `count` that a chunk begins
    with. Those of records in blocks or levels are two: 0 unknown, 1 known.
    """
    which, start, size = chunks_of(record, begin, end)
    found = np.empty(size, np.uint8)
    chunks.read_labels(
        buffer(record), record.starts, model.get(record.model).tables[1], count, which,
        np.array(record.shape), found,
    )  # fmt: skip
    return found[part(begin, end, start)]


def part(begin: np.ndarray, end: np.ndarray, start: np.ndarray) -> tuple[slice, ...]:
    """Where voxels `begin`..`end` are in an array whose first is voxel `start`."""
    return tuple(slice(b, e) for b, e in zip(begin - start, end - start))
