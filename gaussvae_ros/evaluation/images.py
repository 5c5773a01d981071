"""Pictures from files and folders, as the uint8 arrays that a codec takes."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gaussvae_ros.encodings import SensorDepth
from gaussvae_ros.errors import ImageError
from gaussvae_ros.image_files import decode

log = logging.getLogger(__name__)

SUFFIXES = {
    ".bmp",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
}  # looked for in folders


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """The files among `paths`, and the images in the folders among them, sorted.

    In folders, images are found by their suffix; subfolders are not looked into.

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
    """A picture as stored, turned as its EXIF data says: uint8 [H, W] if grey, else [H, W, 3] RGB.

    Transparency is dropped; of 16 bits, those that `SensorDepth` finds used keep their upper 8. A
    JPEG that ends early is read as far as it goes, with a warning.

    Raises:
        ImageError: the file is missing, not an image, damaged, too large, or of no known pixels.
    """
    try:
        with open(path, "rb") as file:
            samples, problem = decode(file)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror or error}") from error
    except ImageError as error:
        raise ImageError(f"cannot read {path}: {error}") from error
    if problem:
        log.warning("%s: %s", path, problem)
    return SensorDepth().to_8_bits(samples) if samples.dtype == np.uint16 else samples
