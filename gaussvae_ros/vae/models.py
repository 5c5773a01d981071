"""Model files: where they lie, what they hold, and which of them a record was made with. Needs no
torch.

A model file is safetensors: its tensors, and one metadata entry `model`, JSON with the
architecture, its config, the card (what a person wants to know of it: data, training, scores,
limits) and a digest of all of that and the tensors.

A record names its model by a hash over the tensors that decoding needs, the integers of the prior:
what else is in the file, a changed word in the card or a network that only encodes, leaves stored
memories readable. The first release hashed the whole file; its records are still found by that.

A memory file may carry the models of its records, each as `compact` makes it: those tensors alone,
compressed.
"""

import hashlib
import logging
import os
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from gaussvae_ros.errors import GaussVaeError, ModelError
from gaussvae_ros.model_files import SUFFIX, bytes_of, find, model_folders, parsed, read, serialised
from gaussvae_ros.vae.change_contexts import KINDS as CHANGE_KINDS
from gaussvae_ros.vae.change_prior import ChangePrior
from gaussvae_ros.vae.prior import Prior

HASH_BYTES = 3  # of a model's hash in a record
LARGEST = 64 * 2**20  # bytes of a model that a memory file carries, uncompressed
ARCHITECTURES = {Prior: "splats", ChangePrior: "changes"}
PRIOR = "prior."  # what the names of tensors that decoding needs begin with

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Model:
    """What coding a record takes: `prior`, for records alone or for predicted ones, and the name
    and hash that say which."""

    name: str
    hash: bytes  # [HASH_BYTES]
    prior: Prior | ChangePrior


class Carrier(Protocol):
    """What holds models for its records, such as a memory file."""

    path: Path

    def model(self, hash_: bytes) -> bytes | None:
        """What `compact` made of the model that records name by this hash, None if it is not
        there.
        """


class Models:
    """The models that records can be decoded with. Any thread may use it.

    They lie in `model_folders()` and in `places`: folders, and memory files that carry models.
    """

    def __init__(self, places: Iterable[str | Path | Carrier] = ()) -> None:
        places = list(places)
        self._folders = [Path(place) for place in places if isinstance(place, (str, os.PathLike))]
        self._carriers = [place for place in places if not isinstance(place, (str, os.PathLike))]
        self._known: dict[bytes, Model] = {}  # by every hash
        self._seen: set[Path] = set()  # files that were looked into
        self._lock = threading.Lock()

    def load(self, name_or_path: str | Path) -> Model:
        """A model by its name or path. Raises ModelError where there is none, or one that makes no
        records.
        """
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
        problems = []
        for carrier in self._carriers:
            try:
                if (data := carrier.model(hash_)) is not None:
                    model = carried(data, hash_, str(carrier.path))
                    with self._lock:
                        return self._known.setdefault(hash_, model)
            except GaussVaeError as error:
                problems.append(f"; {error}")
        with self._lock:
            have = (
                ", ".join(sorted({f"{m.name} ({m.hash.hex()})" for m in self._known.values()}))
                or "none"
            )
        raise ModelError(
            f"record was made with model {hash_.hex()}, which is not here; there is {have}."
            " Looked in "
            f"{', '.join(map(str, [*self._places(), *(c.path for c in self._carriers)]))}"
            f"{''.join(problems)}"
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
        data = bytes_of(path)
        _, tensors = parsed(data, str(path))
        prior = _prior(tensors, str(path))
        model = Model(path.stem, decoding_hash(prior), prior)
        for name in (model.hash, hashlib.sha256(data).digest()[:HASH_BYTES]):
            self._known.setdefault(name, model)
        return model


def compact(model: Model, hash_: bytes) -> bytes:
    """What decoding needs of a model, for a memory file to carry under the hash that records name
    it by.
    """
    about = {"name": model.name, "hash": hash_.hex()}
    return zlib.compress(serialised(about, _tensors(model.prior)), 9)


def carried(data: bytes, hash_: bytes, where: str) -> Model:
    """The model that `compact` made these bytes of, for the same hash.

    Raises:
        ModelError: they are not, or damaged; names `where` they were.
    """
    where = f"the model {hash_.hex()} in {where}"
    try:
        whole = zlib.decompressobj().decompress(data, LARGEST)
    except zlib.error as error:
        raise ModelError(f"{where}: cannot be read as a model: {error}") from error
    about, tensors = parsed(whole, where)
    if about.get("hash") != hash_.hex() or not isinstance(about.get("name"), str):
        raise ModelError(f"{where}: is another model")
    prior = _prior(tensors, where)
    return Model(about["name"], decoding_hash(prior), prior)


def decoding_hash(prior: Prior | ChangePrior) -> bytes:  # [HASH_BYTES]
    """What records name a model by: the first bytes of the SHA-256 over name, shape and numbers of
    each tensor.
    """
    total = hashlib.sha256()
    for name, array in sorted(prior.tensors().items()):
        total.update(f"{name} {list(array.shape)} ".encode() + array.astype("<i4").tobytes())
    return total.digest()[:HASH_BYTES]


def describe(name_or_path: str | Path) -> dict:
    """The `architecture`, `config` and `card` of a model file. Raises ModelError as `read`."""
    about, _ = read(find(name_or_path))
    return {key: about[key] for key in ("architecture", "config", "card")}


def model_file(prior: Prior | ChangePrior, card: dict) -> bytes:
    """The bytes of a model file that makes records."""
    architecture = ARCHITECTURES[type(prior)]
    return serialised({"architecture": architecture, "config": {}, "card": card}, _tensors(prior))


def _tensors(prior: Prior | ChangePrior) -> dict[str, np.ndarray]:
    """A prior's tensors by their names in a file."""
    return {PRIOR + name: array for name, array in prior.tensors().items()}


def _prior(tensors: dict[str, np.ndarray], where: str) -> Prior | ChangePrior:
    held = {
        name.removeprefix(PRIOR): array for name, array in tensors.items() if name.startswith(PRIOR)
    }
    if not held:
        raise ModelError(f"{where} makes no records: it has no trained prior")
    predicts = f"{CHANGE_KINDS[0]}_mean" in held
    return (ChangePrior if predicts else Prior).from_tensors(held)
