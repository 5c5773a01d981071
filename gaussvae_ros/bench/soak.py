"""The two nodes through mixed faults for minutes.

No process is lost, no frame that was announced, and memory is flat.
"""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bench.frames import drive_frames, drive_poses
from gaussvae_ros.bench.graph import NODES, PATIENCE, Graph, nodes_of, resident_mb
from gaussvae_ros.bench.ros import why_not
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import GaussVaeError

FRAMES, RATE = 75, 10  # of the drive; Hz
CLIENTS = 8
FAULT_S = 40.0  # from one fault to the next
FULL_S = 10.0  # that the disk is full
DISK = 64 * 2**20  # bytes
BACK_S = 60.0  # in which frames are to come again after a fault
SETTLE_S = 3.0  # what waits is stored, and announced
MARGIN_S = 0.5  # that announcements may be on their way when a file is deleted


def run(folder: Path, minutes: float) -> list[dict]:
    """Rows as those of `parts.run`.

    Raises:
        GaussVaeError: there is no ROS 2 here, or what asks and listens failed itself.
    """
    if problem := why_not():
        raise GaussVaeError(f"bench ros: {problem}")
    frames, poses, announced = (
        folder / "frames.npy",
        folder / "poses.npy",
        folder / "announced.jsonl",
    )
    np.save(frames, drive_frames(FRAMES))
    np.save(poses, drive_poses(FRAMES))
    graph = Graph(folder)
    with _disk(folder / "disk") as mounted:
        graph.bank = folder / "disk" / "memory.db"
        with graph.nodes() as (pids, _), graph.probe("witness", announced) as witness:
            soak = _Soak(graph, announced, pids, mounted)
            with (
                graph.probe("camera", frames, poses, RATE, 60 * minutes + 600) as camera,
                graph.probe("faults") as faults,
                graph.probe("clients", CLIENTS) as clients,
            ):
                soak.run(60 * minutes)
                went, odd, sent = clients.stop(), faults.stop(), camera.stop()
            time.sleep(SETTLE_S)
            said = witness.stop()
            soak.check()
            ended = soak.ended()
    return [
        row("soak: images sent, beside odd ones", sent, "images", None, odd),
        row(
            "soak: disk full, file deleted, memory_node killed", sum(soak.faults.values()), "times"
        ),
        row("soak: processes lost", ended, "processes", "none"),
        row(
            "soak: starts of memory_node, beside those after kills",
            soak.starts,
            "starts",
            "all",
            soak.faults["kill"],
        ),
        row("soak: longest time without a frame after a fault", round(soak.longest, 1), "s"),
        row(
            "soak: frames announced, beside those recalled",
            said["frames"],
            "frames",
            None,
            soak.checked,
        ),
        row("soak: announced frames lost", soak.lost, "frames", "none"),
        row("soak: exceptions inside the nodes", said["internal errors"], "errors", "none"),
        row("soak: statuses that say ERROR", said["errors"], "statuses"),
        row(
            "soak: questions of 8 clients answered, beside refused",
            went["answered"],
            "answers",
            None,
            went["refused"],
        ),
        row("soak: questions of 8 clients unanswered", went["unanswered"], "questions", "none"),
        *(
            row(
                f"soak: growth of {node}, beside its size",
                round(grown),
                "MB",
                "at most 20",
                round(size),
            )
            for node, (grown, size) in soak.growth().items()
        ),
    ]


class _Soak:
    """Does harm to a graph that runs, and looks at how it takes it."""

    def __init__(self, graph: Graph, announced: Path, pids: dict[str, int], mounted: bool) -> None:
        self.starts, self.longest, self.checked, self.lost = 0, 0.0, 0, 0
        self.faults = {"full": 0, "delete": 0, "kill": 0}
        self._graph, self._announced, self._mounted = graph, announced, mounted
        self._session, self._pids = os.getsid(pids["memory_node"]), pids
        self._sizes: dict[
            tuple[str, int], list[float]
        ] = {}  # node and process: MB, of the memory resident every second or so
        self._deleted = 0.0  # s, when the file was deleted last

    def run(self, seconds: float) -> None:
        """One fault after the other, each once at least, with time between them to recover."""
        gap = min(FAULT_S, seconds / (len(self.faults) + 1))
        end, ways = time.monotonic() + seconds, cycle(self.faults)
        with tqdm(total=round(seconds), desc="soak", disable=None) as bar:
            while (begun := time.monotonic()) < end - gap or not all(self.faults.values()):
                self._watch(gap)
                what = next(ways)
                getattr(self, f"_{what}")(gap)
                self.faults[what] += 1
                self._until_frames()
                bar.update(round(time.monotonic() - begun))
            self._watch(max(end - time.monotonic(), SETTLE_S))

    def check(self) -> None:
        """Recall all frames that were announced of the file that is there now."""
        kept = self.kept()
        file = self._announced.with_name("kept.jsonl")
        file.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
        with self._graph.probe("recall", file) as recalled:
            self.lost += len(recalled.result(PATIENCE + len(kept)))
        self.checked += len(kept)

    def kept(self) -> list[list]:
        """What `witness` wrote of frames that came after the last file was deleted."""
        # What follows the last of them is not whole.
        lines = self._announced.read_text().split("\n")[:-1]
        return [line for line in map(json.loads, lines) if line[2] > self._deleted + MARGIN_S]

    def ended(self) -> int:
        """How many processes of the launch are gone, but for those that were killed on purpose."""
        try:
            now = nodes_of(self._session)
        except GaussVaeError:
            return 1
        return sum(now[node] != self._pids[node] for node in NODES)

    def growth(self) -> dict[str, tuple[float, float]]:
        """(growth, size) in MB of each node, in its longest life, from a quarter of it on."""
        found = {}
        for node in NODES:
            sizes = max((s for (name, _), s in self._sizes.items() if name == node), key=len)
            sizes = sizes[len(sizes) // 4 :]
            found[node] = sizes[-1] - sizes[0], sizes[0]
        return found

    def _watch(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for node, pid in self._pids.items():
                try:
                    self._sizes.setdefault((node, pid), []).append(resident_mb(pid))
                except OSError:  # it has ended, which `ended` tells
                    continue
            time.sleep(min(1.0, seconds / 4))

    def _full(self, gap: float) -> None:
        """Let the disk be full for a while, or the process write no more than it has."""
        if self._mounted:
            fill = self._graph.bank.with_name("fill")
            subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=16k"], capture_output=True)
            self._watch(min(FULL_S, gap))
            fill.unlink()
            return
        pid, no_limit = self._pids["memory_node"], resource.RLIM_INFINITY
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self._graph.bank.stat().st_size, no_limit))
        self._watch(min(FULL_S, gap))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (no_limit, no_limit))

    def _delete(self, _: float) -> None:
        self.check()
        for file in self._graph.bank.parent.glob(f"{self._graph.bank.name}*"):
            file.unlink(missing_ok=True)
        self._deleted = time.time()

    def _kill(self, _: float) -> None:
        killed = self._pids["memory_node"]
        os.kill(killed, signal.SIGKILL)
        end = time.monotonic() + BACK_S
        while time.monotonic() < end:
            time.sleep(0.5)
            try:
                now = nodes_of(self._session)
            except GaussVaeError:  # not both are there
                continue
            if now["memory_node"] != killed:
                self._pids = {**self._pids, "memory_node": now["memory_node"]}
                self.starts += 1
                return

    def _until_frames(self) -> None:
        """Wait until a frame is announced that was sent after the fault."""
        begun, size = time.monotonic(), self._announced.stat().st_size
        while self._announced.stat().st_size == size and time.monotonic() - begun < BACK_S:
            time.sleep(0.1)
        self.longest = max(self.longest, time.monotonic() - begun)


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """A small disk at a folder, where that may be mounted; whether it is one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True)
