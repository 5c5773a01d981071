"""Model files: where they are looked for, and what is in them: tensors, and what the model says of
itself, with a digest over both."""

import hashlib
import json
import os
import site
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from gaussvae_ros.errors import ModelError

SUFFIX = ".safetensors"


def find(name_or_path: str | Path, folders: Iterable[Path] = ()) -> Path:
    """The file of a model, given its path or its name in one of `folders` or `model_folders`.

    Raises:
        ModelError: there is none.
    """
    path = Path(name_or_path)
    if path.suffix == SUFFIX or len(path.parts) != 1:
        if path.is_file():
            return path
        raise ModelError(f"{path}: there is no such model file")
    places = [*folders, *model_folders()]
    for folder in places:
        if (folder / f"{path}{SUFFIX}").is_file():
            return folder / f"{path}{SUFFIX}"
    known = sorted({file.stem for folder in places for file in folder.glob(f"*{SUFFIX}")})
    raise ModelError(
        f"there is no model {str(path)!r}; there is {', '.join(known) or 'none installed'}"
    )


def model_folders() -> list[Path]:
    """Where models are looked for, first to last: beside the package (as in a checkout), then where
    pip puts them (with --target, for this Python, for this user), then in each ROS workspace.
    """
    root, workspaces = (
        Path(__file__).parents[1],
        os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep),
    )
    prefixes = [root, sysconfig.get_path("data"), site.getuserbase(), *filter(None, workspaces)]
    return [root / "models", *(Path(p) / "share" / "gaussvae_ros" / "models" for p in prefixes)]


def serialised(about: dict, tensors: dict[str, np.ndarray]) -> bytes:
    """The bytes of a model file; the same model gives the same."""
    about = {**about, "digest": _digest(about, tensors)}
    return safetensors.save(tensors, {"model": json.dumps(about, sort_keys=True)})


def read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """What a model file says of itself, and its tensors.

    Raises:
        ModelError: a file that is cut off, altered, or not a model.
    """
    return parsed(bytes_of(path), str(path))


def bytes_of(path: Path) -> bytes:
    """The bytes of a model file. Raises ModelError: it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read as a model: {error}") from error


def parsed(data: bytes, where: str) -> tuple[dict, dict[str, np.ndarray]]:
    """`read` on the bytes of a file that lies `where`."""
    try:
        tensors = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        text = header.get("__metadata__", {}).get("model")
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{where}: cannot be read as a model: {error}") from error
    if text is None:
        raise ModelError(f"{where}: is a safetensors file, but not a model of gaussvae_ros")
    try:
        about = json.loads(text)
        digest = about.pop("digest")
        intact = digest == _digest(about, tensors)
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise ModelError(f"{where}: the model file is damaged; copy or install it again")
    return about, tensors


def _digest(about: dict, tensors: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(
        json.dumps(about, sort_keys=True).encode() + safetensors.save(tensors)
    ).hexdigest()
