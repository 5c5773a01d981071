"""`MemoryClient`: remembered frames as arrays, for navigation code.

from gaussvae_ros.client import MemoryClient
with MemoryClient() as memory: dock = memory.find(label="dock")[0][0]                          # a
    MemoryFrame: stamp, camera, pose, ... image = memory.recall(dock.id).image
    # uint8 [H, W, 3] RGB ahead = memory.recall_window(dock.id, radius=5, size=(96, 96))  # 11 small
    pictures along the route
"""

import atexit
import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.utilities import get_default_context
from sensor_msgs.msg import CameraInfo

from gaussvae_ros.bank.frame import checked_int
from gaussvae_ros.errors import RecallError
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes import convert, requests
from gaussvae_ros.srv import DescribeMemory, FindFrames, LabelFrame, RecallFrame, RecallFrames

SERVICES = {
    RecallFrame: "visual_recall/recall_frame",
    RecallFrames: "visual_recall/recall_frames",
    FindFrames: "visual_recall/find_frames",
    DescribeMemory: "visual_recall/describe_memory",
    LabelFrame: "visual_memory/label_frame",
}
LOOK_S = 0.1  # how often a call that waits looks whether ROS has ended
FIND_S = 0.02  # how often it looks for a service that is not there yet
# After which a request is sent again, then after twice as long: a node that has just been found may
# lose one.
AGAIN_S = 1.0

log = logging.getLogger(__name__)


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
        default = get_default_context()
        self._timeout_s, self._encoding = timeout_s, "jpeg" if jpeg else "rgb8"
        # Not the caller's: it may end before this client, and may remap its nodes.
        self._context = Context()
        self._context.init(args=[], domain_id=default.get_domain_id() if default.ok() else None)
        self._node = Node(
            "memory_client",
            namespace=namespace,
            context=self._context,
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._clients = {
            kind: self._node.create_client(kind, name) for kind, name in SERVICES.items()
        }
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="memory_client", daemon=True)
        self._closing, self._closed = threading.Lock(), False
        self._thread.start()
        atexit.register(self.close)  # a thread inside the middleware would abort Python as it ends

    def __enter__(self) -> "MemoryClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End, also calls that wait for an answer; a second call does nothing."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            atexit.unregister(self.close)
            self._context.try_shutdown()  # which ends the thread; only then may go what it uses
            deadline = time.monotonic() + self._timeout_s
            while self._thread.is_alive() and time.monotonic() < deadline:
                # A signal wakes the executor just before its context ends: it may sleep on.
                with suppress(rclpy_implementation.RCLError, rclpy_implementation.InvalidHandle):
                    self._executor.wake()
                self._thread.join(LOOK_S)
            self._executor.shutdown()
            self._node.destroy_node()

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
        answer = self._ask(request)
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
        near: tuple[float, float, float] | None = None,  # (x, y, z) m
        radius: float = 0.0,  # m
        yaw: float = 0.0,  # rad
        yaw_tolerance: float = 0.0,  # rad
        reference: str = "",
        like: int | np.ndarray | None = None,  # uint8 [H, W, 3] RGB or [H, W]
        limit: int = 100,
        by_distance: bool = False,
    ) -> list[tuple[MemoryFrame, float | None]]:
        """The frames that meet every condition given, by stamp, or with `like` the most like ones
        first.

        Args:
            near, radius: taken at most `radius` from there.
            yaw, yaw_tolerance: looking at most so far from a heading, which is 0 along x and counts
                towards y.
            reference: the coordinate frame of `near` and `yaw`, that of the poses or one that TF
                knows; empty is any.
            like: a frame's id, or a picture.
            by_distance: those nearest to `near` first, of which `limit` keeps as many.

        Returns:
            Each frame with its likeness, 0 to 1, or None where none was asked for.
        """
        request = FindFrames.Request(
            after=convert.to_time(after_ns),
            before=convert.to_time(before_ns),
            camera=camera,
            session=checked_int("session", session),
            label=label,
            radius=float(radius),
            yaw_tolerance=float(yaw_tolerance),
            limit=requests.whole("limit", limit),
            by_distance=bool(by_distance),
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
        answer = self._ask(request)
        return list(zip(answer.frames, answer.scores or [None] * len(answer.frames), strict=True))

    def describe(self) -> DescribeMemory.Response:
        """What the memory holds."""
        return self._ask(DescribeMemory.Request())

    def label(self, id: int, label: str) -> MemoryFrame:
        """Name a frame, or the frame stored last if `id` is 0; an empty label takes its name
        away.
        """
        return self._ask(LabelFrame.Request(id=checked_int("id", id), label=label)).frame

    def _many(self, request: RecallFrames.Request) -> list[Recalled]:
        request.encoding = self._encoding
        answer = self._ask(request)
        pictures = map(requests.array, answer.compressed or answer.images)
        return [
            Recalled(frame, picture) for frame, picture in zip(answer.frames, pictures, strict=True)
        ]

    def _ask(self, request: object) -> object:
        """The answer to a request, if it is one of success."""
        client = next(
            client for kind, client in self._clients.items() if isinstance(request, kind.Request)
        )
        try:
            answer = self._answer(client, request)
        except (rclpy_implementation.RCLError, rclpy_implementation.InvalidHandle):
            if self._context.ok() and not self._closed:
                raise
            answer = (
                None  # ROS was shut down, such as by Ctrl-C, or this client was closed meanwhile
            )
        if answer is None:
            raise RecallError("the memory client is closed")
        if not answer.success:
            raise RecallError(answer.message)
        if answer.message:
            log.warning("%s", answer.message)
        return answer

    def _answer(self, client: Client, request: object) -> object | None:
        """What comes in time; None where ROS ends before. A request that gets no answer is sent
        again.
        """
        deadline = time.monotonic() + self._timeout_s
        while not client.service_is_ready():
            if not self._context.ok():
                return None
            if time.monotonic() >= deadline:
                node = client.service_name.rsplit("/", 1)[0]
                raise RecallError(
                    f"no {client.service_name} in {self._timeout_s:g} s: {node} is not there or"
                    " not configured"
                )
            time.sleep(FIND_S)
        # "The frame stored last" may be another one by the time a request is sent again.
        once = isinstance(request, LabelFrame.Request) and not request.id
        futures, done, now = [], threading.Event(), time.monotonic()
        deadline, again, wait = now + self._timeout_s, now, AGAIN_S
        try:
            while True:
                now = time.monotonic()
                if not self._context.ok():
                    return None
                if now >= deadline:
                    raise RecallError(
                        f"no answer from {client.service_name} in {self._timeout_s:g} s"
                    )
                if now >= again:
                    futures.append(client.call_async(request))
                    futures[-1].add_done_callback(lambda _: done.set())
                    again, wait = math.inf if once else now + wait, 2 * wait
                if done.wait(min(LOOK_S, deadline - now)):
                    break
            return next(future.result() for future in futures if future.done())
        finally:
            for future in futures:
                client.remove_pending_request(future)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, ShutdownException):
            pass
