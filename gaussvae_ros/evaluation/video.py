"""`gaussvae evaluate --video`: our records of a sequence beside x265, SVT-AV1 and VVC."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation import plots, streams
from gaussvae_ros.evaluation.encoders import VIDEOS
from gaussvae_ros.evaluation.evaluate import Codec, checked, write_points
from gaussvae_ros.evaluation.fronts import Coded, Fronts, coded_again, nearest, score
from gaussvae_ros.evaluation.images import spread
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.reach import SEEKING, reach_times, why_no_seeking
from gaussvae_ros.evaluation.report import Figure, Gallery, Table, Views, write_report
from gaussvae_ros.evaluation.sequences import read_sequence
from gaussvae_ros.evaluation.summary import ALL, MEASURES, Curves, mean_curve, summarise, tables
from gaussvae_ros.files import write_file
from gaussvae_ros.sequence import encode_sequence

FRAMES = 60  # of a sequence
SIZES = (150, 300, 600, 1200)  # bytes a frame at which codecs are compared
QUALITIES = (*range(0, 71, 10), 75, 80)  # to 2 KB a frame, beyond all of SIZES
PEERS = tuple(VIDEOS)
SHOWN_AT, SHOWN = 300, 2  # bytes a frame, and frames of each sequence, in the gallery
OURS = "gaussvae"


def records_of(codec: Codec, frames: Sequence[np.ndarray], quality: float) -> list[list[bytes]]:
    """For each frame the records that decoding it takes, its own last."""
    return [one.records for one in encode_sequence(codec, frames, quality)]


def picture_of(codec: Codec, records: Sequence[bytes]) -> np.ndarray:
    """What a frame's records show."""
    return codec.decode(records)


def size_of(records: Sequence[Sequence[bytes]]) -> float:
    """Bytes a frame: each frame's own record counts, once."""
    return sum(len(own) for *_, own in records) / len(records)


def evaluate_video(
    paths: Iterable[str | Path],
    out_dir: str | Path,
    codec: Codec,
    *,
    frames: int = FRAMES,
    every: int = 1,
    topic: str | None = None,
    qualities: Sequence[float] = QUALITIES,
    codecs: Sequence[str] = PEERS,
) -> dict:
    """Measure `codec` (a FrameCodec) on sequences and write figures and report into `out_dir`.

    The folder is made. Files: report.html; summary.json; points.csv, one line for each point of
    each sequence's curves; rate_distortion_N.png of the N-th sequence; peers.json, the peers'
    curves, which another run takes from there.

    Args:
        paths: folders of images, videos and bags, read by `read_sequence`: the first `frames` of
            every `every`-th frame, of a bag those of `topic`.
        codecs: peers, of PEERS. Those that cannot be had here are left out and named.

    Returns:
        What summary.json holds: "sets" (as `summary.summarise` gives them, one for each sequence),
        "reach" (by sequence what `reach_times` gives) and "missing" (peers that could not be had,
        each with the reason).

    Raises:
        ImageError, BagError: a sequence that cannot be read; found before the first is coded.
        GaussVaeError: another argument makes no sense.
    """
    if frames < 2 or every < 1:
        wanted = "a sequence is at least 2 frames, and every frame or every 2nd or more"
        raise GaussVaeError(f"{wanted}: not {frames} and {every}")
    checked(qualities, codecs, PEERS)
    names = list(dict.fromkeys(map(str, paths)))
    sequences = {name: read_sequence(name, frames, every, topic) for name in names}
    missing = {c: why for c, why in streams.missing(VIDEOS).items() if c in codecs}
    codecs = [c for c in codecs if c not in missing]
    if set(codecs) & set(SEEKING) and (why := why_no_seeking()):
        missing["x265 in MP4"] = why
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    fronts = Fronts(out_dir / "peers.json", SIZES[0], SIZES[-1])
    curves, times, views = [], {}, []
    steps = len(names) * (len(qualities) + len(codecs))
    with tqdm(total=steps, unit="curve", desc="evaluate", delay=1, disable=None) as bar:
        for name, pictures in sequences.items():
            try:
                ours, shown = _ours(codec, pictures, sorted(qualities), bar.update)
                theirs = {c: _theirs(fronts, pictures, c, bar.update) for c in codecs}
                views += _views(name, pictures, codec, shown, theirs)
            except GaussVaeError as error:
                raise type(error)(f"{name}: {error}") from error
            pixels = int(np.prod(pictures[0].shape[:2]))
            curves.append(Curves(name, name, pixels, {OURS: ours}, theirs))
            draw = partial(picture_of, codec)
            times[name] = reach_times(pictures, shown, draw, theirs, SHOWN_AT)
    compared = summarise(curves, SIZES, ("psnr", "ssim"))
    summary = {"sets": compared, "reach": times, "missing": missing}
    _write(out_dir, summary, curves, views)
    return summary


def video_tables(summary: Mapping) -> list[Table]:
    """All figures of a summary as tables: of all sequences, of each, and the times."""
    found = []
    for one in reversed(summary["sets"]):
        several = f"mean of {one['images']} sequences"
        found += tables(one, several if one["set"] == ALL else one["set"])
    rows = [
        [f"{name}: {plots.NAMES.get(t['codec'], t['codec'])}", round(t["bytes"])]
        + [t["median_ms"], t["p95_ms"]]
        for name, ways in summary["reach"].items()
        for t in ways
    ]
    columns = ["", "bytes a frame", "median (ms)", "95 % (ms)"]
    return [*found, Table("Time to reach a random frame, file opened anew", columns, rows)]


def _ours(
    codec: Codec, frames: Sequence[np.ndarray], qualities: Sequence[float], step: Callable
) -> tuple[list[Coded], list[list[bytes]]]:
    """Our curve, and the records of that point which the gallery shows."""
    points, made = [], {}
    for quality in qualities:
        records = made[quality] = records_of(codec, frames, quality)
        pictures = [picture_of(codec, one) for one in records]
        points.append(score(frames, pictures, size_of(records), quality))
        step()
    return points, made[nearest(points, SHOWN_AT).quality]


def _theirs(
    fronts: Fronts, frames: Sequence[np.ndarray], codec: str, step: Callable
) -> list[Coded]:
    found = fronts.of(frames, codec)
    step()
    return found


def _views(
    name: str,
    frames: Sequence[np.ndarray],
    codec: Codec,
    records: Sequence[Sequence[bytes]],
    fronts: Mapping[str, Sequence[Coded]],
) -> list[Views]:
    """Frames of a sequence beside what every codec makes of them in about SHOWN_AT bytes."""
    coded = {}
    for peer, points in fronts.items():
        if points:
            point = nearest(points, SHOWN_AT)
            coded[peer] = point.bytes, coded_again(frames, peer, point)
    found = []
    for number in spread(len(frames), SHOWN + 2)[1:-1] or [0]:
        recall = picture_of(codec, records[number])
        shown = {OURS: (size_of(records), recall)}
        shown |= {peer: (size, pictures[number]) for peer, (size, pictures) in coded.items()}
        pictures = {"original": frames[number]}
        for peer, (size, picture) in shown.items():
            about = f"{size:,.0f} bytes a frame, {psnr(frames[number], picture):.2f} dB"
            pictures[f"{plots.NAMES.get(peer, peer)}: {about}"] = picture
        found.append(Views(f"{Path(name).name}, frame {number}", pictures))
    return found


def _write(out_dir: Path, summary: dict, curves: list[Curves], views: list[Views]) -> None:
    write_file(out_dir / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    write_points(out_dir / "points.csv", curves)
    drawings = []
    for number, one in enumerate(curves, 1):
        lines = {c: mean_curve([one], c, "psnr", SIZES) for c in (*one.ours, *one.peers)}
        png = plots.rate_distortion(lines, MEASURES["psnr"], unit="frame")
        write_file(out_dir / f"rate_distortion_{number}.png", png)
        drawings.append(Figure(f"{MEASURES['psnr']}, {one.set}", png))
    lacking = [[plots.NAMES.get(c, c), why] for c, why in summary["missing"].items()]
    write_report(
        out_dir,
        f"Rate and distortion of {len(curves)} sequences",
        video_tables(summary)
        + ([Table("Not compared with", ["", ""], lacking)] if lacking else []),
        drawings,
        [Gallery(f"Frames at about {SHOWN_AT} bytes a frame", views)],
    )
