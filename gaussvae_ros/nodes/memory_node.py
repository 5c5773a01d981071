"""`visual_memory`: stores what cameras see, as records with stamp and pose in a memory file that it
alone writes.
"""

import logging
import time
from concurrent.futures import Future
from functools import partial

from rclpy.clock import Clock, ClockType

from gaussvae_ros import kernels
from gaussvae_ros.bank import Frame, Pose
from gaussvae_ros.bank.frame import checked_map, checked_text
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.compile import warm_up
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.camera import Camera
from gaussvae_ros.nodes.command_line import wants_help
from gaussvae_ros.nodes.contents import Contents
from gaussvae_ros.nodes.corrected_poses import CorrectedPoses
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.forgetting import Forgetting
from gaussvae_ros.nodes.frame_poses import FramePoses
from gaussvae_ros.nodes.lifecycle import ManagedNode, run
from gaussvae_ros.nodes.map_name import MapName
from gaussvae_ros.nodes.memory_report import MemoryReport
from gaussvae_ros.nodes.memory_services import MemoryServices
from gaussvae_ros.nodes.parameters import MEMORY
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.nodes.reception import THROTTLE_S, Reception
from gaussvae_ros.nodes.recorder import Recorder
from gaussvae_ros.nodes.settings import (
    budget,
    commit_period,
    encoding,
    limits,
    looks,
    open_bank,
    tier_note,
)
from gaussvae_ros.nodes.topics import TYPES, check_names, check_topics
from gaussvae_ros.nodes.volume_store import VolumeStore
from gaussvae_ros.nodes.worker import Worker

FACTS_S = 1.0  # between two looks at camera_info, and at the map
DRAIN_S = 10.0  # for what still waits when images are not listened to any more
LAST_DRAIN_S = 0.6  # when the process ends, which is to take less than a second
QUEUE_BYTES = 256 * 2**20  # of a camera's images that wait for the encoder
ANNOUNCED = 1000  # messages on ~/frames that may wait for who listens, since many come at once

log = logging.getLogger(__name__)


class MemoryNode(ManagedNode):
    """Images are looked at in the executor's thread; what is worth it is encoded and stored in the
    worker's.
    """

    def __init__(self) -> None:
        super().__init__("visual_memory", MEMORY)
        self._bank = self._worker = self._poses = self._timer = self._corrected = None
        self._forgetting = self._reception = self._contents = None
        self._control = self._told = self._frames = None  # services, diagnostics, announcements
        self._map = self._volumes = None
        self._cameras: list[Camera] = []
        self._tier_note = ""  # that the log has

    # Transitions

    def load(self) -> None:
        check_names(self.settings.cameras)
        names = "corrected_path_topic", "map_topic", "volume_topic"
        check_topics({name: getattr(self.settings, name) for name in names})
        kernels.use_threads(self.settings.threads)
        self._codec = FrameCodec(self.settings.device, self.settings.model)
        warm_up(self._codec)
        if self.settings.image_transport == "raw":
            convert.load_bridge()

    def configure(self) -> None:
        settings = self.settings
        if settings.session:
            checked_text("session", settings.session)
        checked_map(settings.map_id)
        looks(settings).check()
        self._bank = open_bank(settings)
        self._counters = Counters(settings.cameras)
        self._recorder = Recorder(
            self._bank,
            self._codec,
            self._counters,
            settings.session,
            encoding(settings),
            self.faults.guarded("an announcement", self._announce),
            self._now_ns,
            wants_poses=bool(settings.map_frame),
        )
        self._poses = FramePoses(self, self._settle)
        self._corrected = CorrectedPoses(self, self._bank, self._poses)
        self._map = MapName(self)
        self._recorder.placed = self._corrected.placed
        self._recorder.forgotten = self._corrected.forget
        self._forgetting = Forgetting(self._bank, self._codec, self.faults.note)
        self._recorder.full = self._forgetting.refusal
        self._worker = Worker(
            self._recorder.work, self._recorder.commit, self._dropped, failed=self.faults.note
        )
        alone = len(settings.cameras) == 1
        recorder = self._recorder
        self._contents = Contents(
            looks(settings), self._bank, self._worker.call, lambda: recorder.file
        )
        self._recorder.taken = self._contents.look
        self._cameras = [
            Camera(self, name, alone, settings.image_transport, limits(settings))
            for name in settings.cameras
        ]
        self._frames = self.create_publisher(MemoryFrame, "~/frames", ANNOUNCED)
        self._control = control = MemoryServices(self, self._bank)
        self._reception = Reception(
            self, self._counters, self._poses, self._corrected, lambda: control.paused, self._put
        )
        self._volumes = VolumeStore(
            self,
            self._bank,
            self._session_of,
            lambda: self._forgetting.refusal(0),
            lambda: control.paused,
        )
        self._told = MemoryReport(
            self,
            self._bank,
            self._recorder,
            self._worker,
            self._counters,
            self._cameras,
            lambda: control.paused,
            self._forgetting.state,
        )
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on where a simulation stands still
        self._timer = self.create_timer(FACTS_S, self._take_facts, clock=steady)
        self.adjust()
        self.get_logger().info(f"memory {self._bank.path}, ready")

    def activate(self) -> None:
        settings = self.settings
        if settings.map_frame:
            corrects = settings.corrected_path_topic or settings.correct_leaps
            self._poses.listen(settings.map_frame, settings.odom_frame if corrects else "")
            if corrects:
                self._corrected.listen(settings.corrected_path_topic)
        self._map.listen(settings.map_topic)
        self._volumes.listen(settings.volume_topic)
        for camera in self._cameras:
            camera.listen(
                self.settings.image_reliability, self.settings.image_depth, self._reception.receive
            )
            self.get_logger().info(
                f"camera {camera.name}: listening to {camera.topic} ({TYPES[camera.kind]})"
            )

    def deactivate(self) -> None:
        self._quiet(DRAIN_S)

    def last_words(self) -> None:
        if (worker := self._worker) is not None:
            self._reception.ended = True
            if not worker.drain(LAST_DRAIN_S):
                log.warning("encoding takes long: what is stored from now on is not announced")

    def close(self) -> None:
        if self._worker is not None:
            self._contents.close()
            self._forgetting.close(LAST_DRAIN_S)
            self._quiet(LAST_DRAIN_S)
            self._volumes.close()
            self._worker.stop(LAST_DRAIN_S)
            self._recorder.close()
        elif self._bank is not None:
            self._bank.close()
        for part in (self._control, self._told, self._corrected, self._poses):
            if part is not None:
                part.close()
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self._frames is not None:
            self.destroy_publisher(self._frames)
        self._bank = self._worker = self._poses = self._timer = self._corrected = None
        self._forgetting = self._reception = self._contents = self._volumes = None
        self._control = self._told = self._frames = None
        self._cameras = []

    def adjust(self) -> None:
        if self._worker is None:
            return
        self._name_map()
        self._worker.size = self.settings.queue_size
        self._worker.period = commit_period(self.settings)
        self._recorder.encoding = encoding(self.settings)
        self._forgetting.take(budget(self.settings), self.settings.coarse_quality)
        for camera in self._cameras:
            camera.limits = limits(self.settings)
        if (note := tier_note(self.settings)) != self._tier_note:
            self._tier_note = note
            if note:
                log.warning(note)

    # Frames

    def _put(self, frame: PendingFrame) -> None:
        self._worker.put(frame.camera, frame, max(QUEUE_BYTES // frame.image.nbytes, 1))

    def _dropped(self, frame: PendingFrame) -> None:
        frame.image = None
        self._counters.count(frame.camera, frame.session, "dropped")

    def _settle(self, frame: PendingFrame, pose: Pose | None, why: str) -> None:
        if pose is None:
            next(camera for camera in self._cameras if camera.name == frame.camera).no_pose = why
            self.get_logger().warning(
                f"camera {frame.camera}: a frame stays without pose: {why}",
                throttle_duration_sec=THROTTLE_S,
            )
        self._worker.call(partial(self._recorder.settle, frame, pose))

    # Topics

    def _announce(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._frames.publish(convert.memory_frame(frame, self._now_ns()))

    def _session_of(self, stamp_ns: int) -> Future:
        """The session that a volume goes into, which the worker's thread knows."""
        session = partial(self._recorder.session_at, stamp_ns, self._reception.map_id)
        return self._worker.ask(session)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    # Inside

    def _quiet(self, timeout: float) -> None:
        """Stop listening, and store what waits; what takes more than `timeout` s is dropped."""
        self._take_facts()
        for camera in self._cameras:
            camera.quiet()
        self._poses.quiet()
        self._volumes.quiet()
        self._map.quiet()
        # A signal that comes meanwhile ends the wait.
        begun, waits = time.monotonic(), self.context.ok()
        counted = self._dropped_ever()
        if not self._worker.drain(timeout, lambda: not waits or self.context.ok()):
            dropped, took = self._dropped_ever() - counted, time.monotonic() - begun
            log.warning(
                "encoding takes long: after %.1f s, %d frames that waited for it are dropped",
                took,
                dropped,
            )
        self._corrected.quiet()
        self._volumes.drain(timeout)
        self._worker.call(self._recorder.tally)
        self._worker.drain(LAST_DRAIN_S)

    def _dropped_ever(self) -> int:
        return sum(self._counters.of_camera(camera.name)["dropped"] for camera in self._cameras)

    def _take_facts(self) -> None:
        self._map.look()
        self._name_map()
        self._volumes.look()
        for camera in self._cameras:
            if (info := camera.new_calibration()) is not None:
                self._worker.call(
                    partial(self._recorder.calibrate, camera.name, convert.calibration(info))
                )

    def _name_map(self) -> None:
        if (map_id := self._map.id) != self._reception.map_id:
            if self._reception.map_id:
                self._corrected.change_map()
            self._reception.map_id = map_id
            self._worker.call(partial(self._recorder.name_map, map_id))
            self.get_logger().info(f"poses are in the map {map_id!r}")


def main() -> int:
    """Run the node until it is told to end."""
    return 0 if wants_help(__doc__, MEMORY) else run(MemoryNode)
