"""MemoryClient and nodes of other kinds: none, one that forgets, one that warns, both together."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
from conftest import START
from gaussvae_ros.srv import RecallFrame
from graph import Ros
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.client import MemoryClient, RecallError
from gaussvae_ros.nodes import convert
from gaussvae_ros.record import Record, pack, unpack


def test_what_a_node_says_beside_an_answer_is_logged(
    ros: Ros, finished_bank: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = ros.folder / "memory.db"
    shutil.copy(finished_bank, path)
    with MemoryBank(path) as bank:
        foreign = unpack(bank.get(5).data)
        data = pack(Record(foreign.tier, foreign.size, b"\xff\xfe\xfd" + foreign.payload[3:]))
        bank.add(data, stamp_ns=START + 450_000_000, camera="camera", session=1)
    ros.run("recall_node", "--ros-args", "-p", f"bank:={path}")
    assert ros.transition("visual_recall", "configure") and ros.transition(
        "visual_recall", "activate"
    )
    with MemoryClient(timeout_s=20.0) as client:
        assert [r.frame.id for r in client.recall_window(5, radius=1)] == [4, 5]
    [record] = caplog.records
    assert record.levelname == "WARNING" and "frame 13" in record.getMessage()


def test_a_request_that_is_lost_is_sent_again(ros: Ros) -> None:
    """A node that answers only what it is asked a second time."""
    asked, context = [], ros.context

    def answer(
        request: RecallFrame.Request, response: RecallFrame.Response
    ) -> RecallFrame.Response:
        asked.append(request.id)
        if len(asked) == 1:
            raise TimeoutError  # rclpy sends nothing then
        response.success, response.image = (
            True,
            convert.to_image(np.zeros((2, 3, 3), np.uint8), "rgb8", Header()),
        )
        return response

    forgetful = rclpy.create_node("visual_recall", namespace="forgetful", context=context)
    forgetful.create_service(RecallFrame, "visual_recall/recall_frame", answer)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(forgetful)

    def spin() -> None:
        while len(asked) < 2:
            try:
                executor.spin_once(timeout_sec=0.1)
            except TimeoutError:
                pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    with MemoryClient(namespace="forgetful", timeout_s=10.0) as client:
        assert client.recall(5).image.shape == (2, 3, 3)
    thread.join(10)
    executor.shutdown()
    forgetful.destroy_node()
    assert asked == [5, 5]


def test_nobody_there_and_closed(ros: Ros) -> None:
    client = MemoryClient(namespace="nowhere", timeout_s=0.5)
    begun = time.monotonic()
    with pytest.raises(
        RecallError,
        match="no /nowhere/visual_recall/recall_frame in 0.5 s: /nowhere/visual_recall is not",
    ):
        client.recall(1)
    assert time.monotonic() - begun < 5
    with pytest.raises(RecallError, match="/nowhere/visual_memory"):
        client.label(1, "dock")
    threads = threading.active_count()
    client.close()
    client.close()
    assert threading.active_count() == threads - 1
    with pytest.raises(RecallError, match="closed"):
        client.recall(1)


def test_labels(ros: Ros, finished_bank: Path) -> None:
    path = ros.folder / "memory.db"
    shutil.copy(finished_bank, path)
    for executable, node in (("memory_node", "visual_memory"), ("recall_node", "visual_recall")):
        ros.run(executable, "--ros-args", "-p", f"bank:={path}")
        assert ros.transition(node, "configure") and ros.transition(node, "activate")
    with MemoryClient(timeout_s=20.0) as client:
        assert client.label(4, "door").label == "door"
        assert [frame.id for frame, _ in client.find(label="door")] == [4]
        assert client.label(4, "").label == "" and client.find(label="door") == []
        with pytest.raises(RecallError, match="no frame 99"):
            client.label(99, "door")
