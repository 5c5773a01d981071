"""Labelled pictures: NumPy archives as MedMNIST has them, and folders with one for each class."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.errors import DataError, ImageError
from gaussvae_ros.evaluation.images import SUFFIXES, read_image

PARTS = ("train", "val", "test")  # "val" may be missing
SMALLEST = 8  # px a side


@dataclass(frozen=True)
class Part:
    """Pictures, uint8 [N, H, W] or [N, H, W, 3] RGB, and bool [N, C] which classes each shows."""

    pictures: np.ndarray
    shows: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True)
class Labelled:
    """Parts by name, the names of the classes, and whether a picture may show several or none."""

    parts: dict[str, Part]
    classes: tuple[str, ...]
    several: bool


def read_labelled(path: str | Path, side: int, limit: int | None, seed: int) -> Labelled:
    """Read an archive, a folder with one archive in it, or a folder of pictures.

    Args:
        side: px of the longer side that pictures are shrunk to where they are larger.
        limit: of each part so many pictures at most, drawn by `seed`; None: all.

    Raises:
        DataError: it is neither of these, or damaged, or has nothing to learn from.
    """
    path = Path(path)
    archives = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if path.is_dir() and (path / "train").is_dir():
        found = _of_folder(path, side, limit, seed)
    elif len(archives) == 1 and archives[0].is_file():
        found = _of_archive(archives[0], side, limit, seed)
    elif not path.exists():
        raise DataError(f"no such file or folder: {path}")
    else:
        raise DataError(
            f"{path}: has neither one .npz archive nor the folders train and test, with a folder"
            " for each class"
        )
    counts = found.parts["train"].shows.sum(0)
    if len(found.classes) < 2 or np.count_nonzero(counts) < 1 + (not found.several):
        raise DataError(f"{path}: has fewer than two classes to tell apart")
    for name, part in found.parts.items():
        counts = part.shows.sum(0)
        if name != "train" and not np.any((counts > 0) & (counts < len(part))):
            raise DataError(f"{path}: the pictures of {name} show all the same")
    return found


def _of_archive(path: Path, side: int, limit: int | None, seed: int) -> Labelled:
    pictures, labels = {}, {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in PARTS:
                if f"{name}_images" in archive:
                    pictures[name] = archive[f"{name}_images"]
                    labels[name] = archive[f"{name}_labels"]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path}: not an archive of labelled pictures: {why}") from error
    _need_parts(path, pictures)
    for name in pictures:
        _check(f"{path}: {name}", pictures[name], labels[name])
        chosen = _chosen(len(pictures[name]), limit, seed)
        pictures[name] = pictures[name][chosen]
        labels[name] = labels[name][chosen].reshape(len(chosen), -1).astype(np.int64)
    if len({(p.shape[1:], labels[name].shape[1]) for name, p in pictures.items()}) > 1:
        raise DataError(f"{path}: its parts differ in the size of pictures or in their labels")
    every = np.concatenate(list(labels.values()))
    several = every.shape[1] > 1
    if every.min() < 0 or every.max() > (1 if several else 9999):
        raise DataError(f"{path}: labels are classes from 0 on, or 0 and 1 for each of several")
    count = every.shape[1] if several else int(every.max()) + 1
    parts = {}
    for name in pictures:
        shows = labels[name] == (1 if several else np.arange(count))
        parts[name] = Part(np.stack([_shrunk(p, side) for p in pictures[name]]), shows)
    return Labelled(parts, tuple(map(str, range(count))), several)


def _check(where: str, pictures: np.ndarray, labels: np.ndarray) -> None:
    """DataError unless they are pictures, and their labels."""
    if (
        pictures.dtype != np.uint8
        or pictures.ndim not in (3, 4)
        or pictures.shape[3:]
        not in (
            (),
            (3,),
        )
    ):
        raise DataError(
            f"{where}_images are uint8 [N, H, W] or [N, H, W, 3], not"
            f" {pictures.dtype} {list(pictures.shape)}"
        )
    if not len(pictures) or min(pictures.shape[1:3]) < SMALLEST:
        raise DataError(f"{where}_images are none, or of fewer than {SMALLEST} px a side")
    if labels.dtype.kind not in "biu" or labels.ndim > 2 or len(labels) != len(pictures):
        raise DataError(
            f"{where}_labels are whole numbers, one row a picture, not"
            f" {labels.dtype} {list(labels.shape)}"
        )


def _of_folder(path: Path, side: int, limit: int | None, seed: int) -> Labelled:
    names = [name for name in PARTS if (path / name).is_dir()]
    classes = sorted({d.name for name in names for d in (path / name).iterdir() if d.is_dir()})
    read: dict[str, tuple[list, list]] = {}
    for name in names:
        files = [
            (file, number)
            for number, kind in enumerate(classes)
            for file in sorted((path / name / kind).glob("*"))
            if file.suffix.lower() in SUFFIXES
        ]
        if files:
            chosen = [files[i] for i in _chosen(len(files), limit, seed)]
            read[name] = [_squeezed(file, side) for file, _ in chosen], [n for _, n in chosen]
    _need_parts(path, read)
    colour = any(picture.ndim == 3 for pictures, _ in read.values() for picture in pictures)
    parts = {}
    for name, (pictures, numbers) in read.items():
        if colour:
            pictures = [np.dstack([p] * 3) if p.ndim == 2 else p for p in pictures]
        shows = np.array(numbers)[:, None] == np.arange(len(classes))
        parts[name] = Part(np.stack(pictures), shows)
    return Labelled(parts, tuple(classes), several=False)


def _need_parts(path: Path, parts: dict) -> None:
    for name in ("train", "test"):
        if name not in parts:
            raise DataError(f"{path}: has no pictures of a part {name}")


def _chosen(count: int, limit: int | None, seed: int) -> np.ndarray:
    """Which of so many pictures to take, ascending."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).permutation(count)[:limit])


def _squeezed(file: Path, side: int) -> np.ndarray:
    """A picture of a folder, all of which get one size."""
    try:
        return cv2.resize(read_image(file), (side, side), interpolation=cv2.INTER_AREA)
    except ImageError as error:
        raise DataError(str(error)) from error


def _shrunk(picture: np.ndarray, side: int) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(round(width * scale), SMALLEST), max(round(height * scale), SMALLEST)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
