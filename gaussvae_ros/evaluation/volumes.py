"""Volumes measured beside what else codes them: error, bytes, time and seams."""

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.evaluation.plots import OURS, STYLE
from gaussvae_ros.evaluation.volume_peers import PEERS, BlockNetwork
from gaussvae_ros.files import write_file
from gaussvae_ros.volume.checks import few
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.files import halves, read_volume
from gaussvae_ros.volume.model import ARCHITECTURE, load

QUALITIES = (0, 15, 30, 40, 50, 60, 70, 85, 100)
SHOWN = 50  # quality of the pictures of slices
FACTORS = (8, 40)  # 8-bit voxels over bytes, at which peers are compared
COLUMNS = ("volume", "codec", "setting", "bytes", "factor", "mse", "psnr", "encode_s", "decode_s",
           "seam")  # fmt: skip


def evaluate_volumes(
    paths: Sequence[str | Path],
    out: str | Path,
    weights: Sequence[str | Path] = (),
    model: str | Path = ARCHITECTURE,
    qualities: Sequence[float] = QUALITIES,
) -> dict:
    """Measure volumes, and write points.csv, a drawing and a picture of slices for each into `out`.

    Volumes that the model learned from are measured in the half that it did not see. Errors are
    of values over 255, or over the volume's own maximum where they are not bytes, as the reference
    has them; the factor is voxels, as bytes, over whole records.

    Args:
        weights: files of the reference's networks to measure, too.

    Returns:
        `rows` of points.csv, `volumes` with a summary of each, and the peers `missing`.

    Raises:
        VolumeError: a file is no volume, or has unknown voxels.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    learned = load(model).card.get("volumes", [])
    networks = [BlockNetwork(path) for path in weights]
    rows: list[dict] = []
    summaries, missing = [], {}
    for path in map(Path, paths):
        array = read_volume(path).array
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise VolumeError(f"{path}: has unknown voxels, which no peer can code")
        if path.name in learned:
            array = np.ascontiguousarray(array[halves(array.shape)[1]])
        top = 255 if array.dtype == np.uint8 else float(array.max()) or 1.0
        wanted = array.astype(np.float32) / np.float32(top)
        curves, shown = _ours(VolumeCodec(model), array, wanted, top, qualities)
        for name, peer in PEERS.items():
            try:
                curves[name] = [_point(wanted, size, made) for size, made in peer(wanted)]
            except ImportError as error:
                missing[name] = str(error)
        for network in networks:
            begun = time.perf_counter()
            made = network.code(wanted)
            point = _point(wanted, int(wanted.size / network.factor), made)
            curves[network.name] = [point | {"decode_s": time.perf_counter() - begun}]
        for codec, points in curves.items():
            rows += [{"volume": path.stem, "codec": codec, **point} for point in points]
        summaries.append(_summary(path.stem, array, curves, path.name in learned))
        write_file(out / f"{path.stem}.png", _drawing(path.stem, curves))
        write_file(out / f"{path.stem}_slices.png", _slices(wanted, shown))
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="")
    table.writeheader()
    table.writerows(rows)
    write_file(out / "points.csv", text.getvalue().encode())
    return {"rows": rows, "volumes": summaries, "missing": missing}


def seam(wanted: np.ndarray, made: np.ndarray) -> float:
    """How much larger the error's steps across borders of blocks are than those inside: 1 where
    borders cannot be told."""
    error, across, inside = made - wanted, [], []
    for axis in range(3):
        steps = np.abs(np.diff(error, axis=axis))
        border = np.arange(steps.shape[axis]) % 8 == 7
        across.append(np.compress(border, steps, axis).ravel())
        inside.append(np.compress(~border, steps, axis).ravel())
    rest = np.concatenate(inside).mean()
    return float(np.concatenate(across).mean() / rest) if rest else 1.0


def at_factor(points: list[dict], factor: float) -> float | None:
    """The error of a curve at a compression factor, along lines in the logarithms; None beyond
    its end of few bytes. More bytes than a curve has give no less error than it reached."""
    found = sorted(points, key=lambda point: -point["factor"])
    if factor > found[0]["factor"]:
        return None
    values = np.log([max(point["mse"], 1e-12) for point in found])
    at = np.log([point["factor"] for point in found])
    return float(np.exp(np.interp(-np.log(factor), -at, values)))


def at_error(points: list[dict], mse: float) -> float:
    """The highest compression factor of a curve at an error; that of its end, if all are better."""
    found = sorted(points, key=lambda point: point["mse"])
    values = np.log([max(point["mse"], 1e-12) for point in found])
    return float(np.exp(np.interp(np.log(mse), values, np.log([p["factor"] for p in found]))))


def _ours(codec, array, wanted, top, qualities) -> tuple[dict, np.ndarray]:
    """Our curve, and the volume at the quality that is shown."""
    points, shown = [], wanted
    for quality in (SHOWN,) if few(array) is not None else qualities:
        begun = time.perf_counter()
        data = codec.encode(array, quality)
        middle = time.perf_counter()
        made = codec.decode(data).astype(np.float32) / np.float32(top)
        point = _point(wanted, len(data), made) | {
            "setting": quality,
            "encode_s": middle - begun,
            "decode_s": time.perf_counter() - middle,
        }
        points.append(point)
        if quality == SHOWN:
            shown = made
    return {"gaussvae": points}, shown


def _point(wanted: np.ndarray, size: int, made: np.ndarray) -> dict:
    mse = float(np.mean((made - wanted) ** 2, dtype=np.float64))
    return {
        "bytes": size,
        "factor": wanted.size / size,
        "mse": mse,
        "psnr": -10 * np.log10(mse) if mse else np.inf,
        "seam": seam(wanted, made),
    }


def _summary(name: str, array: np.ndarray, curves: dict, half: bool) -> dict:
    """What a table says of a volume."""
    ours, reference = curves["gaussvae"], None
    for codec, points in curves.items():
        if codec.startswith("reference") and abs(array.size / points[0]["bytes"] - 4) < 0.1:
            reference = points[0]["mse"] if reference is None else reference
    row = {
        "volume": name,
        "half": half,
        "exact": few(array) is not None,
        "reference_mse": reference,
    }
    row["mse_at_4"] = at_factor(ours, 4)
    row["factor_at_reference"] = None if reference is None else at_error(ours, reference)
    for factor in FACTORS:
        for codec in ("gaussvae", *PEERS):
            if codec in curves:
                row[f"{codec} at {factor}"] = at_factor(curves[codec], factor)
    row["seam"] = next(p["seam"] for p in ours if p.get("setting") == SHOWN or len(ours) == 1)
    return row


def _drawing(name: str, curves: dict) -> bytes:
    """Error over compression factor, as PNG."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7, 4.2), dpi=110, layout="constrained")
        axes = figure.subplots()
        for codec, points in curves.items():
            found = sorted((p["factor"], p["psnr"]) for p in points if np.isfinite(p["psnr"]))
            if codec == "gaussvae" and not found:
                axes.axvline(points[0]["factor"], color=OURS[0], label="gaussvae, exact")
            elif codec == "gaussvae":
                axes.plot(*zip(*found), "o-", color=OURS[0], label=codec, lw=2)
            else:
                axes.plot(*zip(*found), "s" if len(found) == 1 else ".-", label=codec, lw=1)
        axes.set(
            xscale="log", title=name, ylabel="PSNR (dB)",
            xlabel="compression factor (8-bit voxels over whole records)",
        )  # fmt: skip
        axes.legend(fontsize=8)
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


def _slices(wanted: np.ndarray, made: np.ndarray) -> bytes:
    """The middle slice before and after, and ten times their difference, as PNG."""
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(9, 3.4), dpi=110, layout="constrained")
        middle = wanted.shape[0] // 2
        pictures = (wanted[middle], made[middle], 0.5 + 5 * (made - wanted)[middle])
        names = "as it was", f"quality {SHOWN}", "difference, ten times"
        for axes, picture, title in zip(figure.subplots(1, 3), pictures, names):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set(title=title, xticks=[], yticks=[])
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()
