"""The two nodes on a real graph: how soon they start, what they keep up with, how they recall."""

import statistics
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bench.frames import drive_frames, drive_poses
from gaussvae_ros.bench.graph import PATIENCE, Graph, cpu_seconds, load, resident_mb, written_kb
from gaussvae_ros.bench.rows import row
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.looking.reading import PACKAGES

STARTS = 3
FRAMES = 75  # of the drive, 0.6 m apart, so that every one is new to the gates
IDLE_S = 20
RUN_S, WARM_S = 60, 10  # of a run of frames; its memory is compared with that after WARM_S
# Hz; min_interval, s.
RUNS = {"10 Hz": (10, 0.1), "30 Hz": (30, 0.1), "30 Hz, none gated": (30, 0.0)}
WRITING = 10  # Hz, while questions are asked, and which nothing may be dropped at
RECALLS, ROUTE_S = 300, 10  # frames asked for, and how long a route is followed
SETTLE_S = 2.5  # after a run: the last frames are stored, and the counts of them published


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
    graph, reads = Graph(folder), all(map(find_spec, PACKAGES))
    with tqdm(total=STARTS + 1 + len(RUNS) + 2 + reads, desc="ros", disable=None) as bar:
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
                "at most 5",
                times[0],
            )
        ]
        with graph.nodes() as (pids, _):
            rows.append(
                row("ros: both nodes idle", load(pids.values(), IDLE_S), "% of a core", "at most 5")
            )
            bar.update()
            for name, (rate, min_interval) in RUNS.items():
                graph.set("visual_memory", "min_interval", min_interval)
                rows += _keeping_up(graph, f"ros, {name}", pids, frames, poses, rate)
                bar.update()
            with graph.probe("camera", frames, poses, WRITING, PATIENCE) as camera:
                time.sleep(1)
                with graph.probe("ask", RECALLS, ROUTE_S) as asked:
                    rows += _answers(asked.result())
                camera.stop()
            bar.update()
        if reads:  # beside which the recorder should be as it was
            with graph.nodes(read_text=True) as (pids, _):
                name = f"ros, {WRITING} Hz, text read"
                rows += _keeping_up(graph, name, pids, frames, poses, WRITING)
                bar.update()
    with MemoryBank(graph.bank, readonly=True) as bank:
        info = bank.info()
    return [*rows, row("ros: disk a frame", round(info["bytes"] / info["frames"]), "bytes")]


def _keeping_up(
    graph: "Graph", name: str, pids: dict[str, int], frames: Path, poses: Path, rate: int
) -> list[dict]:
    """What became of frames that came at `rate` Hz."""
    with graph.probe("listen") as before:
        counted = before.stop()["counts"]
    with (
        graph.probe("listen") as listener,
        graph.probe("camera", frames, poses, rate, RUN_S) as camera,
    ):
        begun, written = cpu_seconds(pids.values()), written_kb(pids["memory_node"])
        time.sleep(WARM_S)
        warm = resident_mb(pids["memory_node"])
        sent = camera.result()
        grown = resident_mb(pids["memory_node"]) - warm
        time.sleep(SETTLE_S)
        taken = cpu_seconds(pids.values()) - begun
        written = written_kb(pids["memory_node"]) - written
        measured = listener.stop()
    counts = {what: count - counted[what] for what, count in measured["counts"].items()}
    return [
        row(f"{name}: received, beside sent", counts["received"], "frames", "all", sent),
        row(f"{name}: left out by the gates", counts["gated"], "frames"),
        row(
            f"{name}: dropped",
            counts["dropped"],
            "frames",
            "none" if rate == WRITING else "counted",
        ),
        row(f"{name}: bad or refused", counts["bad"] + counts["failed"], "frames", "none"),
        row(
            f"{name}: stored, beside announced",
            counts["stored"],
            "frames",
            None,
            len(measured["latency_ms"]),
        ),
        row(f"{name}: not accounted for", unaccounted(counts), "frames", "none"),
        row(f"{name}: stored without a pose", counts["poses_missing"], "frames", "none"),
        *_quantiles(f"{name}: stamp to announced", measured["latency_ms"], None, "at most 1000"),
        row(
            f"{name}: written a stored frame",
            round(written / max(counts["stored"], 1), 1),
            "KB",
            "at most 8" if rate == WRITING else None,
        ),
        row(
            f"{name}: time on the CPU a stored frame, both nodes, beside that a second",
            round(1e3 * taken / max(counts["stored"], 1), 1),
            "ms",
            "at most 60" if rate == WRITING else None,
            round(1e3 * taken / RUN_S),
        ),
        row(
            f"{name}: growth of memory_node, beside its size",
            round(grown, 1),
            "MB",
            "none",
            round(warm),
        ),
    ]


def _answers(ms: dict[str, list[float]]) -> list[dict]:
    """Rows of what `probe.ask` measured while frames came."""
    return [
        *_quantiles("ros: recall 640x480 rgb8", ms["rgb8"], "at most 20", "at most 50"),
        *_quantiles("ros: recall of predicted frames, 640x480 rgb8", ms["predicted"], "at most 20"),
        *_quantiles("ros: recall 640x480 jpeg", ms["jpeg"]),
        *_quantiles("ros: window of 11 at 96x96, anywhere", ms["window"], "at most 40"),
        *_quantiles("ros: window of 11 along a route, 4 Hz", ms["route"], "at most 40"),
        *_quantiles("ros: find 20 frames within 1 m", ms["near"]),
        *_quantiles("ros: find 20 frames like a picture", ms["like"]),
    ]


def _quantiles(
    name: str, ms: list[float], median: str | None = None, most: str | None = None
) -> list[dict]:
    at_half, at_99 = (
        (None, None) if not ms else (round(float(v), 1) for v in np.quantile(ms, (0.5, 0.99)))
    )
    return [row(f"{name}, median", at_half, "ms", median), row(f"{name}, 99 %", at_99, "ms", most)]


def unaccounted(counts: dict[str, int]) -> int:
    """Images that arrived and of which nobody says what became of them."""
    return counts["received"] - sum(
        counts[what] for what in ("bad", "paused", "gated", "dropped", "failed", "stored")
    )
