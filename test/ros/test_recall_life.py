"""visual_recall beside its answers: the shell, the lifecycle, diagnostics, files that come, go and
are written.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from graph import Ros, until
from recalling import CODEC, NODE, find, frame, frames_of
from recalling import elsewhere, memory, node  # noqa: F401 (fixtures)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.nodes import convert
from gaussvae_ros.srv import DescribeMemory, FindFrames, RecallFrame


@pytest.mark.parametrize(
    "service, request_, says",
    [
        ("recall_frame", "{id: 5, width: 160, encoding: jpeg}", "format='jpeg'"),
        ("recall_frame", "{stamp: {sec: 1700000000, nanosec: 300000000}, width: 8}", "id=4"),
        (
            "recall_frames",
            "{center: 6, radius: 5, width: 96, height: 96, encoding: jpeg}",
            "center=5",
        ),
        ("find_frames", "{near: {pose: {position: {x: 1.0}}}, radius: 0.3}", "id=5"),
        ("find_frames", "{like_id: 7, limit: 3}", "scores=[1.0,"),
        ("describe_memory", "{}", "labels=['dock']"),
    ],
)
def test_service_calls_from_the_shell(node: Ros, service: str, request_: str, says: str) -> None:
    kind = {
        "recall_frame": "RecallFrame",
        "recall_frames": "RecallFrames",
        "find_frames": "FindFrames",
    }
    kind = f"gaussvae_ros/srv/{kind.get(service, 'DescribeMemory')}"
    out = node.ros2("service", "call", f"/{NODE}/{service}", kind, request_)
    assert "success=True" in out and says in out


def test_only_an_active_node_answers(node: Ros) -> None:
    assert node.transition(NODE, "deactivate")
    try:
        answer = frame(node, id=5)
        assert (
            not answer.success
            and answer.message == "visual_recall is not active: activate it first"
        )
    finally:
        assert node.transition(NODE, "activate")
    assert frame(node, id=5).success


def test_diagnostics(node: Ros, elsewhere: Path) -> None:
    heard = node.listen(DiagnosticArray, "/diagnostics")

    def last() -> DiagnosticStatus:
        until(lambda: heard)
        return heard[-1].status[0]

    until(lambda: last().level == DiagnosticStatus.WARN)
    assert last().name == NODE and last().message == f"there is no memory at {elsewhere} yet"
    with MemoryBank(elsewhere) as bank:
        bank.add(CODEC.encode(np.zeros((16, 16, 3), np.uint8)), stamp_ns=0)
    assert frame(node, id=1).success and not frame(node, id=2).success
    heard.clear()
    until(lambda: last().level == DiagnosticStatus.OK)
    facts = {pair.key: pair.value for pair in last().values}
    assert (facts["bank"], facts["requests served"], facts["requests refused"]) == (
        str(elsewhere),
        "1",
        "1",
    )
    assert float(facts["median time of a request (ms)"]) > 0
    begun, count = time.monotonic(), len(heard)
    until(lambda: len(heard) >= count + 2)
    assert time.monotonic() - begun > 0.9  # two of them are a second apart


def some(bank: MemoryBank, image: np.ndarray, count: int = 1) -> None:
    for i in range(count):
        bank.add(CODEC.encode(image, tier="splats", quality=0), stamp_ns=i)


def test_a_memory_that_comes_goes_and_is_replaced(
    node: Ros, elsewhere: Path, frames: list[np.ndarray]
) -> None:
    for service, kind in (
        ("recall_frame", RecallFrame),
        ("find_frames", FindFrames),
        ("describe_memory", DescribeMemory),
    ):
        answer = node.call(kind, f"{NODE}/{service}")
        assert not answer.success and answer.message == f"there is no memory at {elsewhere} yet"
    elsewhere.write_bytes(
        b"something else, longer than a header of SQLite, which has 100 bytes" * 9
    )
    assert (
        "cannot be opened" in frame(node, id=1).message
        or "not a memory file" in frame(node, id=1).message
    )
    elsewhere.unlink()
    with MemoryBank(elsewhere) as bank:
        some(bank, frames[0])
    assert frame(node, id=1).success and not frame(node, id=2).success
    moved = elsewhere.with_name("new.db")
    with MemoryBank(moved) as bank:
        some(bank, frames[0], 2)
    moved.rename(elsewhere)
    assert frame(node, id=2).success  # another file by that name
    with MemoryBank(moved) as bank:
        some(bank, frames[0], 3)
    shutil.copyfile(moved, elsewhere)
    assert frame(node, id=3).success  # the same file, written over
    elsewhere.unlink()
    assert frame(node, id=1).message == f"there is no memory at {elsewhere} yet"


WRITER = """
import json, sys, time
import numpy as np
from gaussvae_ros.bank import MemoryBank
records = [bytes.fromhex(line) for line in json.load(open(sys.argv[2]))]
with MemoryBank(sys.argv[1]) as bank:
    for i in range(int(sys.argv[3])):
        like = bytes([i % 100 + 1] * 64)
        frame_id = bank.add(records[i % len(records)], stamp_ns=i, descriptor=like)
        bank.flush()
        print(frame_id, flush=True)
        time.sleep(0.01)
"""


def test_recall_while_another_process_writes(
    node: Ros, elsewhere: Path, frames: list[np.ndarray], tmp_path: Path
) -> None:
    records = [CODEC.encode(image) for image in frames[:3]]
    pictures = [CODEC.decode(data) for data in records]
    (tmp_path / "records.json").write_text(json.dumps([data.hex() for data in records]))
    command = [sys.executable, "-c", WRITER, str(elsewhere), str(tmp_path / "records.json"), "120"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as writer:
        for line in writer.stdout:
            frame_id = int(line)  # committed: everybody can read it from now on
            if frame_id % 4 == 0:
                answer = frame(node, id=frame_id)
                assert answer.success, answer.message
                assert np.array_equal(
                    convert.image_from(answer.image), pictures[(frame_id - 1) % 3]
                )
            if frame_id % 20 == 0:
                window = frames_of(node, center=frame_id, radius=5, width=24, height=24)
                assert [f.id for f in window.frames][:6] == list(range(frame_id - 5, frame_id + 1))
                assert find(node, like_id=frame_id, limit=1).scores[0] == pytest.approx(1.0)
    assert writer.returncode == 0 and frame_id == 120
    assert node.call(DescribeMemory, f"{NODE}/describe_memory").frames == 120


def test_a_model_that_is_not_there_fails_to_configure(ros: Ros) -> None:
    process = ros.run("recall_node", "--ros-args", "-p", "model:=nothing_like_that")
    assert not ros.transition(NODE, "configure")
    assert ros.state(NODE) == "unconfigured"
    process.until_says("cannot configure: ")
    assert process.stop() == 0 and "Traceback" not in process.log
