"""What came back of a bag's frames: figures of every frame, pictures of a few, the report."""

import heapq
from array import array
from contextlib import suppress
from pathlib import Path

import numpy as np

from gaussvae_ros.bags import BagImage
from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.images import spread
from gaussvae_ros.evaluation.metrics import EQUAL, WINDOW, psnr, ssim
from gaussvae_ros.evaluation.peers import CODECS, at_bytes
from gaussvae_ros.evaluation.rate_distortion import (
    Codec,
    Point,
    Setting,
    as_curve,
    means,
    measure,
    measure_table,
)
from gaussvae_ros.evaluation.report import Figure, Gallery, Table, Views, thumbnail, write_report
from gaussvae_ros.files import name_of
from gaussvae_ros.problems import Problems

SHOWN = 8  # worst frames, and evenly spread ones, whose pictures are kept for the report
CURVE = (25, 50, 75, 85)  # qualities in the report's rate-distortion plot
BESIDE = "webp"  # whose pictures the report shows beside ours
COLUMNS = ("", "frames", "bytes/frame", "PSNR (dB)", "SSIM", "encode (ms)", "recall (ms)")


def as_rows(result: dict) -> list[list]:
    """The table of a replay, columns as COLUMNS: all frames, then all codecs on those compared."""
    names = {"ours": "gaussvae, same frames alone"} | {
        codec: f"{plots.NAMES[codec]}, at equal bytes" for codec in CODECS
    }
    rows = [
        [
            "gaussvae, all frames",
            *(result[key] for key in ("frames", "bytes", "psnr", "ssim", "encode_ms", "recall_ms")),
        ]
    ]
    for codec, found in result["compared"].items():
        rows.append(
            [names[codec], *(found[key] for key in ("frames", "bytes", "psnr", "ssim")), None, None]
        )
    return rows


class Recalls:
    """One replay's numbers, 64 bytes a frame, and its few pictures."""

    def __init__(
        self,
        codec: Codec,  # for the frames that peers get too
        setting: Setting,  # that the frames were encoded with
        expected: int,  # frames
        compare: int,  # how many of them, evenly spread, the peers get too
        curves: bool,  # whether half of those are coded at several qualities
    ) -> None:
        self.codec, self.setting = codec, setting
        self.curve_settings = [
            Setting(setting.effort, q) for q in sorted({*CURVE, setting.quality})
        ]
        self.shown, self.compared = spread(expected, SHOWN), spread(expected, compare)
        self.curved = self.compared[::2] if curves else []
        self.order = array("q")  # numbers of the frames, which may come out of their order
        self.ids = array("q")
        self.numbers = {
            name: array("d")
            for name in ("time_s", "bytes", "psnr", "ssim", "encode_ms", "recall_ms")
        }
        self.problems = Problems()
        self.skipped = self.with_pose = self.keys = 0
        self.span_s = 0.0  # of all sessions, one after the other
        self._begun: dict[
            int, tuple[float, int]
        ] = {}  # session: (s within that span, ns its first stamp)
        self.points: list[Point] = []
        self.curve_points: list[Point] = []
        self.worst: list[tuple[float, int, Views]] = []
        self.spread: list[Views] = []
        self.beside: list[Views] = []

    def begin(self, session: int, stamp_ns: int) -> tuple[float, int]:
        """Where a session begins: s within the span, and its first stamp, ns. Said before its first
        frame is taken, if that is not its first in time."""
        return self._begun.setdefault(session, (self.span_s, stamp_ns))

    def take(
        self,
        number: int,  # of the frame, from 0 on
        image: BagImage,
        recalled: np.ndarray,  # uint8, of the shape of image.pixels
        *,
        session: int,  # its number in the replay, see sessions.py
        frame_id: int,
        size: int,  # bytes of the record
        is_key: bool,  # whether it needs no other
        has_pose: bool,
        recall_ms: float,
        encode_ms: float = np.nan,  # where it was measured
    ) -> None:
        """Measure one frame."""
        begin_s, first_ns = self.begin(session, image.stamp_ns)
        time_s = max(begin_s + (image.stamp_ns - first_ns) / 1e9, 0.0)
        self.span_s = max(self.span_s, time_s)
        scores = {
            "time_s": time_s,
            "bytes": size,
            "psnr": min(psnr(image.pixels, recalled), EQUAL),
            "ssim": ssim(image.pixels, recalled)
            if min(image.pixels.shape[:2]) >= WINDOW
            else np.nan,
            "encode_ms": encode_ms,
            "recall_ms": recall_ms,
        }
        self.with_pose += has_pose
        self.keys += is_key
        self.order.append(number)
        self.ids.append(frame_id)
        for name, value in scores.items():
            self.numbers[name].append(value)
        self._keep(number, image.pixels, recalled, scores)
        if number in self.compared:
            self._compare(number, image.pixels)

    def skip(self, problem: str) -> None:
        """Count a frame that cannot be measured; the first few reasons are kept."""
        self.skipped += 1
        self.note(problem)

    def note(self, problem: str) -> None:
        """Keep what was lost of a frame, if it is one of the first few."""
        self.problems.add("frames", problem)

    def figures(self) -> dict:
        """What `gaussvae_ros.replay.replay` returns about the frames; there is at least one."""

        def mean(name: str) -> float | None:
            return _number(np.mean(self.numbers[name]))

        def median(name: str) -> float | None:
            return _number(np.median(self.numbers[name]))

        return {
            "frames": len(self.order),
            "skipped": self.skipped,
            "problems": self.problems.texts(),
            "problem_counts": dict(self.problems.counts),
            "with_pose": self.with_pose,
            "keys": self.keys,
            "sessions": len(self._begun),
            "first_id": self.ids[np.argmin(self.order)],
            "last_id": self.ids[np.argmax(self.order)],
            "span_s": self.span_s,
            "bytes": mean("bytes"),
            "total_bytes": int(sum(self.numbers["bytes"])),
            "psnr": mean("psnr"),
            "worst_psnr": min(self.numbers["psnr"]),
            "ssim": mean("ssim"),
            "encode_ms": median("encode_ms"),
            "recall_ms": median("recall_ms"),
            "compared": self._compared(),
        }

    def write_report(self, out_dir: str | Path, result: dict, facts: dict | None = None) -> Path:
        """The report of a replay; `result` is what `replay` returns, `facts` more rows by name."""
        rows = [
            [key, result[key]]
            for key in ("topic", "quality", "poses", "frames", "skipped", "with_pose", "sessions")
        ]
        rows += [["key records", result["keys"]]]
        rows += [["duration (s)", result["span_s"]], ["all records (bytes)", result["total_bytes"]]]
        rows += [[key, value] for key, value in (facts or {}).items()]
        series = list(dict.fromkeys(s.series for s in self.curve_settings))
        averages = {(s, c): means(self.curve_points, c, s) for s in series for c in (s, *CODECS)}
        curves = {s: as_curve(averages[s, s]) for s in series}
        curves |= {c: as_curve([m for s in series for m in averages[s, c]]) for c in CODECS}
        frames = len({p.image for p in self.curve_points})
        problems = self.problems.texts()
        lines = (
            ("psnr", "PSNR (dB)"),
            ("bytes", "bytes"),
            ("encode_ms", "encode (ms)"),
            ("recall_ms", "recall (ms)"),
        )
        return write_report(
            out_dir,
            f"Replay of {name_of(result['bag'])}",
            [Table("Frames", COLUMNS, as_rows(result)), Table("Replay", ("", ""), rows)]
            + [measure_table(averages, series, frames, measure) for measure in ("psnr", "ssim")][
                : 2 * frames
            ]
            + ([Table("Problems", ("",), [[text] for text in problems])] if problems else []),
            [
                Figure(
                    f"PSNR at equal bytes, mean of {frames} frames",
                    plots.rate_distortion(curves, "PSNR (dB)"),
                )
            ][:frames]
            + [
                Figure(f"{label} of every frame", self._over_time(name, label))
                for name, label in lines
                if np.isfinite(self.numbers[name]).any()
            ],
            [
                *[Gallery(f"Beside {plots.NAMES[BESIDE]} in as many bytes", self.beside)][:frames],
                Gallery("Worst frames first", [views for *_, views in self.worst]),
                Gallery("Evenly spread frames", self.spread),
            ],
        )

    def _keep(self, number: int, image: np.ndarray, recalled: np.ndarray, scores: dict) -> None:
        """Hold on to the pictures of a frame, if it is one of the few."""
        among_worst = len(self.worst) < SHOWN or scores["psnr"] < self.worst[-1][0]
        if not (among_worst or number in self.shown):
            return
        figures = f"{scores['bytes']:,} bytes, {scores['psnr']:.2f} dB"
        caption = f"frame {number}, {scores['time_s']:.1f} s: {figures}"
        views = Views(caption, {"original": thumbnail(image), "recall": thumbnail(recalled)})
        self.worst = heapq.nsmallest(SHOWN, [*self.worst, (scores["psnr"], number, views)])
        if number in self.shown:
            self.spread.append(views)

    def _compare(self, number: int, image: np.ndarray) -> None:
        """Give an image to the peers at the bytes that ours takes."""
        settings = self.curve_settings if number in self.curved else [self.setting]
        with suppress(ImageError):  # too small for MS-SSIM: nothing to compare
            points, recalls = measure(self.codec, f"frame {number}", image, settings)
            self.points += [p for p in points if p.setting == self.setting]
            if number in self.curved:
                self.curve_points += points
                self.beside.append(self._beside(number, image, points, recalls))

    def _beside(
        self, number: int, image: np.ndarray, points: list[Point], recalls: list[np.ndarray]
    ) -> Views:
        """An original, what came back of it at the replay's quality, and a peer in its bytes."""
        pictures, budget = {"original": thumbnail(image)}, 0
        for point, recall in zip(points, recalls):  # our own points come first
            if point.setting == self.setting:
                name = f"gaussvae: {point.bytes:,} bytes, {point.psnr:.2f} dB"
                pictures[name], budget = thumbnail(recall), point.bytes
        if (peer := at_bytes(image, BESIDE, budget)) is None:
            return Views(
                f"frame {number}: {plots.NAMES[BESIDE]} has no file of {budget:,} bytes", pictures
            )
        name = f"{plots.NAMES[BESIDE]}: {peer.bytes:,} bytes, {psnr(image, peer.image):.2f} dB"
        return Views(f"frame {number}", {**pictures, name: thumbnail(peer.image)})

    def _compared(self) -> dict:
        found = {}
        for name in (self.setting.series, *CODECS):
            mean = next(
                (
                    m
                    for m in means(self.points, name, self.setting.series)
                    if m.setting == self.setting
                ),
                None,
            )
            if mean is not None:
                key = "ours" if name == self.setting.series else name
                found[key] = {
                    "frames": mean.fitted,
                    "bytes": mean.bytes,
                    "psnr": mean.psnr,
                    "ssim": mean.ssim,
                }
        return found

    def _over_time(self, name: str, label: str) -> bytes:
        order = np.argsort(self.order)
        times, values = (np.asarray(self.numbers[what])[order] for what in ("time_s", name))
        return plots.over_time(times, {"gaussvae": values}, label)


def _number(value: float) -> float | None:
    """`value` for JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None
