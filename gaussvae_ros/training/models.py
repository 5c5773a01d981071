"""Trained networks in torch: built from a config, written to model files, read from them."""

import importlib
import inspect
import json
from pathlib import Path

import torch

from gaussvae_ros.errors import ModelError
from gaussvae_ros.files import write_file
from gaussvae_ros.model_files import find, read, serialised
from gaussvae_ros.training.model import SplatModel

ARCHITECTURES = {  # name in a config -> where its class is
    "anchors": "gaussvae_ros.training.anchors.Anchors",
    "conv1d": "gaussvae_ros.training.conv1d.Conv1D",
    "grid": "gaussvae_ros.training.grid.Grid",
    "resnet1d": "gaussvae_ros.training.conv1d.ResNet1D",
    "vector": "gaussvae_ros.training.vector.Vector",
}


def build(config: dict) -> SplatModel:
    """A new model from `architecture` and the settings that its class takes.

    Raises:
        ModelError: an unknown architecture, an unknown or missing setting, or a
            value that the class refuses.
    """
    settings = dict(config)
    name = settings.pop("architecture", None)
    if name not in list(ARCHITECTURES):  # a list, so that no value of a config is unhashable
        raise ModelError(
            f"model architecture {name!r} is unknown; there is {', '.join(ARCHITECTURES)}"
        )
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
        raise ModelError(
            f"model {name} cannot be built with {json.dumps(settings)}: {error}"
        ) from error


def save(model: SplatModel, path: str | Path, card: dict) -> None:
    """Write a model file, whole or not at all.

    Raises:
        OSError: as `files.write_file`.
    """
    about = {"architecture": architecture(model), "config": model.config, "card": card}
    state = {
        key: value.detach().cpu().contiguous().numpy() for key, value in model.state_dict().items()
    }
    write_file(path, serialised(about, dict(sorted(state.items()))))


def load(name_or_path: str | Path, device: str | torch.device = "cpu") -> SplatModel:
    """A model from its file, in evaluation mode.

    Raises:
        ModelError: no such model; or a file that is cut off, altered, or not
            a model of this version.
    """
    path = find(name_or_path)
    about, tensors = read(path)
    model = build({"architecture": about["architecture"], **about["config"]})
    try:
        model.load_state_dict({key: torch.from_numpy(array) for key, array in tensors.items()})
    except RuntimeError as error:
        raise ModelError(
            f"{path}: its weights are not those of a {about['architecture']} model here"
        ) from error
    return model.eval().requires_grad_(False).to(device)


def architecture(model: SplatModel) -> str:
    """The name of a model's class in ARCHITECTURES (ModelError if it has none)."""
    place = f"{type(model).__module__}.{type(model).__qualname__}"
    for name, known in ARCHITECTURES.items():
        if known == place:
            return name
    raise ModelError(f"{place} is not one of the architectures in gaussvae_ros/training/models.py")


def _class(name: str) -> type[SplatModel]:
    module, kind = ARCHITECTURES[name].rsplit(".", 1)
    return getattr(importlib.import_module(module), kind)
