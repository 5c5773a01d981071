"""What a training leaves in its folder: a checkpoint, the best model with its card, the curve.

    checkpoint.pt      all that an exact resume needs, of the last validation or stop
    best.safetensors   averaged weights of the best validation so far, as models.save writes them
    model_card.json    the card that is also in best.safetensors
    curve.csv          a line per validation
    config.yaml        the config as it ran, every default written out
    manifest.json      a copy of the data's
    events.out.*       for TensorBoard

Every file but TensorBoard's is written whole or not at all, so a kill or a full
disk leaves the one before.
"""

import csv
import hashlib
import io
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch

from gaussvae_ros.errors import TrainingError
from gaussvae_ros.files import write_file

CHECKPOINT, BEST, CARD, CURVE = "checkpoint.pt", "best.safetensors", "model_card.json", "curve.csv"
CONFIG, MANIFEST = "config.yaml", "manifest.json"
CARD_POINTS = 50  # of the curve, in the card


@dataclass
class Progress:
    """How far a training is."""

    step: int = 0  # steps done
    seconds: float = 0.0  # of all processes that worked on it, one after the other
    # The row of `curve` with the lowest loss in validation.
    best: dict = field(default_factory=dict)
    stale: int = 0  # validations since that one
    curve: list[dict] = field(default_factory=list)  # a row per validation
    # Of the losses in training since the last row.
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0  # steps in `sums`


def save_checkpoint(
    folder: Path, progress: Progress, config: dict, manifest: str, states: dict[str, dict]
) -> None:
    """Replace the checkpoint of `folder`; `states` are state dicts.

    Raises OSError as `files.write_file`.
    """
    out = io.BytesIO()
    torch.save(
        {"progress": asdict(progress), "config": config, "manifest": manifest, "states": states},
        out,
    )
    write_file(folder / CHECKPOINT, out.getbuffer())


def load_checkpoint(folder: Path, config: dict, manifest: str) -> tuple[Progress, dict[str, dict]]:
    """The checkpoint of `folder`, for a training that goes on with the same config and data.

    Raises:
        TrainingError: there is none, it is damaged, or it is of another config or of other data.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        raise TrainingError(f"{folder}: nothing to resume, there is no {CHECKPOINT}")
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        progress, states = Progress(**kept["progress"]), kept["states"]
        before, data = kept["config"], kept["manifest"]
    except Exception as error:  # whatever the bytes make of the reader
        raise TrainingError(f"{path}: damaged; begin again in another folder") from error
    for key, was, now in _differences(before, config):
        raise TrainingError(
            f"{path}: its training had {key}: {was}, the config has {now}; a resume needs the same"
        )
    if data != manifest:
        raise TrainingError(f"{path}: its training began with other data")
    return progress, states


def write_curve(folder: Path, curve: list[dict]) -> None:
    """Write curve.csv. Raises OSError as `files.write_file`."""
    columns = list(dict.fromkeys(key for row in curve for key in row))
    out = io.StringIO()
    rows = csv.DictWriter(out, columns, lineterminator="\n")
    rows.writeheader()
    rows.writerows(
        {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
        for row in curve
    )
    write_file(folder / CURVE, out.getvalue().encode())


def model_card(
    progress: Progress, config: dict, data: dict, device: torch.device, world: int
) -> dict:
    """What a person wants to know of the weights at `progress`: JSON values.

    Args:
        data: as `data_summary`.
        world: number of processes that train.
    """
    shown = progress.curve[:: -(-len(progress.curve) // CARD_POINTS)]
    return {
        "step": progress.step,
        "seconds": round(progress.seconds, 1),
        "validation": progress.curve[-1],
        "config": config,
        "data": data,
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            "processes": world,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
        "commit": commit(),
        "curve": [{key: round(value, 5) for key, value in row.items()} for row in shown],
    }


def data_summary(manifest: str) -> dict:
    """What a card says of data: the manifest's SHA-256, samples, the sources and their licences."""
    facts = json.loads(manifest)
    sources = [
        {
            "name": Path(s["given"]).name,
            **{k: s[k] for k in ("kind", "licence", "pictures", "crops")},
        }
        for s in facts["sources"]
    ]
    samples = {part: counts["samples"] for part, counts in facts["parts"].items()}
    asked = {key: facts["asked"][key] for key in ("size", "seed")}
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    return {"manifest_sha256": digest, "samples": samples, **asked, "sources": sources}


def write_card(folder: Path, card: dict) -> None:
    write_file(folder / CARD, (json.dumps(card, indent=1) + "\n").encode())


def _differences(before: object, now: object, key: str = ""):
    """Every (dotted key, value before, value now) that differs."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in {**before, **now}:
            yield from _differences(before.get(name), now.get(name), f"{key and key + '.'}{name}")
    elif before != now:
        yield key, before, now


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The git commit of this source tree, "-dirty" if files differ from it; None if installed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--abbrev=40",
        "--dirty",
        "--exclude",
        "*",
    ]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
