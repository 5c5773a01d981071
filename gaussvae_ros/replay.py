"""A bag through codec and bank, measured: every image is encoded, stored, recalled and compared with its original."""

import heapq
import time
from array import array
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bags import IMAGE_TYPES, Bag, Shot
from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BagError, ImageError
from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.evaluate import measure_table
from gaussvae_ros.evaluation.metrics import WINDOW, psnr, ssim
from gaussvae_ros.evaluation.peers import CODECS, at_bytes
from gaussvae_ros.evaluation.rate_distortion import EQUAL, Codec, Point, Setting, as_curve, means, measure
from gaussvae_ros.evaluation.report import Figure, Gallery, Table, Views, thumbnail, write_report
from gaussvae_ros.likeness import describe
from gaussvae_ros.poses import SET_BACK_NS
from gaussvae_ros.record import TIERS

SHOWN = 8  # worst frames, and evenly spread ones, whose pictures are kept for the report
CURVE = (25, 50, 75)  # qualities in the report's rate-distortion plot, of both tiers
BESIDE = "webp"  # whose pictures the report shows beside both tiers
COLUMNS = ("", "frames", "bytes/frame", "PSNR (dB)", "SSIM", "encode (ms)", "recall (ms)")


def replay(
    path: str | Path,
    codec: Codec,
    bank: MemoryBank,
    topic: str | None = None,
    pose_topic: str | None = None,
    tier: str = "latent",
    quality: float = 50,
    effort: str = "fast",
    compare: int = 8,
    report_dir: str | Path | None = None,
) -> dict:
    """Store every image of one topic of a bag, and measure what comes back. Memory does not grow with the images.

    Frames are stored under the camera name `topic` and their header stamps, in a session of the bag's name; when the
    stamps jump back, another session begins. An image that does not decode costs that frame only.

    Args:
        topic: which images; None takes the only image topic.
        pose_topic: where poses come from; None lets `Bag.poses` choose.
        tier, quality, effort: for `codec.encode`.
        compare: how many evenly spread frames the peers get too; each takes them seconds.
        report_dir: a folder for report.html with plots and pictures, of both tiers on some frames; None writes none.

    Returns:
        Ready for JSON. bag, topic, tier, poses (the topic used or None), frames, skipped, problems (the first few, text),
        with_pose, sessions, first_id, last_id, span_s (by the stamps), bytes (mean), total_bytes, psnr (mean),
        worst_psnr (dB), ssim (mean), encode_ms, recall_ms (medians), compared {codec: {frames, bytes, psnr, ssim}} of ours
        and each peer on the same few frames at equal bytes (None where not every frame fits), report (path or None).

    Raises:
        BagError: no such bag, topic or poses, or no image that can be read.
        BankError: the bank does not take a frame, such as with a full disk.
    """
    with Bag(path) as bag:
        topic = bag.image_topic(topic)
        poses = bag.poses(bag.frame_id(topic), pose_topic)
        expected = bag.topics(IMAGE_TYPES)[topic]
        setting = Setting(tier, effort, quality)
        run = _Run(codec, bank, topic, Path(path).name, setting, expected, compare, report_dir is not None)
        shots = tqdm(bag.shots(topic), total=expected, unit="frame", desc="replay", delay=1, disable=None)
        try:
            for number, shot in enumerate(shots):
                pose = poses and poses.at(shot.stamp_ns, shot.recorded_ns)
                run.take(number, shot, None if pose is None else Pose(*pose, reference=poses.reference))
        except BagError as error:
            if not run.stamps:
                raise
            run.problems.append(f"the bag breaks off: {error}")
    bank.flush()
    if not run.stamps:
        raise BagError(f"{path} has no readable image on {topic}: {run.problems[0] if run.problems else 'it is empty'}")
    result = {"bag": str(path), "topic": topic, "tier": tier, "poses": poses and poses.name, **run.figures(), "report": None}
    if report_dir is not None:
        result["report"] = str(run.write_report(report_dir, result))
    return result


def as_rows(result: dict) -> list[list]:
    """The one table of a replay, columns as COLUMNS: all frames, then ours and the peers on the frames compared."""
    names = {"ours": "gaussvae, same frames"} | {codec: f"{plots.NAMES[codec]}, at equal bytes" for codec in CODECS}
    rows = [
        [
            "gaussvae, all frames",
            *(result[key] for key in ("frames", "bytes", "psnr", "ssim", "encode_ms", "recall_ms")),
        ]
    ]
    for codec, found in result["compared"].items():
        rows.append([names[codec], *(found[key] for key in ("frames", "bytes", "psnr", "ssim")), None, None])
    return rows


class _Run:
    """One replay's numbers, one of each a frame, and its few pictures."""

    def __init__(
        self,
        codec: Codec,
        bank: MemoryBank,
        topic: str,
        session: str,
        setting: Setting,
        expected: int,  # frames
        compare: int,  # frames that the peers get too
        curves: bool,  # whether half of those are coded with both tiers at several qualities
    ) -> None:
        self.codec, self.bank, self.topic, self.session = codec, bank, topic, session
        self.setting = setting
        self.curve_settings = [Setting(t, setting.effort, q) for t in TIERS for q in sorted({*CURVE, setting.quality})]
        self.shown, self.compared = _spread(expected, SHOWN), _spread(expected, compare)
        self.curved = self.compared[::2] if curves else []
        self.stamps = array("q")
        self.ids = array("q")
        self.numbers = {name: array("d") for name in ("time_s", "bytes", "psnr", "ssim", "encode_ms", "recall_ms")}
        self.problems: list[str] = []
        self.skipped = self.with_pose = self.sessions = 0
        self.points: list[Point] = []
        self.curve_points: list[Point] = []
        self.worst: list[tuple[float, int, Views]] = []
        self.spread: list[Views] = []
        self.beside: list[Views] = []

    def take(self, number: int, shot: Shot, pose: Pose | None) -> None:
        """Remember and recall one image."""
        stamped = f"frame {number} at {shot.stamp_ns} ns"
        if shot.image is None:
            return self._skip(f"{stamped}: {shot.problem}")
        begun = time.perf_counter()
        try:
            data = self.codec.encode(
                shot.image, tier=self.setting.tier, quality=self.setting.quality, effort=self.setting.effort
            )
        except ImageError as error:
            return self._skip(f"{stamped}: {error}")
        encoded = time.perf_counter()
        back = not self.stamps or shot.stamp_ns < self.stamps[-1] - SET_BACK_NS
        if back:
            self.sessions += 1
            self.bank.begin_session(self.session, start_ns=shot.stamp_ns)
        descriptor = describe(shot.image).tobytes()
        frame_id = self.bank.add(data, stamp_ns=shot.stamp_ns, camera=self.topic, pose=pose, descriptor=descriptor)
        stored = time.perf_counter()
        recalled = self.codec.decode(self.bank.get(frame_id).data)
        done = time.perf_counter()
        self.with_pose += pose is not None
        since = 0 if back else max(shot.stamp_ns - self.stamps[-1], 0) / 1e9
        scores = {
            "time_s": since + (self.numbers["time_s"][-1] if self.stamps else 0),
            "bytes": len(data),
            "psnr": min(psnr(shot.image, recalled), EQUAL),
            "ssim": ssim(shot.image, recalled) if min(shot.image.shape[:2]) >= WINDOW else np.nan,
            "encode_ms": 1e3 * (encoded - begun),
            "recall_ms": 1e3 * (done - stored),
        }
        self.stamps.append(shot.stamp_ns)
        self.ids.append(frame_id)
        for name, value in scores.items():
            self.numbers[name].append(value)
        self._keep(number, shot.image, recalled, scores)
        if number in self.compared:
            self._compare(number, shot.image)

    def figures(self) -> dict:
        """What `replay` returns about the frames."""

        def mean(name: str) -> float | None:
            return _number(np.mean(self.numbers[name]))

        def median(name: str) -> float:
            return float(np.median(self.numbers[name]))

        return {
            "frames": len(self.stamps),
            "skipped": self.skipped,
            "problems": self.problems,
            "with_pose": self.with_pose,
            "sessions": self.sessions,
            "first_id": self.ids[0],
            "last_id": self.ids[-1],
            "span_s": self.numbers["time_s"][-1],
            "bytes": mean("bytes"),
            "total_bytes": int(sum(self.numbers["bytes"])),
            "psnr": mean("psnr"),
            "worst_psnr": min(self.numbers["psnr"]),
            "ssim": mean("ssim"),
            "encode_ms": median("encode_ms"),
            "recall_ms": median("recall_ms"),
            "compared": self._compared(),
        }

    def write_report(self, out_dir: str | Path, result: dict) -> Path:
        """The report of the whole replay; `result` is what `replay` returns."""
        facts = [[key, result[key]] for key in ("topic", "poses", "frames", "skipped", "with_pose", "sessions")]
        facts += [["duration (s)", result["span_s"]], ["all records (bytes)", result["total_bytes"]]]
        series = list(dict.fromkeys(s.series for s in self.curve_settings))
        averages = {(s, c): means(self.curve_points, c, s) for s in series for c in (s, *CODECS)}
        curves = {s: as_curve(averages[s, s]) for s in series}
        curves |= {c: as_curve([m for s in series for m in averages[s, c]]) for c in CODECS}
        frames = len({p.image for p in self.curve_points})
        lines = (("psnr", "PSNR (dB)"), ("bytes", "bytes"), ("encode_ms", "encode (ms)"), ("recall_ms", "recall (ms)"))
        return write_report(
            out_dir,
            f"Replay of {Path(result['bag']).name}",
            [Table("Frames", COLUMNS, as_rows(result)), Table("Replay", ("", ""), facts)]
            + [measure_table(averages, series, frames, measure) for measure in ("psnr", "ssim")][: 2 * frames]
            + ([Table("Problems", ("",), [[p] for p in self.problems])] if self.problems else []),
            [Figure(f"PSNR at equal bytes, mean of {frames} frames", plots.rate_distortion(curves, "PSNR (dB)"))][
                :frames
            ]
            + [Figure(f"{label} of every frame", self._over_time(name, label)) for name, label in lines],
            [
                *[Gallery(f"Both tiers, and {plots.NAMES[BESIDE]} in the bytes of {TIERS[-1]}", self.beside)][:frames],
                Gallery("Worst frames first", [views for *_, views in self.worst]),
                Gallery("Evenly spread frames", self.spread),
            ],
        )

    def _skip(self, problem: str) -> None:
        self.skipped += 1
        if len(self.problems) < SHOWN:
            self.problems.append(problem)

    def _keep(self, number: int, image: np.ndarray, recalled: np.ndarray, scores: dict) -> None:
        """Hold on to the pictures of a frame, if it is one of the few."""
        among_worst = len(self.worst) < SHOWN or scores["psnr"] < self.worst[-1][0]
        if not (among_worst or number in self.shown):
            return
        caption = f"frame {number}, {scores['time_s']:.1f} s: {scores['bytes']:,} bytes, {scores['psnr']:.2f} dB"
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

    def _beside(self, number: int, image: np.ndarray, points: list[Point], recalls: list[np.ndarray]) -> Views:
        """An original, what both tiers make of it at the replay's quality, and a peer in the bytes of the smaller."""
        pictures, budget = {"original": thumbnail(image)}, 0
        for point, recall in zip(points, recalls):  # our own points come first
            if point.setting.quality == self.setting.quality:
                name = f"{point.setting.tier}: {point.bytes:,} bytes, {point.psnr:.2f} dB"
                pictures[name], budget = thumbnail(recall), point.bytes  # the smaller tier is the last
        if (peer := at_bytes(image, BESIDE, budget)) is None:
            return Views(f"frame {number}: {plots.NAMES[BESIDE]} has no file of {budget:,} bytes", pictures)
        name = f"{plots.NAMES[BESIDE]}: {peer.bytes:,} bytes, {psnr(image, peer.image):.2f} dB"
        return Views(f"frame {number}", {**pictures, name: thumbnail(peer.image)})

    def _compared(self) -> dict:
        found = {}
        for name in (self.setting.series, *CODECS):
            mean = next((m for m in means(self.points, name, self.setting.series) if m.setting == self.setting), None)
            if mean is not None:
                key = "ours" if name == self.setting.series else name
                found[key] = {"frames": mean.fitted, "bytes": mean.bytes, "psnr": mean.psnr, "ssim": mean.ssim}
        return found

    def _over_time(self, name: str, label: str) -> bytes:
        return plots.over_time(self.numbers["time_s"], {"gaussvae": self.numbers[name]}, label)


def _spread(total: int, count: int) -> list[int]:
    """At most `count` of the numbers 0 to `total` - 1, evenly spread from the first to the last."""
    return sorted(set(np.linspace(0, max(total - 1, 0), count).round().astype(int).tolist()))


def _number(value: float) -> float | None:
    """`value` for JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None
