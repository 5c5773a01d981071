"""Where the camera was at a stamp, from Odometry, pose or TF messages, without ROS.

A pose is float64 [7]: x, y, z (m) and the unit quaternion qx, qy, qz, qw of one frame in another.
"""

from array import array
from bisect import bisect_left, bisect_right

import numpy as np

IDENTITY = np.array([0, 0, 0, 0, 0, 0, 1], np.float64)
SPACING_NS = 8_000_000  # denser samples add memory, not accuracy: at 2 rad/s this is 1 degree
HOLD_NS = 100_000_000  # a stamp this far before the first or after the last sample takes that sample's pose
GAP_NS = 2_000_000_000  # nothing is interpolated across a longer silence
JUMP_NS = 1_000_000_000  # a stamp this far back is a clock that was set back, not a late message
BODY_IN_OPTICAL = np.array([0, 0, 0, 0.5, -0.5, 0.5, 0.5])  # x forward, z up as seen in z forward, y down (REP 103)


class Track:
    """Stamped poses of one frame in another, interpolated: linear in position, slerp in rotation (Shoemake 1985)."""

    def __init__(self) -> None:
        self._begun: list[int] = []  # ns, record time at which each segment began
        self._segments: list[tuple[array, array]] = []  # (stamps ns [N], poses [7 N])

    def __len__(self) -> int:
        return sum(len(stamps) for stamps, _ in self._segments)

    def add(self, stamp_ns: int, recorded_ns: int, pose: np.ndarray) -> None:
        """Append a pose [7]. Samples that are not finite, or closer than SPACING_NS to another, are left out."""
        norm = np.linalg.norm(pose[3:])
        if not (np.isfinite(pose).all() and norm > 0.5):
            return
        if not self._segments or stamp_ns < self._segments[-1][0][-1] - JUMP_NS:
            self._begun.append(recorded_ns)
            self._segments.append((array("q"), array("d")))
        stamps, poses = self._segments[-1]
        i = bisect_left(stamps, stamp_ns)
        if any(abs(stamps[j] - stamp_ns) < SPACING_NS for j in (i - 1, i) if 0 <= j < len(stamps)):
            return
        stamps.insert(i, stamp_ns)
        poses[7 * i : 7 * i] = array("d", (*pose[:3], *pose[3:] / norm))

    def at(self, stamp_ns: int, recorded_ns: int) -> np.ndarray | None:
        """The pose [7] at a stamp of a message recorded at `recorded_ns`, or None where nothing near is known."""
        if not self._segments:
            return None
        stamps, flat = self._segments[max(bisect_right(self._begun, recorded_ns) - 1, 0)]
        i = bisect_left(stamps, stamp_ns)
        if i in (0, len(stamps)):
            end = min(i, len(stamps) - 1)
            return np.array(flat[7 * end : 7 * end + 7]) if abs(stamps[end] - stamp_ns) <= HOLD_NS else None
        before, after = stamps[i - 1], stamps[i]
        if after - before > GAP_NS and min(stamp_ns - before, after - stamp_ns) > 0:
            return None
        a, b = np.array(flat[7 * i - 7 : 7 * i + 7]).reshape(2, 7)
        return interpolate(a, b, (stamp_ns - before) / (after - before))


class FrameTree:
    """The transforms between one camera's frame and the root above it, as tf2's buffer would hold them.

    Transforms of frames that are not above the camera's are dropped as they come, so that a robot with many joints
    costs no memory.
    """

    def __init__(self, leaf: str) -> None:
        self.leaf = leaf.strip("/")
        self._edges: dict[str, tuple[str, Track | np.ndarray]] = {}  # child: (parent, pose of the child in it)
        self._above = {self.leaf}

    def add_static(self, parent: str, child: str, pose: np.ndarray) -> None:
        """Fix the pose [7] of `child` in `parent`."""
        self._edges.setdefault(child.strip("/"), (parent.strip("/"), np.asarray(pose, np.float64)))
        self._above = set(self.chain())

    def add(self, parent: str, child: str, stamp_ns: int, recorded_ns: int, pose: np.ndarray) -> None:
        """One stamped pose [7] of `child` in `parent`."""
        parent, child = parent.strip("/"), child.strip("/")
        if child not in self._above:
            return
        if child not in self._edges:
            self._edges[child] = (parent, Track())
            self._above = set(self.chain())
        known, track = self._edges[child]
        if known == parent and isinstance(track, Track):
            track.add(stamp_ns, recorded_ns, pose)

    def chain(self) -> list[str]:
        """The frames from the camera's up to the root."""
        frames = [self.leaf]
        while frames[-1] in self._edges and (parent := self._edges[frames[-1]][0]) not in frames:
            frames.append(parent)
        return frames

    def moves(self) -> bool:
        """Whether anything between the camera and the root has stamped poses."""
        return any(isinstance(self._edges[frame][1], Track) for frame in self.chain()[:-1])

    def at(self, ancestor: str, stamp_ns: int, recorded_ns: int) -> np.ndarray | None:
        """The camera's pose [7] in a frame of `chain()` at a stamp, or None where a link is not known then."""
        pose, chain = IDENTITY, self.chain()
        for frame in chain[: chain.index(ancestor)]:
            link = self._edges[frame][1]
            link = link.at(stamp_ns, recorded_ns) if isinstance(link, Track) else link
            if link is None:
                return None
            pose = compose(link, pose)
        return pose


class PoseSource:
    """The camera's pose at any stamp, out of a frame tree alone or a track of poses of the robot or the camera.

    Where the tree knows how the camera sits on the tracked frame (`base`), that mount is included. Rotations follow
    REP 103's body axes, x forward and z up, also for cameras whose frame is named "*optical*".
    """

    def __init__(
        self, name: str, tree: FrameTree, track: Track | None = None, reference: str = "", base: str = ""
    ) -> None:
        self.name = name  # the topic, for people
        self._tree, self._track = tree, track
        chain = tree.chain()
        self.reference = (chain[-1] if track is None else reference.strip("/")) or "map"  # what the poses are in
        self._top = chain[-1] if track is None else base.strip("/") if base.strip("/") in chain else tree.leaf
        self._optical = "optical" in tree.leaf and self._top != tree.leaf

    def at(self, stamp_ns: int, recorded_ns: int) -> np.ndarray | None:
        """The pose [7] at a stamp of a message recorded at `recorded_ns`, or None."""
        root = IDENTITY if self._track is None else self._track.at(stamp_ns, recorded_ns)
        mount = self._tree.at(self._top, stamp_ns, recorded_ns)
        if root is None or mount is None:
            return None
        pose = compose(root, mount)
        return compose(pose, BODY_IN_OPTICAL) if self._optical else pose


def compose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The pose of C in A from `a`, of B in A, and `b`, of C in B; all [7]."""
    return np.concatenate([a[:3] + rotate(a[3:], b[:3]), multiply(a[3:], b[3:])])


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Hamilton product of two quaternions [4], x y z w."""
    return np.concatenate([p[3] * q[:3] + q[3] * p[:3] + np.cross(p[:3], q[:3]), [p[3] * q[3] - p[:3] @ q[:3]]])


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """A vector [3] turned by a unit quaternion [4], x y z w."""
    t = 2 * np.cross(q[:3], v)
    return v + q[3] * t + np.cross(q[:3], t)


def interpolate(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Between two poses [7] at t = 0 and 1: linear in position, slerp in rotation."""
    p, q = a[3:], b[3:]
    dot = p @ q
    p, dot = (p, dot) if dot >= 0 else (-p, -dot)  # q and -q turn alike; take the short way
    angle = np.arccos(min(dot, 1.0))
    if angle < 1e-6:
        turned = (1 - t) * p + t * q
    else:
        turned = (np.sin((1 - t) * angle) * p + np.sin(t * angle) * q) / np.sin(angle)
    return np.concatenate([(1 - t) * a[:3] + t * b[:3], turned / np.linalg.norm(turned)])
