"""Files written whole or not at all."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from gaussvae_ros.errors import ImageError

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}


def printable(path: str | Path) -> str:
    """A path as one line of text to print and store; whatever is no character becomes a mark."""
    text = os.fsencode(path).decode(errors="replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def name_of(path: str | Path) -> str:
    """The name of a file or folder as `printable`, also where the path is ".", and "/" has one."""
    return printable(Path(os.path.abspath(path)).name) or "/"


def write_file(path: str | Path, data: bytes, private: bool = False) -> None:
    """Write a file beside its place and move it there, so that nobody sees half of it.

    A link stays one, to the new file; what is no file (/dev/null, /dev/stdout,
    a pipe) takes the bytes. A `private` one is for its owner only (mode 0600).

    Raises:
        OSError: the place cannot be written, or the disk is full; an older
            file is still there, whole.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder", str(path))
    place = Path(os.path.realpath(path))
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        draft.unlink(missing_ok=True)  # whose mode would stay
        mode = 0o600 if private else 0o666
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        os.replace(draft, place)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        draft.unlink(missing_ok=True)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write a picture, uint8 [H, W, 3] RGB or [H, W], in the format that the name's ending says.

    Raises:
        ImageError: an ending that is not in FORMATS.
        OSError: as `write_file`.
    """
    kind = image_format(path)
    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, quality=95)
    write_file(path, out.getvalue())


def image_format(path: str | Path) -> str:
    """The picture format of a file name, by its ending.

    Raises:
        ImageError: an ending that is not in FORMATS.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ImageError(
            f"{path}: cannot tell the picture's format, end the name in one of {', '.join(FORMATS)}"
        )
    return FORMATS[suffix]
