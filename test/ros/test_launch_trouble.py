"""The launch files when a node dies, is told to end, or runs already."""

import os
import signal
import time
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from graph import Process, Ros, image_message, until

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.srv import DescribeMemory

BOTH = ("visual_memory", "visual_recall")


def pid_of(launched: Process, executable: str) -> int | None:
    """Of a node that a launch runs now."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if os.getsid(int(folder.name)) == launched.popen.pid and any(
                w.endswith(executable.encode()) for w in words
            ):
                return int(folder.name)
        except OSError:
            continue
    return None


def test_a_node_that_is_killed_comes_back_and_recall_tells_of_it(ros: Ros, frames) -> None:
    bank = ros.folder / "memory.db"
    launched = ros.launch("memory.launch.py", f"bank:={bank}", "map_frame:=''")
    ros.until_active(*BOTH)
    stored, diagnostics = (
        ros.listen(MemoryFrame, "/visual_memory/frames"),
        ros.listen(DiagnosticArray, "/diagnostics"),
    )

    def said() -> list[str]:
        return [
            s.message
            for array in list(diagnostics)
            for s in array.status
            if s.name == "visual_recall"
        ]

    for i in range(2):
        ros.publish("/image", image_message(frames[i], (i + 1) * 10**9))
        time.sleep(0.3)
    until(lambda: len(stored) == 2, says=ros.logs)
    killed = pid_of(launched, "/memory_node")
    os.kill(killed, signal.SIGKILL)
    assert ros.call(DescribeMemory, "/visual_recall/describe_memory").frames == 2  # meanwhile
    until(
        lambda: any("is gone" in message for message in said()),
        says=lambda: f"{said()}\n{ros.logs()}",
    )
    until(lambda: pid_of(launched, "/memory_node") not in (None, killed), says=ros.logs)

    def comes_in() -> bool:
        ros.publish("/image", image_message(frames[2], time.time_ns()))
        time.sleep(0.3)
        return len(stored) > 2

    until(comes_in, 60, ros.logs)
    diagnostics.clear()
    until(lambda: said()[-1:] == ["active"], says=ros.logs)
    os.kill(pid_of(launched, "/recall_node"), signal.SIGKILL)
    time.sleep(1)  # a request to the dead one, which the graph still knows, would get no answer
    diagnostics.clear()
    until(lambda: said()[-1:] == ["active"], 60, ros.logs)
    time.sleep(1)
    assert ros.call(DescribeMemory, "/visual_recall/describe_memory").frames > 2
    assert launched.stop() == 0 and "Traceback" not in launched.log, launched.log
    with MemoryBank(bank, readonly=True) as memory:
        assert memory.verify() == [] and {frame.id for frame in stored} <= {
            frame.id for frame in memory
        }


def test_a_node_that_is_told_to_end_stays_away(ros: Ros) -> None:
    launched = ros.launch("memory.launch.py", f"bank:={ros.folder}/memory.db")
    ros.until_active(*BOTH)
    for executable in ("/memory_node", "/recall_node"):
        os.kill(pid_of(launched, executable), signal.SIGINT)
    assert launched.wait(20) == 0  # nothing is left to do
    assert launched.log.count("process started") == 2


def test_a_second_launch_says_what_runs_and_leaves_it_alone(ros: Ros, frames) -> None:
    first = ros.launch("memory.launch.py", f"bank:={ros.folder}/memory.db")
    ros.until_active(*BOTH)
    before = first.log
    second = ros.launch("memory.launch.py", f"bank:={ros.folder}/memory.db")
    second.wait(40)
    for name, executable in zip(BOTH, ("/memory_node", "/recall_node")):
        assert f"/{name} runs already: process {pid_of(first, executable)} on " in second.log, (
            second.log
        )
        assert ros.state(name) == "active"
    assert "namespace" in second.log and "Traceback" not in second.log
    assert second.log.count("process started") == 2 and first.log == before
    other = ros.launch("memory.launch.py", f"bank:={ros.folder}/memory.db", "namespace:=robot2")
    # Another name, but the same file.
    other.until_says(f"written by process {pid_of(first, '/memory_node')}")
    ros.until_active("/robot2/visual_recall")
