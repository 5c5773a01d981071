"""A model of other numbers than the one that is encoded with by default."""

from pathlib import Path

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.maintenance.needed_models import model_of
from gaussvae_ros.vae import models


def shipped(codec: FrameCodec, image) -> models.Model:
    """The model that a codec encodes with."""
    return codec.models.get(model_of(codec.encode(image)))


def other_model(path: Path, name: str = "anchors", change: int = 1) -> Path:
    """Write a model by its name with one number of its prior changed to `path`."""
    about, tensors = models.read(models.find(name))
    changed = min(key for key in tensors if key.startswith(models.PRIOR) and "bias" in key)
    tensors[changed] = tensors[changed].copy()
    tensors[changed].flat[0] += change
    path.write_bytes(models.serialised(about, tensors))
    return path
