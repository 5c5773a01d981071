"""Pictures from files and folders, as the uint8 arrays that a codec takes."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.errors import ImageError
from gaussvae_ros.images.encodings import SensorDepth
from gaussvae_ros.images.files import decode

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
VIDEOS = {".avi", ".mkv", ".mov", ".mp4"}
FRAME = (640, 480)  # px, (w, h) of a camera frame


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """The files among `paths`, and the images in the folders among them, sorted.

    In folders, images are found by their suffix; subfolders are not looked into.

    Raises:
        ImageError: a path does not exist, or there is no image at all.
    """
    found = []
    paths = list(map(Path, paths))
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.exists():
            found.append(path)
        else:
            raise ImageError(f"no such file or folder: {path}")
    if not found:
        where = ", ".join(map(str, paths)) or "nothing"
        raise ImageError(
            f"no images in {where}: their names end in {', '.join(sorted(SUFFIXES))};"
            " subfolders are not looked into"
        )
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


def frame(image: np.ndarray) -> np.ndarray:
    """The middle of an image as a camera frame: the largest 4:3 part, scaled to FRAME.

    Reduced by area, enlarged by bicubic interpolation; uint8 [480, 640, 3], or [480, 640] if grey.
    """
    height, width = image.shape[:2]
    w, h = min(width, height * FRAME[0] // FRAME[1]), min(height, width * FRAME[1] // FRAME[0])
    x, y = (width - w) // 2, (height - h) // 2
    cut = np.ascontiguousarray(image[y : y + h, x : x + w])
    how = cv2.INTER_AREA if w > FRAME[0] else cv2.INTER_CUBIC
    return cut if (w, h) == FRAME else cv2.resize(cut, FRAME, interpolation=how)


def image_sets(paths: Iterable[str | Path]) -> dict[str, list[Path]]:
    """Files by set: each folder and each video among `paths` is a set, all other files are one, "".

    Raises:
        ImageError: a path does not exist, or there is no image at all.
    """
    sets: dict[str, list[Path]] = {}
    for path in map(Path, paths):
        alone = not path.is_dir() and path.suffix.lower() not in VIDEOS
        sets.setdefault("" if alone else str(path), []).extend(find_images([path]))
    return {name: list(dict.fromkeys(files)) for name, files in sets.items()}


def frames_of(files: Sequence[Path], count: int) -> dict[str, np.ndarray]:
    """At most `count` camera frames, evenly spread from first to last, of images or of one video.

    Returns:
        Each as `frame` makes it, by the name of its file, or by its number in the video.

    Raises:
        ImageError: a file is missing or cannot be read.
    """
    if files[0].suffix.lower() in VIDEOS:
        pictures = list(pictures_of(files[0]))
        return {f"{i:06d}": frame(pictures[i]) for i in spread(len(pictures), count)}
    return {str(files[i]): frame(read_image(files[i])) for i in spread(len(files), count)}


def spread(total: int, count: int) -> list[int]:
    """At most `count` of the numbers 0 to `total` - 1, evenly spread from the first to the last."""
    places = np.linspace(0, max(total - 1, 0), count)
    return sorted(set(places.round().astype(int).tolist()))


def pictures_of(video: Path) -> Iterator[np.ndarray]:
    """All pictures of a video, uint8 [H, W, 3] RGB.

    Raises:
        ImageError: no such file, or no video that OpenCV reads.
    """
    reader, count = cv2.VideoCapture(str(video)), 0
    try:
        while (read := reader.read())[0]:
            yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
            count += 1
    finally:
        reader.release()
    if not count:
        raise ImageError(f"cannot read {video}: no such file, or no video that OpenCV reads")
