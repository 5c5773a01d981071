"""Where a camera was at a stamp, out of TF or a robot's poses, and what is doubtful about it."""

from array import array

import numpy as np

from gaussvae_ros.poses.arithmetic import BODY_IN_OPTICAL, IDENTITY, compose
from gaussvae_ros.poses.frame_tree import FrameTree, counted
from gaussvae_ros.poses.track import Track

DOUBLED = 0.2  # of the samples; as many wild ones are another robot's
CLOCKS_NS = 1_000_000_000  # so far apart two clocks are worth a word


class PoseSource:
    """The camera's pose at any stamp, out of a frame tree alone or a track of the robot's poses.

    Where the tree knows how the camera sits on the tracked frame (`base`), that mount is included.
    Rotations follow REP 103's body axes, x forward and z up, also for cameras whose frame is named
    "*optical*". A source without a `name` knows no pose, and its `problems` say why.
    """

    def __init__(
        self,
        name: str,
        tree: FrameTree,
        track: Track | None = None,
        reference: str = "",
        base: str = "",
        problems: list[str] | None = None,
    ) -> None:
        self.name = name  # the topic, for people
        self._tree, self._track, self._said = tree, track, problems or []
        chain, base = tree.chain(), base.strip("/")
        # what the poses are in
        self.reference = (chain[-1] if track is None else reference.strip("/")) or "map"
        self._top = chain[-1] if track is None else base if base in chain else tree.leaf
        # The frame that the poses are of, in whose axes they come; some topics do not say it.
        of = tree.leaf if self._top != tree.leaf else base
        self._optical = "optical" in of
        self._held = track is not None or tree.moves()
        self._asked, self._leads, self._found = array("q"), array("q"), 0
        if any(t.wild() > DOUBLED * t.received() and t.received() >= 10 for t in self._tracks()):
            why = f"{name} leaps to and fro, as if two robots shared it"
            self._said, self.name = [*self._said, f"no image has a pose: {why}"], ""
        self._of = name

    def at(self, stamp_ns: int, recorded_ns: int) -> np.ndarray | None:
        """The pose [7] at a stamp of a message recorded at `recorded_ns`, or None."""
        pose = self._pose(stamp_ns, recorded_ns) if self.name else None
        self._found += pose is not None
        self._asked.append(stamp_ns)
        self._leads.append(stamp_ns - recorded_ns)
        return pose

    @property
    def problems(self) -> list[str]:
        """What was left out or guessed, one sentence each; what `at` was asked so far included."""
        track = []
        if self._track is not None and (count := self._track.refused + self._track.wild()):
            why = "not finite, without rotation, or leaping away and back"
            track = [f"left out: {counted(count, 'sample')} of {self._of} ({why})"]
        clocks = self._clocks() if self.name and self._asked else []
        return list(dict.fromkeys([*self._said, *track, *self._tree.problems(), *clocks]))

    def _pose(self, stamp_ns: int, recorded_ns: int) -> np.ndarray | None:
        root = IDENTITY if self._track is None else self._track.at(stamp_ns, recorded_ns)
        mount = self._tree.at(self._top, stamp_ns, recorded_ns, self._held)
        if root is None or mount is None:
            return None
        pose = compose(root, mount)
        return compose(pose, BODY_IN_OPTICAL) if self._optical else pose

    def _tracks(self) -> list[Track]:
        """Those that say when a pose is known."""
        own = [] if self._track is None else [self._track]
        return own + self._tree.tracks(self._top, self._held)

    def _clocks(self) -> list[str]:
        """Whether the images' stamps and those of the poses are of one clock."""
        tracks = self._tracks()
        spans = [track.span_ns() for track in tracks if len(track)]
        if not spans:
            return []
        begin, end = max(b for b, _ in spans), min(e for _, e in spans)
        first = min(self._asked)
        if not self._found:
            text = f"no image has a pose: {self.name} is known"
            if begin > end:
                return [
                    f"{text} at no time in all its parts, which are {_apart(begin - end)} apart"
                ]
            text += f" from stamp {begin / 1e9:.1f} to {end / 1e9:.1f} s,"
            when = "later" if first > begin else "earlier"
            return [f"{text} and the images begin {_apart(first - begin)} {when}"]
        images, spread = _lead(np.array(self._leads))
        poses = [lead for lead, wide in (_lead(t.lead_ns()) for t in tracks) if wide < CLOCKS_NS]
        if poses and spread < CLOCKS_NS:
            off = max((images - lead for lead in poses), key=abs)
            if abs(off) > CLOCKS_NS:
                return [
                    f"the clocks of the images and of {self.name} may be {_apart(off)} apart: so"
                    " different are their stamps from the times of recording"
                ]
        return []


def _lead(leads: np.ndarray) -> tuple[int, int]:
    """Median and 10 to 90 % range of differences, ns."""
    low, middle, high = np.percentile(leads, (10, 50, 90))
    return int(middle), int(high - low)


def _apart(ns: int) -> str:
    """A time in the unit that people would use."""
    seconds, units = (
        abs(ns) / 1e9,
        (("years", 31_557_600), ("days", 86_400), ("h", 3600), ("min", 60)),
    )
    unit, length = next((u for u in units if seconds >= 2 * u[1]), ("s", 1))
    return f"{seconds / length:.1f} {unit}"
