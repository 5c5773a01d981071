"""A ROS graph for one test: a domain of its own, real processes in it, and a node of the test's.

    def test_something(ros):
        launched = ros.launch("memory.launch.py", f"bank:={ros.folder}/memory.db")
        ros.until_active("visual_memory", "visual_recall")
        reply = ros.call(RecallFrame, "/visual_recall/recall_frame", id=1)

Whatever a test starts is gone when it ends. What processes print is in `process.log`.
"""

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import rclpy
from lifecycle_msgs.srv import ChangeState, GetState
from messages import transform
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

TRANSITIONS = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4, "shutdown": 7}
ROOT = Path(__file__).parents[2]


class Process:
    """A command in a process group of its own, what it prints in a file. Ctrl-C is `stop()`."""

    def __init__(self, command: list[str], environment: dict[str, str], output: Path) -> None:
        self.output = output
        with output.open("wb") as file:
            self.popen = subprocess.Popen(
                command,
                cwd=output.parent,
                env=environment,
                start_new_session=True,
                stdout=file,
                stderr=file,
            )

    @property
    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def until_says(self, text: str, timeout: float = 20.0) -> None:
        until(lambda: text in self.log or self.popen.poll() is not None, timeout, lambda: self.log)
        assert text in self.log, self.log

    def send(self, number: int) -> None:
        """To the whole group, as a terminal does."""
        os.killpg(self.popen.pid, number)

    def stop(self, number: int = signal.SIGINT, timeout: float = 15.0) -> int:
        """Signal the group; returns the exit code. An AssertionError if it outlives the timeout."""
        if self.popen.poll() is None:
            self.send(number)
        return self.wait(timeout)

    def wait(self, timeout: float = 15.0) -> int:
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s:\n{self.log}") from None


class Ros:
    """One domain: `launch`, `run` and `ros2` start processes in it; the rest speaks to them from
    a node in this one.
    """

    def __init__(self, domain: int, folder: Path) -> None:
        self.domain, self.folder = domain, folder
        self.marker = f"GAUSSVAE_TEST={uuid.uuid4()}"
        name, value = self.marker.split("=")
        logs = {
            "ROS_LOG_DIR": str(folder / "ros_log"),
            "ROS_HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
        }
        self.environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), name: value, **logs}
        self.processes: list[Process] = []
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("test", context=self.context)
        self._publishers, self._clients = {}, {}
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ctrl-C for everything that runs, then SIGKILL; daemons that ros2 left behind, too."""
        for process in self.processes:
            if process.popen.poll() is None:
                process.send(signal.SIGINT)
        deadline = time.monotonic() + 10
        while _marked(self.marker) and time.monotonic() < deadline:
            if not any(process.popen.poll() is None for process in self.processes):
                break
            time.sleep(0.05)
        for pid in _marked(self.marker):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.processes:
            process.popen.wait(5)
        self._executor.shutdown()
        self._thread.join(5)
        self.node.destroy_node()
        self.context.try_shutdown()

    # processes

    def launch(self, file: str, *arguments: str, **environment: str) -> Process:
        """`ros2 launch gaussvae_ros FILE ARGUMENTS`; FILE may also be a path."""
        package = [] if "/" in file else ["gaussvae_ros"]
        return self.start("ros2", "launch", *package, file, *arguments, **environment)

    def run(self, executable: str, *arguments: str, **environment: str) -> Process:
        """`ros2 run gaussvae_ros EXECUTABLE ARGUMENTS`, so that signals reach the node alone."""
        from ament_index_python import get_package_prefix

        path = Path(get_package_prefix("gaussvae_ros"), "lib", "gaussvae_ros", executable)
        return self.start(str(path), *arguments, **environment)

    def start(self, *command: str, **environment: str) -> Process:
        output = self.folder / f"process{len(self.processes)}.log"
        self.processes.append(Process(list(command), {**self.environment, **environment}, output))
        return self.processes[-1]

    def ros2(self, *arguments: str, timeout: float = 30.0) -> str:
        """What a `ros2` command prints; an AssertionError if it fails."""
        process = self.start("ros2", *arguments)
        code = process.wait(timeout)
        assert code == 0, process.log
        return process.log

    # services and parameters

    def call(self, kind: type, name: str, timeout: float = 20.0, **fields: object) -> object:
        """The reply of a service, which is waited for."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self.node.create_client(kind, name)
        assert client.wait_for_service(timeout), (
            f"no service {name} after {timeout} s\n{self.logs()}"
        )
        done = threading.Event()
        future = client.call_async(kind.Request(**fields))
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout), f"no reply from {name} after {timeout} s\n{self.logs()}"
        return future.result()

    def state(self, node: str) -> str:
        """The lifecycle state of a node: unconfigured, inactive, active or finalized."""
        return self.call(GetState, f"{node}/get_state").current_state.label

    def transition(self, node: str, name: str) -> bool:
        """Ask a node to configure, activate, deactivate or clean up; whether it did."""
        request = ChangeState.Request()
        request.transition.id = TRANSITIONS[name]
        return self.call(
            ChangeState, f"{node}/change_state", 60.0, transition=request.transition
        ).success

    def until_active(self, *nodes: str, timeout: float = 60.0) -> None:
        for node in nodes:
            until(lambda node=node: self.state(node) == "active", timeout, self.logs)

    def parameter(self, node: str, name: str) -> object:
        [value] = self.call(GetParameters, f"{node}/get_parameters", names=[name]).values
        return parameter_value_to_python(value)

    def set_parameter(self, node: str, name: str, value: object) -> str:
        """Empty where the node took the value, else why it did not."""
        message = Parameter(name, value=value).to_parameter_msg()
        assert isinstance(message.value, ParameterValue)
        reply = self.call(
            SetParametersAtomically, f"{node}/set_parameters_atomically", parameters=[message]
        )
        return "" if reply.result.successful else reply.result.reason or "refused"

    # topics

    def hears(self, node: str, topic: str) -> bool:
        """Whether a node subscribes to a topic, as the graph knows."""
        space, _, name = node.rpartition("/")
        found = self.node.get_subscriber_names_and_types_by_node(name, space or "/")
        return topic in dict(found)

    def listen(self, kind: type, topic: str, qos: int | QoSProfile = 100) -> list:
        """The messages of a topic, in a list that grows as they arrive."""
        heard = []
        self.node.create_subscription(kind, topic, heard.append, qos)
        return heard

    def publish(
        self, topic: str, message: object, timeout: float = 20.0, qos: int | QoSProfile = 10
    ) -> None:
        """Publish, the first time once somebody listens."""
        publisher = self._publishers.get(topic)
        if publisher is None:
            publisher = self._publishers[topic] = self.node.create_publisher(
                type(message), topic, qos
            )
            until(
                lambda: publisher.get_subscription_count(),
                timeout,
                lambda: f"nobody hears {topic}\n{self.logs()}",
            )
            # The other side may know later, and what is sent best-effort before is lost.
            time.sleep(0.5)
        publisher.publish(message)

    def forget_publishers(self) -> None:
        """Let the next message of each topic wait for who listens then, who may not yet now."""
        for publisher in self._publishers.values():
            self.node.destroy_publisher(publisher)
        self._publishers.clear()

    def transform(
        self, parent: str, child: str, stamp_ns: int, position=(0, 0, 0), rotation=(0, 0, 0, 1)
    ) -> None:
        """Publish parent <- child on /tf: m, and a quaternion x, y, z, w."""
        self.publish(
            "/tf", TFMessage(transforms=[transform(parent, child, stamp_ns, position, rotation)])
        )

    def static_transform(
        self, parent: str, child: str, position=(0, 0, 0), rotation=(0, 0, 0, 1)
    ) -> None:
        """The same on /tf_static, for those who come later, too."""
        latched = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        message = TFMessage(transforms=[transform(parent, child, 0, position, rotation)])
        self.publish("/tf_static", message, qos=latched)

    def logs(self) -> str:
        """What all processes printed, for messages of tests that fail."""
        return "\n".join(f"--- {process.popen.args}\n{process.log}" for process in self.processes)


def until(
    condition: Callable[[], object], timeout: float = 20.0, says: Callable[[], str] = str
) -> None:
    """Wait until a condition holds; an AssertionError with `says()` after `timeout` s."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s\n{says()}"
        time.sleep(0.02)


def _marked(marker: str) -> list[int]:
    """The processes with this in their environment: all that a test started, even what left its
    group.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (
                marker.encode() in (folder / "environ").read_bytes().split(b"\0")
                and int(folder.name) != os.getpid()
            ):
                found.append(int(folder.name))
        except OSError:  # gone, or another user's
            continue
    return found
