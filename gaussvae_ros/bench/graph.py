"""A ROS 2 graph of its own to measure in: its processes, and what /proc says of them."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gaussvae_ros.errors import GaussVaeError

PATIENCE = 120.0  # s, for whatever a process is to do next
END_S = 15.0  # s that processes have to end in
# Settings that this graph does without.
ENDED = "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_NAMESPACE"
NODES = ("memory_node", "recall_node")
PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


class Graph:
    """A ROS domain of its own, on this machine; `folder` gets its memory file and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bank = folder, folder / "memory.db"
        own = {
            "ROS_DOMAIN_ID": str(80 + os.getpid() % 20),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "log"),
        }
        self.environment = {
            name: value for name, value in os.environ.items() if name not in ENDED
        } | own

    @contextmanager
    def nodes(self, **parameters: object) -> Iterator[tuple[dict[str, int], float]]:
        """Both nodes, launched and active: their process ids, and the seconds that took.
        `parameters` are those of `visual_memory` that are not as by default.
        """
        given = self.folder / "parameters.yaml"
        given.write_text(json.dumps({"/**/visual_memory": {"ros__parameters": parameters}}))
        with self.probe("active") as probe:
            begun = time.monotonic()
            with self.process(
                "ros2",
                "launch",
                "gaussvae_ros",
                "memory.launch.py",
                f"bank:={self.bank}",
                *([f"params_file:={given}"] if parameters else []),
            ) as launched:
                seconds = probe.result() - begun
                yield nodes_of(launched.popen.pid), round(seconds, 2)

    def set(self, node: str, parameter: str, value: float) -> None:
        """Change a parameter of a node that runs."""
        with self.process("ros2", "param", "set", node, parameter, str(value)) as process:
            process.wait()

    @contextmanager
    def probe(self, what: str, *arguments: object) -> Iterator["Process"]:
        """One of gaussvae_ros/nodes/probe.py, once it is ready."""
        command = sys.executable, "-m", "gaussvae_ros.nodes.probe", what, *map(str, arguments)
        with self.process(*command) as process:
            process.until_ready()
            yield process

    @contextmanager
    def process(self, *command: str) -> Iterator["Process"]:
        """A process in a group of its own, gone in the end, also when this one is killed."""
        process = Process(command, self.folder, self.environment)
        try:
            yield process
        finally:
            process.end()


class Process:
    """A command that runs, with what it prints in files."""

    def __init__(self, command: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
        said, self._said = tempfile.mkstemp(".out", dir=folder)
        errors, self._errors = tempfile.mkstemp(".err", dir=folder)
        prctl = ctypes.CDLL(
            None
        ).prctl  # looked up here: between fork and exec little should be done
        self.popen = subprocess.Popen(
            command,
            cwd=folder,  # not the checkout, which would hide the package that was built
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGINT),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=errors,
        )
        os.close(said)
        os.close(errors)

    def until_ready(self) -> None:
        """Wait until it says so."""
        deadline = time.monotonic() + PATIENCE
        while "ready" not in Path(self._said).read_text():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise self._failed()
            time.sleep(0.02)

    def wait(self, patience: float = PATIENCE) -> str:
        """Wait for its end, and return the last line that it printed."""
        try:
            if self.popen.wait(patience) == 0:
                return Path(self._said).read_text().splitlines()[-1]
        except subprocess.TimeoutExpired:
            pass
        raise self._failed()

    def result(self, patience: float = PATIENCE) -> object:
        """Wait for its end, and return the JSON that it printed."""
        return json.loads(self.wait(patience))

    def stop(self) -> object:
        """Tell it that it is time, and return what it printed."""
        self.popen.stdin.close()
        return self.result()

    def end(self) -> None:
        """Ctrl-C, and SIGKILL for what does not care."""
        self.popen.stdin.close()
        for number, seconds in ((signal.SIGINT, END_S), (signal.SIGKILL, END_S)):
            try:
                os.killpg(self.popen.pid, number)
                self.popen.wait(seconds)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass

    def _failed(self) -> GaussVaeError:
        words = Path(self._errors).read_text(errors="replace").strip().rpartition("\n")[2]
        return GaussVaeError(
            f"bench ros: {' '.join(map(str, self.popen.args[-3:]))}: {words or 'no answer'}"
        )


def nodes_of(session: int) -> dict[str, int]:
    """The process ids of the two nodes in a session of processes."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if int(stat(int(folder.name))[3]) != session:
                continue
        except OSError:  # it has ended
            continue
        found |= {
            node: int(folder.name)
            for node in NODES
            if any(word.endswith(f"/{node}".encode()) for word in words)
        }
    if set(found) != set(NODES):
        raise GaussVaeError(
            f"bench ros: launch runs {', '.join(found) or 'no node'}, not {' and '.join(NODES)}"
        )
    return found


def stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on, see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pids: Iterable[int]) -> float:
    """Time on the CPU that processes have taken, all together."""
    ticks = sum(int(ticks) for pid in pids for ticks in stat(pid)[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def load(pids: Iterable[int], seconds: float) -> float:
    """Time on the CPU that processes take together, % of one core, over some seconds."""
    before, begun = cpu_seconds(pids), time.monotonic()
    time.sleep(seconds)
    return round(100 * (cpu_seconds(pids) - before) / (time.monotonic() - begun), 1)


def written_kb(pid: int) -> float:
    """What a process has written to files and pipes, KB."""
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0]) / 1e3


def resident_mb(pid: int) -> float:
    """Memory that a process takes, MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
