"""Volumes into the memory: from a service, and from a topic of occupied voxels."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.nodes import convert, voxels
from gaussvae_ros.nodes.lifecycle import ManagedNode, refusal
from gaussvae_ros.nodes.nearness import Nearness
from gaussvae_ros.nodes.polled import Polled
from gaussvae_ros.nodes.pooled_service import PooledService
from gaussvae_ros.poses import as_pose
from gaussvae_ros.srv import StoreVolume
from gaussvae_ros.volume.codec import VolumeCodec

QUALITY = 50.0
WAIT_S = 10.0  # for the thread that knows the sessions
THROTTLE_S = 5.0  # between two log lines on bad points


class VolumeStore:
    """Takes volumes between its beginning and `close`; those of a topic from `listen` to `quiet`.

    `session_of(stamp_ns)` is the session that a volume of this stamp goes into, `full()` says why
    none is to be stored, empty if one is, and `paused()` whether what comes on the topic is passed
    over.
    """

    def __init__(
        self,
        node: ManagedNode,
        bank: MemoryBank,
        session_of: Callable[[int], Future],
        full: Callable[[], str],
        paused: Callable[[], bool],
    ) -> None:
        self._node, self._bank, self._session_of, self._full = node, bank, session_of, full
        self._paused = paused
        self._codec, self._nearness, self._making = VolumeCodec(), None, threading.Lock()
        self._topic: Polled | None = None
        self._newest: PointCloud2 | None = None  # that is not stored yet
        self._stored_s, self._storing = 0.0, None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="volumes")
        answer = node.faults.guarded("the service ~/store_volume", self._answer, refusal)
        self._service = PooledService(node, StoreVolume, "~/store_volume", answer, self._pool)
        self._take = node.faults.guarded("a volume of points", self._store_points)

    def listen(self, topic: str) -> None:
        """Store what comes on a topic of occupied voxels, an empty one being none."""
        if topic:
            latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            self._topic, self._stored_s = Polled(self._node, PointCloud2, topic, latched), 0.0

    def look(self, last: bool = False) -> None:
        """Take what came; the newest is stored once it is time, or if it is the `last`."""
        if self._topic is None:
            return
        for message in self._topic.take():
            self._newest = None if self._paused() else message
        busy = self._storing is not None and not self._storing.done()
        due = last or time.monotonic() - self._stored_s >= self._node.settings.volume_period
        if self._newest is not None and due and (last or not busy):
            self._stored_s, message, self._newest = time.monotonic(), self._newest, None
            self._storing = self._pool.submit(self._take, message)

    def quiet(self) -> None:
        """Listen no more; what came last is stored."""
        if self._topic is not None:
            self.look(last=True)
            self._topic.close()
            self._topic = None

    def drain(self, timeout: float) -> None:
        """Wait for what is being stored, at most so many seconds."""
        if self._storing is not None:
            try:
                self._storing.result(timeout)
            except TimeoutError:
                pass

    def close(self) -> None:
        """Take no more; what is at hand is stored and answered, unless a signal came."""
        self._pool.shutdown(wait=self._node.context.ok(), cancel_futures=True)
        self._service.close()
        if self._nearness is not None:
            self._nearness.close()

    # Inside

    def _answer(
        self, request: StoreVolume.Request, response: StoreVolume.Response
    ) -> StoreVolume.Response:
        try:
            grid = request.grid
            at, turned = grid.origin.position, grid.origin.orientation
            pose = np.array([at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w])
            array, known = voxels.grid_from(grid)
            response.id, response.bytes = self._store(
                grid.header, array, known, grid.voxel_size, pose, request.quality, request.replaces
            )
            response.success = True
        except GaussVaeError as error:
            response.message = str(error)
        return response

    def _store_points(self, message: PointCloud2) -> None:
        try:
            size = self._node.settings.volume_voxel_size
            grid, corner = voxels.voxelised(voxels.points_from(message), size)
            pose = np.array([*corner, 0, 0, 0, 1])
            self._store(message.header, grid, None, size, pose, QUALITY, True)
        except GaussVaeError as error:
            self._node.get_logger().warning(
                f"a volume is not stored: {error}", throttle_duration_sec=THROTTLE_S
            )

    def _store(
        self,
        header: Header,
        array: np.ndarray,
        known: np.ndarray | None,
        voxel_size: float,
        pose: np.ndarray,
        quality: float,
        replaces: bool,
    ) -> tuple[int, int]:
        """Store a volume whose first corner has this pose [7] in the frame of the header. Returns
        its id and the bytes of its record.
        """
        if why := self._full():
            raise BankError(why)
        stamp_ns = convert.stamp_ns(header.stamp) or self._node.get_clock().now().nanoseconds
        if as_pose(pose) is None:
            raise BankError("the origin of a grid is a position and a unit quaternion")
        pose, reference = self._placed(header, pose)
        turned = abs(pose[6]) < 1
        origin = (0.0, 0.0, 0.0) if turned else tuple(pose[:3].tolist())
        about = {"known": known, "voxel_size": voxel_size, "origin": origin}
        data = self._codec.encode(array, quality or QUALITY, **about)
        at = pose.tolist() if turned else (0.0, 0.0, 0.0)
        try:
            session = self._session_of(stamp_ns).result(WAIT_S)
        except TimeoutError:
            raise BankError("encoding takes long, and the volume is not stored") from None
        where = Pose(*at, reference=reference)
        how = {"stamp_ns": stamp_ns, "session": session, "replaces": replaces}
        return self._bank.add_volume(data, pose=where, **how), len(data)

    def _placed(self, header: Header, pose: np.ndarray) -> tuple[np.ndarray, str]:
        """A pose [7] in the frame of the memory's poses, if there is one, else as it is."""
        frame, wanted = header.frame_id.strip("/"), self._node.settings.map_frame.strip("/")
        if not frame and not wanted:
            raise BankError("which frame is it in? its header has no frame_id")
        if not wanted or frame in ("", wanted):
            return pose, frame or wanted
        with self._making:
            self._nearness = self._nearness or Nearness(self._node)
        place = PoseStamped(header=header, pose=voxels.to_pose(pose))
        return self._nearness.place(place, [wanted], "the volume")
