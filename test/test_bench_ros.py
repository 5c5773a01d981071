"""`bench ros` without a graph: arithmetic, processes that end, the sentence where ROS 2 is not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gaussvae_ros.bench import graph, ros
from gaussvae_ros.bench import parts as bench
from gaussvae_ros.bench.frames import drive_poses
from gaussvae_ros.errors import GaussVaeError

ENVIRONMENT = dict(os.environ)
STUBBORN = """if True:
    import os, signal, time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if child := os.fork():
        print(child, "ready", flush=True)
    time.sleep(99)
"""


def is_there(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_without_ros_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(ros, "find_spec", lambda name: None)
    with pytest.raises(
        GaussVaeError, match=r"bench ros: .*source .* ros2 run gaussvae_ros gaussvae bench ros"
    ):
        bench.run(["ros"])
    monkeypatch.setattr(bench, "PARTS", ("ros",))
    [row] = bench.run()
    assert (
        row["value"] is None
        and row["name"].startswith("ros (skipped: ")
        and "ros2 run" in row["name"]
    )


def test_what_arrived_is_accounted_for():
    counts = {
        "received": 20,
        "bad": 1,
        "paused": 2,
        "gated": 3,
        "dropped": 4,
        "failed": 5,
        "stored": 5,
        "with_pose": 9,
    }
    assert ros.unaccounted(counts) == 0
    assert ros.unaccounted({**counts, "stored": 3}) == 2


def test_quantiles_are_those_of_the_times():
    half, most = ros._quantiles("x", list(range(101)), "at most 60", "at most 90")
    assert (
        (half["value"], most["value"]) == (50, 99)
        and half["name"] == "x, median"
        and most["target"] == "at most 90"
    )
    assert [row["value"] for row in ros._quantiles("x", [])] == [None, None]


def test_load_and_memory_are_those_of_the_process():
    code = "x = bytearray(150_000_000)\nprint(flush=True)\nwhile True: pass"
    busy = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        busy.stdout.readline()
        assert 5 < graph.load([busy.pid], 1.0) <= 105
        assert 150 < graph.resident_mb(busy.pid) < 250
    finally:
        busy.kill()
        busy.wait()
        busy.stdout.close()
    assert graph.load([os.getpid()], 0.3) < 50


def test_a_process_says_its_last_line_as_json(tmp_path):
    code = (
        "import sys; print('ready', flush=True); sys.stdin.read(); print('noise'); print([1, 2.5])"
    )
    with_failure = "import sys; print('warning', file=sys.stderr); sys.exit('no luck')"
    own = graph.Graph(tmp_path)
    with own.process(sys.executable, "-c", code) as process:
        process.until_ready()
        assert process.stop() == [1, 2.5]
    with (
        own.process(sys.executable, "-c", with_failure) as process,
        pytest.raises(GaussVaeError, match="no luck$"),
    ):
        process.until_ready()


def test_processes_and_their_children_are_gone_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(graph, "END_S", 0.5)
    with (
        pytest.raises(ZeroDivisionError),
        graph.Graph(tmp_path).process(sys.executable, "-c", STUBBORN) as process,
    ):
        process.until_ready()
        child = int(Path(process._said).read_text().split()[0])
        assert is_there(child)
        raise ZeroDivisionError
    assert process.popen.poll() == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while is_there(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(child)


def test_processes_end_when_the_bench_is_killed(tmp_path):
    code = f"""if True:
        import signal, sys, time
        from pathlib import Path
        from gaussvae_ros.bench.graph import Graph
        signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a shell's foreground
        with Graph(Path({str(tmp_path)!r})).process("sleep", "99") as process:
            print(process.popen.pid, flush=True)
            time.sleep(99)
    """
    outer = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    pid = int(outer.stdout.readline())
    assert is_there(pid)
    outer.kill()
    outer.wait()
    outer.stdout.close()
    deadline = time.monotonic() + 60
    while is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(pid)


def test_poses_are_where_the_frames_were_taken():
    poses = drive_poses(ros.FRAMES)
    steps = np.hypot(*np.diff(poses[:, :2], axis=0).T)
    assert poses.shape == (ros.FRAMES, 3) and (steps > 0.3).all()
