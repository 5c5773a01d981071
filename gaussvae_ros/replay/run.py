"""A bag through codec and bank, measured: every image is encoded, stored, recalled and compared."""

from pathlib import Path

from tqdm import tqdm

from gaussvae_ros.bags import IMAGE_TYPES, Bag, BagImage
from gaussvae_ros.bank import Budget, MemoryBank, Pose
from gaussvae_ros.compile import warm_up
from gaussvae_ros.errors import BagError, ImageError
from gaussvae_ros.evaluation.rate_distortion import Codec, Setting
from gaussvae_ros.evaluation.recalls import Recalls
from gaussvae_ros.files import check_writable, name_of, printable
from gaussvae_ros.looking.looks import Looker, Looks
from gaussvae_ros.maintenance.coarsening import Coarsening
from gaussvae_ros.poses.source import PoseSource
from gaussvae_ros.replay.budgeting import Budgeted
from gaussvae_ros.replay.writer import Writer
from gaussvae_ros.sequence import AHEAD, SequenceEncoder
from gaussvae_ros.sessions import Sessions

FRAMES = 4  # that the images of a topic may carry and have poses; each takes a reading of the bag


def replay(
    path: str | Path,
    codec: Codec,
    bank: MemoryBank,
    topic: str | None = None,
    pose_topic: str | None = None,
    quality: float = 50,
    effort: str = "fast",
    compare: int = 8,
    report_dir: str | Path | None = None,
    map_id: str = "",
    predict: bool = True,
    ahead: int = AHEAD,
    budget: Budget = Budget(),
    coarse_quality: float | None = None,
    looks: Looks = Looks(),
) -> dict:
    """Store every image of one topic of a bag, and measure what comes back.

    Memory grows by 64 bytes an image. Frames are stored under the camera name `topic` and their
    header stamps, in a session of the bag's name; where the clock was set back, another session
    begins. An image that does not decode costs that frame only.

    Args:
        topic: which images; None takes the only image topic.
        pose_topic: where poses come from; None lets `choose_poses` choose.
        quality, effort: for `codec.encode`.
        compare: how many evenly spread frames the peers get too; each takes them seconds.
        report_dir: a folder for report.html with plots and pictures; None writes none.
        map_id: the map that the poses are in, empty if not known.
        predict: whether records may be predicted from others of their session.
        ahead: how many frames may wait for a later one to be predicted from.
        budget: which the bank is kept within while frames are stored, as a robot would.
        coarse_quality: what older frames fade to before any goes for the bytes' sake; None: they
            stay as they are.
        looks: what frames are looked at for, one a second by their stamps; what they show is kept
            with them.

    Returns:
        Ready for JSON. bag, topic, quality, poses (the topic used or None), frames, skipped,
        problems (what was skipped, dropped or guessed: sentences, the first few of each kind),
        problem_counts (all, by kind), with_pose, keys (records that need no other), sessions,
        first_id, last_id, span_s (by the stamps), bytes (mean), total_bytes, psnr (mean),
        worst_psnr (dB), ssim (mean), encode_ms, recall_ms (medians), looked_at (frames that
        were), compared {codec: {frames, bytes, psnr, ssim}} of ours, each frame alone, and of each
        peer on the same few frames at equal bytes (None where not every frame fits), report (path
        or None), report_problem (why it could not be written, or None); with a budget, the figures
        of `Budgeted`, too.

    Raises:
        BagError: no such bag, topic or poses, or no image that can be read.
        BankError: the bank does not take a frame, such as with a full disk.
        OSError: `report_dir` cannot be written, as is seen before anything is done.
    """
    if report_dir is not None:
        check_writable(report_dir)
    with Bag(path) as bag:
        topic = bag.image_topic(topic)
        poses = _Poses(bag, topic, pose_topic)
        expected = bag.topics(IMAGE_TYPES)[topic]
        warm_up(codec, effort)
        recalls = Recalls(
            codec, Setting(effort, quality), expected, compare, report_dir is not None
        )
        recalls.problems.include(bag.faults)
        sessions = Sessions()
        recode = None if coarse_quality is None else Coarsening(codec, coarse_quality, effort)
        budgeted = Budgeted(bank, budget, recode)
        sequence = SequenceEncoder(codec, ahead) if predict else None
        about = {"name": name_of(path), "map_id": map_id}
        looker = Looker(looks) if looks else None
        writer = Writer(recalls, bank, topic, about, sequence, looker)
        images = tqdm(
            bag.images(topic), total=expected, unit="frame", desc="replay", delay=1, disable=None
        )
        try:
            for number, image in enumerate(images):
                if image.problem and image.pixels is not None:
                    recalls.note(f"frame {number} at {image.stamp_ns} ns: {image.problem}")
                pose = poses.at(image)
                session = sessions.number_of(topic, image.stamp_ns)
                if budgeted.refuses():
                    continue
                try:
                    writer.remember(session, number, image, pose)
                    budgeted.added()
                except ImageError as error:
                    recalls.skip(f"frame {number} at {image.stamp_ns} ns: {error}")
        except BagError as error:
            writer.finish()
            if not recalls.order:
                raise
            recalls.problems.add("frames", f"the bag breaks off: {error}")
        writer.finish()
        recalls.problems.include(bag.faults)
        for problem in poses.problems:
            recalls.problems.add("poses", problem)
    bank.flush()
    budgeted.forget()
    if not recalls.order:
        why = next(iter(recalls.problems.texts()), "it is empty")
        raise BagError(f"{printable(path)} has no readable image on {topic}: {why}")
    result = {
        "bag": printable(path),
        "topic": topic,
        "quality": quality,
        "poses": poses.name or None,
        **recalls.figures(),
        "looked_at": writer.looked_at,
        **budgeted.figures(),
    }
    report = problem = None
    if report_dir is not None:
        try:
            report = str(recalls.write_report(report_dir, result))
        except OSError as error:  # the figures are worth as much without it
            problem = f"{error.filename}: {error.strerror}"
    return {**result, "report": report, "report_problem": problem}


class _Poses:
    """The poses of a topic's images, each by its own frame id: cameras may share a topic."""

    def __init__(self, bag: Bag, topic: str, pose_topic: str | None) -> None:
        self._bag, self._topic, self._pose_topic = bag, topic, pose_topic
        first = bag.frame_id(topic)
        self._sources = {first.strip("/"): bag.poses(first, pose_topic, topic)}
        self._refused: dict[str, str] = {}
        self._without = 0

    def at(self, image: BagImage) -> Pose | None:
        if image.pixels is None:
            return None
        if (source := self._source(image.frame_id)) is None:
            self._without += 1
            return None
        pose = source.at(image.stamp_ns, image.recorded_ns)
        return None if pose is None else Pose(*pose, reference=source.reference)

    @property
    def name(self) -> str:
        return next(
            (source.name for source in self._sources.values() if source and source.name), ""
        )

    @property
    def problems(self) -> list[str]:
        found = {frame: source.problems for frame, source in self._sources.items() if source}
        if len(self._sources) == 1:
            return [text for texts in found.values() for text in texts]
        frames = ", ".join(repr(printable(frame)) for frame in self._sources)
        more = (
            f"; {self._without:,} images, of further ones too, have no pose"
            if self._without
            else ""
        )
        said = [f"{self._topic} has images of several frames, {frames}{more}"]
        found |= {frame: [why] for frame, why in self._refused.items()}
        return said + [
            f"{printable(frame)!r}: {text}" for frame, texts in found.items() for text in texts
        ]

    def _source(self, frame_id: str) -> PoseSource | None:
        frame = frame_id.strip("/")
        if frame not in self._sources and len(self._sources) < FRAMES:
            try:
                self._sources[frame] = self._bag.poses(frame_id, self._pose_topic, self._topic)
            except BagError as error:
                self._sources[frame] = None
                self._refused[frame] = f"no image has a pose: {error}"
        return self._sources.get(frame)
