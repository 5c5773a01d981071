"""Which kind of record suits a volume: a part of it is encoded both ways."""

import numpy as np

from gaussvae_ros.volume import block_volumes, level_volumes, model
from gaussvae_ros.volume.chunks import PRICE
from gaussvae_ros.volume.format import CHUNK, NOWHERE, step_of, unpack
from gaussvae_ros.volume.layers import scaled
from gaussvae_ros.volume.level_fit import Fit, fit

CUBES = 8  # of a chunk's size, of which a sample consists at most
FAR = 1.3  # times the cost of blocks, beyond which coarser levels are no better

Sample = tuple[np.ndarray, np.ndarray | None]


def sample_of(array: np.ndarray, known: np.ndarray | None) -> Sample:
    """Cubes of a volume that are not of one value, one below the other, and which of their voxels
    are known.
    """
    size = [min(side, CHUNK) for side in array.shape]
    grid = [-(-side // CHUNK) for side in array.shape]
    count, found = int(np.prod(grid)), []
    # Steps of the golden ratio spread any number of cubes.
    order = np.argsort(np.arange(count) * 0.6180339887498949 % 1, kind="stable")
    for number in order:
        place = np.unravel_index(number, grid)
        begin = [min(k * CHUNK, side - s) for k, side, s in zip(place, array.shape, size)]
        cube = tuple(slice(b, b + s) for b, s in zip(begin, size))
        there = None if known is None else known[cube]
        values = array[cube] if there is None else array[cube][there]
        if values.size and values.min() < values.max():
            found.append((array[cube], there))
        if len(found) == CUBES:
            break
    if not found:
        return array[:0], None if known is None else known[:0]
    cubes, there = zip(*found)
    return np.concatenate(cubes), None if known is None else np.concatenate(there)


def levels_for(
    sample: Sample, quality: int, ends: tuple[float, float], made: model.VolumeModel
) -> Fit | None:
    """What suits the levels of a volume, if they take less of error and bytes together than blocks,
    as blocks weigh one with the other; else None.
    """
    if not sample[0].size:
        return None
    args = *sample, quality, ends, NOWHERE, made
    least, best = _cost(block_volumes, block_volumes.encode(*args), sample, quality, ends), None
    cubes = list(scaled(*sample, ends))
    for top in level_volumes.tops(quality, ends, sample[0].dtype):
        fitted = fit(cubes, top)
        data = level_volumes.encode(*args, fitted)
        cost = _cost(level_volumes, data, sample, quality, ends)
        if cost > FAR * least:
            break
        if cost < least:
            least, best = cost, fitted
    return best


def _cost(kind, data: bytes, sample: Sample, quality: int, ends: tuple[float, float]) -> float:
    """The squared error of a sample's record in steps, and the price of its chunks' bits."""
    record, unit = unpack(data), float(ends[1] - ends[0]) * step_of(quality)
    # In float64: a step of the smallest floats is 0 in their own type.
    off = kind.decode(record, np.zeros(3, np.int64), np.array(record.shape)).astype(np.float64)
    off = (off - sample[0]) / unit
    size = 8 * int(record.starts[-1] - record.starts[0])
    return float(np.nansum(np.square(off, dtype=np.float64))) + PRICE * size
