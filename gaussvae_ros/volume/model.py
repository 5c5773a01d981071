"""The model that volumes are coded with: probabilities, predictions and the decoder's network."""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import ModelError
from gaussvae_ros.model_files import SUFFIX, find, model_folders, read
from gaussvae_ros.volume import contexts, labels
from gaussvae_ros.volume.format import HASH
from gaussvae_ros.volume.synthesis import INPUTS
from gaussvae_ros.volume.transform import SIZE

ARCHITECTURE = "volumes"
SHAPES = {  # of the tensors that decide what the bits mean
    "zero": (contexts.CONTEXTS,),
    "weights": (8, contexts.PREDICTED, contexts.FEATURES),
    "bias": (contexts.ZONE_COUNT, 2),
    "labels": (labels.CONTEXTS,),
}
_loaded: dict[bytes, "VolumeModel"] = {}
_loading = threading.Lock()


@dataclass(frozen=True, eq=False)
class VolumeModel:
    """`tables` as the kernels take them, the decoder's `network` [weight, bias, ...] float32,
    the `hash` that records name it by, and its `card`."""

    tables: tuple
    network: list[np.ndarray]
    hash: bytes
    card: dict

    @property
    def bias(self) -> np.ndarray:
        """How much a coefficient is nearer to zero than its number, [zones, 2] in 1 / UNIT."""
        return self.tables[0][2]


def load(name_or_path: str | Path = ARCHITECTURE) -> VolumeModel:
    """A model for volumes by name or path. Raises ModelError: there is none, or another kind."""
    path = find(name_or_path)
    about, tensors = read(path)
    if about.get("architecture") != ARCHITECTURE:
        raise ModelError(f"{path}: is no model for volumes")
    return of_tensors(tensors, about.get("card", {}), str(path))


def get(hash_: bytes) -> VolumeModel:
    """The model that a record names. Raises ModelError where it is not in any model folder."""
    with _loading:
        if hash_ not in _loaded:
            for path in (p for f in model_folders() for p in sorted(f.glob(f"*{SUFFIX}"))):
                try:
                    model = load(path)
                except ModelError:  # of frames, say
                    continue
                _loaded.setdefault(model.hash, model)
        if hash_ not in _loaded:
            raise ModelError(f"volume was made with model {hash_.hex()}, which is not here")
        return _loaded[hash_]


def remember(model: VolumeModel) -> None:
    """Let `get` find a model that lies elsewhere."""
    with _loading:
        _loaded[model.hash] = model


def of_tensors(tensors: dict[str, np.ndarray], card: dict, where: str) -> VolumeModel:
    """The model whose tensors these are. Raises ModelError unless they are all there."""
    held = {name: np.asarray(tensors.get(name)) for name in SHAPES}
    if any(held[name].shape != shape for name, shape in SHAPES.items()):
        raise ModelError(f"{where}: lacks a part of a model for volumes")
    network, width = [], INPUTS
    for k in range(sum(name.startswith("network.") for name in tensors)):
        array = np.asarray(tensors.get(f"network.{k}"))
        fits = array.shape == (width,) if k % 2 else array.ndim == 2 and len(array) == width
        if not fits:
            raise ModelError(f"{where}: its network is not one of this version")
        width = array.shape[-1]
        network.append(array.astype(np.float32))
    if not network or len(network) % 2 or width != SIZE:
        raise ModelError(f"{where}: its network is not one of this version")
    zero, weights, bias, learned = (held[name].astype(np.int64) for name in SHAPES)
    if min(zero.min(), learned.min()) < 1 or max(zero.max(), learned.max()) > 65535:
        raise ModelError(f"{where}: has impossible probabilities")
    return VolumeModel(((zero, weights, bias, costs(zero)), learned), network, _hash(tensors), card)


def costs(zero: np.ndarray) -> np.ndarray:  # float32 [contexts, 2]
    """The bits that 0 and 1 take in each context."""
    share = zero / 65536
    return np.stack([-np.log2(share), -np.log2(1 - share)], 1).astype(np.float32)


def _hash(tensors: dict[str, np.ndarray]) -> bytes:
    total = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        total.update(f"{name} {list(array.shape)} ".encode() + array.tobytes())
    return total.digest()[:HASH]
