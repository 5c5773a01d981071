"""Files of volumes: NumPy (.npy), NRRD (.nrrd), NIfTI (.nii, .nii.gz), and bare numbers (.raw) with
a shape that the caller knows.

Arrays are [z, y, x], x fastest in files but NumPy's. What files give in 64 bits becomes float32.
"""

import gzip
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.files import write_file
from gaussvae_ros.volume.transform import SIDE

ENDINGS = (".npy", ".nrrd", ".nii", ".nii.gz", ".raw")
NRRD_TYPES = {
    "uint8": "uint8 uchar unsigned_char uint8_t", "int8": "int8 signed_char int8_t",
    "uint16": "uint16 ushort unsigned_short uint16_t", "int16": "int16 short int16_t",
    "float32": "float", "float64": "double",
}  # fmt: skip
NIFTI_TYPES = {2: "u1", 4: "i2", 16: "f4", 64: "f8", 256: "i1", 512: "u2"}
MOST = 1 << 33  # bytes that a compressed file may hold


@dataclass(frozen=True)
class VolumeFile:
    """A volume as read: `array` [z, y, x], the edge of a voxel in m, and the origin: the outer
    corner of the first voxel, x, y, z in m."""

    array: np.ndarray
    voxel_size: float = 1.0
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)


def read_volume(
    path: str | Path, shape: tuple[int, int, int] | None = None, dtype: str = "uint8"
) -> VolumeFile:
    """A volume from a file, by its ending; `shape` (z, y, x) and `dtype` are those of a .raw file.

    Raises:
        VolumeError: another ending, not such a file, cut off, or of a kind that is not read.
        OSError: the file cannot be read.
    """
    ending = _ending(path)
    try:
        if ending == ".npy":
            found = VolumeFile(np.load(path, allow_pickle=False))
        elif ending == ".raw":
            if shape is None:
                raise VolumeError(f"{path}: bare numbers need a shape")
            found = VolumeFile(np.fromfile(path, np.dtype(dtype).newbyteorder("<")).reshape(shape))
        else:
            data = Path(path).read_bytes()
            data = _inflated(data) if ending == ".nii.gz" else data
            found = _read_nrrd(data) if ending == ".nrrd" else _read_nifti(data)
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        struct.error,
        EOFError,
        zlib.error,
    ) as error:
        raise VolumeError(f"{path}: cannot be read as a volume: {error}") from error
    array = found.array
    if array.ndim != 3:
        raise VolumeError(f"{path}: has {array.ndim} dimensions, a volume has 3")
    array = array.astype(np.float32 if array.dtype == np.float64 else array.dtype.newbyteorder("="))
    return VolumeFile(np.ascontiguousarray(array), found.voxel_size, found.origin)


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
        raw = _nrrd_head(array, volume) + raw
    elif ending != ".raw":
        raw = _nifti_head(array, volume) + raw
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


def _inflated(data: bytes) -> bytes:
    made = zlib.decompressobj(31)
    out = made.decompress(data, MOST)
    if not made.eof:
        raise ValueError("its compressed data is cut off or too long")
    return out


def _read_nrrd(data: bytes) -> VolumeFile:
    end = data.index(b"\n\n")
    lines = data[:end].decode("ascii", "replace").splitlines()
    if not lines[0].startswith("NRRD"):
        raise ValueError("it does not begin with NRRD")
    parts = [line.split(":", 1) for line in lines[1:] if ":" in line and line[0] != "#"]
    fields = {key.strip().lower(): value.strip() for key, value in parts}
    kind = fields["type"].replace(" ", "_")
    dtype = next(name for name, all_ in NRRD_TYPES.items() if kind in [name, *all_.split()])
    order = ">" if fields.get("endian") == "big" else "<"
    raw, encoding = data[end + 2 :], fields["encoding"]
    if encoding in ("gzip", "gz"):
        raw = _inflated(raw)
    elif encoding != "raw" or "data file" in fields:
        raise ValueError(f"encoding {encoding} in this or another file is not read")
    sizes = [int(size) for size in fields["sizes"].split()]
    array = np.frombuffer(raw, np.dtype(dtype).newbyteorder(order), int(np.prod(sizes)))
    edge = 1.0
    if "space directions" in fields:
        first = fields["space directions"].split(")")[0].strip("( ")
        edge = float(np.linalg.norm([float(n) for n in first.split(",")]))
    elif "spacings" in fields:
        edge = float(fields["spacings"].split()[0])
    centre = [float(n) for n in fields.get("space origin", "(0,0,0)").strip("()").split(",")]
    corner = tuple(c - edge / 2 for c in centre) if "space origin" in fields else (0.0, 0.0, 0.0)
    return VolumeFile(array.reshape(sizes[::-1]), edge, corner)


def _nrrd_head(array: np.ndarray, volume: VolumeFile) -> bytes:
    kinds = {"float32": "float", "float64": "double"}
    kind = kinds.get(str(array.dtype), str(array.dtype))
    centre = [corner + volume.voxel_size / 2 for corner in volume.origin]
    edges = ["(" + ",".join(repr(volume.voxel_size * (k == n)) for k in range(3)) + ")"
             for n in range(3)]  # fmt: skip
    lines = ["NRRD0004", f"type: {kind}", "dimension: 3", "space dimension: 3",
             f"sizes: {' '.join(map(str, array.shape[::-1]))}",
             f"space directions: {' '.join(edges)}",
             f"space origin: ({','.join(map(repr, centre))})",
             "endian: little", "encoding: raw"]  # fmt: skip
    return "\n".join(lines).encode() + b"\n\n"


def _read_nifti(data: bytes) -> VolumeFile:
    order = "<" if struct.unpack_from("<i", data)[0] == 348 else ">"
    if struct.unpack_from(f"{order}i", data)[0] != 348 or data[344:347] != b"n+1":
        raise ValueError("it is no NIfTI-1 file with its data inside")
    dims = struct.unpack_from(f"{order}8h", data, 40)
    (kind,) = struct.unpack_from(f"{order}h", data, 70)
    edges = struct.unpack_from(f"{order}8f", data, 76)
    start, slope, shift = struct.unpack_from(f"{order}3f", data, 108)
    metres = {1: 1.0, 2: 1e-3, 3: 1e-6}.get(data[123] & 7, 1.0)
    centre = struct.unpack_from(f"{order}3f", data, 268)
    sizes = [size for size in dims[1 : dims[0] + 1]]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    dtype = np.dtype(NIFTI_TYPES[kind]).newbyteorder(order)
    array = np.frombuffer(data, dtype, int(np.prod(sizes)), int(start)).reshape(sizes[::-1])
    if slope not in (0.0, 1.0) or (slope and shift):
        array = array.astype(np.float32) * np.float32(slope) + np.float32(shift)
    edge = abs(edges[1]) * metres or 1.0
    return VolumeFile(array, edge, tuple(c * metres - edge / 2 for c in centre))


def _nifti_head(array: np.ndarray, volume: VolumeFile) -> bytes:
    kind = next((k for k, name in NIFTI_TYPES.items() if np.dtype(name) == array.dtype), None)
    if kind is None or max(array.shape) > 32767:
        raise VolumeError(f"a NIfTI file cannot hold {array.dtype} of {array.shape}")
    head, edge = bytearray(352), volume.voxel_size * 1e3
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, kind, 8 * array.dtype.itemsize)
    struct.pack_into("<8f", head, 76, 1, edge, edge, edge, 0, 0, 0, 0)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[123] = 2  # mm
    struct.pack_into("<2h", head, 252, 1, 0)  # the place is that of a quaternion, without a turn
    struct.pack_into("<3f", head, 268, *(1e3 * c + edge / 2 for c in volume.origin))
    head[344:347] = b"n+1"
    return bytes(head)
