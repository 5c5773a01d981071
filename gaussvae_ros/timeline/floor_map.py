"""An occupancy grid as map_server keeps it, a YAML file with an image, for the page to draw."""

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gaussvae_ros.errors import ConfigError, ImageError
from gaussvae_ros.files import printable
from gaussvae_ros.images.files import decode

MODES = ("trinary", "scale", "raw")
UNKNOWN = 255  # beside 0, free, to 100, occupied
LARGEST = 4096  # px a side; a larger map is shown coarser
_DEFAULTS = {"mode": "trinary", "negate": 0, "occupied_thresh": 0.65, "free_thresh": 0.196}


@dataclass(frozen=True)
class FloorMap:
    """Cells uint8 [H, W], the first row at the largest y; 0 to 100 or UNKNOWN. `origin` is the
    pose (x m, y m, yaw rad) of the lower left corner, `resolution` the side of a cell, m."""

    cells: np.ndarray
    resolution: float
    origin: tuple[float, float, float]

    def figures(self) -> dict:
        """What the page takes, ready for JSON: the cells as a grey PNG."""
        cells, resolution = self.cells, self.resolution
        if (times := -(-max(cells.shape) // LARGEST)) > 1:
            cells, resolution = _coarser(cells, times), resolution * times
        out = io.BytesIO()
        Image.fromarray(cells).save(out, "png", optimize=True)
        return {
            "width": cells.shape[1],
            "height": cells.shape[0],
            "resolution": resolution,
            # Of the shown image, which a coarser one may exceed by a part of a cell at the top.
            "origin": list(self.origin),
            "png": base64.b64encode(out.getvalue()).decode(),
        }


def read_floor_map(path: str | Path) -> FloorMap:
    """The map that a YAML file of map_server describes.

    Raises:
        ConfigError: it is no such file, or its image cannot be read.
        OSError: the file cannot be read.
    """
    path = Path(path)
    try:
        facts = YAML(typ="safe").load(path.read_bytes())
    except (YAMLError, UnicodeError, ValueError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("image"), str):
        raise ConfigError(f"{path}: not a map of map_server: it names no image")
    facts = {**_DEFAULTS, **facts}
    if facts["mode"] not in MODES:
        raise ConfigError(f"{path}: mode is one of {', '.join(MODES)}, not {facts['mode']!r}")
    [resolution] = _numbers(path, facts, "resolution", 1)
    if resolution <= 0:
        raise ConfigError(f"{path}: resolution is above 0, not {resolution:g}")
    origin = tuple(_numbers(path, facts, "origin", 3))
    [free], [occupied] = (
        _numbers(path, facts, name, 1) for name in ("free_thresh", "occupied_thresh")
    )
    image = path.parent / facts["image"]
    try:
        with open(image, "rb") as file:
            samples = _samples(file.read())
    except ImageError as error:
        raise ConfigError(f"{path}: its image {printable(image)}: {error}") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: its image {printable(image)}: {why}") from error
    negate = bool(_numbers(path, facts, "negate", 1)[0])
    return FloorMap(_cells(samples, facts["mode"], negate, free, occupied), resolution, origin)


def _samples(data: bytes) -> np.ndarray:  # float32 [H, W, 2], 0 to 1
    """Brightness and opacity."""
    opened = Image.open(io.BytesIO(data)) if data[:4] == b"\x89PNG" else None
    if opened is not None and opened.mode in ("RGBA", "LA", "PA"):
        with opened:
            rgba = np.asarray(opened.convert("RGBA"), np.float32) / 255
        return np.dstack([rgba[..., :3].mean(axis=-1), rgba[..., 3]])
    samples, _ = decode(io.BytesIO(data))
    bright = samples.astype(np.float32) / np.iinfo(samples.dtype).max
    bright = bright if bright.ndim == 2 else bright.mean(axis=-1)
    return np.dstack([bright, np.ones_like(bright)])


def _cells(
    samples: np.ndarray, mode: str, negate: bool, free: float, occupied: float
) -> np.ndarray:  # uint8 [H, W]
    """As nav2's map_server takes an image."""
    bright, opaque = samples[..., 0], samples[..., 1]
    if mode == "raw":
        values = np.rint(bright * 255)
        return np.where(values <= 100, values, UNKNOWN).astype(np.uint8)
    if mode == "trinary" and (opaque < 1).any():
        bright = (3 * bright + 1 - opaque) / 4  # map_server counts transparency as a fourth colour
    taken = bright if negate else 1 - bright
    if mode == "trinary":
        between = np.full_like(taken, UNKNOWN)
    else:
        between = np.clip(np.rint((taken - free) / max(occupied - free, 1e-9) * 100), 0, 100)
        between[opaque < 1] = UNKNOWN
    cells = np.where(taken > occupied, 100, np.where(taken < free, 0, between))
    return np.where((opaque < 1) & (mode == "scale"), UNKNOWN, cells).astype(np.uint8)


def _coarser(cells: np.ndarray, times: int) -> np.ndarray:
    """Each of `times` x `times` cells as the most occupied among them, from the lower left on."""
    height, width = (-(-side // times) * times for side in cells.shape)
    rank = np.full((height, width), -1, np.int16)
    known = np.where(cells == UNKNOWN, -1, cells.astype(np.int16))
    rank[height - cells.shape[0] :, : cells.shape[1]] = known
    blocks = rank.reshape(height // times, times, width // times, times).max(axis=(1, 3))
    return np.where(blocks < 0, UNKNOWN, blocks).astype(np.uint8)


def _numbers(path: Path, facts: dict, name: str, count: int) -> list[float]:
    given = facts.get(name)
    values = given if isinstance(given, list | tuple) else [given]
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        kind = "a number" if count == 1 else f"{count} numbers"
        raise ConfigError(f"{path}: {name} is {kind}, not {given!r}")
    return numbers
