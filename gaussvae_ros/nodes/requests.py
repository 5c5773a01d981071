"""The fields of the requests that `MemoryClient` makes, and the pictures and grids in their
answers.
"""

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage, Image

from gaussvae_ros.bank.frame import checked_int
from gaussvae_ros.errors import RecallError
from gaussvae_ros.images.messages import image_from_message
from gaussvae_ros.msg import VoxelGrid
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.voxels import grid_from, grid_message
from gaussvae_ros.srv import RecallVolume
from gaussvae_ros.volume.region import Region


def place(name: str, id: int | None, stamp_ns: int | None, camera: str, tolerance_s: float) -> dict:
    """The fields of a request that say which frame, `name` being that of its id."""
    if (id is None) == (stamp_ns is None):
        raise RecallError(f"give {name} or stamp_ns, one of both")
    if id is not None:
        if (number := checked_int(name, id)) == 0:
            raise RecallError("no frame has the id 0")
        return {name: number, "camera": camera or ""}
    tolerance = convert.to_time(round(tolerance_s * 1e9))
    return {
        "stamp": convert.to_time(stamp_ns),
        "camera": camera or "",
        "tolerance": Duration(sec=tolerance.sec, nanosec=tolerance.nanosec),
    }


def size(size: tuple[int, int] | None) -> dict:
    width, height = size or (0, 0)
    return {"width": whole("width", width), "height": whole("height", height)}


def whole(name: str, value: int) -> int:
    """`value` as an int from 0 to 2**32 - 1."""
    if not 0 <= (number := checked_int(name, value)) < 2**32:
        raise RecallError(f"{name} is a whole number from 0 to {2**32 - 1}, not {value}")
    return number


def array(message: Image | CompressedImage) -> np.ndarray:  # uint8 [h, w, 3]
    if isinstance(message, CompressedImage):
        image = image_from_message(message)
        return image if image.ndim == 3 else np.dstack([image] * 3)
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def volume(
    id: int,
    *,
    as_grid: bool = False,
    lower: tuple[float, float, float] = (0.0, 0.0, 0.0),  # m
    upper: tuple[float, float, float] = (0.0, 0.0, 0.0),
    frame: str = "",
    after_ns: int = 0,
    before_ns: int = 0,
    map_id: str = "",
    values: tuple[float, float] = (0.0, 0.0),
) -> RecallVolume.Request:
    """A request for a region of a volume."""
    return RecallVolume.Request(
        id=checked_int("id", id),
        after=convert.to_time(after_ns),
        before=convert.to_time(before_ns),
        map_id=map_id,
        header=convert.header(0, frame),
        lower=Point(**dict(zip("xyz", map(float, lower), strict=True))),
        upper=Point(**dict(zip("xyz", map(float, upper), strict=True))),
        as_grid=as_grid,
        least=float(values[0]),
        most=float(values[1]),
    )


def grid(
    array: np.ndarray,
    voxel_size: float,
    origin: tuple[float, ...],
    known: np.ndarray | None,
    frame: str,
    stamp_ns: int,
) -> VoxelGrid:
    """A grid [z, y, x] as a message."""
    if array.ndim != 3:
        raise RecallError(f"a grid has three dimensions, not {array.ndim}")
    pose = np.array([*origin, 0, 0, 0, 1][:7], float)
    known = np.ones(array.shape, bool) if known is None else np.asarray(known, bool)
    region = Region(np.asarray(array), known, float(voxel_size), pose, (0.0, 0.0))
    return grid_message(region, convert.header(stamp_ns, frame))


def voxels(message: VoxelGrid) -> np.ma.MaskedArray:
    """The grid [z, y, x] of a message; masked where it is unknown."""
    array, known = grid_from(message)
    unknown = np.isnan(array) if known is None and array.dtype.kind == "f" else False
    return np.ma.masked_array(array, unknown if known is None else ~known)
