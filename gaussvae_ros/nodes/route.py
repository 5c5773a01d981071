"""The frames of a memory for RViz and Foxglove: their route, and small frusta where they looked."""

import threading
from collections.abc import Iterable

import numpy as np
from geometry_msgs.msg import Point
from nav_msgs.msg import Path
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.search.route import Placed
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.lazy_bank import LazyBank
from gaussvae_ros.poses import rotate

MOST = 2000  # frames that are shown; of more, each second one and so on
PAGE = 50_000  # ids that are read at once
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEPTH, WIDTH, HEIGHT = 0.25, 0.15, 0.11  # m, of a frustum, and from its axis to its sides
# From the camera on, along x: lines to the corners, and the rectangle that they span.
CORNERS = [(DEPTH, side * WIDTH, up * HEIGHT) for side, up in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
LOOKS = {  # colour r g b a, width of the lines, m, by what is shown
    "frames": ((0.25, 0.55, 0.75, 0.8), 0.008),
    "recalled": ((1.0, 0.7, 0.1, 1.0), 0.02),
    "newest": ((0.85, 0.2, 0.3, 1.0), 0.02),
}


class Chosen:
    """Which frames of a memory are shown: all, or evenly thinned ones, at most MOST."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.newest = 0  # id
        self._step = self._seen = 0
        self._bank: MemoryBank | None = None

    def read(self, bank: MemoryBank) -> list[Placed]:
        """Those of them that have a pose now, in the order of their ids."""
        if bank is not self._bank:
            self._begin(bank)
        self._take_new(bank)
        there = bank.placed(self.ids)
        if 2 * len(there) < len(self.ids) and self._step > 1:  # frames were forgotten
            self._begin(bank)
            self._take_new(bank)
            there = bank.placed(self.ids)
        return there

    def _begin(self, bank: MemoryBank) -> None:
        self.ids, self.newest, self._step, self._seen, self._bank = [], 0, 1, 0, bank

    def _take_new(self, bank: MemoryBank) -> None:
        while page := bank.ids_after(self.newest, PAGE):
            first = -self._seen % self._step
            self.ids += page[first :: self._step]
            self._seen += len(page)
            self.newest = page[-1]
            while len(self.ids) > MOST:
                self.ids, self._step = self.ids[::2], 2 * self._step


class Route:
    """Publishes them on latched topics, when they changed and somebody listens.

    One thread at a time may call `publish`, any `recalled`. Shown are the frames whose poses are in
    the coordinate frame and the map of the newest one: others mean something else.
    """

    def __init__(self, node: Node, bank: LazyBank) -> None:
        self._node, self._bank = node, bank
        self._path = node.create_publisher(Path, "~/route", LATCHED)
        self._markers = node.create_publisher(MarkerArray, "~/markers", LATCHED)
        self._chosen, self._shown, self._recalled = Chosen(), None, ()
        self._points: dict[Pose, list[Point]] = {}  # of the frusta that were shown last
        self._busy = threading.Lock()

    def recalled(self, ids: Iterable[int]) -> None:
        """These frames were recalled last."""
        self._recalled = tuple(ids)

    def publish(self) -> None:
        """Publish what changed since the last time. Raises BankError where there is no memory."""
        listeners = [p.get_subscription_count() > 0 for p in (self._path, self._markers)]
        if not any(listeners) or not self._busy.acquire(blocking=False):
            return
        try:
            bank = self._bank.get()
            state = bank, bank.version(), self._recalled, *listeners
            if state == self._shown:
                return
            frames, marked = self._read(bank)
            if listeners[0]:
                self._path.publish(self._path_of(frames))
            if listeners[1]:
                self._markers.publish(self._markers_of(frames, marked))
            self._shown = state
        finally:
            self._busy.release()

    def close(self) -> None:
        """Take the topics away."""
        self._node.destroy_publisher(self._path)
        self._node.destroy_publisher(self._markers)

    def _read(self, bank: MemoryBank) -> tuple[list[Placed], dict[str, list[Placed]]]:
        """The frames to show, by stamp, and those that are marked."""
        frames = self._chosen.read(bank)
        newest = bank.placed([self._chosen.newest]) or frames[-1:]
        recalled = bank.placed(self._recalled)
        if not newest:
            return [], {}

        def where(frame: Placed) -> tuple[str, str]:
            return frame.map_id, frame.pose.reference

        here = where(newest[0])
        frames = [frame for frame in frames if where(frame) == here]
        if newest[0] not in frames:
            frames.append(newest[0])
        frames.sort(key=lambda frame: (frame.session, frame.stamp_ns, frame.id))
        recalled = [frame for frame in recalled if where(frame) == here]
        return frames, {"newest": newest, "recalled": recalled}

    def _path_of(self, frames: list[Placed]) -> Path:
        path = Path()
        path.header.stamp = self._node.get_clock().now().to_msg()
        for frame in frames:
            path.poses.append(convert.pose_stamped(frame.stamp_ns, frame.pose))
            path.header.frame_id = frame.pose.reference
        return path

    def _markers_of(self, frames: list[Placed], marked: dict[str, list[Placed]]) -> MarkerArray:
        known, self._points = self._points, {}
        for frame in frames:
            if frame.pose not in self._points:
                self._points[frame.pose] = known.get(frame.pose) or frustum(frame.pose)
        of = {"frames": frames, **marked}
        return MarkerArray(markers=[self._marker(kind, of.get(kind, [])) for kind in LOOKS])

    def _marker(self, kind: str, frames: list[Placed]) -> Marker:
        colour, width = LOOKS[kind]
        marker = Marker(ns=kind, type=Marker.LINE_LIST, action=Marker.ADD)
        marker.header.stamp = self._node.get_clock().now().to_msg()
        marker.pose.orientation.w = 1.0
        marker.color = ColorRGBA(**dict(zip("rgba", colour)))
        marker.scale.x = width
        for frame in frames:
            marker.header.frame_id = frame.pose.reference
            marker.points += self._points.get(frame.pose) or frustum(frame.pose)
        if not frames:
            marker.action = Marker.DELETE
        return marker


def frustum(pose: Pose) -> list[Point]:
    """The eight lines of a frustum, two points each, from the camera at `pose` along its x axis."""
    turned = rotate(np.array([pose.orientation]), np.array(CORNERS)) + pose.position
    tip = Point(**dict(zip("xyz", pose.position)))
    corners = [Point(**dict(zip("xyz", corner))) for corner in turned.tolist()]
    points = []
    for k, corner in enumerate(corners):
        points += (tip, corner, corner, corners[(k + 1) % 4])
    return points
