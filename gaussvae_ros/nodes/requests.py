"""The fields of the requests that `MemoryClient` makes, and the pictures in their answers."""

import numpy as np
from builtin_interfaces.msg import Duration
from sensor_msgs.msg import CompressedImage, Image

from gaussvae_ros.bank.frame import checked_int
from gaussvae_ros.errors import RecallError
from gaussvae_ros.messages import image_from_message
from gaussvae_ros.nodes import convert


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
