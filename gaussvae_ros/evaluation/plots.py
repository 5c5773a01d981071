"""The drawings of a report, as PNG bytes: rate-distortion, a measure over time, models compared."""

import io
from collections.abc import Mapping, Sequence
from textwrap import fill

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

OURS = ("#c2410c", "#fb923c", "#7c2d12", "#fdba74")  # strongest first
PEERS = {
    "vvc": "#1d4ed8",
    "av1": "#7c3aed",
    "hevc": "#0891b2",
    "webp": "#0d9488",
    "jpeg": "#64748b",
    "vvenc-16": "#1d4ed8",
    "svt-av1": "#7c3aed",
    "svt-av1-10": "#a78bfa",
    "x265": "#0891b2",
    "x265-10": "#67c3d6",
}
MARGIN = 150  # px left of a sheet, for names
NAMES = {
    "vvc": "VVC",
    "av1": "AV1",
    "hevc": "HEVC",
    "webp": "WebP",
    "jpeg": "JPEG",
    "vvenc-16": "VVC, key every 16",
    "svt-av1": "SVT-AV1, one key",
    "svt-av1-10": "SVT-AV1, key every 10",
    "x265": "x265, one key",
    "x265-10": "x265, key every 10",
}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#98a2b3",
    "axes.labelcolor": "#344054",
    "axes.titlecolor": "#1c2330",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eaecf0",
    "xtick.color": "#667085",
    "ytick.color": "#667085",
}


def rate_distortion(
    curves: Mapping[str, np.ndarray],
    label: str,
    floor: tuple[str, float] | None = None,
    unit: str = "image",
) -> bytes:
    """Quality against bytes, one labelled line for each codec.

    `curves` maps a codec's name to [N, 2] bytes and quality. Names of peers (those of PEERS) have
    their own colours, all others are ours, the most important first.
    `label` names the quality and its unit; `floor` is a name and a value to draw as a level line;
    `unit` is what the bytes are of.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 5))
        axes = figure.subplots()
        curves = {name: c[np.argsort(c[:, 0])] for name, c in curves.items() if len(c)}
        ours = iter(OURS * len(curves))
        ends = []
        for name, points in curves.items():
            colour = PEERS.get(name) or next(ours)
            look = (
                {"lw": 1.5, "ms": 4, "zorder": 2}
                if name in PEERS
                else {"lw": 2.6, "ms": 6, "zorder": 3}
            )
            axes.plot(*points.T, "o-", color=colour, **look)
            ends.append((NAMES.get(name, name), colour, points[-1], name not in PEERS))
        axes.set_xscale("log")
        if floor:
            axes.axhline(floor[1], color="#98a2b3", lw=1, ls=(0, (4, 3)))
            place = {
                "xycoords": ("axes fraction", "data"),
                "xytext": (0, 4),
                "textcoords": "offset points",
            }
            axes.annotate(floor[0], (0.005, floor[1]), **place, color="#667085", fontsize=9)
        if curves:
            _byte_ticks(axes, np.concatenate(list(curves.values()))[:, 0])
            _label_ends(axes, ends)
        axes.set(xlabel=f"bytes per {unit}", ylabel=label)
        return _png(figure)


def over_time(times: Sequence[float], values: Mapping[str, Sequence[float]], label: str) -> bytes:
    """A measure of each frame over time: `times` [N] in s, `values` maps a line's name to [N].

    Values that are not finite leave a gap.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 3.6))
        axes = figure.subplots()
        ours = iter(OURS * len(values))
        ends = []
        for name, line in values.items():
            colour = PEERS.get(name) or next(ours)
            points = np.column_stack((times, line)).astype(float)
            points[~np.isfinite(points[:, 1]), 1] = np.nan
            drawn = points[np.isfinite(points[:, 1])]
            look = {"lw": 1.2, "zorder": 2} if name in PEERS else {"lw": 1.8, "zorder": 3}
            axes.plot(*points.T, color=colour, **look)
            if len(drawn):
                ends.append((NAMES.get(name, name), colour, drawn[-1], name not in PEERS))
        _label_ends(axes, ends)
        axes.set(xlabel="time (s)", ylabel=label)
        axes.margins(x=0.01)
        return _png(figure)


def comparison(
    points: Mapping[str, tuple[float, float]],
    peers: Mapping[str, Sequence[tuple[float, float]]],
    label: str,
    floor: tuple[str, float],
) -> bytes:
    """A point of bytes and quality for each name, beside the peers' curves; the rest as above."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 5))
        axes = figure.subplots()
        for name, line in peers.items():
            if len(line):
                axes.plot(*zip(*line), "-", color=PEERS[name], lw=1.5, label=NAMES[name])
        for number, (name, point) in enumerate(points.items()):
            marker, colour = "osD^v<>Ph*"[number % 10], OURS[number // 10 % len(OURS)]
            axes.plot(*point, marker, color=colour, ms=7, label=name)
        axes.axhline(floor[1], color="#98a2b3", lw=1, ls=(0, (4, 3)), label=floor[0])
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        axes.set(xlabel="bytes per frame (mean)", ylabel=label)
        return _png(figure)


def sheet(
    columns: Sequence[Mapping[str, np.ndarray]],
    notes: Mapping[str, str],
    thumbnail: tuple[int, int],
) -> bytes:
    """Pictures in rows by name and in columns by frame, reduced to `thumbnail` (w, h) px.

    Each is uint8 [h, w, 3].

    `notes` are added to the names that they have.
    """
    names = list(columns[0])
    with rc_context({**STYLE, "font.size": 8}):
        width, height = thumbnail
        across = width * len(columns) + MARGIN
        figure = Figure(figsize=(across / 100, height * len(names) / 100), dpi=100)
        for row, name in enumerate(names):
            text = "\n".join([fill(name, 22), *([notes[name]] if name in notes else [])])
            place = (MARGIN - 10) / across, 1 - (row + 0.5) / len(names)
            figure.text(*place, text, ha="right", va="center", color="#1c2330")
        strips = [
            np.hstack([_reduced(column[name], thumbnail) for column in columns]) for name in names
        ]
        axes = figure.add_axes((MARGIN / across, 0, 1 - MARGIN / across, 1))
        axes.imshow(np.vstack(strips), interpolation="none", aspect="auto")
        axes.set_axis_off()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
        return buffer.getvalue()


def _reduced(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _byte_ticks(axes, sizes: np.ndarray) -> None:
    low, high = np.floor(np.log2(sizes.min())), np.ceil(np.log2(sizes.max()))
    step = 1 if high - low > 2 else 0.25
    axes.xaxis.set_major_locator(FixedLocator(2 ** np.arange(low, high + step, step)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))


def _label_ends(axes, ends: list) -> None:
    """Names in a column right of the lines, at the heights of their ends, without overlap."""
    if not ends:
        return
    axes.figure.draw_without_rendering()
    points_per_px = 72 / axes.figure.dpi
    right = max(end[2][0] for end in ends)
    ends = sorted(ends, key=lambda end: end[2][1])
    wanted = np.array([axes.transData.transform(end[2])[1] for end in ends]) * points_per_px
    heights = wanted.copy()
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + 12)
    shifts = heights - wanted - np.mean(heights - wanted)
    for (name, colour, point, ours), shift in zip(ends, shifts):
        axes.annotate(
            name,
            (right, point[1]),
            xytext=(9, shift),
            textcoords="offset points",
            va="center",
            color=colour,
            weight="bold" if ours else "normal",
            annotation_clip=False,
        )


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
