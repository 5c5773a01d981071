"""The other side of the graph for `gaussvae bench ros`: `python -m gaussvae_ros.nodes.probe WHAT
[ARGUMENT...]`.

Each is a process of its own, as on a robot. It says "ready" on stdout once it can begin, ends when
it is done or when stdin does, and prints what it found as JSON.
"""

import json
import math
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.srv import GetState
from rclpy.node import Node
from sensor_msgs.msg import Image
from tf2_msgs.msg import TFMessage

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes import convert, soak_probe
from gaussvae_ros.nodes.client import MemoryClient
from gaussvae_ros.nodes.counters import COUNTS
from gaussvae_ros.record import PREDICTED
from gaussvae_ros.srv import RecallFrame

NODES = ("visual_memory", "visual_recall")
PATIENCE = 60.0  # s, for whatever is to come
POLL_S = 0.05
UNREAD = 10_000  # messages that may wait for the listener
LIMIT = 1000  # frames that a call returns at most
RADIUS, WINDOW_SIZE = 5, (96, 96)  # frames, px
ROUTE_HZ, ROUTE_STEP = 4, 2  # windows a second, each so many frames further on


def active(node: Node, over: threading.Event) -> float:
    """When both nodes were active, s of the monotonic clock, which all processes share."""
    clients = {name: node.create_client(GetState, f"{name}/get_state") for name in NODES}
    missing, futures = set(NODES), []
    print("ready", flush=True)
    while missing and not over.is_set():
        for name in missing:
            if clients[
                name
            ].service_is_ready():  # a request that a node does not get yet is lost, so ask again
                futures.append((name, clients[name].call_async(GetState.Request())))
        begun = time.monotonic()
        while missing and (left := begun + POLL_S - time.monotonic()) > 0:
            rclpy.spin_once(node, timeout_sec=left)
            missing -= {
                name
                for name, f in futures
                if f.done() and f.result().current_state.label == "active"
            }
    return time.monotonic()


def camera(
    node: Node, over: threading.Event, frames: str, poses: str, rate: str, seconds: str
) -> int:
    """Publish frames, uint8 [N, H, W, 3] in a .npy file, round and round, and where each was taken;
    returns how many.

    `poses` is such a file of [N, 3] x, y (m), yaw (rad), which go to TF as map <- camera.
    """
    pictures = np.load(frames, mmap_mode="r")
    messages = [
        convert.to_image(picture, "rgb8", convert.header(0, "camera")) for picture in pictures
    ]
    places = [_transform(*map(float, pose)) for pose in np.load(poses)]
    image = node.create_publisher(Image, "image", 10)
    tf = node.create_publisher(TFMessage, "/tf", 100)
    _until(lambda: image.get_subscription_count() and tf.get_subscription_count())
    print("ready", flush=True)
    due, count = time.monotonic(), round(float(rate) * float(seconds))
    for k in range(count):
        if over.wait(due - time.monotonic()):
            return k
        message, place = messages[k % len(messages)], places[k % len(places)]
        message.header.stamp = place.header.stamp = convert.to_time(time.time_ns())
        image.publish(message)
        tf.publish(TFMessage(transforms=[place]))
        due = max(due + 1 / float(rate), time.monotonic())
    return count


def listen(node: Node, over: threading.Event) -> dict:
    """What `visual_memory` says it stored, with the time from each stamp to its message, ms, and
    its last counts.
    """
    waits_ns, statuses = [], {}
    node.create_subscription(
        MemoryFrame,
        "visual_memory/frames",
        lambda message: waits_ns.append(time.time_ns() - convert.stamp_ns(message.header.stamp)),
        UNREAD,
    )
    node.create_subscription(
        DiagnosticArray,
        "/diagnostics",
        lambda message: statuses.update(
            (s.name, {v.key: v.value for v in s.values}) for s in message.status
        ),
        UNREAD,
    )
    _until(
        lambda: (rclpy.spin_once(node, timeout_sec=POLL_S), statuses.get("visual_memory: camera"))[
            1
        ]
    )
    print("ready", flush=True)
    waits_ns.clear()
    while not over.is_set():
        rclpy.spin_once(node, timeout_sec=POLL_S)
    said = statuses["visual_memory: camera"]
    return {
        "latency_ms": [round(ns / 1e6, 2) for ns in waits_ns],
        "counts": {what: int(said[what.replace("_", " ")]) for what in COUNTS},
    }


def ask(node: Node, over: threading.Event, recalls: str, route_s: str) -> dict[str, list[float]]:
    """How long each request took, ms, by what was asked: many frames, fewer of the rest, and
    windows for `route_s`.
    """
    rng, many, few = random.Random(0), int(recalls), max(int(recalls) // 3, 1)
    on_route = round(float(route_s) * ROUTE_HZ)
    jpeg = node.create_client(RecallFrame, "visual_recall/recall_frame")

    def recall_jpeg(frame: MemoryFrame) -> np.ndarray:
        future = jpeg.call_async(RecallFrame.Request(id=frame.id, encoding="jpeg"))
        rclpy.spin_until_future_complete(node, future, timeout_sec=PATIENCE)
        return cv2.imdecode(
            np.frombuffer(future.result().compressed.data, np.uint8), cv2.IMREAD_COLOR
        )

    with MemoryClient() as memory:
        frames = [frame for frame, _ in memory.find(limit=LIMIT)]
        some = rng.choices(frames, k=many)
        predicted = [frame for frame in frames if frame.tier == PREDICTED]
        centres = frames[RADIUS :: 2 * RADIUS + 1]  # windows without a frame in common
        pictures = [memory.recall(frame.id).image for frame in rng.choices(frames, k=8)]
        _until(jpeg.service_is_ready)

        def window(frame: MemoryFrame) -> None:
            memory.recall_window(frame.id, radius=RADIUS, size=WINDOW_SIZE)

        def near(frame: MemoryFrame) -> None:
            at = frame.pose.pose.position
            memory.find(near=(at.x, at.y, at.z), radius=1.0, limit=20)

        print("ready", flush=True)
        return {
            "rgb8": _times(lambda frame: memory.recall(frame.id), some),
            "predicted": _times(
                lambda frame: memory.recall(frame.id),
                rng.sample(predicted, min(few, len(predicted))),
            ),
            "jpeg": _times(recall_jpeg, some),
            "window": _times(window, rng.sample(centres, min(few, len(centres)))),
            "route": _times(window, frames[::ROUTE_STEP][:on_route], 1 / ROUTE_HZ),
            "near": _times(near, rng.choices(frames, k=few)),
            "like": _times(
                lambda k: memory.find(like=pictures[k % len(pictures)], limit=20), range(few)
            ),
        }


def _times(work: Callable, items: Iterable, period: float = 0.0) -> list[float]:
    """ms that `work` takes for each of `items`, which come `period` s apart at least."""
    times, due = [], time.monotonic()
    for item in items:
        time.sleep(max(due - time.monotonic(), 0))
        due = max(due + period, time.monotonic())
        begun = time.perf_counter()
        work(item)
        times.append(1000 * (time.perf_counter() - begun))
    return times


def _transform(x: float, y: float, yaw: float) -> TransformStamped:
    made = TransformStamped(header=convert.header(0, "map"), child_frame_id="camera")
    made.transform.translation.x, made.transform.translation.y = x, y
    made.transform.rotation.z, made.transform.rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return made


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise GaussVaeError(f"the nodes are not there after {PATIENCE:g} s")
        time.sleep(0.01)


PROBES = {probe.__name__: probe for probe in (active, camera, listen, ask)}
PROBES |= {name: getattr(soak_probe, name) for name in ("faults", "clients", "witness", "recall")}


def main() -> int:
    """Run one of the probes."""
    what, *arguments = sys.argv[1:]
    over = threading.Event()
    threading.Thread(target=lambda: (os.read(0, 1), over.set()), daemon=True).start()
    rclpy.init()
    node = rclpy.create_node(f"probe_{what}")
    try:
        found = PROBES[what](node, over, *arguments)
    except GaussVaeError as error:
        print(f"{what}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found))
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
