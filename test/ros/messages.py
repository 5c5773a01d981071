"""Messages as drivers publish them."""

from array import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


def header(stamp_ns: int, frame_id: str = "camera") -> Header:
    return Header(stamp=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id)


def image_message(
    image: np.ndarray, stamp_ns: int, frame_id: str = "camera", encoding: str = ""
) -> Image:
    """uint8 [H, W, 3] or [H, W]; the encoding is rgb8 or mono8 unless another one is named."""
    h, w = image.shape[:2]
    encoding = encoding or ("rgb8" if image.ndim == 3 else "mono8")
    data = array("B", image.tobytes())
    message = Image(
        header=header(stamp_ns, frame_id), height=h, width=w, encoding=encoding, step=len(data) // h
    )
    message.data = data
    return message


def jpeg_message(image: np.ndarray, stamp_ns: int, frame_id: str = "camera") -> CompressedImage:
    """uint8 [H, W, 3] RGB as image_transport's compressed plugin sends it."""
    _, data = cv2.imencode(".jpg", image[..., ::-1])
    return CompressedImage(
        header=header(stamp_ns, frame_id),
        format="rgb8; jpeg compressed bgr8",
        data=array("B", data.tobytes()),
    )


def transform(
    parent: str, child: str, stamp_ns: int, position=(0, 0, 0), rotation=(0, 0, 0, 1)
) -> TransformStamped:
    message = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.y, place.z = map(float, position)
    turn.x, turn.y, turn.z, turn.w = map(float, rotation)
    return message
