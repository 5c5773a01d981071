"""Networks that tell what small pictures show: one on the graphs of their splats, and a ResNet-8 on
their pixels, trained alike.

    manifest.json                what was asked for, and of which pictures
    splats-PART-NNNNN.npz        what the records of 1,024 pictures hold
    graph.safetensors            averaged weights of the graph network, with its card
    resnet8.safetensors          of the ResNet-8
    graph/ resnet8/              checkpoint.pt, curve.csv and events.out.tfevents.* of each
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gaussvae_ros.errors import DataError, TrainingError
from gaussvae_ros.files import write_file
from gaussvae_ros.model_files import serialised
from gaussvae_ros.recognition.graph import FEWEST, graph
from gaussvae_ros.splats import Splats
from gaussvae_ros.training import checkpoints as files
from gaussvae_ros.training.fitted import fitted
from gaussvae_ros.training.graph_network import GraphNetwork
from gaussvae_ros.training.labelled_pictures import Labelled, read_labelled
from gaussvae_ros.training.learning import Examples, Stopped, learn
from gaussvae_ros.training.processes import caught_signals, equal_threads
from gaussvae_ros.training.resnet import ResNet8
from gaussvae_ros.training.scores import accuracy, auc
from gaussvae_ros.training.variations import Variation

SUFFIX = ".safetensors"
DROPPED = 0.4  # of a picture's splats that training leaves out, at most


@dataclass(frozen=True)
class Settings:
    """What a training of classifiers is asked for."""

    steps: int = 1000
    quality: float = 75.0
    side: int = 64  # px
    limit: int | None = None
    mirror: bool = False
    seed: int = 0


def train_classify(
    source: str | Path,
    out: str | Path,
    settings: Settings,
    jobs: int | None = None,
    resume: bool = False,
) -> dict:
    """Fit splats to labelled pictures, train both networks on the same pictures in the same order
    with the same variations and schedule, and measure both on the part `test`.

    SIGINT and SIGTERM end it after the step under way, with a checkpoint.

    Returns:
        The figures, JSON values; `stopped` is "steps" or "signal".

    Raises:
        DataError: `source` holds no such pictures (labelled_pictures.py).
        TrainingError: `out` holds a training already, or one of other data or settings.
        OSError: `out` cannot be written.
    """
    for name, least in (("steps", 1), ("side", 8), ("limit", 1), ("seed", 0)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise DataError(f"{name} must be at least {least}, not {value}")
    if not 0 <= settings.quality <= 100:
        raise DataError(f"quality is a number from 0 to 100, not {settings.quality:g}")
    if jobs is not None and jobs < 1:
        raise DataError(f"jobs must be at least 1, not {jobs}")
    out = Path(out)
    data = read_labelled(source, settings.side, settings.limit, settings.seed)
    manifest = _begun(out, data, settings, resume)
    made = fitted(data, out, settings.quality, jobs)
    height, width = data.parts["train"].pictures.shape[1:3]
    splats = {name: part for name, (part, _) in made.items()}
    figures = {
        "data": str(source),
        "out": str(out),
        "classes": len(data.classes),
        "several": data.several,
        "pictures": {name: len(part) for name, part in data.parts.items()},
        "size": [width, height],
        "splats": splats["train"].shape[1],
        "record_bytes": round(made["train"][1], 1),
        "stopped": "steps",
        "networks": [],
    }
    channels = 3 if data.parts["train"].pictures.ndim == 4 else 1
    each = {
        "graph": (GraphNetwork, {}, _of_splats(splats, (width, height), settings.mirror)),
        "resnet8": (ResNet8, {"channels": channels}, _of_pixels(data, settings.mirror)),
    }
    with equal_threads(), caught_signals() as caught:
        for name, (kind, config, inputs) in each.items():
            examples = Examples(inputs, {k: part.shows for k, part in data.parts.items()})
            config = {"classes": len(data.classes), **config}

            def make(kind=kind, config=config) -> nn.Module:
                return kind(**config)

            try:
                found = learn(make, examples, data.several, out / name, settings, manifest, caught)
            except Stopped:
                figures["stopped"] = "signal"
                break
            figures["networks"].append({"network": name, **_kept(out, name, found, figures, data)})
    return figures


def _begun(out: Path, data: Labelled, settings: Settings, resume: bool) -> str:
    """The manifest of the training in `out`, written if it begins now."""
    digest = hashlib.blake2b(digest_size=16)
    for part in data.parts.values():
        digest.update(repr(part.pictures.shape).encode() + part.pictures.tobytes())
        digest.update(np.packbits(part.shows).tobytes())
    asked = {"settings": asdict(settings), "classes": data.classes, "data": digest.hexdigest()}
    manifest, path = json.dumps(asked, indent=1) + "\n", out / files.MANIFEST
    if path.exists():
        if path.read_text() != manifest:
            raise TrainingError(f"{out}: its training has other data or settings: choose another")
        if not resume:
            raise TrainingError(
                f"{out}: holds a training; go on with --resume, or choose another folder"
            )
    elif resume:
        raise TrainingError(f"{out}: nothing to resume, there is no {files.MANIFEST}")
    out.mkdir(parents=True, exist_ok=True)
    write_file(path, manifest.encode())
    return manifest


def _of_splats(splats: dict[str, np.ndarray], size: tuple[int, int], mirror: bool) -> Callable:
    """`inputs(part, indices, rng)` as the graph network takes them; varied if there is a `rng`."""

    def inputs(part: str, indices: np.ndarray, rng: np.random.Generator | None):
        frames = [splats[part][i] for i in indices]
        if rng is not None:
            frames = [Variation.draw(rng, mirror).splats(params, size) for params in frames]
            frames = [_thinned(params, rng) for params in frames]
        return graph([Splats(params, size) for params in frames])

    return inputs


def _thinned(params: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Without some of the splats, so that none is relied on."""
    left = rng.random(len(params)) >= rng.uniform(0, DROPPED)
    return params[left] if left.sum() >= FEWEST else params


def _of_pixels(data: Labelled, mirror: bool) -> Callable:
    """The same as the ResNet takes them."""

    def inputs(part: str, indices: np.ndarray, rng: np.random.Generator | None):
        seen = [data.parts[part].pictures[i] for i in indices]
        if rng is None:
            seen = [picture / np.float32(255) for picture in seen]
        else:
            seen = [Variation.draw(rng, mirror).picture(picture) for picture in seen]
        batch = torch.from_numpy(np.stack(seen))
        return batch[:, None] if batch.ndim == 3 else batch.permute(0, 3, 1, 2).contiguous()

    return inputs


def _kept(out: Path, name: str, found, figures: dict, data: Labelled) -> dict:
    """Write a network's file; its figures."""
    scored = {
        part: {"auc": auc(shown, scores), "accuracy": accuracy(shown, scores, data.several)}
        for part, (shown, scores) in found.scores.items()
    }
    measured = {
        "parameters": sum(p.numel() for p in found.network.parameters()),
        **scored["test"],
        "seconds": round(found.seconds, 1),
        "ms_a_picture": round(found.ms, 2),
        "val": scored.get("val"),
    }
    about = {k: figures[k] for k in ("pictures", "size", "splats", "record_bytes", "several")}
    card = {**about, "classes": data.classes, "figures": measured, "commit": files.commit()}
    state = {k: v.detach().contiguous().numpy() for k, v in found.network.state_dict().items()}
    about = {"architecture": name, "config": found.network.config, "card": card}
    write_file(out / (name + SUFFIX), serialised(about, dict(sorted(state.items()))))
    return measured
