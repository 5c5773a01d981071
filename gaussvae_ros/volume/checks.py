"""What a volume may be, and what its values are."""

import numpy as np

from gaussvae_ros.errors import GaussVaeError, VolumeError
from gaussvae_ros.volume.format import DTYPES, LARGEST, MAX_SIDE, MOST_LABELS


def checked(array: np.ndarray, known: np.ndarray | None) -> np.ndarray | None:
    """Which voxels are known, None where all are. Raises VolumeError for what is no volume."""
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype not in DTYPES:
        kinds = ", ".join(map(str, DTYPES))
        raise VolumeError(f"a volume is an array of three dimensions, of {kinds}")
    if not array.size or array.size > LARGEST or max(array.shape) > MAX_SIDE:
        raise VolumeError(f"a volume of {'x'.join(map(str, array.shape))} voxels cannot be encoded")
    if known is not None and (known.shape != array.shape or known.dtype != bool):
        raise VolumeError("known is an array of bool, as large as the volume")
    if array.dtype.kind == "f":
        there = ~np.isnan(array)
        if np.isinf(array).any():
            raise VolumeError("a volume has infinite values; make them NaN if they are unknown")
        known = there if known is None else known & there
    return None if known is None or known.all() else known


def checked_place(voxel_size: float, origin) -> tuple[float, tuple[float, float, float]]:
    numbers = [float(voxel_size), *map(float, origin)]
    if len(numbers) != 4 or not np.isfinite(numbers).all() or numbers[0] <= 0:
        raise GaussVaeError("voxel_size is a length in m, origin three of them")
    return float(np.float32(numbers[0])), tuple(numbers[1:])


def checked_roi(roi, shape) -> tuple[np.ndarray, np.ndarray]:
    begin, end = np.zeros(3, np.int64), np.array(shape)
    if roi is not None:
        if len(roi) != 6 or not all(isinstance(n, (int, np.integer)) for n in roi):
            raise GaussVaeError("roi is z, y, x, depth, height, width in voxels")
        begin = np.array(roi[:3], np.int64)
        size = np.array(roi[3:], np.int64)
        if begin.min() < 0 or size.min() < 1 or (begin + size > end).any():
            raise GaussVaeError(f"roi {tuple(roi)} is not inside a volume of {tuple(shape)} voxels")
        end = begin + size
    return begin, end


def few(array: np.ndarray) -> np.ndarray | None:
    """The values of a volume that has few, the most frequent first; else None."""
    some = array.reshape(-1)[:: max(array.size // 4096, 1)]
    if len(np.unique(some)) > MOST_LABELS:
        return None
    if array.dtype == bool:
        return np.array([False, True])
    values = np.unique(array)
    if len(values) > MOST_LABELS:
        return None
    counts = [np.count_nonzero(array == v if v == v else np.isnan(array)) for v in values]
    return values[np.argsort(counts, kind="stable")[::-1]]


def value_range(array: np.ndarray, known: np.ndarray | None) -> tuple[float, float]:
    """The least and the largest value that is known."""
    if known is None:
        return float(array.min()), float(array.max())
    there = array[known]
    return (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)
