"""Messages of voxels to arrays, and back: `VoxelGrid`, and points of occupied voxels."""

from array import array

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.msg import VoxelGrid
from gaussvae_ros.volume.format import DTYPES, LARGEST
from gaussvae_ros.volume.region import Region

_FLOATS = {PointField.FLOAT32: "f4", PointField.FLOAT64: "f8"}


def grid_from(message: VoxelGrid) -> tuple[np.ndarray, np.ndarray | None]:
    """The voxels [z, y, x] of a message, and which are known, bool; None: those that are not NaN.

    Raises:
        VolumeError: numbers of a type that there is not, or not as many as its sides say.
    """
    shape = message.depth, message.height, message.width
    if message.type not in map(str, DTYPES):
        kinds = ", ".join(map(str, DTYPES))
        raise VolumeError(f"numbers of a grid are of type {kinds}, not {message.type!r}")
    kind = np.dtype(message.type).newbyteorder("<")
    size = "x".join(map(str, shape))
    if len(message.data) != int(np.prod(shape, dtype=object)) * kind.itemsize:
        raise VolumeError(f"{size} voxels of {kind} are not {len(message.data)} bytes")
    known = None
    if len(message.known):
        if len(message.known) * kind.itemsize != len(message.data):
            raise VolumeError(f"known is of {len(message.known)} voxels, the grid has {size}")
        known = np.frombuffer(message.known, np.uint8).reshape(shape) != 0
    data = np.frombuffer(message.data, np.uint8 if kind.kind == "b" else kind).reshape(shape)
    return (data != 0) if kind.kind == "b" else data.astype(kind.newbyteorder("=")), known


def grid_message(region: Region, header: Header) -> VoxelGrid:
    """A region as a message in the frame of its header."""
    depth, height, width = region.array.shape
    kind = region.array.dtype
    unknown = kind.kind != "f" and not region.known.all()
    return VoxelGrid(
        header=header,
        origin=to_pose(region.pose),
        voxel_size=region.voxel_size,
        width=width,
        height=height,
        depth=depth,
        type=str(kind),
        data=_bytes(region.array.astype(kind.newbyteorder("<"))),
        known=_bytes(region.known.astype(np.uint8)) if unknown else array("B"),
    )


def to_pose(pose: np.ndarray) -> Pose:
    """Seven numbers as a message."""
    values = pose.tolist()
    at, turned = dict(zip("xyz", values[:3])), dict(zip("xyzw", values[3:]))
    return Pose(position=Point(**at), orientation=Quaternion(**turned))


def points_message(points: np.ndarray, header: Header) -> PointCloud2:
    """Points [N, 4] float32: x, y, z in m and the voxel's value."""
    fields = [
        PointField(name=name, offset=4 * k, datatype=PointField.FLOAT32, count=1)
        for k, name in enumerate(("x", "y", "z", "value"))
    ]
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=16,
        row_step=16 * len(points),
        data=_bytes(points.astype("<f4")),
        is_dense=True,
    )


def points_from(message: PointCloud2) -> np.ndarray:  # float64 [N, 3]
    """The fields x, y, z of the points of a message that are finite, in m.

    Raises:
        VolumeError: it has no such fields, or ends early.
    """
    order = ">" if message.is_bigendian else "<"
    there = {field.name: field for field in message.fields}
    names = ["x", "y", "z"]
    if any(name not in there or there[name].datatype not in _FLOATS for name in names):
        raise VolumeError("points have the fields x, y and z, floats, which these have not")
    kinds = [order + _FLOATS[there[name].datatype] for name in names]
    offsets = [there[name].offset for name in names]
    rows, step = message.height, message.point_step
    if not rows * message.width:
        return np.zeros((0, 3))
    end = max(offset + np.dtype(kind).itemsize for offset, kind in zip(offsets, kinds))
    if end > step or message.row_step < step * message.width:
        raise VolumeError("points overlap in their message")
    if len(message.data) < message.row_step * rows:
        raise VolumeError("points end early")
    layout = np.dtype({"names": names, "formats": kinds, "offsets": offsets})
    strides = message.row_step, step  # whole rows at once: a cloud may have one point in each
    found = np.ndarray((rows, message.width), layout, message.data, 0, strides)
    points = np.column_stack([found[name].ravel() for name in names])
    return points[np.isfinite(points).all(1)].astype(float)


def voxelised(points: np.ndarray, voxel_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres of occupied voxels [N, 3], m, as a grid, bool [z, y, x], and its first corner
    [3], m.

    Raises:
        VolumeError: no point, or so far apart that the grid would have more than 2^31 voxels.
    """
    if not len(points):
        raise VolumeError("there is no occupied voxel")
    first = points.min(0)
    cells = np.rint((points - first) / voxel_size)
    shape = cells.max(0) + 1
    if shape.max() > 65535 or shape.prod() > LARGEST:
        size = "x".join(f"{n:g}" for n in shape)
        raise VolumeError(f"a grid of {size} voxels of {voxel_size:g} m is too large")
    grid = np.zeros(shape.astype(int)[::-1], bool)
    grid[tuple(cells.astype(int).T[::-1])] = True
    return grid, first - voxel_size / 2


def _bytes(numbers: np.ndarray) -> array:
    data = array("B")  # rclpy checks every byte of anything else
    data.frombytes(np.ascontiguousarray(numbers).view(np.uint8))
    return data
