"""MemoryClient against a real recall node: from threads, from inside callbacks, while it hangs."""

import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rclpy
from conftest import START
from graph import Process, Ros
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CameraInfo

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.client import MemoryClient, RecallError
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.nodes import convert

CODEC = FrameCodec(device="cpu")


@pytest.fixture(scope="module")
def memory(finished_bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 frames, a calibration, and frame 13, mono and labelled "dock"."""
    path = tmp_path_factory.mktemp("memory") / "memory.db"
    shutil.copy(finished_bank, path)
    info = CameraInfo(width=160, height=120, k=[190.0, 0.0, 79.5, 0.0, 190.0, 59.5, 0.0, 0.0, 1.0])
    with MemoryBank(path) as bank:
        bank.set_calibration("camera", convert.calibration(info), session=1)
        grey = CODEC.decode(bank.get(3).records)[..., 1].copy()
        bank.add(
            CODEC.encode(grey), stamp_ns=START + 10**12, camera="rear", label="dock", session=1
        )
    return path


@pytest.fixture(scope="module")
def recall_node(shared_ros: Ros, memory: Path) -> Process:
    node = shared_ros.run(
        "recall_node", "--ros-args", "-p", f"bank:={memory}", "-r", "__ns:=/robot1"
    )
    assert shared_ros.transition("/robot1/visual_recall", "configure")
    assert shared_ros.transition("/robot1/visual_recall", "activate")
    return node


@pytest.fixture(scope="module")
def client(recall_node: Process):
    with MemoryClient(namespace="robot1", timeout_s=20.0) as client:
        yield client


def expected(path: Path, frame_id: int, *how: object) -> np.ndarray:
    with MemoryBank(path, readonly=True) as bank:
        picture = CODEC.decode(bank.get(frame_id).records, *how)
    return np.dstack([picture] * 3) if picture.ndim == 2 else picture


def test_recall(client: MemoryClient, memory: Path) -> None:
    by_id = client.recall(5)
    assert by_id.frame.id == 5 and np.array_equal(by_id.image, expected(memory, 5))
    assert by_id.image.dtype == np.uint8 and by_id.camera_info.k[2] == 79.5
    part = client.recall(5, size=(64, 0), roi=(16, 20, 32, 24))
    assert np.array_equal(part.image, expected(memory, 5, (64, 48), (16, 20, 32, 24)))
    assert part.camera_info.k[0] == 380.0
    assert client.recall(stamp_ns=START + 390_000_000).frame.id == 5
    assert (
        client.recall(stamp_ns=START + 3 * 10**9, camera="camera", tolerance_s=2.5).frame.id == 12
    )
    grey = client.recall(stamp_ns=START + 10**12, camera="rear")
    assert np.array_equal(grey.image, expected(memory, 13)) and grey.camera_info is None


def test_windows_and_lists(client: MemoryClient, memory: Path) -> None:
    window = client.recall_window(6)
    assert [r.frame.id for r in window] == list(range(1, 12))
    assert all(np.array_equal(r.image, expected(memory, r.frame.id, (96, 96))) for r in window)
    assert [r.frame.id for r in client.recall_window(stamp_ns=START, radius=1, size=(8, 8))] == [
        1,
        2,
    ]
    assert [r.image.shape for r in client.recall_many([13, 2, 13], size=(0, 30))] == [
        (30, 40, 3)
    ] * 3
    assert client.recall_many([]) == [] and client.recall_many(np.array([4]))[0].image.shape == (
        120,
        160,
        3,
    )


def test_pictures_may_travel_as_jpeg(recall_node: Process, memory: Path) -> None:
    with MemoryClient(namespace="robot1", timeout_s=20.0, jpeg=True) as client:
        recalled = [client.recall(5), *client.recall_many([5, 13])]
    for answer in recalled:
        exact = expected(memory, answer.frame.id)
        assert answer.image.shape == exact.shape and answer.image.dtype == np.uint8
        assert 0 < np.abs(answer.image.astype(int) - exact).mean() < 4


@pytest.mark.parametrize(
    "conditions, ids",
    [
        ({"limit": 3}, [1, 2, 3]),
        ({"after_ns": START + 3 * 10**8, "before_ns": START + 5 * 10**8}, [4, 5, 6]),
        ({"near": (1.0, 0.0, 0.0), "radius": 0.3, "reference": "map"}, [4, 5, 6]),
        ({"near": (1.0, 0.0, 0.0), "radius": 0.3, "yaw": 0.2, "yaw_tolerance": 0.3}, [4, 5, 6]),
        ({"near": (1.0, 0.0, 0.0), "radius": 0.3, "yaw": 1.0, "yaw_tolerance": 0.3}, []),
        (
            {"near": (1.1, 0.0, 0.0), "radius": 0.38, "reference": "map", "by_distance": True},
            [5, 6, 4],
        ),
        ({"near": (1.1, 0.0, 0.0), "by_distance": True, "limit": 2}, [5, 6]),
        ({"label": "dock"}, [13]),
        ({"camera": "rear", "session": 1}, [13]),
        ({"session": 2}, []),
    ],
)
def test_find(client: MemoryClient, conditions: dict, ids: list[int]) -> None:
    assert [(frame.id, score) for frame, score in client.find(**conditions)] == [
        (i, None) for i in ids
    ]


def test_find_by_likeness(client: MemoryClient, frames: list[np.ndarray]) -> None:
    by_id, by_picture = client.find(like=7, limit=5), client.find(like=frames[6], limit=5)
    assert [frame.id for frame, _ in by_id] == [frame.id for frame, _ in by_picture] and by_id[0][
        0
    ].id == 7
    assert by_id[0][1] == pytest.approx(1.0) and by_id[0][1] >= by_id[4][1]
    assert client.find(like=frames[6].mean(-1).astype(np.uint8), limit=1)[0][0].id == 7


def test_describe(client: MemoryClient, memory: Path) -> None:
    described = client.describe()
    assert (described.path, described.frames, list(described.labels)) == (str(memory), 13, ["dock"])


def test_refusals_are_the_nodes_sentences(client: MemoryClient) -> None:
    with pytest.raises(RecallError, match="no frame 99"):
        client.recall(99)
    with pytest.raises(RecallError, match="the nearest, 12, is 1.900 s away"):
        client.recall(stamp_ns=START + 3 * 10**9, camera="camera")
    with pytest.raises(RecallError, match="not inside the frame"):
        client.recall(5, roi=(150, 0, 20, 20))
    with pytest.raises(RecallError, match="no frame 99"):
        client.recall_many([1, 99])
    with pytest.raises(RecallError, match="at most 1000 frames"):
        client.recall_window(5, radius=10**6)
    with pytest.raises(RecallError, match="radius at least 0"):
        client.find(near=(0, 0, 0), radius=-1.0)
    assert issubclass(RecallError, GaussVaeError)


@pytest.mark.parametrize(
    "ask, says",
    [
        (lambda c: c.recall(), "give id or stamp_ns"),
        (lambda c: c.recall(1, stamp_ns=2), "give id or stamp_ns"),
        (lambda c: c.recall(0), "no frame has the id 0"),
        (lambda c: c.recall(1.5), "id must be an integer"),
        (lambda c: c.recall(2**63), "does not fit into 64 bits"),
        (lambda c: c.recall(1, size=(-1, 4)), "width is a whole number"),
        (lambda c: c.recall(1, size=(2**32, 4)), "width is a whole number"),
        (lambda c: c.recall(1, roi=(-1, 0, 4, 4)), "roi is a whole number"),
        (lambda c: c.recall_window(1, radius=-1), "radius is a whole number"),
        (lambda c: c.recall_window(), "give center or stamp_ns"),
        (lambda c: c.find(limit=-1), "limit is a whole number"),
        (lambda c: c.find(like=np.zeros((0, 5, 3), np.uint8)), "like is an id or a picture"),
        (lambda c: c.find(like=np.zeros((5, 5, 4), np.uint8)), "like is an id or a picture"),
        (lambda c: c.find(like=np.zeros((5, 5), np.float32)), "like is an id or a picture"),
        (lambda c: c.find(like="dock"), "like must be an integer"),
        (lambda c: c.recall(stamp_ns=5, tolerance_s=-1.0), "tolerance is at least 0"),
    ],
)
def test_wrong_arguments(client: MemoryClient, ask: object, says: str) -> None:
    with pytest.raises(GaussVaeError, match=says):
        ask(client)


def test_many_threads(client: MemoryClient, memory: Path) -> None:
    pictures = {i: expected(memory, i, (32, 24)) for i in range(1, 13)}

    def ask(k: int) -> bool:
        i = k % 12 + 1
        return np.array_equal(client.recall(i, size=(32, 24)).image, pictures[i])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(96)))


def test_inside_callbacks(client: MemoryClient, shared_ros: Ros) -> None:
    """Of a node that a single thread spins, as navigation code does; its context ends before the
    client does.
    """
    context, found, done = rclpy.Context(), [], threading.Event()
    rclpy.init(context=context, domain_id=shared_ros.domain)
    node = rclpy.create_node("navigation", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def tick() -> None:
        found.append(client.recall_window(6, radius=1, size=(16, 16)))
        if len(found) == 3:
            done.set()

    node.create_timer(0.01, tick)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    assert done.wait(20)
    executor.shutdown()
    thread.join(10)
    node.destroy_node()
    context.try_shutdown()
    assert all([r.frame.id for r in window] == [5, 6, 7] for window in found)
    assert client.recall(5).frame.id == 5


def test_a_node_that_hangs_and_comes_back(recall_node: Process, memory: Path) -> None:
    with MemoryClient(namespace="/robot1", timeout_s=1.0) as client:
        assert client.recall(5, size=(8, 8)).frame.id == 5
        recall_node.send(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            with pytest.raises(
                RecallError, match="no answer from /robot1/visual_recall/recall_frame in 1 s"
            ):
                client.recall(6)
            assert 0.9 < time.monotonic() - begun < 5
        finally:
            recall_node.send(signal.SIGCONT)
        assert client.recall(7, size=(8, 8)).frame.id == 7  # not the late answer


def test_closing_ends_a_call_that_waits(recall_node: Process) -> None:
    client = MemoryClient(namespace="robot1", timeout_s=30.0)
    assert client.recall(5, size=(8, 8)).frame.id == 5
    recall_node.send(signal.SIGSTOP)
    try:
        threading.Timer(0.5, client.close).start()
        begun = time.monotonic()
        with pytest.raises(RecallError, match="closed"):
            client.recall(6)
        assert time.monotonic() - begun < 10
    finally:
        recall_node.send(signal.SIGCONT)


def test_a_program_that_does_not_close_it_ends_all_the_same(
    recall_node: Process, shared_ros: Ros
) -> None:
    program = """
import rclpy
from gaussvae_ros.client import MemoryClient
print(MemoryClient(namespace="robot1", timeout_s=20.0).recall(5, size=(8, 6)).image.shape)
"""
    process = shared_ros.start(sys.executable, "-c", program)
    assert process.wait(30) == 0, process.log
    assert process.log == "(6, 8, 3)\n"


def test_ctrl_c_in_a_call_that_waits(recall_node: Process, shared_ros: Ros) -> None:
    program = """
import rclpy
from rclpy.executors import ExternalShutdownException
from gaussvae_ros.client import MemoryClient, RecallError
rclpy.init()
node = rclpy.create_node("navigation")
memory = MemoryClient(namespace="robot1", timeout_s=60.0)
def tick():
    print("asking", flush=True)
    try:
        memory.recall(5)
    except RecallError as error:
        print(error, flush=True)
timer = node.create_timer(0.1, tick)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException):
    pass
"""
    recall_node.send(signal.SIGSTOP)
    try:
        process = shared_ros.start(sys.executable, "-c", program)
        process.until_says("asking")
        time.sleep(0.3)
        assert process.stop(timeout=10.0) == 0, process.log
        assert "Traceback" not in process.log
    finally:
        recall_node.send(signal.SIGCONT)
