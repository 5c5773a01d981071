"""The transforms between a camera and the world, out of TF messages, without ROS."""

import re
from bisect import bisect_right
from collections import Counter
from itertools import pairwise

import numpy as np

from gaussvae_ros.poses.arithmetic import IDENTITY, as_pose, compose
from gaussvae_ros.poses.track import Track

WAITING = 1000  # transforms of a frame that are kept before it is known to be above the camera
SCALED = 1e-2  # by so much a quaternion's length may differ from 1 through rounding

_WORLD = re.compile(
    r"(^|[_.-])(map|odom|world|earth|global|origin|utm|ned|enu|init|vicon|mocap|optitrack|fixed)"
    r"([_.-]|$)",
    re.IGNORECASE,
)


class _Link:
    """One frame in another: fixed from a record time on, or known at stamps, or both."""

    def __init__(self) -> None:
        self.track = Track()
        self._begun: list[int] = []  # ns
        self._fixed: list[np.ndarray] = []

    def fix(self, pose: np.ndarray, recorded_ns: int) -> None:
        if not self._fixed or np.abs(pose - self._fixed[-1]).max() > 1e-9:
            self._begun.append(recorded_ns)
            self._fixed.append(pose)

    def ways(self) -> int:
        """In how many different ways it is fixed."""
        return len(self._fixed)

    def known(self) -> bool:
        return bool(self._fixed or len(self.track))

    def away_ns(self, stamp_ns: int) -> int:
        """How far a stamp is from those that it is known at."""
        if self._fixed or not len(self.track):
            return 0
        begin, end = self.track.span_ns()
        return max(begin - stamp_ns, stamp_ns - end, 0)

    def at(self, stamp_ns: int, recorded_ns: int, held: bool) -> np.ndarray | None:
        """The pose [7]; `held`: where it never changes, also at other stamps than those known."""
        if self.track.moves() or not (self._fixed or held):
            return self.track.at(stamp_ns, recorded_ns)
        if self._fixed:
            return self._fixed[max(bisect_right(self._begun, recorded_ns) - 1, 0)]
        return self.track.first() if len(self.track) else None


class FrameTree:
    """The transforms between one camera's frame and the root above it, as tf2 would hold them.

    What is no transform is left out and counted. Of frames that are not above the camera's little
    is kept, so that a robot with many joints costs no memory.
    """

    def __init__(self, leaf: str) -> None:
        self.leaf = leaf.strip("/")
        self._links: dict[str, dict[str, _Link]] = {}  # child: parent: link
        self._above = {self.leaf}  # by whichever way up
        self._ways_up: dict[str, list[str]] | None = None  # child: parents, the best first
        self._refused: Counter[str] = Counter()  # child
        self._scaled: Counter[str] = Counter()

    def add_static(self, parent: str, child: str, pose: np.ndarray, recorded_ns: int = 0) -> None:
        """Fix the pose [7] of `child` in `parent` from a record time on; the first also before."""
        if link := self._link(parent.strip("/"), child.strip("/"), pose):
            link.fix(as_pose(pose), recorded_ns)

    def add(
        self, parent: str, child: str, stamp_ns: int, recorded_ns: int, pose: np.ndarray
    ) -> None:
        """One stamped pose [7] of `child` in `parent`."""
        link = self._link(parent.strip("/"), child.strip("/"), pose)
        if link and (child.strip("/") in self._above or link.track.received() < WAITING):
            link.track.add(stamp_ns, recorded_ns, pose)

    def chain(self) -> list[str]:
        """The frames from the camera's up to the root."""
        frames = [self.leaf]
        while parents := self._parents(frames[-1]):
            if parents[0] in frames:
                break
            frames.append(parents[0])
        return frames

    def is_beside(self, frame: str) -> bool:
        """Whether only the world joins a frame to `chain()`: it does not carry the camera."""
        chain, ways, seen, met = self.chain(), [frame], set(), []
        while ways:
            seen.add(below := ways.pop())
            if below in chain:
                met.append(is_world(below))
            else:
                ways += self._links.get(below, {}).keys() - seen
        return bool(met) and all(met)

    def moves(self, above: str | None = None) -> bool:
        """Whether anything from the camera, or a frame above it, to the root really changes."""
        links = self._on_chain()
        if above is not None:
            links = links[self.chain().index(above) :]
        return any(link.track.moves() for link in links)

    def tracks(self, top: str, held: bool) -> list[Track]:
        """Those between the camera and a frame of `chain()` that say when the pose is known."""
        links = self._on_chain()[: self.chain().index(top)]
        return [n.track for n in links if n.track.moves() or not (held or n.ways())]

    def at(
        self, ancestor: str, stamp_ns: int, recorded_ns: int, held: bool = False
    ) -> np.ndarray | None:
        """The camera's pose [7] in a frame of `chain()` at a stamp, None where a link is not known.

        `held`: links that never change also count at other stamps than those known.
        """
        ways, seen = [(self.leaf, IDENTITY)], {self.leaf}
        while ways:
            frame, pose = ways.pop()
            if frame == ancestor:
                return pose
            links = self._links.get(frame, {})
            parents = sorted(self._parents(frame), key=lambda p, n=links: n[p].away_ns(stamp_ns))
            for parent in reversed(parents):
                link = links[parent].at(stamp_ns, recorded_ns, held and len(parents) == 1)
                if parent not in seen and link is not None:
                    seen.add(parent)
                    ways.append((parent, compose(link, pose)))
        return None

    def problems(self) -> list[str]:
        """What is wrong between the camera and the root, one sentence each."""
        found, chain = [], self.chain()
        for child in chain:
            if count := self._refused[child]:
                why = "not finite, without rotation, or of a frame in itself"
                found.append(f"left out: {counted(count, 'transform')} of {child} ({why})")
            if count := self._scaled[child]:
                found.append(f"scaled: {counted(count, 'rotation')} of {child}, not of length 1")
            parents = self._parents(child)
            for parent in parents:
                link = self._links[child][parent]
                if count := link.track.wild():
                    what = f"{counted(count, 'transform')} of {child} in {parent}"
                    found.append(f"left out: {what}, leaping away and back")
                if link.ways() > 1:
                    found.append(f"{child} is fixed in {parent} in {link.ways()} ways in turn")
            if len(parents) > 1:
                named = ", ".join(parents)
                found.append(
                    f"{child} has several parents, {named}: the one known at a stamp counts"
                )
        if set(self._parents(chain[-1])) & set(chain):
            found.append(f"the frames {', '.join(chain)} are a loop")
        return found

    def _link(self, parent: str, child: str, pose: np.ndarray) -> _Link | None:
        """That of two frames, None where it cannot be or `pose` is none."""
        if not (parent and child) or parent == child or as_pose(pose) is None:
            self._refused[child] += 1
            return None
        if abs(np.linalg.norm(pose[3:]) - 1) > SCALED:
            self._scaled[child] += 1
        self._ways_up = None
        links = self._links.setdefault(child, {})
        if parent not in links:
            links[parent] = _Link()
            self._climb()
        return links[parent]

    def _climb(self) -> None:
        self._above, new = {self.leaf}, [self.leaf]
        while new:
            parents = set(self._links.get(new.pop(), ())) - self._above
            self._above |= parents
            new += parents

    def _parents(self, child: str) -> list[str]:
        """A frame's parents, those first that lead to something that moves, then to a world, then
        the newest."""
        if self._ways_up is None:
            links = {
                child: {p: link for p, link in parents.items() if link.known()}
                for child, parents in self._links.items()
                if child in self._above
            }
            moving = {c for c, ups in links.items() if any(n.track.moves() for n in ups.values())}
            moving = _below(links, moving)
            still = _below(
                links, {frame for ups in links.values() for frame in ups if is_world(frame)}
            )

            def worth(child: str, parent: str) -> tuple[bool, bool, bool]:
                track = links[child][parent].track
                return track.moves() or parent in moving, parent in still, len(track) > 0

            self._ways_up = {
                c: sorted(reversed(ups), key=lambda p, c=c: worth(c, p), reverse=True)
                for c, ups in links.items()
            }
        return self._ways_up.get(child, [])

    def _on_chain(self) -> list[_Link]:
        chain = self.chain()
        return [self._links[child][parent] for child, parent in pairwise(chain)]


def is_world(frame: str) -> bool:
    """Whether a frame stands still, by its name."""
    return bool(_WORLD.search(frame.rpartition("/")[2]))


def _below(links: dict[str, dict[str, _Link]], frames: set[str]) -> set[str]:
    """Some frames, and all from which a way leads up to one of them."""
    while more := {c for c, ups in links.items() if frames & ups.keys()} - frames:
        frames = frames | more
    return frames


def counted(count: int, what: str) -> str:
    """A number of things, in the singular or the plural."""
    return f"{count:,} {what}{'s' * (count != 1)}"
