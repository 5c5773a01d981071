"""Model files: where they lie, what they hold, and which of them a record was made with. Needs no torch.

A model file is safetensors: its tensors, and one metadata entry `model`, JSON with the architecture, its config, the card
(what a person wants to know of it: data, training, scores, limits) and a digest of all of that and the tensors.

A record names its model by a hash over the tensors that decoding needs, the integers of the prior: what else is in the
file, a changed word in the card or a network that only encodes, leaves stored memories readable. The first release hashed
the whole file; its records are still found by that.
"""

import hashlib
import json
import logging
import os
import site
import sysconfig
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from gaussvae_ros.errors import ModelError
from gaussvae_ros.vae.prior import Prior

SUFFIX = ".safetensors"
HASH_BYTES = 3  # of a model's hash in a record
PRIOR = "prior."  # what the names of tensors that decoding needs begin with

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Model:
    """What coding a record takes: `prior`, and the name and hash that say which."""

    name: str
    hash: bytes  # [HASH_BYTES]
    prior: Prior


class Models:
    """The models that records can be decoded with. Any thread may use it.

    They lie in `model_folders()` and in `folders`.
    """

    def __init__(self, folders: Iterable[str | Path] = ()) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._known: dict[bytes, Model] = {}  # by every hash
        self._seen: set[Path] = set()  # files that were looked into
        self._lock = threading.Lock()

    def load(self, name_or_path: str | Path) -> Model:
        """A model by its name or path. Raises ModelError where there is none, or one that makes no records."""
        path = find(name_or_path, self._folders)
        with self._lock:
            return self._take(path)

    def get(self, hash_: bytes) -> Model:
        """The model that a record names.

        Raises:
            ModelError: says which model is missing, and where it was looked for.
        """
        with self._lock:
            if hash_ not in self._known:
                self._look_around()
            if hash_ in self._known:
                return self._known[hash_]
            have = (
                ", ".join(sorted({f"{m.name} ({m.hash.hex()})" for m in self._known.values()}))
                or "none"
            )
        raise ModelError(
            f"record was made with model {hash_.hex()}, which is not here; there is {have}. Looked in "
            f"{', '.join(str(folder) for folder in self._places())}"
        )

    def _places(self) -> list[Path]:
        return [
            *self._folders,
            *dict.fromkeys(folder for folder in model_folders() if folder.is_dir()),
        ]

    def _look_around(self) -> None:
        for folder in self._places():
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                if path not in self._seen:
                    self._seen.add(path)
                    try:
                        self._take(path)
                    except (
                        ModelError
                    ) as error:  # one that makes no records, or is damaged, costs nobody else
                        log.debug("%s", error)

    def _take(self, path: Path) -> Model:
        _, tensors = read(path)
        held = {
            key.removeprefix(PRIOR): value
            for key, value in tensors.items()
            if key.startswith(PRIOR)
        }
        if not held:
            raise ModelError(f"{path} makes no records: it has no trained prior")
        prior = Prior.from_tensors(held)
        model = Model(path.stem, decoding_hash(prior), prior)
        for name in (model.hash, hashlib.sha256(path.read_bytes()).digest()[:HASH_BYTES]):
            self._known.setdefault(name, model)
        return model


def decoding_hash(prior: Prior) -> bytes:  # [HASH_BYTES]
    """What records name a model by: the first bytes of the SHA-256 over name, shape and numbers of each tensor."""
    total = hashlib.sha256()
    for name, array in sorted(prior.tensors().items()):
        total.update(f"{name} {list(array.shape)} ".encode() + array.astype("<i4").tobytes())
    return total.digest()[:HASH_BYTES]


def describe(name_or_path: str | Path) -> dict:
    """The `architecture`, `config` and `card` of a model file. Raises ModelError as `read`."""
    about, _ = read(find(name_or_path))
    return {key: about[key] for key in ("architecture", "config", "card")}


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
    """Where models are looked for, first to last: beside the package (as in a checkout), then where pip puts them (with
    --target, for this Python, for this user), then in each ROS workspace."""
    root, workspaces = (
        Path(__file__).parents[2],
        os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep),
    )
    prefixes = [root, sysconfig.get_path("data"), site.getuserbase(), *filter(None, workspaces)]
    return [root / "models", *(Path(p) / "share" / "gaussvae_ros" / "models" for p in prefixes)]


def model_file(prior: Prior, card: dict) -> bytes:
    """The bytes of a model file that makes records."""
    tensors = {PRIOR + name: array for name, array in prior.tensors().items()}
    return serialised({"architecture": "splats", "config": {}, "card": card}, tensors)


def serialised(about: dict, tensors: dict[str, np.ndarray]) -> bytes:
    """The bytes of a model file; the same model gives the same."""
    about = {**about, "digest": _digest(about, tensors)}
    return safetensors.save(tensors, {"model": json.dumps(about, sort_keys=True)})


def read(path: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """What a model file says of itself, and its tensors.

    Raises:
        ModelError: a file that is cut off, altered, or not a model.
    """
    try:
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get("model")
            tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as a model: {error}") from error
    if text is None:
        raise ModelError(f"{path}: is a safetensors file, but not a model of gaussvae_ros")
    try:
        about = json.loads(text)
        digest = about.pop("digest")
        intact = digest == _digest(about, tensors)
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise ModelError(f"{path}: the model file is damaged; copy or install it again")
    return about, tensors


def _digest(about: dict, tensors: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(
        json.dumps(about, sort_keys=True).encode() + safetensors.save(tensors)
    ).hexdigest()
