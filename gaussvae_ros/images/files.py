"""Pictures in the bytes of a file or message to arrays: JPEG, PNG and whatever else Pillow reads.

The same everywhere: turned as EXIF says, without transparency, the first picture of an animation.
Samples of 16 bits stay so, and pixels that are no light (floats, 32 bits) are refused.
"""

import io
import warnings
from collections.abc import Sequence
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from gaussvae_ros.errors import ImageError

# Pillow warns from half of it on and refuses more, so that a few bytes do not fill the memory.
MAX_PIXELS = 2 * Image.MAX_IMAGE_PIXELS
warnings.filterwarnings("ignore", module="PIL")  # which warns of damage that costs no picture, too

END = b"\xff\xd9"  # of a JPEG
KEPT = 0.25  # a JPEG that ends early is a picture from this part of its rows on
MORE = b"\x55" * 64  # data for some more blocks, whatever their codes
FILLED = 128  # what libjpeg gives for rows that are not there
_ORIENTATION, _BITS = 274, 258  # tags of EXIF and TIFF
# Where a PNG says its depth, then its kind; the kind of grey with alpha.
_PNG_BITS, _PNG_GREY = 24, 4


def decode(file: BinaryIO, formats: Sequence[str] | None = None) -> tuple[np.ndarray, str]:
    """The picture in a file or `io.BytesIO`, and one line that says what was lost of it, or "".

    It is uint8 or uint16, [H, W] where the file is grey, else [H, W, 3] RGB.

    Raises:
        ImageError: not an image of these `formats` (Pillow's names; None: any), damaged, too large,
            or no light.
        OSError: the file cannot be read.
    """
    head = file.read(16)
    file.seek(0)
    try:
        if head.startswith(b"\xff\xd8"):
            return _jpeg(file.read(), formats)
        return _turned(*_with_pillow(file, formats)), ""
    except UnidentifiedImageError:
        raise ImageError("not an image, or damaged (of no kind that is known)") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"more than {MAX_PIXELS // 10**6} million pixels, which is too large"
        ) from None
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("too large for this machine's memory") from None
    except (
        Exception
    ) as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, ... on broken files
        if isinstance(error, OSError) and error.strerror:
            raise
        raise ImageError(f"not an image, or damaged ({' '.join(str(error).split())})") from error


def _with_pillow(file: BinaryIO, formats: Sequence[str] | None) -> tuple[np.ndarray, int]:
    """Samples as stored, and EXIF's number of how they are turned."""
    with Image.open(file, formats=formats) as opened:
        grey = opened.mode in ("1", "L", "LA", "La")
        tile = opened.tile[0] if opened.tile else None  # gone after load
        opened.load()
        if _is_deep_colour(opened, file, tile):
            samples = _with_opencv(file)
        elif opened.mode.startswith("I;16") or (
            opened.mode == "I" and opened.format in ("PNG", "PPM")
        ):
            samples = np.asarray(opened).clip(0, 65535).astype(np.uint16)
        elif opened.mode == "F" or opened.mode.startswith("I"):
            what = "floats" if opened.mode == "F" else "32 bits"
            raise ImageError(
                f"pixels of type {opened.mode} ({what}) are measurements, not a picture"
            )
        else:
            mode = "L" if grey else "RGB"
            samples = np.array(opened if opened.mode == mode else opened.convert(mode))
        return samples, _orientation(opened)


def _is_deep_colour(opened: Image.Image, file: BinaryIO, tile: tuple | None) -> bool:
    """Whether Pillow, which knows no colour of 16 bits, has dropped the low ones."""
    if opened.format == "PNG" and opened.mode in ("RGB", "RGBA"):  # with alpha, grey is RGBA
        file.seek(_PNG_BITS)
        return file.read(1) == b"\x10"
    if opened.format == "TIFF" and opened.mode in ("RGB", "RGBA"):
        return max(opened.tag_v2.get(_BITS, (8,))) == 16
    return (
        opened.format == "PPM" and opened.mode == "RGB" and tile[0] == "ppm" and tile[3][-1] > 255
    )


def _with_opencv(file: BinaryIO) -> np.ndarray:
    file.seek(0)
    data = file.read()
    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ImageError(f"not an image, or damaged ({' '.join(str(error.err).split())})") from None
    if samples is None or samples.dtype not in (np.uint8, np.uint16):
        raise ImageError("not an image, or damaged (its samples of 16 bits cannot be read)")
    if samples.ndim == 2:
        return samples
    grey = data.startswith(b"\x89PNG") and data[_PNG_BITS + 1] == _PNG_GREY
    return np.array(samples[..., 0] if grey else samples[..., 2::-1])


def _jpeg(data: bytes, formats: Sequence[str] | None) -> tuple[np.ndarray, str]:
    """A JPEG as far as it goes; cameras and networks lose the end of some."""
    end = data.find(END, data.rfind(b"\xff\xda"))  # after the last scan's begin
    ends = end >= 0
    image, orientation = _with_pillow(io.BytesIO(data if ends else data + END), formats)
    there = _rows_there(image)
    if ends and (there == len(image) or not _takes_more(data[:end], image)):
        return _turned(image, orientation), ""
    if there < KEPT * len(image):
        raise ImageError(f"a JPEG that ends early, after {there} of {len(image)} rows")
    what = "is cut short" if ends else "has no end"
    said = f"the JPEG {what}: {there} of its {len(image)} rows are there"
    return _turned(image, orientation), said


def _takes_more(data: bytes, image: np.ndarray) -> bool:
    """Whether more data before its end would change a JPEG's picture: then its own end early."""
    try:
        return not np.array_equal(_with_pillow(io.BytesIO(data + MORE + END), None)[0], image)
    except OSError:  # whatever is the matter, its picture has been read
        return False


def _rows_there(image: np.ndarray) -> int:
    """The rows down to the last that is not filled in."""
    if (image[-1] != FILLED).any():
        return len(image)
    there = (image != FILLED).reshape(len(image), -1).any(1).nonzero()[0]
    return int(there[-1]) + 1 if len(there) else 0


def _orientation(opened: Image.Image) -> int:
    """EXIF's number of how a picture is turned, after loading, which turns TIFF."""
    try:
        return opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data, of as many kinds as above, costs no picture
        return 1


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
