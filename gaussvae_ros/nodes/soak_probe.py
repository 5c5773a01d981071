"""The other side of the graph for `gaussvae bench ros --soak`: faults, clients, and a witness."""

import json
import math
import random
import threading
import time
from array import array

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from gaussvae_ros.errors import RecallError
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.client import MemoryClient

POLL_S = 0.05
FAULT_S = 0.5  # between two messages of `faults`
ASK_S = 0.5  # between two questions of a client
PATIENCE_S = 10.0  # for an answer
LISTENED = 10_000  # messages that may wait for the witness
SMALL = (32, 24)  # px, of pictures that are only looked at for being there


def faults(node: Node, over: threading.Event) -> int:
    """Publish what broken drivers and clocks send; returns how many images that were."""
    image = node.create_publisher(Image, "image", 10)
    info = node.create_publisher(CameraInfo, "camera_info", 10)
    tf = node.create_publisher(TFMessage, "/tf", 10)
    print("ready", flush=True)
    count = 0
    while not over.wait(FAULT_S):
        image.publish(_odd_image(count))
        info.publish(
            CameraInfo(width=count, height=480, k=[math.nan] * 9, d=[math.inf] * (count % 9))
        )
        broken = TransformStamped(
            header=convert.header(-(10**9) * count, "map"), child_frame_id="camera" * (count % 2)
        )
        broken.transform.rotation.w = math.nan
        tf.publish(TFMessage(transforms=[broken, TransformStamped()]))
        count += 1
    return count


def _odd_image(number: int) -> Image:
    """One of several kinds: of a wrong encoding, size or length, or of a clock that is far off."""
    now, kind = time.time_ns(), number % 10
    stamps = {
        5: -100 * 10**9,
        6: (2**31 - 1) * 10**9,
        7: now - 1000 * 10**9,
        8: 1,
        9: now + 3600 * 10**9,
    }
    data = array("B", random.Random(number).randbytes(64 * 48 * 3))
    message = Image(
        header=convert.header(stamps.get(kind, now), "camera"),
        width=64,
        height=48,
        step=192,
        data=data,
    )
    message.encoding = "teal8" if kind == 0 else "rgb8"
    if kind == 1:
        message.data = data[:100]
    elif kind == 2:
        message.width = message.height = 0
    elif kind == 3:
        message.step = 2**31
    elif kind == 4:
        message.header = convert.header(now, "a\tb\u00a0")
        message.header.stamp = Time(sec=-1, nanosec=2**32 - 1)
    return message


def clients(node: Node, over: threading.Event, count: str) -> dict[str, int]:
    """So many clients that ask for frames just announced; returns how their questions went."""
    newest, went, lock = [1], {"answered": 0, "refused": 0, "unanswered": 0}, threading.Lock()
    node.create_subscription(
        MemoryFrame, "visual_memory/frames", lambda frame: newest.append(frame.id), LISTENED
    )

    def ask(number: int) -> None:
        rng = random.Random(number)
        with MemoryClient(timeout_s=PATIENCE_S) as memory:
            while not over.wait(ASK_S):
                frame = max(newest[-1] - rng.randrange(20), 1)
                questions = (
                    lambda frame=frame: memory.recall(frame),
                    lambda frame=frame: memory.recall_window(frame),
                    lambda: memory.find(limit=20),
                    lambda: memory.recall(stamp_ns=time.time_ns(), tolerance_s=60),
                )
                try:
                    rng.choice(questions)()
                    what = "answered"
                except RecallError as error:
                    what = (
                        "unanswered"
                        if str(error).startswith("no ") and " in 10 s" in str(error)
                        else "refused"
                    )
                with lock:
                    went[what] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(int(count))]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    while not over.is_set():
        rclpy.spin_once(node, timeout_sec=POLL_S)
        del newest[:-1]
    for thread in threads:
        thread.join()
    return went


def witness(node: Node, over: threading.Event, file: str) -> dict:
    """Write down each frame that is announced, as a line of JSON: id, stamp (ns), and when (s).

    Returns counts of those, and of what the diagnostics said.
    """
    said = {"frames": 0, "internal errors": 0, "errors": 0}
    with open(file, "w", encoding="utf-8") as out:

        def frame(message: MemoryFrame) -> None:
            print(
                json.dumps([message.id, convert.stamp_ns(message.header.stamp), time.time()]),
                file=out,
                flush=True,
            )
            said["frames"] += 1

        def diagnostics(message: DiagnosticArray) -> None:
            for status in message.status:
                values = {pair.key: pair.value for pair in status.values}
                said["internal errors"] = max(
                    said["internal errors"], int(values.get("internal errors", 0))
                )
                said["errors"] += status.level == DiagnosticStatus.ERROR

        node.create_subscription(MemoryFrame, "visual_memory/frames", frame, LISTENED)
        node.create_subscription(DiagnosticArray, "/diagnostics", diagnostics, LISTENED)
        print("ready", flush=True)
        while not over.is_set():
            rclpy.spin_once(node, timeout_sec=POLL_S)
    return said


def recall(node: Node, over: threading.Event, file: str) -> list[int]:
    """The ids of frames in a file as `witness` writes it that do not come back with their
    stamps.
    """
    print("ready", flush=True)
    lost = []
    with MemoryClient(timeout_s=PATIENCE_S) as memory, open(file, encoding="utf-8") as lines:
        for line in lines:
            number, stamp_ns, _ = json.loads(line)
            try:
                found = memory.recall(number, size=SMALL).frame
                if convert.stamp_ns(found.header.stamp) == stamp_ns:
                    continue
            except RecallError:
                pass
            lost.append(number)
    return lost
