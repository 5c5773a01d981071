"""NRRD files (.nrrd) of volumes, whose numbers follow the header, as they are or with gzip."""

import math
import re

import numpy as np

from gaussvae_ros.volume.gzipped import inflated
from gaussvae_ros.volume.placed import VolumeFile, placed

TYPES = {
    "uint8": "uchar, unsigned char, uint8, uint8_t",
    "int8": "signed char, int8, int8_t",
    "uint16": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "int16": "short, short int, signed short, signed short int, int16, int16_t",
    "float32": "float",
    "float64": "double",
}
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "µm": 1e-6}


def read_nrrd(data: bytes) -> VolumeFile:
    """A volume from a file's bytes. Raises ValueError for what is none, or is not read."""
    if not data.startswith(b"NRRD"):
        raise ValueError("it does not begin with NRRD")
    if (end := re.search(rb"\r?\n\r?\n", data)) is None:
        raise ValueError("its header has no end")
    lines = data[: end.start()].decode("utf-8", "replace").splitlines()
    parts = [line.split(":", 1) for line in lines[1:] if ":" in line and line[0] != "#"]
    fields = {key.strip().lower(): value.strip() for key, value in parts if value[:1] != "="}
    if lacks := [name for name in ("type", "sizes", "encoding") if name not in fields]:
        raise ValueError(f"its header has no {lacks[0]}")
    for name in ("data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"):
        if fields.get(name, "0") != "0":
            raise ValueError(f"a header with {name} is not read")
    kind, encoding = " ".join(fields["type"].lower().split()), fields["encoding"].lower()
    dtype = next((name for name, all_ in TYPES.items() if kind in all_.split(", ")), None)
    if dtype is None:
        raise ValueError(f"numbers of type {kind} are not read")
    if encoding not in ("raw", "gzip", "gz"):
        raise ValueError(f"encoding {encoding} is not read")
    raw = data[end.end() :] if encoding == "raw" else inflated(data[end.end() :])
    sizes = [int(size) for size in fields["sizes"].split()]
    if len(sizes) != 3 or min(sizes) < 1:
        raise ValueError(f"it has sizes {fields['sizes']}, a volume has 3")
    order = ">" if fields.get("endian", "").lower() == "big" else "<"
    numbers, count = np.dtype(dtype).newbyteorder(order), math.prod(sizes)
    if len(raw) < count * numbers.itemsize:
        raise ValueError("it is cut off")
    array = np.frombuffer(raw, numbers, count)
    return placed(array.reshape(sizes[::-1]), *_place(fields))


def nrrd_head(array: np.ndarray, volume: VolumeFile) -> bytes:
    """What goes before the numbers of a file."""
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


def _place(fields: dict[str, str]) -> tuple[np.ndarray, np.ndarray | None]:
    """Steps and centre as `placed` takes them."""
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    unit = METRES.get(units[0] if units else "m", 1.0)
    if "space directions" in fields:
        each = re.findall(r"\(.*?\)|none", fields["space directions"])
        steps = np.array([_vector(part) for part in each])
        if steps.shape != (3, 3):
            raise ValueError("its space directions are not three of three numbers")
    else:
        given = [abs(float(n)) for n in fields.get("spacings", "").split()]
        edges = given if len(given) == 3 and np.isfinite(given).all() else [1.0] * 3
        steps = np.diag(edges)
    if not np.isfinite(steps).all() or not steps.any(1).all():
        raise ValueError("its voxels have no size")
    centre = np.array(_vector(fields["space origin"])) * unit if "space origin" in fields else None
    if centre is not None and (len(centre) != 3 or not np.isfinite(centre).all()):
        raise ValueError("its space origin is not three numbers")
    return steps * unit, centre


def _vector(text: str) -> list[float]:
    return [float(n) for n in text.strip("() ").split(",")]
