"""Models by name: built from a config, kept in one file each, found where the package or a workspace was installed.

A model file is safetensors: the state dict, and one metadata entry `model`, JSON with the architecture, its config, the
card (what a person wants to know of it: data, training, scores, limits) and a digest of all of that and the weights.
The same model gives the same bytes; a record names its model by the first bytes of the file's SHA-256.
"""

import hashlib
import importlib
import inspect
import json
import os
import site
import sysconfig
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors

from gaussvae_ros.errors import ModelError
from gaussvae_ros.files import write_file
from gaussvae_ros.vae.model import SplatModel

ARCHITECTURES = {  # name in a config -> where its class is
    "anchors": "gaussvae_ros.vae.anchors.Anchors",
    "conv1d": "gaussvae_ros.vae.conv1d.Conv1D",
    "grid": "gaussvae_ros.vae.grid.Grid",
    "resnet1d": "gaussvae_ros.vae.conv1d.ResNet1D",
    "vector": "gaussvae_ros.vae.vector.Vector",
}
SUFFIX = ".safetensors"
HASH_BYTES = 3  # of a model's hash in a record


def build(config: dict) -> SplatModel:
    """A new model from `architecture` and the settings that its class takes.

    Raises:
        ModelError: an unknown architecture, an unknown or missing setting, or a value that the class refuses.
    """
    settings = dict(config)
    name = settings.pop("architecture", None)
    if name not in list(ARCHITECTURES):  # a list, so that no value of a config is unhashable
        raise ModelError(f"model architecture {name!r} is unknown; there is {', '.join(ARCHITECTURES)}")
    kind = _class(name)
    takes = inspect.signature(kind).parameters
    unknown = [key for key in settings if key not in takes]
    if unknown:
        raise ModelError(f"model {name} has no setting {unknown[0]!r}; it has {', '.join(takes)}")
    missing = [key for key, p in takes.items() if p.default is p.empty and key not in settings]
    if missing:
        raise ModelError(f"model {name} needs a value for {', '.join(missing)}")
    try:
        return kind(**settings)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"model {name} cannot be built with {json.dumps(settings)}: {error}") from error


def save(model: SplatModel, path: str | Path, card: dict) -> None:
    """Write a model file, whole or not at all.

    Raises:
        OSError: as `files.write_file`.
    """
    weights = _weights(model)
    about = {"architecture": architecture(model), "config": model.config, "card": card}
    about["digest"] = _digest(about, weights)
    write_file(path, safetensors.save(weights, {"model": json.dumps(about, sort_keys=True)}))


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> SplatModel:
    """A model from its file, in evaluation mode.

    Raises:
        ModelError: no such model; or a file that is cut off, altered, or not a model of this version.
    """
    path = find(name_or_path)
    about, weights = _read(path)
    model = build({"architecture": about["architecture"], **about["config"]})
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{path}: its weights are not those of a {about['architecture']} model here") from error
    return model.eval().requires_grad_(False).to(device)


def describe(name_or_path: str | Path) -> dict:
    """The `architecture`, `config` and `card` of a model file. Raises ModelError as `load`."""
    about, _ = _read(find(name_or_path))
    return {key: about[key] for key in ("architecture", "config", "card")}


def model_hash(path: str | Path) -> bytes:  # [HASH_BYTES]
    """What a record names a model file by. Raises OSError where it cannot be read."""
    return hashlib.sha256(Path(path).read_bytes()).digest()[:HASH_BYTES]


def find(name_or_path: str | Path) -> Path:
    """The file of a model, given its path or its name in one of `model_folders`.

    Raises:
        ModelError: there is none.
    """
    path = Path(name_or_path)
    if path.suffix == SUFFIX or len(path.parts) != 1:
        if path.is_file():
            return path
        raise ModelError(f"{path}: there is no such model file")
    for folder in model_folders():
        if (folder / f"{path}{SUFFIX}").is_file():
            return folder / f"{path}{SUFFIX}"
    known = sorted({file.stem for folder in model_folders() for file in folder.glob(f"*{SUFFIX}")})
    raise ModelError(f"there is no model {str(path)!r}; there is {', '.join(known) or 'none installed'}")


def model_folders() -> list[Path]:
    """Where models are looked for, first to last: beside the package (as in a checkout), then where pip puts them (with
    --target, for this Python, for this user), then in each ROS workspace."""
    root, workspaces = Path(__file__).parents[2], os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    prefixes = [root, sysconfig.get_path("data"), site.getuserbase(), *filter(None, workspaces)]
    return [root / "models", *(Path(p) / "share" / "gaussvae_ros" / "models" for p in prefixes)]


def architecture(model: SplatModel) -> str:
    """The name of a model's class in ARCHITECTURES (ModelError if it has none)."""
    place = f"{type(model).__module__}.{type(model).__qualname__}"
    for name, known in ARCHITECTURES.items():
        if known == place:
            return name
    raise ModelError(f"{place} is not one of the architectures in gaussvae_ros/vae/models.py")


def _class(name: str) -> type[SplatModel]:
    module, kind = ARCHITECTURES[name].rsplit(".", 1)
    return getattr(importlib.import_module(module), kind)


def _weights(model: SplatModel) -> dict[str, torch.Tensor]:
    """The state dict on the CPU, each tensor in memory of its own, as safetensors wants them."""
    state = sorted(model.state_dict().items())
    return {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state}


def _digest(about: dict, weights: dict[str, torch.Tensor]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode() + safetensors.save(weights)).hexdigest()


def _read(path: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """What a model file says of itself, and its weights. Raises ModelError as `load`."""
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("model")
            weights = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as a model: {error}") from error
    if text is None:
        raise ModelError(f"{path}: is a safetensors file, but not a model of gaussvae_ros")
    try:
        about = json.loads(text)
        digest = about.pop("digest")
        intact = digest == _digest(about, weights)
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise ModelError(f"{path}: the model file is damaged; copy or install it again")
    return about, weights
