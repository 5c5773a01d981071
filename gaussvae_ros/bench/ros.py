"""The two nodes on a real graph: how soon they are there, what they keep up with, how soon a memory comes back."""

import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bench.frames import drive_frames, drive_poses
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import GaussVaeError

STARTS = 3
FRAMES = 75  # of the drive, 0.6 m apart, so that every one is new to the gates
IDLE_S = 20
RUN_S, WARM_S = 60, 10  # of a run of frames; its memory is compared with that after WARM_S
RUNS = {"10 Hz": (10, 0.1), "30 Hz": (30, 0.1), "30 Hz, none gated": (30, 0.0)}  # Hz; min_interval, s
WRITING = 10  # Hz, while questions are asked, and which nothing may be dropped at
RECALLS, ROUTE_S = 300, 10  # frames asked for, and how long a route is followed
SETTLE_S = 2.5  # after a run: the last frames are stored, and the counts of them published
PATIENCE = 120.0  # s, for whatever a process is to do next
END_S = 15.0  # s that processes have to end in
ENDED = ("ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_NAMESPACE")  # settings that this graph does without
NODES = ("memory_node", "recall_node")
PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


def why_not() -> str:
    """Why this cannot be measured here; empty if it can."""
    if find_spec("rclpy") and find_spec("gaussvae_ros.msg"):
        return ""
    return (
        "it needs ROS 2 and the workspace that gaussvae_ros was built in:"
        " source its install/setup.bash, then ros2 run gaussvae_ros gaussvae bench ros"
    )


def run(folder: str | Path) -> list[dict]:
    """Launch the nodes in a graph of their own and measure them; `folder` takes 100 MB for a while.

    Raises:
        GaussVaeError: there is no ROS 2 here, or a process failed.
    """
    if problem := why_not():
        raise GaussVaeError(f"bench ros: {problem}")
    frames, poses = folder / "frames.npy", folder / "poses.npy"
    np.save(frames, drive_frames(FRAMES))
    np.save(poses, drive_poses(FRAMES))
    graph = Graph(folder)
    with tqdm(total=STARTS + 1 + len(RUNS) + 2, desc="ros", disable=None) as bar:
        times = []
        for _ in range(1 + STARTS):  # the first fills caches and does not count
            with graph.nodes() as (_, seconds):
                times.append(seconds)
            bar.update()
        rows = [
            row(
                "ros: launch to both nodes active, beside the first time",
                round(statistics.median(times[1:]), 2),
                "s",
                "at most 8",
                times[0],
            )
        ]
        with graph.nodes() as (pids, _):
            rows.append(row("ros: both nodes idle", _load(pids.values(), IDLE_S), "% of a core", "at most 5"))
            bar.update()
            for name, (rate, min_interval) in RUNS.items():
                graph.set("visual_memory", "min_interval", min_interval)
                rows += _keeping_up(graph, f"ros, {name}", pids["memory_node"], frames, poses, rate)
                bar.update()
            with graph.probe("camera", frames, poses, WRITING, PATIENCE) as camera:
                time.sleep(1)
                with graph.probe("ask", RECALLS, ROUTE_S) as asked:
                    rows += _answers(asked.result())
                camera.stop()
            bar.update()
    with MemoryBank(graph.bank, readonly=True) as bank:
        info = bank.info()
    return [*rows, row("ros: disk a frame", round(info["bytes"] / info["frames"]), "bytes")]


def _keeping_up(graph: "Graph", name: str, memory_node: int, frames: Path, poses: Path, rate: int) -> list[dict]:
    """What became of frames that came at `rate` Hz."""
    with graph.probe("listen") as before:
        counted = before.stop()["counts"]
    with graph.probe("listen") as listener, graph.probe("camera", frames, poses, rate, RUN_S) as camera:
        time.sleep(WARM_S)
        warm = _resident_mb(memory_node)
        sent = camera.result()
        grown = _resident_mb(memory_node) - warm
        time.sleep(SETTLE_S)
        heard = listener.stop()
    counts = {what: count - counted[what] for what, count in heard["counts"].items()}
    return [
        row(f"{name}: received, beside sent", counts["received"], "frames", "all", sent),
        row(f"{name}: left out by the gates", counts["gated"], "frames"),
        row(f"{name}: dropped", counts["dropped"], "frames", "none" if rate == WRITING else "counted"),
        row(f"{name}: bad or refused", counts["bad"] + counts["failed"], "frames", "none"),
        row(f"{name}: stored, beside announced", counts["stored"], "frames", None, len(heard["latency_ms"])),
        row(f"{name}: not accounted for", unaccounted(counts), "frames", "none"),
        row(f"{name}: stored without a pose", counts["poses_missing"], "frames", "none"),
        *_quantiles(f"{name}: stamp to stored", heard["latency_ms"], "at most 150"),
        row(f"{name}: growth of memory_node, beside its size", round(grown, 1), "MB", "none", round(warm)),
    ]


def _answers(ms: dict[str, list[float]]) -> list[dict]:
    """Rows of what `probe.ask` measured while frames came."""
    return [
        *_quantiles("ros: recall 640x480 rgb8", ms["rgb8"], "at most 20", "at most 50"),
        *_quantiles("ros: recall 640x480 jpeg", ms["jpeg"]),
        *_quantiles("ros: window of 11 at 96x96, anywhere", ms["window"], "at most 40"),
        *_quantiles("ros: window of 11 along a route, 4 Hz", ms["route"], "at most 40"),
        *_quantiles("ros: find 20 frames within 1 m", ms["near"]),
        *_quantiles("ros: find 20 frames like a picture", ms["like"]),
    ]


def _quantiles(name: str, ms: list[float], median: str | None = None, most: str | None = None) -> list[dict]:
    at_half, at_99 = (None, None) if not ms else (round(float(v), 1) for v in np.quantile(ms, (0.5, 0.99)))
    return [row(f"{name}, median", at_half, "ms", median), row(f"{name}, 99 %", at_99, "ms", most)]


def unaccounted(counts: dict[str, int]) -> int:
    """Images that arrived and of which nobody says what became of them."""
    return counts["received"] - sum(counts[what] for what in ("bad", "paused", "gated", "dropped", "failed", "stored"))


class Graph:
    """A domain of its own on this machine, with one memory file; `folder` gets that and the logs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bank = folder, folder / "memory.db"
        own = {
            "ROS_DOMAIN_ID": str(80 + os.getpid() % 20),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "log"),
        }
        self.environment = {name: value for name, value in os.environ.items() if name not in ENDED} | own

    @contextmanager
    def nodes(self) -> Iterator[tuple[dict[str, int], float]]:
        """Both nodes, launched and active: their process ids, and the seconds that took."""
        with self.probe("active") as probe:
            begun = time.monotonic()
            with self.process("ros2", "launch", "gaussvae_ros", "memory.launch.py", f"bank:={self.bank}") as launched:
                seconds = probe.result() - begun
                yield _nodes_of(launched.popen.pid), round(seconds, 2)

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
        """A process in a group of its own, which is gone in the end, also when this one is killed."""
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
        prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec little should be done
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

    def wait(self) -> str:
        """Wait for its end, and return the last line that it printed."""
        try:
            if self.popen.wait(PATIENCE) == 0:
                return Path(self._said).read_text().splitlines()[-1]
        except subprocess.TimeoutExpired:
            pass
        raise self._failed()

    def result(self) -> object:
        """Wait for its end, and return the JSON that it printed."""
        return json.loads(self.wait())

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
        return GaussVaeError(f"bench ros: {' '.join(map(str, self.popen.args[-3:]))}: {words or 'no answer'}")


def _nodes_of(session: int) -> dict[str, int]:
    """The process ids of the two nodes in a session of processes."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if int(_stat(int(folder.name))[3]) != session:
                continue
        except OSError:  # it has ended
            continue
        found |= {node: int(folder.name) for node in NODES if any(word.endswith(f"/{node}".encode()) for word in words)}
    if set(found) != set(NODES):
        raise GaussVaeError(f"bench ros: launch runs {', '.join(found) or 'no node'}, not {' and '.join(NODES)}")
    return found


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on, see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _load(pids: Iterable[int], seconds: float) -> float:
    """Time on the CPU that processes take together, % of one core, over some seconds."""

    def ticks() -> int:
        return sum(int(ticks) for pid in pids for ticks in _stat(pid)[11:13])

    before, begun = ticks(), time.monotonic()
    time.sleep(seconds)
    return round(100 * (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begun), 1)


def _resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
