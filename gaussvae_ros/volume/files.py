"""Files of volumes: NumPy (.npy), NRRD (.nrrd), NIfTI (.nii, .nii.gz), and bare numbers (.raw) with
a shape that the caller knows.

Arrays are [z, y, x], x fastest in files but NumPy's. What files give in 64 bits becomes float32.
"""

import gzip
import io
import math
import struct
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.files import write_file
from gaussvae_ros.volume.gzipped import inflated
from gaussvae_ros.volume.nifti import nifti_head, read_nifti
from gaussvae_ros.volume.nrrd import nrrd_head, read_nrrd
from gaussvae_ros.volume.placed import VolumeFile
from gaussvae_ros.volume.transform import SIDE

ENDINGS = (".npy", ".nrrd", ".nii", ".nii.gz", ".raw")


def read_volume(
    path: str | Path, shape: tuple[int, int, int] | None = None, dtype: str = "uint8"
) -> VolumeFile:
    """A volume from a file, by its ending; `shape` (z, y, x) and `dtype` are those of a .raw file,
    little endian unless `dtype` says otherwise.

    Raises:
        VolumeError: another ending, not such a file, cut off, or of a kind that is not read.
        OSError: the file cannot be read.
    """
    ending = _ending(path)
    try:
        if ending == ".npy":
            # not np.load, which makes room for what a header says before it looks for that
            found = VolumeFile(np.lib.format.open_memmap(path, "r"))
        elif ending == ".raw":
            found = VolumeFile(_read_raw(Path(path).read_bytes(), shape, dtype))
        else:
            data = Path(path).read_bytes()
            data = inflated(data) if ending == ".nii.gz" else data
            found = read_nrrd(data) if ending == ".nrrd" else read_nifti(data)
    except (ValueError, TypeError, struct.error, OverflowError) as error:
        raise VolumeError(f"{path}: cannot be read as a volume: {error}") from error
    array = found.array
    if array.ndim != 3:
        raise VolumeError(f"{path}: has {array.ndim} dimensions, a volume has 3")
    kind = array.dtype.newbyteorder("=")
    kind = np.float32 if kind == np.float64 else kind
    with np.errstate(over="ignore"):
        array = np.array(array, kind, order="C")
    return VolumeFile(array, found.voxel_size, found.origin)


def write_volume(path: str | Path, volume: VolumeFile) -> None:
    """Write a volume to a file, by its ending; .npy and .raw keep the array alone.

    Raises:
        VolumeError: another ending, or a type of numbers that such a file cannot hold.
        OSError: as `write_file`.
    """
    ending, array = _ending(path), np.ascontiguousarray(volume.array)
    if ending in (".nrrd", ".nii", ".nii.gz"):
        array = array.astype(np.uint8) if array.dtype == bool else array
        array = array.astype(np.float32) if array.dtype == np.float16 else array
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    if ending == ".npy":
        file = io.BytesIO()
        np.save(file, array)
        raw = file.getvalue()
    elif ending == ".nrrd":
        raw = nrrd_head(array, volume) + raw
    elif ending != ".raw":
        raw = nifti_head(array, volume) + raw
        raw = gzip.compress(raw, 6, mtime=0) if ending == ".nii.gz" else raw
    write_file(path, raw)


def halves(shape: tuple[int, ...]) -> tuple[tuple, tuple]:
    """Where the half of a volume is that is learned from, and the other, along its longest axis
    and at an edge of blocks."""
    axis = int(np.argmax(shape))
    middle = shape[axis] // 2 // SIDE * SIDE
    rest = (slice(None),) * axis
    return (*rest, slice(0, middle)), (*rest, slice(middle, None))


def _ending(path: str | Path) -> str:
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if str(path).lower().endswith(ending):
            return ending
    raise VolumeError(f"{path}: a volume's file ends with {', '.join(ENDINGS)}")


def _read_raw(data: bytes, shape: tuple[int, int, int] | None, dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind not in "iufb":
        raise ValueError(f"numbers of type {dtype} are not read")
    if shape is None:
        raise ValueError("bare numbers need a shape")
    if len(data) != math.prod(shape) * kind.itemsize:
        size = "x".join(map(str, shape))
        raise ValueError(f"{size} voxels of {kind} are not {len(data)} bytes")
    if kind.kind == "b":
        return np.frombuffer(data, np.uint8).reshape(shape) != 0
    order = kind if kind.byteorder == ">" else kind.newbyteorder("<")
    return np.frombuffer(data, order).reshape(shape)
