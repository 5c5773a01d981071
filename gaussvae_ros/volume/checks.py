"""What a volume may be, and what its values are."""

import numpy as np

from gaussvae_ros.errors import GaussVaeError, VolumeError
from gaussvae_ros.volume.format import DTYPES, LARGEST, MAX_SIDE, MOST_LABELS


def checked(array: np.ndarray, known: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """A volume, NaN where floats are unknown, and which voxels are known, None where all are.

    Raises VolumeError for what is no volume.
    """
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype not in DTYPES:
        kinds = ", ".join(map(str, DTYPES))
        given = f", not {array.ndim} of {array.dtype}" if isinstance(array, np.ndarray) else ""
        raise VolumeError(f"a volume is an array of three dimensions, of {kinds}{given}")
    if not array.size or array.size > LARGEST or max(array.shape) > MAX_SIDE:
        raise VolumeError(f"a volume of {'x'.join(map(str, array.shape))} voxels cannot be encoded")
    if known is not None and (np.shape(known) != array.shape or np.asarray(known).dtype != bool):
        raise VolumeError("known is an array of bool, as large as the volume")
    if isinstance(array, np.ma.MaskedArray):
        there = ~np.ma.getmaskarray(array)
        array, known = array.data, there if known is None else known & there
    if array.dtype.kind == "f":
        if known is not None:
            array = np.where(known, array, array.dtype.type(np.nan))
        if np.isinf(array).any():
            raise VolumeError("a volume has infinite values; make them NaN if they are unknown")
        known = ~np.isnan(array)
    return array, None if known is None or np.all(known) else np.asarray(known)


def checked_place(voxel_size: float, origin) -> tuple[float, tuple[float, float, float]]:
    try:
        with np.errstate(over="ignore"):
            size = float(np.float32(voxel_size))
        place = tuple(map(float, origin))
    except (TypeError, ValueError, OverflowError):
        place = ()
    if len(place) != 3 or not np.isfinite((size, *place)).all() or size <= 0:
        raise GaussVaeError("voxel_size is a length in m, origin three of them")
    return size, place


def checked_roi(roi, shape) -> tuple[np.ndarray, np.ndarray]:
    begin, end = (0, 0, 0), shape
    if roi is not None:
        parts = tuple(roi) if np.iterable(roi) else ()
        if len(parts) != 6 or not all(isinstance(n, (int, np.integer)) for n in parts):
            raise GaussVaeError("roi is z, y, x, depth, height, width in voxels")
        parts = tuple(map(int, parts))
        begin, end = parts[:3], tuple(map(sum, zip(parts[:3], parts[3:])))
        if min(begin) < 0 or min(parts[3:]) < 1 or any(e > s for e, s in zip(end, shape)):
            raise GaussVaeError(f"roi {parts} is not inside a volume of {tuple(shape)} voxels")
    return np.array(begin, np.int64), np.array(end, np.int64)


def few(array: np.ndarray, known: np.ndarray | None = None) -> np.ndarray | None:
    """The values of a volume that has few, the most frequent first; else None.

    0 goes before them, for those that are unknown among integers, which have no NaN.
    """
    if known is not None and array.dtype.kind != "f":
        values = few(array[known])
        if values is None or len(values) == MOST_LABELS:
            return None
        return np.concatenate([np.zeros(1, array.dtype), values])
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
