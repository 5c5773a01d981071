"""The encodings of `sensor_msgs/Image`: what their samples mean, and the same as 8-bit pictures."""

import cv2
import numpy as np

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
    **{f"bayer_{o}{8 * size}": (1, size, code) for size in (1, 2) for o, code in _BAYER.items()},
    **dict.fromkeys(("yuv422", "uyvy"), (2, 1, cv2.COLOR_YUV2RGB_UYVY)),
    **dict.fromkeys(("yuv422_yuy2", "yuyv"), (2, 1, cv2.COLOR_YUV2RGB_YUYV)),
    # OpenCV's own types are taken in OpenCV's own order of colours.
    **{
        f"{8 * size}UC{channels}": (channels, size, code)
        for size in (1, 2)
        for channels, code in ((1, None), (3, cv2.COLOR_BGR2RGB), (4, cv2.COLOR_BGRA2RGB))
    },
}

# A plane of luma above one of chroma: (bytes of chroma for two of luma, OpenCV conversion)
PLANAR: dict[str, tuple[int, int | None]] = {
    "nv12": (1, cv2.COLOR_YUV2RGB_NV12),
    "nv21": (1, cv2.COLOR_YUV2RGB_NV21),
    "nv24": (4, None),
}

# Distances by REP 118; so is 16UC1, but thermal and infrared cameras use it, too.
DEPTH = "32FC1", "64FC1"
SENSOR_BITS = (8, 10, 12, 14, 16)
# Of BT.601 in studio range, as OpenCV's conversions of the other YUV encodings: Y, U, V, 1 to RGB
_RGB_OF_YUV = np.array(
    [[1.164, 0, 1.596, -222.9], [1.164, -0.391, -0.813, 135.5], [1.164, 2.018, 0, -276.9]]
)


class SensorDepth:
    """How many of its 16 bits a stream of images uses: the fewest that hold all so far.

    Samples keep the upper 8 of these bits. The depth only grows, so that the brightness of a stream
    does not follow the scene; where the whole stream is at hand, `learn` it before the first image.
    """

    def __init__(self) -> None:
        self.bits = SENSOR_BITS[0]

    def learn(self, samples: np.ndarray) -> None:
        """Take notice of uint16 samples, without alpha, of any shape."""
        top = int(samples.max(initial=0))
        self.bits = max(self.bits, next(bits for bits in SENSOR_BITS if top < 1 << bits))

    def to_8_bits(self, samples: np.ndarray) -> np.ndarray:
        """uint16 samples of any shape, which are learned from, as uint8."""
        self.learn(samples)
        return (samples >> (self.bits - 8)).astype(np.uint8)


def known_encoding(encoding: str) -> str:
    """An encoding's name as in ENCODINGS or PLANAR; upper and lower case are one.

    Raises:
        ImageError: it is unknown, or holds depth; the text lists what is supported.
    """
    names = [*ENCODINGS, *PLANAR]
    if encoding in names:
        return encoding
    if encoding in DEPTH:
        raise ImageError(
            f"image encoding {encoding!r} is not supported: it holds depth, not a picture"
        )
    for name in names:
        if name.lower() == encoding.strip().lower():
            return name
    raise ImageError(
        f"image encoding {encoding!r} is not supported; supported are {', '.join(names)}"
    )


def picture(samples: np.ndarray, encoding: str, depth: SensorDepth | None = None) -> np.ndarray:
    """Samples uint8 or uint16, [H, W] or [H, W, channels], as uint8 [H, W, 3] RGB or [H, W].

    The array is new. PLANAR encodings come as one plane [rows, W] of all their bytes. `depth` is
    that of the stream; without it, the samples' own decide.

    Raises:
        ImageError: the encoding is unknown, or needs another size.
    """
    encoding = known_encoding(encoding)
    if encoding in PLANAR:
        return _planar_picture(samples, encoding)
    code = ENCODINGS[encoding][2]
    height, width = samples.shape[:2]
    if samples.dtype.itemsize == 2:
        if ENCODINGS[encoding][0] == 4:
            samples, code = samples[..., :3], {cv2.COLOR_BGRA2RGB: cv2.COLOR_BGR2RGB}.get(code)
        samples = (depth or SensorDepth()).to_8_bits(samples)
    if code is None:
        return np.array(samples)
    if ENCODINGS[encoding][0] == 2 and width % 2:
        raise ImageError(f"{encoding} image has an odd width, {width} px")
    if encoding.startswith("bayer") and min(width, height) < 3:
        raise ImageError(f"{encoding} image is too small to interpolate, {width}x{height}")
    return cv2.cvtColor(samples, code)


def _planar_picture(plane: np.ndarray, encoding: str) -> np.ndarray:
    chroma, code = PLANAR[encoding]
    rows, width = plane.shape
    height = 2 * rows // (2 + chroma)
    if code is not None:
        if width % 2 or height % 2:
            raise ImageError(f"{encoding} image has an odd size, {width}x{height} px")
        return cv2.cvtColor(np.ascontiguousarray(plane), code)
    yuv = np.dstack([plane[:height], plane[height:].reshape(height, width, 2)])
    return cv2.transform(yuv, _RGB_OF_YUV)
