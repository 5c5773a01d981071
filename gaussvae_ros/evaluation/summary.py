"""The curves of many images as figures: means at fixed sizes, Bjøntegaard differences, by set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.bjontegaard import bjontegaard
from gaussvae_ros.evaluation.fronts import Coded, at_size
from gaussvae_ros.evaluation.report import Table

SIZES = (256, 512, 1024, 2048)  # bytes at which codecs are compared
MEASURES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}
ALL = "all"  # the set of all images, where there are several sets


@dataclass(frozen=True)
class Curves:
    """What every codec made of one image, or of one video."""

    set: str
    image: str
    pixels: int
    ours: Mapping[str, list[Coded]]  # by series, in the order of quality
    peers: Mapping[str, list[Coded]]  # fronts by codec
    floor: float | None = None  # dB, of as many DCT coefficients as a latent has numbers


def summarise(
    images: Sequence[Curves],
    sizes: Sequence[int] = SIZES,
    measures: Sequence[str] = tuple(MEASURES),
) -> list[dict]:
    """A dict for each set, and for all of them if they are several.

    Each holds "set", "images", "floor_psnr" (dB, or None), "settings" (means at our qualities:
    series, quality, bytes, bpp, and `measures`: psnr, ssim, ms_ssim), "at" (codec, bytes, images,
    and `measures` at `sizes`) and "bjontegaard" (series, anchor, images, psnr in dB, rate in %). A
    mean at a size is None unless every image has it; "images" says how many do. Bjøntegaard
    differences are means over the images that have them.
    """
    groups: dict[str, list[Curves]] = {}
    for image in images:
        groups.setdefault(image.set, []).append(image)
    if len(groups) > 1:
        groups[ALL] = list(images)
    return [_summary(name, group, sizes, measures) for name, group in groups.items()]


def mean_curve(
    images: Sequence[Curves], codec: str, measure: str, sizes: Sequence[int] = SIZES
) -> np.ndarray:
    """Bytes and the mean of a measure, [N, 2], where every image has it: to one octave below
    `sizes`, the lowest and highest of which are compared.
    """
    sizes = 2.0 ** np.arange(np.log2(sizes[0]) - 1, np.log2(sizes[-1]) + 0.1, 0.5)
    points = [(size, _mean(images, codec, size, measure)) for size in sizes]
    return np.array([(size, value) for size, (value, _) in points if value is not None])


def tables(summary: Mapping, where: str = "") -> list[Table]:
    """One set's figures as tables: differences, each measure at its sizes, our settings.

    `where` says in the captions what they are of; by default the set and its number of images.
    """
    where = where or f"{summary['set'] or 'images'}, {summary['images']} images"
    sizes = list(dict.fromkeys(a["bytes"] for a in summary["at"]))
    measures = {m: label for m, label in MEASURES.items() if m in summary["at"][0]}
    differences = [
        [
            d["series"],
            plots.NAMES[d["anchor"]],
            d["images"],
            _signed(d["psnr"], 2),
            _signed(d["rate"]),
        ]
        for d in summary["bjontegaard"]
    ]
    columns = ["ours", "against", "images", "BD-PSNR (dB)", "BD-rate (%)"]
    found = [Table(f"Bjøntegaard differences: {where}", columns, differences)]
    codecs = list(dict.fromkeys(a["codec"] for a in summary["at"]))
    for measure, label in measures.items():
        at = {(a["codec"], a["bytes"]): a for a in summary["at"]}
        rows = [
            [plots.NAMES.get(c, c), *(_cell(at[c, size], measure, summary) for size in sizes)]
            for c in codecs
        ]
        columns = ["", *(f"{size:,} bytes" for size in sizes)]
        found.append(Table(f"{label} at equal bytes: {where}", columns, rows))
    rows = [
        [s["series"], f"{s['quality']:g}", round(s["bytes"]), f"{s['bpp']:.3f}"]
        + [_written(s[measure], measure) for measure in measures]
        for s in summary["settings"]
    ]
    columns = ["ours", "quality", "bytes", "bpp", *measures.values()]
    return [*found, Table(f"Our settings: {where}", columns, rows)]


def _summary(
    name: str, images: list[Curves], sizes: Sequence[int], measures: Sequence[str]
) -> dict:
    ours, peers, floors = list(images[0].ours), list(images[0].peers), [i.floor for i in images]
    at = []
    for codec in (*ours, *peers):
        for size in sizes:
            row = {"codec": codec, "bytes": size}
            for measure in measures:
                row[measure], row["images"] = _mean(images, codec, size, measure)
            at.append(row)
    return {
        "set": name,
        "images": len(images),
        "floor_psnr": None if None in floors else float(np.mean(floors)),
        "settings": [s for series in ours for s in _settings(images, series, measures)],
        "at": at,
        "bjontegaard": [_difference(images, s, peer) for s in ours for peer in peers],
    }


def _settings(images: list[Curves], series: str, measures: Sequence[str]) -> list[dict]:
    rows = []
    for records in zip(*(i.ours[series] for i in images), strict=True):
        means = {name: float(np.mean([getattr(r, name) for r in records])) for name in measures}
        bits = [8 * r.bytes / i.pixels for r, i in zip(records, images, strict=True)]
        size = float(np.mean([r.bytes for r in records]))
        place = {"series": series, "quality": records[0].quality}
        rows.append({**place, "bytes": size, "bpp": float(np.mean(bits)), **means})
    return rows


def _difference(images: list[Curves], series: str, peer: str) -> dict:
    found = [bjontegaard(_points(i.peers[peer]), _points(i.ours[series])) for i in images]
    both = [f for f in found if f.rate is not None and f.psnr is not None]
    means = {
        name: float(np.mean([getattr(f, name) for f in both])) if both else None
        for name in ("psnr", "rate")
    }
    return {"series": series, "anchor": peer, "images": len(both), **means}


def _points(coded: Sequence[Coded]) -> np.ndarray:
    return np.array([(c.bytes, c.psnr) for c in coded], np.float64).reshape(-1, 2)


def _mean(
    images: Sequence[Curves], codec: str, size: float, measure: str
) -> tuple[float | None, int]:
    """The mean over all images, None unless each has a value at that size, and how many do."""
    values = [at_size(i.ours.get(codec) or i.peers[codec], size, measure) for i in images]
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if len(known) == len(images) else None, len(known)


def _cell(at: Mapping, measure: str, summary: Mapping) -> str:
    if at[measure] is None:
        return f"{at['images']} of {summary['images']}"
    return _written(at[measure], measure)


def _written(value: float, measure: str) -> str:
    return f"{value:.2f}" if measure == "psnr" else f"{value:.4f}"


def _signed(value: float | None, digits: int = 1) -> str | None:
    return None if value is None else f"{value:+.{digits}f}"
