"""ROS image messages to uint8 arrays, without ROS.

Anything with the fields of `sensor_msgs/Image` or `CompressedImage` will do.

Colour becomes RGB [H, W, 3], mono stays [H, W]. 16-bit samples lose their low bits: the shift is
that of the smallest sensor depth (8, 10, 12, 14 or 16 bits) which holds the largest sample, so that
a 12-bit camera is not black. An `ImageDecoder` keeps one depth for all images of a topic, so that
the brightness does not follow the scene either.
"""

import io
import re
from collections.abc import Iterable

import numpy as np

from gaussvae_ros.errors import ImageError
from gaussvae_ros.images import files
from gaussvae_ros.images.encodings import ENCODINGS, PLANAR, SensorDepth, known_encoding, picture

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM")  # of compressed images, in Pillow's names
_VIDEO = re.compile(r"\s*([hx]\.?26[456]|hevc|avc|vp[89]|av1|mpeg|theora)", re.IGNORECASE)
_MOSAIC = re.compile(r"\s*(bayer_(?:rggb|bggr|gbrg|grbg))", re.IGNORECASE)
_DISTANCES = ("16UC1", "32FC1", "64FC1")  # on a topic of depth


class ImageDecoder:
    """The pictures of one topic's messages, with one depth of 16-bit samples for all of them.

    `problem` says what was lost of the last picture, or is empty.
    """

    def __init__(self, topic: str = "") -> None:
        self.depth, self.problem = SensorDepth(), ""
        self._of_depth = "depth" in topic.lower()

    def learn(self, messages: Iterable[object]) -> None:
        """Find the sensor's depth before any picture is made; reads on only where it is 16 bits."""
        for message in messages:
            try:
                samples, _ = self._samples(message)
            except (ImageError, AttributeError):  # or an exception in place of a message
                continue
            if samples.dtype.itemsize == 1:
                return
            self.depth.learn(samples[..., :3] if samples.ndim == 3 else samples)

    def image(self, message: object) -> np.ndarray:  # uint8 [H, W, 3] RGB or [H, W]
        """The picture in an `Image` or `CompressedImage` message.

        Raises:
            ImageError: unknown encoding, depth instead of a picture, sizes that contradict each
                other, or compressed data that does not decode.
        """
        samples, encoding = self._samples(message)
        return picture(samples, encoding, self.depth)

    def check(self, encoding: str) -> None:
        """Raise ImageError if the topic's images hold depth."""
        if self._of_depth and encoding in _DISTANCES:
            raise ImageError(f"{encoding} on a topic of depth holds distances, not a picture")

    def _samples(self, message: object) -> tuple[np.ndarray, str]:
        """uint8 or uint16 samples [H, W] or [H, W, channels], and their encoding."""
        self.problem = ""
        if hasattr(message, "format"):
            return self._compressed(bytes(message.data), message.format)
        self.check(message.encoding)
        rows, encoding = np.ascontiguousarray(rows_of(message)), known_encoding(message.encoding)
        channels, size = sample_layout(encoding)
        if size == 2:
            rows = rows.view(">u2" if message.is_bigendian else "<u2")
        return rows if channels == 1 else rows.reshape(len(rows), -1, channels), encoding

    def _compressed(self, data: bytes, form: str) -> tuple[np.ndarray, str]:
        if "compresseddepth" in form.lower():
            raise ImageError("compressedDepth images hold distances, not a picture")
        self.check(form.partition(";")[0].strip())
        try:
            samples, self.problem = files.decode(io.BytesIO(data), FORMATS)
        except ImageError as error:
            if _VIDEO.match(form):
                remedy = "each needs those before it; make single images of it first"
                raise ImageError(f"{form!r} is video, no picture by itself: {remedy}") from None
            if "no kind that is known" in str(error):
                known = "neither JPEG nor PNG, TIFF, WebP, BMP or PNM"
                raise ImageError(
                    f"compressed image ({len(data)} bytes, {form!r}) is {known}"
                ) from None
            raise ImageError(f"compressed image does not decode: {error}") from None
        bits = 8 * samples.dtype.itemsize
        if samples.ndim == 3:
            # The file knows its colours, whatever order of the array in memory the format tells of.
            return samples, f"rgb{bits}"
        mosaic = _MOSAIC.match(form)
        # compressed_image_transport has made grey of a mosaic where it says "compressed mono8".
        if mosaic and "mono" not in form.lower():
            return samples, f"{mosaic[1].lower()}{bits}"
        return samples, f"mono{bits}"


def image_from_message(message: object) -> np.ndarray:  # uint8 [H, W, 3] RGB or [H, W]
    """The picture in a message by itself, see `ImageDecoder.image`."""
    return ImageDecoder().image(message)


def stamp_of(header: object) -> int:
    """The stamp of a message's header, ns."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def rows_of(
    message: object,
) -> np.ndarray:  # uint8 [H, bytes], a view without the padding of the rows
    """The rows of an `Image` message whose encoding, sizes and data agree.

    PLANAR encodings give one plane [rows, W]: chroma below luma, as many rows as its bytes make.

    Raises:
        ImageError: unknown encoding, sizes that contradict each other, or data that ends early.
    """
    width, height, step = int(message.width), int(message.height), int(message.step)
    encoding = known_encoding(message.encoding)
    channels, sample = sample_layout(encoding)
    row = width * channels * sample  # bytes
    if not (width and height):
        raise ImageError(f"image message says an empty size, {width}x{height}")
    if step < row:
        raise ImageError(
            f"image message says {step} bytes a row, {width} px of {encoding} need {row}"
        )
    data = np.frombuffer(message.data, np.uint8)
    if encoding in PLANAR:
        return _planes(data, width, height, step, encoding)
    needed = step * (height - 1) + row  # some drivers leave out the padding of the last row
    if len(data) < needed:
        raise _truncated(data, width, height, encoding, needed)
    return np.lib.stride_tricks.as_strided(data, (height, row), (step, 1), writeable=False)


def sample_layout(encoding: str) -> tuple[int, int]:
    """(channels, bytes per sample) of the rows that `rows_of` gives."""
    return (1, 1) if encoding in PLANAR else ENCODINGS[encoding][:2]


def _planes(data: np.ndarray, width: int, height: int, step: int, encoding: str) -> np.ndarray:
    halves = PLANAR[encoding][0]  # of a byte of chroma for one of luma
    if halves * height % 2:
        raise ImageError(f"{encoding} image has an odd size, {width}x{height} px")
    rows = height + halves * height // 2
    if len(data) == width * rows:
        step = width  # whatever a driver says that counts two channels
    across = 2 if halves > 1 else 1  # rows of luma that make one of chroma
    below = (rows - height) // across
    needed = step * (height + across * (below - 1)) + width * across
    if len(data) < needed:
        raise _truncated(data, width, height, encoding, needed)
    luma = np.lib.stride_tricks.as_strided(data, (height, width), (step, 1))
    chroma = np.lib.stride_tricks.as_strided(
        data[step * height :], (below, width * across), (step * across, 1)
    )
    return np.concatenate([luma, chroma.reshape(-1, width)])


def _truncated(data: np.ndarray, width: int, height: int, encoding: str, needed: int) -> ImageError:
    return ImageError(
        f"image message is truncated: {len(data)} bytes, {width}x{height} {encoding} needs {needed}"
    )
