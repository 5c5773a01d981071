"""What the services of the recall node answer: requests to responses, over a memory and a codec."""

from collections.abc import Callable

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from sensor_msgs.msg import RegionOfInterest

from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.looking.encoder import Encoder
from gaussvae_ros.msg import MemorySession
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.finding import Finding
from gaussvae_ros.nodes.lazy_bank import LazyBank
from gaussvae_ros.nodes.nearness import Nearness
from gaussvae_ros.nodes.volume_recall import VolumeRecall
from gaussvae_ros.raster.view import MAX_PIXELS
from gaussvae_ros.srv import (
    DescribeMemory,
    FindFrames,
    RecallFrame,
    RecallFrames,
    RecallVolume,
)

MAX_FRAMES = 1000  # a call
FOUND = 100  # frames at most where no limit is given
SAID = 5  # problems, of many, that an answer spells out
ENCODINGS = ("rgb8", "bgr8", "mono8", "jpeg")


class Answers:
    """One method a service, for any thread. Each fills in the response or raises GaussVaeError with
    why it does not.
    """

    def __init__(
        self,
        bank: LazyBank,
        codec: FrameCodec,
        nearness: Nearness,
        now_ns: Callable[[], int],  # the clock of the stamps
    ) -> None:
        self._bank, self._codec, self._nearness, self._now_ns = bank, codec, nearness, now_ns
        self._volumes = VolumeRecall(nearness)
        self.tolerance = 0.0  # s, where a request says none
        self.encoder: Encoder | None = None

    def recall_frame(self, request: RecallFrame.Request, response: RecallFrame.Response) -> None:
        encoding, bank = _encoding(request.encoding), self._bank.get()
        if request.id and (request.camera or convert.stamp_ns(request.stamp)):
            raise GaussVaeError(
                "a frame is asked for by its id or by its stamp and camera, not by both"
            )
        frame = bank.get(request.id) if request.id else self._nearest(bank, request)
        roi = _roi(request.roi)
        size = _size(request.width, request.height, roi[2:] if roi else frame.size)
        image = self._codec.decode(frame.records, size, roi)
        response.frame = convert.memory_frame(frame, self._now_ns())
        if encoding == "jpeg":
            response.compressed = convert.to_jpeg(image, response.frame.header)
        else:
            response.image = convert.to_image(image, encoding, response.frame.header)
        try:
            calibration = bank.calibration(frame.session, frame.camera)
        except BankError:  # damaged: the picture is not
            calibration = None
        response.camera_info = convert.camera_info(
            calibration, frame.size, roi, size, response.frame.header
        )

    def recall_frames(self, request: RecallFrames.Request, response: RecallFrames.Response) -> None:
        encoding, bank = _encoding(request.encoding), self._bank.get()
        if request.ids:
            centre, (frames, problems) = None, self._by_ids(bank, request)
        else:
            centre, problems = self._centre(bank, request), []
            frames = bank.window(centre, request.radius)
        sizes = [_size(request.width, request.height, frame.size) for frame in frames]
        if sum(width * height for width, height in sizes) > MAX_PIXELS:
            raise GaussVaeError(
                f"a call returns at most {MAX_PIXELS} px, which these {len(frames)} pictures exceed"
            )
        response.center = -1
        for frame, size in zip(frames, sizes, strict=True):
            try:
                image = self._codec.decode(frame.records, size)
            except GaussVaeError as error:
                problems.append(f"frame {frame.id}: {error}")
                continue
            if frame.id == centre:
                response.center = len(response.frames)
            facts = convert.memory_frame(frame, self._now_ns())
            response.frames.append(facts)
            if encoding == "jpeg":
                response.compressed.append(convert.to_jpeg(image, facts.header))
            else:
                response.images.append(convert.to_image(image, encoding, facts.header))
        response.message = _listed(problems)
        if problems and (request.ids or response.center < 0):
            raise GaussVaeError(response.message)

    def find_frames(self, request: FindFrames.Request, response: FindFrames.Response) -> None:
        limit = request.limit or FOUND
        _at_most_frames(limit)
        bank = self._bank.get()
        found = Finding(bank, self._codec, self._nearness, self.encoder, request).found(limit)
        frames = [frame for frame, _ in found]
        response.scores = [score for _, score in found if score is not None]
        response.frames = [convert.memory_frame(frame, self._now_ns()) for frame in frames]

    def recall_volume(self, request: RecallVolume.Request, response: RecallVolume.Response) -> None:
        self._volumes.answer(self._bank.get(), request, response)

    def describe_memory(
        self, request: DescribeMemory.Request, response: DescribeMemory.Response
    ) -> None:
        info = self._bank.get().info()
        for name in ("path", "bytes", "frames", "poses", "volumes"):
            setattr(response, name, info[name])
        response.first, response.last = _time(info["first_ns"]), _time(info["last_ns"])
        for name in ("tier", "camera", "label"):
            counts = info[f"{name}s"]
            setattr(response, f"{name}s", list(counts))
            setattr(response, f"{name}_frames", list(counts.values()))
        if info["bounds_m"] is not None:
            response.lower, response.upper = (
                Point(**dict(zip("xyz", corner))) for corner in zip(*info["bounds_m"])
            )
        tallies = (
            "id",
            "name",
            "map_id",
            "frames",
            "received",
            "gated",
            "dropped",
            "poses_missing",
        )
        response.sessions = [
            MemorySession(
                first=_time(session["first_ns"]),
                last=_time(session["last_ns"]),
                **{name: session[name] for name in tallies},
            )
            for session in info["sessions"]
        ]

    def _nearest(
        self, bank: MemoryBank, request: RecallFrame.Request | RecallFrames.Request
    ) -> Frame:
        """The frame nearest to the stamp that is asked for."""
        stamp, camera = convert.stamp_ns(request.stamp), request.camera or None
        if not stamp and not camera:
            raise GaussVaeError(
                "which frame? give an id, or a stamp, and the camera where there are several"
            )
        tolerance = convert.stamp_ns(request.tolerance)
        if tolerance < 0:
            raise GaussVaeError(f"tolerance is at least 0 s, not {tolerance / 1e9:g} s")
        tolerance = tolerance or round(self.tolerance * 1e9)
        frame = bank.nearest(stamp, camera)
        whose = f" of camera {camera!r}" if camera else ""
        if frame is None:
            raise GaussVaeError(f"the memory holds no frame{whose}")
        if (away := abs(frame.stamp_ns - stamp)) > tolerance:
            at = f"{stamp // 1_000_000_000}.{stamp % 1_000_000_000:09}"
            raise GaussVaeError(
                f"no frame{whose} within {tolerance / 1e9:g} s of the stamp {at} s: the nearest,"
                f" {frame.id}, is {away / 1e9:.3f} s away"
            )
        return frame

    def _by_ids(
        self, bank: MemoryBank, request: RecallFrames.Request
    ) -> tuple[list[Frame], list[str]]:
        """The frames with these ids, and a sentence for each that is not there."""
        if request.center or request.radius or request.camera or convert.stamp_ns(request.stamp):
            raise GaussVaeError(
                "frames are asked for by ids or as the window around a centre, not by both"
            )
        _at_most_frames(len(request.ids))
        frames, problems = [], []
        for frame_id in request.ids:
            try:
                frames.append(bank.get(frame_id))
            except GaussVaeError as error:
                problems.append(str(error))
        return frames, problems

    def _centre(self, bank: MemoryBank, request: RecallFrames.Request) -> int:
        """The id of the frame in the middle of the window."""
        if request.center and (request.camera or convert.stamp_ns(request.stamp)):
            raise GaussVaeError(
                "a centre is asked for by its id or by its stamp and camera, not by both"
            )
        _at_most_frames(2 * request.radius + 1)
        return request.center or self._nearest(bank, request).id


def _encoding(name: str) -> str:
    if name and name not in ENCODINGS:
        raise GaussVaeError(f"encoding is one of {', '.join(ENCODINGS)}, not {name!r}")
    return name or ENCODINGS[0]


def _roi(roi: RegionOfInterest) -> tuple[int, int, int, int] | None:
    """(x, y, w, h) px, None for the whole frame."""
    return (roi.x_offset, roi.y_offset, roi.width, roi.height) if roi.width else None


def _size(width: int, height: int, shown: tuple[int, int]) -> tuple[int, int]:
    """The picture's (w, h) px: what is asked for, and the proportion of what is shown, (w, h) px,
    for the rest.
    """
    if not (width or height):
        return shown
    wide, high = max(shown[0], 1), max(shown[1], 1)
    return width or max(round(height * wide / high), 1), height or max(
        round(width * high / wide), 1
    )


def _at_most_frames(count: int) -> None:
    if count > MAX_FRAMES:
        raise GaussVaeError(f"a call returns at most {MAX_FRAMES} frames, not {count}")


def _listed(problems: list[str]) -> str:
    more = [f"and {len(problems) - SAID} more"] if len(problems) > SAID else []
    return "; ".join(problems[:SAID] + more)


def _time(ns: int | None) -> Time:
    return Time() if ns is None else convert.to_time(ns)
