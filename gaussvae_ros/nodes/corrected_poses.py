"""Poses of the running session, moved as a trajectory says that SLAM has corrected since, or as
leaps of map ← odom do.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from nav_msgs.msg import Path
from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes.convert import stamp_ns
from gaussvae_ros.nodes.frame_poses import FramePoses
from gaussvae_ros.nodes.lifecycle import ManagedNode
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.nodes.polled import Polled
from gaussvae_ros.poses.leaps import Origins
from gaussvae_ros.poses.path_message import Trajectory, read_path
from gaussvae_ros.poses.placed_frames import NEVER, Columns, PlacedFrames
from gaussvae_ros.poses.trajectory import Odometry, alike, cleaned, interpolated

SAMPLE_S = 0.1  # between two looks at odometry
LOOKS = 10  # of them for one look at the path
NO_PATH = np.zeros(0, np.int64), np.zeros((0, 7))
LAST_S = 2.0  # that the last correction may take

log = logging.getLogger(__name__)


class CorrectedPoses:
    """Moves what is stored between `listen` and `quiet`, in a thread of its own.

    `placed` may be called by any thread, the rest by the executor's.
    """

    def __init__(self, node: ManagedNode, bank: MemoryBank, poses: FramePoses) -> None:
        self._node, self._bank, self._poses = node, bank, poses
        self._path: Polled | None = None
        self._listens = False
        self._frames, self._odometry, self._origins = PlacedFrames(), Odometry(), Origins()
        self._raw, self._done = b"", b""  # the newest path, and the one that was followed last
        self._end = -NEVER  # ns, its last stamp, or that of the leap that was followed last
        self._followed = NO_PATH  # what all frames were held against
        self._ticks, self._said = 0, ""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="correction")
        self._running: Future | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on where a simulation stands still
        self._timer = node.create_timer(SAMPLE_S, self._sample, clock=steady)
        self._timer.cancel()

    def listen(self, topic: str) -> None:
        """Follow the paths on a topic from now on; without one, the leaps of map ← odom."""
        self._reference = self._node.settings.map_frame.strip("/")
        if topic:
            self._path = Polled(self._node, Path, topic, QoSProfile(depth=1), raw=True)
            self._path_topic = self._path.topic
        self._listens = True
        self._timer.reset()

    def quiet(self) -> None:
        """Follow the last path, and listen no more."""
        if self._listens:
            self._timer.cancel()
            self._look()
            if self._running is not None and not self._pool_is_idle(LAST_S):
                log.warning("the last correction of poses takes long, and is not waited for")
            if self._path is not None:
                self._path.close()
            self._path, self._listens = None, False

    def close(self) -> None:
        """Let go of the timer and the thread; `quiet` comes before."""
        self._node.destroy_timer(self._timer)
        self._pool.shutdown(wait=False)

    def placed(self, frame: PendingFrame) -> None:
        """A frame is in the bank with its pose."""
        if self._listens and frame.odometry is not None:
            pose = *frame.pose.position, *frame.pose.orientation
            session = frame.bank_session
            self._frames.add(session, frame.id, frame.stamp_ns, frame.odometry, pose)

    def forget(self) -> None:
        """What was placed lies in a file that is gone."""
        self._frames.forget()

    def set_back(self) -> None:
        """The images' clock was set back, and odometry's: frames of before stay as they are."""
        self._odometry, self._followed = Odometry(), NO_PATH
        self._origins, self._end = Origins(), -NEVER
        self._frames.forget(newer=True)

    def change_map(self) -> None:
        """Poses are in another map from now on: what comes moves no frames of before."""
        self._followed, self._origins, self._end = NO_PATH, Origins(), -NEVER
        self._frames.forget(newer=True)

    # Inside

    def _sample(self) -> None:
        settings = self._node.settings
        odom, base = settings.odom_frame, settings.base_frame
        for sample in self._poses.since(self._odometry.last_ns, odom, base):
            self._odometry.add(*sample)
        self._ticks += 1
        if self._ticks % LOOKS == 0:
            self._look()

    def _look(self) -> None:
        if self._path is None:
            self._look_for_leaps()
        else:
            self._look_at_path()

    def _look_for_leaps(self) -> None:
        settings, origins = self._node.settings, self._origins
        if len(self._odometry):
            odometry = self._odometry.samples()
            of = settings.map_frame, settings.odom_frame
            for stamp, origin in self._poses.since(origins.last_ns, *of):
                origins.add(stamp, origin, interpolated(*odometry, np.array([stamp]))[0])
        new = origins.leap_ns > max(self._end, 0) or self._frames.come_until(self._end)
        if new and origins.leap_ns and self._pool_is_idle():
            leaps = origins.leap_ns, *origins.corrected()
            self._running = self._pool.submit(self._follow_leaps, *leaps)

    def _follow_leaps(self, leap_ns: int, stamps: np.ndarray, origins: np.ndarray) -> None:
        frames = self._frames.columns()
        which = np.flatnonzero(frames.stamps <= leap_ns)
        which, moved = frames.by_origins(stamps, origins, which)
        if not len(which) or self._move(frames, which, moved):
            self._end = leap_ns

    def _look_at_path(self) -> None:
        for raw in self._path.take():
            self._raw = raw
        # The same again says nothing new, but of frames that were on their way.
        new = self._raw != self._done or self._frames.come_until(self._end)
        if not new or not self._pool_is_idle():
            return
        if not len(self._odometry):
            settings = self._node.settings
            names = {name: getattr(settings, name) for name in ("odom_frame", "base_frame")}
            return self._warn(self._poses.unknown(names) or "odometry has no stamps")
        self._running = self._pool.submit(self._follow, self._raw, self._odometry.samples())

    def _pool_is_idle(self, timeout: float = 0.0) -> bool:
        if self._running is None:
            return True
        try:
            error = self._running.exception(timeout)
        except TimeoutError:
            return False
        if error is not None:
            self._done = self._raw
            self._end = -NEVER if self._path is not None else self._origins.leap_ns
            self._node.faults.note("the correction of poses", error)
        self._running = None
        return True

    def _follow(self, raw: bytes, odometry: tuple[np.ndarray, np.ndarray]) -> None:
        trajectory = read_path(raw) or _from_message(deserialize_message(raw, Path))
        if why := self._refusal(trajectory):
            self._warn(why)
            self._done, self._end = raw, -NEVER
            return
        path, frames = cleaned(trajectory.stamps, trajectory.poses), self._frames.columns()
        path = tuple(column[path[0] <= odometry[0][-1]] for column in path)
        same = alike(self._followed, path)  # only what comes after it may have moved
        since = int(path[0][same - 1]) if same else -NEVER
        if frames.oldest_new <= since:
            since = -NEVER
        which, poses = frames.corrected(path, odometry, since, beyond=raw != self._done)
        if len(which) and not self._move(frames, which, poses):
            self._followed = NO_PATH
            return
        parts = zip(self._followed, path)
        self._followed = tuple(np.concatenate([old[:same], new[same:]]) for old, new in parts)
        self._done, self._end = raw, int(path[0][-1]) if len(path[0]) else -NEVER

    def _move(self, frames: Columns, which: np.ndarray, poses: np.ndarray) -> bool:
        """Whether the bank took the poses; if not, it is tried again at the next look."""
        reference = self._reference
        try:
            ids = frames.ids[which].tolist()
            gone = self._bank.set_poses(
                {i: Pose(*pose, reference=reference) for i, pose in zip(ids, poses)}
            )
        except BankError as error:
            self._warn(f"poses could not be corrected: {error}")
            return False
        self._frames.moved(frames, which, poses, gone)
        far = np.linalg.norm((poses - frames.poses[which])[:, :3], axis=1).max()
        self._node.get_logger().info(
            f"{len(which) - len(gone)} stored poses corrected, by up to {far:.2f} m"
        )
        self._said = ""
        return True

    def _refusal(self, trajectory: Trajectory) -> str:
        """Why a path cannot be followed, in a sentence; empty if it can."""
        topic, reference = self._path_topic, self._reference
        for frame in (trajectory.reference.strip("/"), trajectory.other.strip("/")):
            if frame and frame != reference:
                return f"the path on {topic} is in {frame!r} and the poses are in {reference!r}"
        if not trajectory.reference.strip("/"):
            return f"the path on {topic} does not say which frame it is in"
        if len(trajectory.stamps) > 1 and (trajectory.stamps == trajectory.stamps[0]).all():
            return f"the poses of the path on {topic} have no stamps of their own"
        return ""

    def _warn(self, why: str) -> None:
        if why != self._said:
            log.warning("%s: nothing is corrected", why)
            self._said = why


def _from_message(message: Path) -> Trajectory:
    """Any path, however it is laid out."""
    rows = []
    for stamped in message.poses:
        at, turned = stamped.pose.position, stamped.pose.orientation
        rows.append([at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w])
    reference = message.header.frame_id
    named = {stamped.header.frame_id for stamped in message.poses} - {"", reference}
    return Trajectory(
        reference,
        np.array([stamp_ns(stamped.header.stamp) for stamped in message.poses], np.int64),
        np.array(rows, float).reshape(-1, 7),
        min(named, default=""),
    )
