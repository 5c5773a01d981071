"""Parts of volumes where a robot asks for them: boxes in metres, and voxels as points.

A pose is float64 [7] as in `gaussvae_ros.poses`.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.poses import compose, inverse, rotate
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.format import unpack

ROUNDING = 1e-3  # of a voxel, by which a box may miss its faces: records hold their size in float32


@dataclass(frozen=True)
class Region:
    """A part of a volume: `array` [z, y, x], the edge of a voxel, m, and the `pose` [7] of the
    first voxel's outer corner, with the axes x, y, z of the grid, in the frame asked for.
    `known` is False where a voxel is unknown.
    """

    array: np.ndarray
    known: np.ndarray
    voxel_size: float
    pose: np.ndarray
    unit: tuple[float, float]  # the least and the largest value that the whole volume may have


def cut(
    codec: VolumeCodec,
    data: bytes,
    pose: np.ndarray,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
) -> Region | None:
    """The voxels of a record around the box from `lower` to `upper`, m, x y z, without decoding
    the rest; None where it holds none. Without a box it is all of them.

    `pose` is that of the volume's coordinates in the frame of the box. Where its axes are turned,
    the part is the least one along the volume's own axes that holds the box.

    Raises:
        VolumeError: the box is empty or not finite.
        RecordError, ModelError: as `VolumeCodec.decode`.
    """
    record = unpack(data)
    begin, end = np.zeros(3, int), np.array(record.shape[::-1])
    if lower is not None:
        box = np.array([lower, upper], float)
        if not np.isfinite(box).all() or (box[0] >= box[1]).any():
            low, high = (", ".join(f"{v:g}" for v in side) for side in box)
            raise VolumeError(f"a region has a lower and an upper corner, not {low} and {high}")
        back = inverse(pose)
        own = back[:3] + rotate(back[3:], np.array(list(product(*box.T))))
        own = np.clip((own - record.origin) / record.voxel_size, -1, end + 1)
        begin = np.maximum(begin, np.floor(own.min(0) + ROUNDING).astype(int))
        end = np.minimum(end, np.ceil(own.max(0) - ROUNDING).astype(int))
        if (begin >= end).any():
            return None
    roi = tuple(int(n) for n in (*begin[::-1], *(end - begin)[::-1]))
    array = codec.decode(data, roi)
    known = codec.known(data, roi) if array.dtype.kind != "f" else ~np.isnan(array)
    at = np.array(record.origin) + begin * record.voxel_size
    unit = record.low, record.high
    if record.labels is not None:
        values = record.labels[1:] if record.unknown else record.labels
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        unit = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    corner = compose(pose, np.array([*at, 0, 0, 0, 1]))
    return Region(array, known, record.voxel_size, corner, unit)


def occupied(
    region: Region,
    values: tuple[float, float] | None = None,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
) -> np.ndarray:  # float32 [N, 4]
    """The centres of occupied voxels, x y z in m in the frame asked for, with their values; of
    those inside the box `lower`..`upper` where there is one.

    Occupied are known voxels from the first to the last of `values`. Unless those are given: of
    numbers that are whole, those above half of the volume's largest; of others, which are taken
    for distances to the surface in m, those at most 0.87 voxels from it, half of a diagonal.
    """
    array = region.array
    if values is not None:
        where = (array >= values[0]) & (array <= values[1])
    elif array.dtype.kind == "f":
        where = np.abs(array) <= 0.87 * region.voxel_size
    else:
        where = array > max(region.unit[1], 0) / 2
    where &= region.known
    places = np.argwhere(where)
    at = (places[:, ::-1] + 0.5) * region.voxel_size
    at = region.pose[:3] + rotate(region.pose[3:], at)
    points = np.column_stack([at, array[where].astype(float)])
    if lower is not None:
        points = points[((at >= lower) & (at <= upper)).all(1)]
    return points.astype(np.float32)
