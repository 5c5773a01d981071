"""Pictures from files and folders, as the uint8 arrays that a codec takes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gaussvae_ros.errors import ImageError

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}  # looked for in folders


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """The files among `paths`, and the images in the folders among them (by suffix, not their subfolders), sorted.

    Raises:
        ImageError: a path does not exist, or there is no image at all.
    """
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.exists():
            found.append(path)
        else:
            raise ImageError(f"no such file or folder: {path}")
    if not found:
        raise ImageError("no images found")
    return list(dict.fromkeys(found))


def read_image(path: str | Path) -> np.ndarray:
    """A picture as stored: uint8 [H, W] for grey files, [H, W, 3] RGB for all others, turned as its EXIF data says.

    Transparency is dropped; 16-bit grey keeps its upper byte.

    Raises:
        ImageError: the file is missing, not an image, damaged, or of an unknown pixel type.
    """
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I;16"):
                return (np.asarray(picture) >> 8).astype(np.uint8)
            if picture.mode in ("F", "I"):
                raise ImageError(f"cannot read {path}: pixels of type {picture.mode}, expected 8 or 16 bits")
            return np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = str(error) if isinstance(error, OSError) and error.strerror else f"not an image, or damaged ({error})"
        raise ImageError(f"cannot read {path}: {what}") from error
