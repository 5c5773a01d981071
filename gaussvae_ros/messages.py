"""ROS image messages to uint8 arrays, without ROS.

Anything with the fields of `sensor_msgs/Image` or `CompressedImage` will do.

Colour becomes RGB [H, W, 3], mono stays [H, W]. 16-bit samples lose their low bits: the shift is that of the smallest
sensor depth (8, 10, 12, 14 or 16 bits) which holds the frame's largest sample, so that a 12-bit camera is not black and
the brightness does not follow the scene from frame to frame, as stretching to the range would.
"""

import io
import warnings

import cv2
import numpy as np
from PIL import Image

from gaussvae_ros.errors import ImageError

_BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}

# encoding: (channels, bytes per sample, OpenCV conversion to RGB or None)
ENCODINGS: dict[str, tuple[int, int, int | None]] = {
    **{
        f"{name}{8 * size}": (channels, size, code)
        for size in (1, 2)
        for name, channels, code in (
            ("mono", 1, None),
            ("rgb", 3, None),
            ("bgr", 3, cv2.COLOR_BGR2RGB),
            ("rgba", 4, cv2.COLOR_RGBA2RGB),
            ("bgra", 4, cv2.COLOR_BGRA2RGB),
        )
    },
    **{f"bayer_{order}{8 * size}": (1, size, code) for size in (1, 2) for order, code in _BAYER.items()},
    **dict.fromkeys(("yuv422", "uyvy"), (2, 1, cv2.COLOR_YUV2RGB_UYVY)),
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), (2, 1, cv2.COLOR_YUV2RGB_YUYV)),
    "8UC1": (1, 1, None),
    "16UC1": (1, 2, None),
    "8UC3": (3, 1, cv2.COLOR_BGR2RGB),
}


def image_from_message(message: object) -> np.ndarray:  # uint8 [H, W, 3] RGB or [H, W]
    """The picture in an `Image` or `CompressedImage` message.

    Raises:
        ImageError: unknown encoding, sizes that contradict each other, or compressed data that does not decode.
    """
    return _from_compressed(message) if hasattr(message, "format") else _from_raw(message)


def stamp_of(header: object) -> int:
    """The stamp of a message's header, ns."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def rows_of(message: object) -> np.ndarray:  # uint8 [H, bytes], a view without the padding of the rows
    """The rows of an `Image` message whose encoding, sizes and data agree.

    Raises:
        ImageError: unknown encoding, sizes that contradict each other, or data that ends early.
    """
    width, height, step, encoding = int(message.width), int(message.height), int(message.step), message.encoding
    if encoding not in ENCODINGS:
        raise ImageError(f"image encoding {encoding!r} is not supported")
    channels, sample, _ = ENCODINGS[encoding]
    row = width * channels * sample  # bytes
    if not (width and height):
        raise ImageError(f"image message says an empty size, {width}x{height}")
    if step < row:
        raise ImageError(f"image message says {step} bytes a row, {width} px of {encoding} need {row}")
    data = np.frombuffer(message.data, np.uint8)
    needed = step * (height - 1) + row  # some drivers leave out the padding of the last row
    if len(data) < needed:
        raise ImageError(f"image message is truncated: {len(data)} bytes, {width}x{height} {encoding} needs {needed}")
    return np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)


def picture(samples: np.ndarray, encoding: str) -> np.ndarray:  # uint8 [H, W, 3] RGB or [H, W], an array of its own
    """Samples uint8 or uint16, [H, W] or [H, W, channels of the encoding], as colours of 8 bits.

    Raises:
        ImageError: the encoding needs another size.
    """
    code = ENCODINGS[encoding][2]
    height, width = samples.shape[:2]
    if samples.dtype.itemsize == 2:
        samples = _to_8_bits(samples)
    if code is None:
        return np.array(samples)
    if encoding in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv") and width % 2:
        raise ImageError(f"{encoding} image has an odd width, {width} px")
    if encoding.startswith("bayer") and min(width, height) < 3:
        raise ImageError(f"{encoding} image is too small to interpolate, {width}x{height}")
    return cv2.cvtColor(samples, code)


def _from_raw(message: object) -> np.ndarray:
    rows = np.ascontiguousarray(rows_of(message))
    channels, size, _ = ENCODINGS[message.encoding]
    if size == 2:
        rows = rows.view(">u2" if message.is_bigendian else "<u2")
    return picture(rows if channels == 1 else rows.reshape(len(rows), -1, channels), message.encoding)


def _to_8_bits(samples: np.ndarray) -> np.ndarray:
    """16-bit samples of any sensor depth to 8 bits (see the top of this file)."""
    depth = next(bits for bits in (8, 10, 12, 14, 16) if samples.max() < 1 << bits)
    return (samples >> (depth - 8)).astype(np.uint8)


def _from_compressed(message: object) -> np.ndarray:
    if "compressedDepth" in message.format:
        raise ImageError("compressedDepth images hold distances, not a picture")
    data = bytes(message.data)
    try:
        # Pillow, not OpenCV: it refuses a truncated file where OpenCV returns a grey rest.
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
            picture.load()
        if picture.mode.startswith("I"):
            return _to_8_bits(np.asarray(picture).clip(0, 65535).astype(np.uint16))
        return np.array(picture if picture.mode in ("L", "RGB") else picture.convert(_plain_mode(picture)))
    except Image.UnidentifiedImageError:
        raise ImageError(f"compressed image ({len(data)} bytes, {message.format!r}) is neither JPEG nor PNG") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageError("compressed image says a size beyond all cameras") from None
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... on broken files
        raise ImageError(f"compressed image does not decode: {error}") from None


def _plain_mode(picture: Image.Image) -> str:
    return "L" if picture.mode in ("1", "LA") else "RGB"
