"""`gaussvae evaluate --models`: all models, and the shipped one's records, on the same frames.

Every model gets the 512 splats that `gaussvae_ros.fit` gives for a frame, and what it makes of them
is drawn at the frame's size.
"""

import csv
import io
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.images import FRAME as SIZE
from gaussvae_ros.evaluation.images import find_images, read_image
from gaussvae_ros.evaluation.images import frame as camera_frame
from gaussvae_ros.evaluation.metrics import psnr, ssim
from gaussvae_ros.evaluation.peers import CODECS, curve, dct_floor
from gaussvae_ros.evaluation.rate_distortion import EQUAL
from gaussvae_ros.files import write_file
from gaussvae_ros.fit import fit
from gaussvae_ros.model_files import find
from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import Splats
from gaussvae_ros.training import models
from gaussvae_ros.training.anchors import Anchors
from gaussvae_ros.training.checkpoints import BEST
from gaussvae_ros.training.losses import kl_nats
from gaussvae_ros.training.matching import group_errors
from gaussvae_ros.training.model import Batch, Output, SplatModel

PICTURE = (160, 120)  # (w, h) px of the pictures in a batch
BUDGETS = (256, 512, 1024, 2048)  # bytes, of the peers' curves
QUALITIES = (25, 50, 75)  # of records
FLOOR = 512  # numbers, as many as a latent has
REPEATS = 5  # of each timing, whose median counts
SHOWN, THUMBNAIL = 5, (224, 168)  # frames on the picture sheet, and their (w, h) px
ERRORS = ("position", "scale", "rotation", "colour", "angle")


@dataclass(frozen=True)
class Coded:
    """What became of a frame's splats."""

    splats: np.ndarray  # [M, 8] px of SIZE
    bytes: float | None = None
    counted: str = ""  # what the bytes are
    encode_ms: float | None = None
    decode_ms: float | None = None


Coder = Callable[[np.ndarray, Splats], Coded]  # from a frame, uint8 [480, 640, 3], and its fit


def compare(names: Sequence[str | Path], paths: Iterable[str | Path], out_dir: str | Path) -> dict:
    """Measure models on images, cropped and resized to SIZE, and write the figures into `out_dir`.

    Files: models.csv, a line for each row below; models.png, PSNR over bytes; pictures.png,
    frames and reconstructions.

    Args:
        names: model names or files. One that makes records gets a row for each of QUALITIES,
            too: whole records made of the frame itself, as FrameCodec makes them; their
            encode_ms holds the fit.
        paths: image files, and folders of them.

    Returns:
        "images" (number), "floor" (psnr and ssim of 512 DCT coefficients), "peers" (means of each
        peer at each of BUDGETS) and "rows": for each model and for what to compare it with its
        name, means over the images of psnr (dB), ssim, bytes, encode_ms and decode_ms, what the
        bytes count, the errors of `matching.group_errors`, and beside each peer, which gets as
        many bytes for every image: for how many images it has such a file ("fitted"), and the
        mean psnr and ssim by which the model is better on those ("above"; None where there are
        none). Splats of any frame find partners in any other, so a model's errors must be seen
        beside "fit of another frame".

    Raises:
        ImageError, ModelError: a path or a name without an image or a model;
            found before the long work.
    """
    files = find_images(paths)
    frames = [
        framed(read_image(file)) for file in tqdm(files, unit="image", desc="read", disable=None)
    ]
    coders = {label: coder for name in names for label, coder in _coders(name).items()}
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    fits = [fit(frame) for frame in frames]
    references = {
        "the fit itself": fits,
        "fit with another seed": [fit(frame, seed=1) for frame in frames],
        "fit of another frame": [
            fits[i - len(fits) // 2] for i in range(len(fits))
        ],  # of one frame: itself
    }
    coded = {label: [Coded(f.params) for f in sets] for label, sets in references.items()}
    coded |= {label: [] for label in coders}
    scores = {label: [] for label in (*coded, "floor")}  # label -> psnr and ssim of each frame
    peers, columns = [], []
    shown = set(
        np.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).round().astype(int).tolist()
    )
    for i, frame in enumerate(tqdm(frames, unit="image", desc="evaluate", disable=None)):
        for label, coder in coders.items():
            coded[label].append(coder(frame, fits[i]))
        pictures = {
            "frame": frame,
            **{label: render(Splats(c[i].splats, SIZE)) for label, c in coded.items()},
        }
        for label in coded:
            scores[label].append(_scores(frame, pictures[label]))
        scores["floor"].append(_scores(frame, dct_floor(frame, FLOOR)))
        peers.append(_peers(frame, [_budget(c[i]) for c in coded.values()]))
        if i in shown:
            columns.append(pictures)
    fitted = torch.from_numpy(np.stack([f.params for f in fits]))
    rows = [_row(label, coded[label], scores[label], peers, fitted) for label in coded]
    result = {
        "images": len(frames),
        "floor": dict(zip(("psnr", "ssim"), _mean(scores["floor"]))),
        "peers": [
            {"codec": c, "bytes": b, **_at(peers, c, [b] * len(peers))}
            for c in CODECS
            for b in BUDGETS
        ],
        "rows": rows,
    }
    _write(out_dir, result, columns)
    return result


def framed(image: np.ndarray) -> np.ndarray:
    """The middle of an image, uint8 [H, W, 3] or [H, W], as a frame: [480, 640, 3]."""
    cut = camera_frame(image)
    return cut if cut.ndim == 3 else np.repeat(cut[..., None], 3, 2)


def _coders(name: str | Path) -> dict[str, Coder]:
    """The rows of a model file."""
    path = find(name)
    label = path.parent.name if path.name == BEST else path.stem
    model = models.load(path)
    coders = {label: _network(model)}
    if isinstance(model, Anchors) and model.prior is not None:
        codec = FrameCodec("cpu", path)
        coders |= {
            f"{label}, record of quality {quality}": _recorded(codec, quality)
            for quality in QUALITIES
        }
    return coders


def _network(model: SplatModel) -> Coder:
    """A model's own encoder and decoder, with its latent as it is in evaluation."""
    turned = []  # when its decoder began

    def note(*_) -> None:
        turned.append(time.perf_counter())

    for name, module in model.named_modules():
        if name.split(".")[-1] == "decoder" or name.split(".")[:-1] == ["decoders"]:
            module.register_forward_pre_hook(note)

    @torch.no_grad()
    def code(frame: np.ndarray, splats: Splats) -> Coded:
        picture = (
            torch.from_numpy(cv2.resize(frame, PICTURE, interpolation=cv2.INTER_AREA)).permute(
                2, 0, 1
            )
            / 255
        )
        batch = Batch(torch.from_numpy(splats.params)[None], splats.size, picture[None])
        times = []
        for _ in range(REPEATS):
            turned.clear()
            begun = time.perf_counter()
            output = model(batch)
            ended = time.perf_counter()
            middle = turned[0] if turned else ended
            times.append((1e3 * (middle - begun), 1e3 * (ended - middle)))
        decoded = Splats(
            output.splats[0].numpy(), splats.size
        ).canonical()  # so that angles and sizes compare
        return Coded(decoded.params, *_counted(output), *np.median(times, 0).tolist())

    return code


def _counted(output: Output) -> tuple[float | None, str]:
    """Bytes of one frame's latent, and what is counted."""
    if output.bits is not None:
        return float(output.bits.sum()) / 8, "bits under its prior"
    if output.mean is None:
        return None, ""
    if output.log_variance is not None:
        return float(kl_nats(output.mean, output.log_variance).sum()) / math.log(
            2
        ) / 8, "KL divergence"
    return 2 * output.mean.numel(), "float16"


def _recorded(codec: FrameCodec, quality: float) -> Coder:
    def code(frame: np.ndarray, splats: Splats) -> Coded:
        times = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            data = codec.encode(frame, quality)
            middle = time.perf_counter()
            decoded = codec.splats(data)
            times.append((1e3 * (middle - begun), 1e3 * (time.perf_counter() - middle)))
        return Coded(decoded.params, len(data), "whole record", *np.median(times, 0).tolist())

    return code


def _scores(frame: np.ndarray, picture: np.ndarray) -> tuple[float, float]:
    return min(psnr(frame, picture), EQUAL), ssim(frame, picture)


def _budget(coded: Coded) -> int:
    return math.ceil(coded.bytes or 0)


def _peers(frame: np.ndarray, sizes: list[int]) -> dict[tuple[str, int], tuple[float, float]]:
    """PSNR and SSIM of each peer in at most so many bytes, where it has such a file."""
    found, budgets = {}, sorted({*sizes, *BUDGETS})
    for codec in CODECS:
        for budget, result in zip(budgets, curve(frame, codec, budgets)):
            if result is not None:
                found[codec, budget] = _scores(frame, result.image)
    return found


def _at(peers: list[dict], codec: str, sizes: list[int]) -> dict[str, float | None]:
    """A peer's means where each frame has its own size in bytes."""
    found = [frame[codec, size] for frame, size in zip(peers, sizes) if (codec, size) in frame]
    return dict(zip(("psnr", "ssim"), _mean(found) if len(found) == len(peers) else (None, None)))


def _row(
    label: str, coded: list[Coded], scores: list, peers: list[dict], fitted: torch.Tensor
) -> dict:
    means = {}
    for what in ("bytes", "encode_ms", "decode_ms"):
        values = [getattr(c, what) for c in coded]
        means[what] = None if None in values else float(np.mean(values))
    decoded = torch.from_numpy(np.stack([c.splats for c in coded]))
    row = {
        "name": label,
        **dict(zip(("psnr", "ssim"), _mean(scores))),
        **means,
        "counted": coded[0].counted,
    }
    row |= group_errors(decoded, fitted, SIZE)
    for codec in CODECS:
        beside = [(s, frame.get((codec, _budget(c)))) for s, frame, c in zip(scores, peers, coded)]
        above = [np.subtract(ours, theirs) for ours, theirs in beside if theirs]
        row[f"{codec}_fitted"] = len(above)
        row |= dict(
            zip(
                (f"psnr_above_{codec}", f"ssim_above_{codec}"),
                _mean(above) if above else (None, None),
            )
        )
    return row


def _mean(values: list[tuple[float, float]]) -> list[float]:
    return np.mean(values, 0).tolist()


def _write(out_dir: Path, result: dict, columns: list[dict[str, np.ndarray]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(result["rows"][0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(result["rows"])
    write_file(out_dir / "models.csv", text.getvalue().encode())
    points = {r["name"]: (r["bytes"], r["psnr"]) for r in result["rows"] if r["bytes"]}
    made = [p for p in result["peers"] if p["psnr"] is not None]
    lines = {
        codec: [(p["bytes"], p["psnr"]) for p in made if p["codec"] == codec] for codec in CODECS
    }
    floor = (f"{FLOOR} DCT coefficients", result["floor"]["psnr"])
    write_file(out_dir / "models.png", plots.comparison(points, lines, "PSNR (dB)", floor))
    scores = {row["name"]: f"{row['psnr']:.1f} dB" for row in result["rows"]}
    write_file(out_dir / "pictures.png", plots.sheet(columns, scores, THUMBNAIL))
