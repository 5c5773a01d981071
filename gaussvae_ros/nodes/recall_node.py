"""`visual_recall`: gives remembered frames back, from a memory that another node writes or from a
finished one.
"""

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer

from gaussvae_ros import kernels
from gaussvae_ros.bank.file.lock import lock_path, may_be_written
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.compile import warm_up, warm_up_old
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.looking.encoder import Encoder
from gaussvae_ros.nodes import convert, diagnostics
from gaussvae_ros.nodes.answers import Answers
from gaussvae_ros.nodes.command_line import wants_help
from gaussvae_ros.nodes.lazy_bank import LazyBank
from gaussvae_ros.nodes.lifecycle import ManagedNode, run
from gaussvae_ros.nodes.nearness import Nearness
from gaussvae_ros.nodes.parameters import RECALL
from gaussvae_ros.nodes.pooled_service import PooledService
from gaussvae_ros.nodes.recalled_images import RecalledImages
from gaussvae_ros.nodes.route import Route
from gaussvae_ros.srv import (
    DescribeMemory,
    FindFrames,
    RecallFrame,
    RecallFrames,
    RecallVolume,
)

SERVICES = {
    "recall_frame": RecallFrame,
    "recall_frames": RecallFrames,
    "recall_volume": RecallVolume,
    "find_frames": FindFrames,
    "describe_memory": DescribeMemory,
}
REMEMBERED = (
    16_000_000  # bytes of splats that stay in memory: windows of a robot that drives on overlap
)
DIAGNOSTICS_S = 1.0
ROUTE_S = 1.0  # between two looks at what changed
# That answer; one decodes at a time where the kernels hold Python, and the others wait their turn.
THREADS = 4
TIMED = 100  # requests that the median is of


class RecallNode(ManagedNode):
    """Offers its services once it is configured, and answers while it is active, several requests
    at a time.
    """

    def __init__(self) -> None:
        super().__init__("visual_recall", RECALL)
        self._bank: LazyBank | None = None
        self._active = False
        self._offered: list[PooledService] = []
        self._publisher = self._pool = self._nearness = self._route = self._images = None
        self._reports: list[Timer] = []
        self._counting = threading.Lock()

    def load(self) -> None:
        kernels.use_threads(self.settings.threads)
        self._bank = LazyBank(self.settings.bank)
        self._codec = FrameCodec(
            self.settings.device, self.settings.model, remember=REMEMBERED, models=[self._bank]
        )
        warm_up(self._codec)
        warm_up_old(self._codec)
        convert.load_bridge()

    def configure(self) -> None:
        self._nearness = Nearness(self)
        self._answers = Answers(
            self._bank, self._codec, self._nearness, lambda: self.get_clock().now().nanoseconds
        )
        if self.settings.encoder:
            self._answers.encoder = Encoder(self.settings.encoder)
        self._pool = ThreadPoolExecutor(THREADS, "recall")
        self._served = self._refused = 0
        self._took: deque[float] = deque(maxlen=TIMED)  # ms
        for name, kind in SERVICES.items():
            self._offered.append(
                PooledService(self, kind, f"~/{name}", partial(self._answer, name), self._pool)
            )
        self._publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # A simulation that stands still is no reason to be silent.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._route = Route(self, self._bank)
        if self.settings.publish_recalled:
            self._images = RecalledImages(self, self._bank)
        draw = self.faults.guarded("the route", self._draw)
        self._reports = [
            self.create_timer(DIAGNOSTICS_S, self._report, clock=steady),
            self.create_timer(ROUTE_S, lambda: self._pool.submit(draw), clock=steady),
        ]
        self.adjust()

    def activate(self) -> None:
        self._active = True

    def deactivate(self) -> None:
        self._active = False

    def close(self) -> None:
        self._active = False
        while self._reports:
            self.destroy_timer(self._reports.pop())
        while self._offered:
            self._offered.pop().close()
        if self._pool is not None:  # after a signal nobody waits for an answer that takes seconds
            self._pool.shutdown(wait=self.context.ok(), cancel_futures=True)
        if self._nearness is not None:
            self._nearness.close()
        for shown in (self._route, self._images):
            if shown is not None:
                shown.close()
        if self._publisher is not None:
            self.destroy_publisher(self._publisher)
        if self._bank is not None:
            self._bank.close()
        self._bank = self._publisher = self._pool = self._nearness = None
        self._route = self._images = None

    def adjust(self) -> None:
        if self._bank is not None:
            self._answers.tolerance = self.settings.tolerance

    def _answer(self, name: str, request: object, response: object) -> object:
        """Fill in what a service answers. Whatever goes wrong becomes the sentence that it answers
        with.
        """
        begun = time.perf_counter()
        shown = self.faults.guarded("what is shown of recalls", self._show)
        try:
            if not self._active:
                raise GaussVaeError(f"{self.get_name()} is not active: activate it first")
            getattr(self._answers, name)(request, response)
            response.success = True
            shown(response)
        except GaussVaeError as error:
            response.success, response.message = False, str(error)
        except Exception as error:  # counts as a request, too
            self.faults.note(f"the service {name}", error)
            response.success, response.message = (
                False,
                f"{name} failed: {type(error).__name__}: {error}",
            )
        with self._counting:
            self._served += response.success
            self._refused += not response.success
            self._took.append(1e3 * (time.perf_counter() - begun))
        return response

    def _show(self, response: object) -> None:
        """Let the graph see which frames were recalled."""
        if not isinstance(response, RecallFrame.Response | RecallFrames.Response):
            return
        one = isinstance(response, RecallFrame.Response)
        self._route.recalled(f.id for f in ([response.frame] if one else response.frames))
        if self._images is not None:
            self._images.publish(response)

    def _draw(self) -> None:
        if self._active:
            try:
                self._route.publish()
            except BankError:  # diagnostics say so
                pass

    def _report(self) -> None:
        """Publish how the node is doing."""
        level, message = diagnostics.OK, "active" if self._active else "inactive"
        try:
            path = self._bank.get().path
            if lock_path(path).exists() and not may_be_written(path):
                level, message = (
                    diagnostics.WARN,
                    f"who wrote {path} is gone, and nothing new is remembered",
                )
        except BankError as error:
            level, message = diagnostics.WARN, str(error)
        if fault := self.faults.sentence():
            level, message = diagnostics.ERROR, fault
        with self._counting:
            took = list(self._took)
        facts = {
            "bank": self._bank.path,
            "requests served": self._served,
            "requests refused": self._refused,
            "median time of a request (ms)": f"{median(took):.1f}" if took else "",
            "internal errors": self.faults.count,
        }
        name = self.get_fully_qualified_name().strip("/")
        report = DiagnosticArray(
            status=[diagnostics.status(name, str(self._bank.path), level, message, facts)]
        )
        report.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(report)


def main() -> int:
    """Run the node until it is told to end."""
    return 0 if wants_help(__doc__, RECALL) else run(RecallNode)
