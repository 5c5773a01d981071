"""NIfTI-1 files (.nii) of volumes, with their data inside."""

import math
import struct

import numpy as np

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.volume.placed import VolumeFile, placed

TYPES = {2: "u1", 4: "i2", 16: "f4", 64: "f8", 256: "i1", 512: "u2"}
HEAD = 352  # bytes before the numbers, at least


def read_nifti(data: bytes) -> VolumeFile:
    """A volume from a file's bytes. Raises ValueError or struct.error for what is none, or is not
    read."""
    order = "<" if struct.unpack_from("<i", data)[0] == 348 else ">"
    if struct.unpack_from(f"{order}i", data)[0] != 348 or data[344:347] != b"n+1":
        raise ValueError("it is no NIfTI-1 file with its data inside")
    count, *dims = struct.unpack_from(f"{order}8h", data, 40)
    (kind,) = struct.unpack_from(f"{order}h", data, 70)
    start, slope, shift = struct.unpack_from(f"{order}3f", data, 108)
    if kind not in TYPES:
        raise ValueError(f"numbers of type {kind} are not read")
    sizes = dims[: max(min(count, 7), 0)]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"it has {len(sizes)} sizes {sizes}, a volume has 3")
    if not HEAD <= start <= len(data):
        raise ValueError(f"its numbers cannot begin at byte {start:g}")
    dtype = np.dtype(TYPES[kind]).newbyteorder(order)
    if len(data) < int(start) + math.prod(sizes) * dtype.itemsize:
        raise ValueError("it is cut off")
    array = np.frombuffer(data, dtype, math.prod(sizes), int(start)).reshape(sizes[::-1])
    if slope and math.isfinite(slope):  # otherwise numbers are what they are
        shift = shift if math.isfinite(shift) else 0.0
        if (slope, shift) != (1.0, 0.0):
            with np.errstate(over="ignore"):
                array = array.astype(np.float32) * np.float32(slope) + np.float32(shift)
    return placed(array, *_place(data, order))


def nifti_head(array: np.ndarray, volume: VolumeFile) -> bytes:
    """What goes before the numbers of a file. Raises VolumeError: it cannot hold them."""
    kind = next((k for k, name in TYPES.items() if np.dtype(name) == array.dtype), None)
    if kind is None or max(array.shape) > 32767:
        raise VolumeError(f"a NIfTI file cannot hold {array.dtype} of {array.shape}")
    head, edge = bytearray(HEAD), volume.voxel_size * 1e3
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, kind, 8 * array.dtype.itemsize)
    struct.pack_into("<8f", head, 76, 1, edge, edge, edge, 0, 0, 0, 0)
    struct.pack_into("<3f", head, 108, HEAD, 1, 0)
    head[123] = 2  # mm
    struct.pack_into("<2h", head, 252, 1, 0)  # the place is that of a quaternion, without a turn
    struct.pack_into("<3f", head, 268, *(1e3 * c + edge / 2 for c in volume.origin))
    head[344:347] = b"n+1"
    return bytes(head)


def _place(data: bytes, order: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Steps and centre as `placed` takes them."""
    metres = {1: 1.0, 2: 1e-3, 3: 1e-6}.get(data[123] & 7, 1.0)
    side, *edges = struct.unpack_from(f"{order}4f", data, 76)
    by_quaternion, by_rows = struct.unpack_from(f"{order}2h", data, 252)
    rows = np.array(struct.unpack_from(f"{order}12f", data, 280)).reshape(3, 4)
    if by_rows > 0 and np.isfinite(rows).all() and rows[:, :3].any(0).all():
        return rows[:, :3].T * metres, rows[:, 3] * metres
    if not np.isfinite(edges).all():
        raise ValueError("its voxels have no size")
    edges = [abs(edge) * metres or 1.0 for edge in edges]
    turn = np.array(struct.unpack_from(f"{order}6f", data, 256))
    if by_quaternion <= 0 or not np.isfinite(turn).all():
        return np.diag(edges), None
    steps = _rotation(*turn[:3]) * edges
    steps[:, 2] *= -1 if side < 0 else 1
    return steps.T, turn[3:] * metres


def _rotation(b: float, c: float, d: float) -> np.ndarray:
    """By a quaternion whose first part, not below 0, is left out."""
    if (length := math.sqrt(b * b + c * c + d * d)) > 1:
        b, c, d = b / length, c / length, d / length
    a = math.sqrt(max(1 - b * b - c * c - d * d, 0.0))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
