"""`MemoryClient`: remembered frames as arrays, for navigation code.

from gaussvae_ros.client import MemoryClient
with MemoryClient() as memory: dock = memory.find(label="dock")[0][0]                          # a
    MemoryFrame: stamp, camera, pose, ... image = memory.recall(dock.id).image
    # uint8 [H, W, 3] RGB ahead = memory.recall_window(dock.id, radius=5, size=(96, 96))  # 11 small
    pictures along the route
"""

import math
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo

from gaussvae_ros.bank.frame import checked_int
from gaussvae_ros.errors import RecallError
from gaussvae_ros.msg import MemoryFrame, VoxelGrid
from gaussvae_ros.nodes import convert, requests
from gaussvae_ros.nodes.service_caller import ServiceCaller
from gaussvae_ros.srv import (
    DescribeMemory,
    FindFrames,
    LabelFrame,
    RecallFrame,
    RecallFrames,
    RecallVolume,
    StoreVolume,
)

SERVICES = {
    RecallFrame: "visual_recall/recall_frame",
    RecallFrames: "visual_recall/recall_frames",
    FindFrames: "visual_recall/find_frames",
    DescribeMemory: "visual_recall/describe_memory",
    RecallVolume: "visual_recall/recall_volume",
    LabelFrame: "visual_memory/label_frame",
    StoreVolume: "visual_memory/store_volume",
}


@dataclass(frozen=True)
class Recalled:
    """A remembered frame with its picture."""

    frame: MemoryFrame
    image: np.ndarray  # uint8 [h, w, 3] RGB
    camera_info: CameraInfo | None = (
        None  # of this picture; only from `recall`, and where the memory has a calibration
    )


class MemoryClient:
    """Calls the services of both nodes, from any thread and also inside callbacks: its node and
    executor are its own.

    Every method waits at most `timeout_s` for the service to be there and as long again for the
    answer. What a node says beside an answer, such as which frames of a window are damaged, goes to
    the log of `logging`.

    Raises:
        RecallError: from every method, with the node's sentence, or because no answer came.
        GaussVaeError: an argument is not what it should be.
    """

    def __init__(self, namespace: str = "", timeout_s: float = 5.0, jpeg: bool = False):
        """`namespace` is that of the two nodes, such as "robot1"; with `jpeg`, pictures come as
        such, for networks.
        """
        self._encoding = "jpeg" if jpeg else "rgb8"
        self._caller = ServiceCaller(namespace, timeout_s, SERVICES)

    def __enter__(self) -> "MemoryClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End, also calls that wait for an answer; a second call does nothing."""
        self._caller.close()

    def recall(
        self,
        id: int | None = None,
        *,
        stamp_ns: int | None = None,
        camera: str = "",
        tolerance_s: float = 0.0,
        size: tuple[int, int] | None = None,  # (w, h) px
        roi: tuple[int, int, int, int] | None = None,  # (x, y, w, h) px of the frame
    ) -> Recalled:
        """One frame by its id, or the one nearest to a stamp.

        Args:
            camera, tolerance_s: with a stamp; whose frames, and how far away one may be (0: as the
                node is set).
            size: of the picture; None or (0, 0) is that of the frame or roi, one 0 follows in
                proportion.
            roi: the part to show; None is all of it.
        """
        place = requests.place("id", id, stamp_ns, camera, tolerance_s)
        request = RecallFrame.Request(encoding=self._encoding, **place, **requests.size(size))
        if roi is not None:
            part = request.roi
            part.x_offset, part.y_offset, part.width, part.height = (
                requests.whole("roi", v) for v in roi
            )
        answer = self._caller.ask(request)
        picture = requests.array(answer.compressed if self._encoding == "jpeg" else answer.image)
        return Recalled(
            answer.frame, picture, answer.camera_info if answer.camera_info.width else None
        )

    def recall_window(
        self,
        center: int | None = None,
        *,
        stamp_ns: int | None = None,
        camera: str = "",
        tolerance_s: float = 0.0,
        radius: int = 5,
        size: tuple[int, int] | None = (96, 96),  # (w, h) px
    ) -> list[Recalled]:
        """A frame, by its id or a stamp, and up to `radius` frames of its camera and session before
        and after it.
        """
        place = requests.place("center", center, stamp_ns, camera, tolerance_s)
        return self._many(
            RecallFrames.Request(
                radius=requests.whole("radius", radius), **place, **requests.size(size)
            )
        )

    def recall_many(self, ids: list[int], size: tuple[int, int] | None = None) -> list[Recalled]:
        """The frames with these ids, in this order."""
        if not len(ids):
            return []
        return self._many(
            RecallFrames.Request(ids=[checked_int("id", v) for v in ids], **requests.size(size))
        )

    def find(
        self,
        *,
        after_ns: int = 0,
        before_ns: int = 0,
        camera: str = "",
        session: int = 0,
        label: str = "",
        map_id: str = "",
        text: str = "",
        near: tuple[float, float, float] | None = None,  # (x, y, z) m
        radius: float = 0.0,  # m
        yaw: float = 0.0,  # rad
        yaw_tolerance: float = 0.0,  # rad
        reference: str = "",
        like: int | np.ndarray | None = None,  # uint8 [H, W, 3] RGB or [H, W]
        limit: int = 100,
        by_distance: bool = False,
        loops: bool = False,
        like_text: str = "",
        row: int = 0,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryFrame, float | None]]:
        """The frames that meet every condition given, by stamp, or with `like` the most like ones
        first.

        Args:
            label: exactly this one; "~kitchen": frames without any that look as those with the
                label kitchen do, the likeliest first.
            map_id: only of sessions whose poses are in this map.
            text: words that were read in the frame, or are in its label or its session's name.
            near, radius: taken at most `radius` from there.
            yaw, yaw_tolerance: looking at most so far from a heading, which is 0 along x and counts
                towards y.
            reference: the coordinate frame of `near` and `yaw`, that of the poses or one that TF
                knows; empty is any.
            like: a frame's id, or a picture.
            by_distance: those nearest to `near` first, of which `limit` keeps as many.
            loops: with `like`, places where that may have been taken before, as
                `MemoryBank.loop_candidates` finds them.
            like_text: what the frame shows, in words, by the encoder that `visual_recall` has; most
                like it first, with the cosine.
            row: with `like` a frame's id, so many frames, it and those before it, vote.
            min_score: with `like`, only frames that are as likely, or as much alike, at least.

        Returns:
            Each frame with its likeness, 0 to 1, or None where none was asked for; with `loops` the
            probability that it is the same place, with "~" that it shows what the label says.
        """
        request = FindFrames.Request(
            after=convert.to_time(after_ns),
            before=convert.to_time(before_ns),
            camera=camera,
            session=checked_int("session", session),
            label=label,
            map_id=map_id,
            text=text,
            like_text=like_text,
            radius=float(radius),
            yaw_tolerance=float(yaw_tolerance),
            limit=requests.whole("limit", limit),
            by_distance=bool(by_distance),
            loops=bool(loops),
            row=requests.whole("row", row),
            min_score=float(min_score),
        )
        request.near.header.frame_id = reference
        place = request.near.pose.position
        place.x, place.y, place.z = map(float, near or (0, 0, 0))
        turned = request.near.pose.orientation
        turned.z, turned.w = math.sin(yaw / 2), math.cos(yaw / 2)
        if isinstance(like, np.ndarray):
            if (
                like.dtype != np.uint8
                or like.ndim not in (2, 3)
                or like.shape[2:] not in ((), (3,))
                or not like.size
            ):
                raise RecallError(
                    "like is an id or a picture uint8 [H, W, 3] or [H, W], not"
                    f" {like.dtype} {like.shape}"
                )
            request.like_image = convert.to_image(
                like, "rgb8" if like.ndim == 3 else "mono8", convert.header(0, "")
            )
        elif like is not None:
            request.like_id = checked_int("like", like)
        answer = self._caller.ask(request)
        return list(zip(answer.frames, answer.scores or [None] * len(answer.frames), strict=True))

    def describe(self) -> DescribeMemory.Response:
        """What the memory holds."""
        return self._caller.ask(DescribeMemory.Request())

    def label(self, id: int, label: str) -> MemoryFrame:
        """Name a frame, or the frame stored last if `id` is 0; an empty label takes its name
        away.
        """
        request = LabelFrame.Request(id=checked_int("id", id), label=label)
        # The frame stored last may be another one by the time a request is sent again.
        return self._caller.ask(request, once=not request.id).frame

    def recall_volume(self, id: int = 0, **asked: object) -> VoxelGrid:
        """A region of a volume as a grid, of which `voxels` of `gaussvae_ros.client` makes
        an array.

        `asked` are `lower` and `upper`, the corners (x, y, z) of the region, m; `frame`, the
        coordinate frame of these and of the answer; and for the latest volume, without an id,
        `after_ns`, `before_ns`, `map_id`.
        """
        return self._caller.ask(requests.volume(id, as_grid=True, **asked)).grid

    def recall_points(self, id: int = 0, **asked: object) -> np.ndarray:  # float32 [N, 4]
        """The centres of the occupied voxels of a region, x y z in m, and their values. `asked` as
        in `recall_volume`; and `values`, the least and the largest that are occupied.
        """
        points = self._caller.ask(requests.volume(id, **asked)).points
        return np.frombuffer(points.data, "<f4").reshape(-1, 4)

    def store_volume(
        self,
        array: np.ndarray,
        voxel_size: float,
        origin: tuple[float, ...] = (0.0, 0.0, 0.0),
        *,
        known: np.ndarray | None = None,
        frame: str = "",
        stamp_ns: int = 0,
        quality: float = 50.0,
        replaces: bool = False,
    ) -> int:
        """Remember a grid [z, y, x]. Returns its id.

        Args:
            origin: of the first voxel's outer corner in `frame`: x, y, z, m, and where the grid is
                turned its quaternion.
            known: bool, as large; False where a voxel is unknown.
            frame: the coordinate frame; empty: that of the memory's poses.
            replaces: earlier volumes of the session that it covers go.
        """
        grid = requests.grid(array, voxel_size, origin, known, frame, stamp_ns)
        request = StoreVolume.Request(grid=grid, quality=float(quality), replaces=bool(replaces))
        return self._caller.ask(request, once=True).id

    def _many(self, request: RecallFrames.Request) -> list[Recalled]:
        request.encoding = self._encoding
        answer = self._caller.ask(request)
        pictures = map(requests.array, answer.compressed or answer.images)
        return [
            Recalled(frame, picture) for frame, picture in zip(answer.frames, pictures, strict=True)
        ]
