"""What the memory node says of itself once a second, and the look at its file that goes with it."""

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes import diagnostics
from gaussvae_ros.nodes.camera import Camera
from gaussvae_ros.nodes.counters import Counters
from gaussvae_ros.nodes.forgetting import BudgetState
from gaussvae_ros.nodes.lifecycle import ManagedNode
from gaussvae_ros.nodes.recorder import Recorder
from gaussvae_ros.nodes.worker import Worker

STATUS_S = 1.0


class MemoryReport:
    """Publishes on /diagnostics from the beginning until `close`.

    `paused()` says whether images are passed over, `budget()` what is known of the memory's.
    """

    def __init__(
        self,
        node: ManagedNode,
        bank: MemoryBank,
        recorder: Recorder,
        worker: Worker,
        counters: Counters,
        cameras: list[Camera],
        paused: Callable[[], bool],
        budget: Callable[[], BudgetState],
    ) -> None:
        self._node, self._bank, self._recorder, self._worker = node, bank, recorder, worker
        self._counters, self._cameras, self._paused = counters, cameras, paused
        self._budget = budget
        self._name = node.get_fully_qualified_name().strip("/")
        self._history = diagnostics.History()
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # goes on where a simulation stands still
        self._timer = node.create_timer(STATUS_S, self._report, clock=steady)

    def close(self) -> None:
        """Say no more."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _report(self) -> None:
        lost = self._bank.check_place()
        # A robot that stands still writes nothing.
        if self._recorder.behind or self._recorder.refusal or lost:
            # A commit follows, which tries again what failed.
            self._worker.call(self._recorder.tally)
        try:
            statuses = self._statuses(lost)
        except Exception as error:
            self._node.faults.note("the diagnostics", error)
            what = self._node.faults.sentence()
            statuses = [
                diagnostics.status(f"{self._name}: memory", "", diagnostics.ERROR, what, {})
            ]
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _statuses(self, lost: str) -> list[DiagnosticStatus]:
        """One for each camera, and one for the memory; `lost` is why its file is gone."""
        try:
            size = self._bank.size()
        except BankError:
            size = None
        faults = self._node.faults
        memory = diagnostics.MemoryState(
            path=self._bank.path,
            bytes=size,
            refusal=self._recorder.refusal or lost,
            lost=self._recorder.lost,
            waiting=self._recorder.waiting,
            faults=faults.count,
            fault=faults.sentence(),
            budget=self._budget(),
            refused=sum(self._counters.of_camera(c.name)["refused"] for c in self._cameras),
        )
        timeout, paused = self._node.settings.image_timeout, self._paused()
        states = [camera.state(self._counters, paused) for camera in self._cameras]
        return [
            *(
                diagnostics.camera_status(self._name, state, self._history, timeout)
                for state in states
            ),
            diagnostics.memory_status(self._name, memory, self._history),
        ]
