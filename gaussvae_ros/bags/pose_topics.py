"""A bag's topics of poses: which may tell where the camera was, and which of these does best."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import numpy as np

from gaussvae_ros.errors import BagError
from gaussvae_ros.images.messages import stamp_of
from gaussvae_ros.poses import Track
from gaussvae_ros.poses.frame_tree import counted, is_world

if TYPE_CHECKING:
    from gaussvae_ros.bags.bag import Bag

# The first is preferred.
POSE_TYPES = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/TransformStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "geometry_msgs/msg/PoseStamped",
)
_OF_A_CHILD = 2  # so many of them say of which frame they are the pose
# Where a robot is to go, what it sees, where somebody clicked
_NO_ROBOT = re.compile(
    r"goal|click|initial_?pose|target|way_?point|set_?point|desired|detect|aruco|april|fiducial"
    r"|marker|grasp|obstacle|landmark|gripper|end_?effector|look_?ahead|carrot"
    r"|(^|[/_])(cmd|command|tag|object|person|people|dock|plan|path|poi|mouse|ee|tcp|tool|hand)s?"
    r"([/_]|$)",
    re.IGNORECASE,
)
_BODY = re.compile(
    r"base|body|chassis|footprint|link|vehicle|robot|torso|imu|mount|camera|optical", re.IGNORECASE
)
FEW = 5  # fewer samples are events, not a track
COVERED = 0.5  # of the images, by a topic that does not say what its poses are of


@dataclass
class Candidate:
    """The poses of one frame (`child`, "" where not said) in another, out of one topic."""

    topic: str
    kind: int  # of POSE_TYPES
    frame: str
    child: str
    track: Track = field(default_factory=Track)
    covered: float = 1.0  # part of the images that it has a pose for

    def is_like(self, other: "Candidate") -> bool:
        """Whether only their namespaces tell two apart."""
        ours, theirs = self.topic.rpartition("/"), other.topic.rpartition("/")
        named = (ours[2], self.frame, self.child) == (theirs[2], other.frame, other.child)
        return named and bool(namespace(self.topic) and namespace(other.topic))

    def fits(self, images: list[tuple[int, int]]) -> bool:
        """Whether it may carry the camera, by its samples at images' (stamp ns, record time ns)."""
        count = len(self.track)
        if not images:
            return count > 0
        self.covered = sum(self.track.at(*image) is not None for image in images) / len(images)
        if self.kind < _OF_A_CHILD:
            return count > 0
        # A track of another clock covers nothing; that is said when its poses are asked for.
        return (count >= FEW or 2 * count >= len(images)) and not 0 < self.covered < COVERED

    def summary(self) -> str:
        """What it holds, for people."""
        if not len(self.track):
            none = f"{counted(self.track.refused, 'sample')}, all not finite or without rotation"
            return f"{self.topic} has {none}"
        many = counted(len(self.track), "sample")
        return f"{self.topic} has {many}, for {self.covered:.0%} of the images"


def says_no_robot(topic: str) -> bool:
    """Whether a topic's name says that it holds goals, detections or clicks."""
    return bool(_NO_ROBOT.search(topic))


def is_body(frame: str) -> bool:
    """Whether a frame is one of a robot's own, by its name."""
    return bool(_BODY.search(frame)) and not is_world(frame)


def namespace(topic: str) -> str:
    """The first part of a topic's name, if it has several."""
    first, _, rest = topic.strip("/").partition("/")
    return first if rest else ""


def shared(a: str, b: str) -> int:
    """How many parts of their namespaces two topics have in common."""
    pairs = zip(a.strip("/").split("/")[:-1], b.strip("/").split("/")[:-1])
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def read(
    bag: "Bag", topics: Iterable[str], problems: list[str]
) -> Iterator[tuple[str, int, object]]:
    """(topic, record time ns, message) of what decodes; what does not goes to `problems`."""
    broken: Counter[str] = Counter()
    try:
        for topic, recorded_ns, message in bag.messages(list(topics)):
            if isinstance(message, Exception):
                broken[topic] += 1
            else:
                yield topic, recorded_ns, message
    except BagError as error:
        problems.append(f"poses are read up to a damage: {error}")
    problems += [f"{count} messages of {topic} do not decode" for topic, count in broken.items()]


def candidates(bag: "Bag", topics: Iterable[str], problems: list[str]) -> list[Candidate]:
    """The tracks that pose topics hold, the fullest first."""
    kinds = {name: kind for kind, t in enumerate(POSE_TYPES) for name in bag.topics((t,))}
    found: dict[tuple[str, str, str], Candidate] = {}
    for topic, recorded_ns, message in read(bag, topics, problems):
        frame = message.header.frame_id.strip("/")
        child = getattr(message, "child_frame_id", "").strip("/")
        one = found.setdefault((topic, frame, child), Candidate(topic, kinds[topic], frame, child))
        stamp_ns = stamp_of(message.header) or recorded_ns
        one.track.add(stamp_ns, recorded_ns, pose_of(message))
    return sorted(found.values(), key=lambda one: -len(one.track))


def pose_of(message: object) -> np.ndarray:  # [7] as in gaussvae_ros.poses
    """The pose in a message of POSE_TYPES, or in one transform of TF."""
    if hasattr(message, "transform"):
        p, q = message.transform.translation, message.transform.rotation
    else:
        pose = getattr(message.pose, "pose", message.pose)  # with a covariance it is one level down
        p, q = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w], np.float64)


def image_times(bag: "Bag", topic: str, most: int | None = None) -> list[tuple[int, int]]:
    """(stamp, record time), ns, of a topic's images, the first few or all; none without a topic."""
    messages = islice(read(bag, [topic] if topic else [], []), most)
    return [(stamp_of(m.header) or recorded_ns, recorded_ns) for _, recorded_ns, m in messages]


def best(
    found: list[Candidate], images: list[tuple[int, int]], image_topic: str, chain: list[str]
) -> list[Candidate]:
    """The candidates that fit, the best first; `chain` is the frames above the camera.

    Raises:
        BagError: two robots' topics fit equally well; the text lists them.
    """

    def rank(one: Candidate) -> tuple:
        near = shared(one.topic, image_topic) + shared(one.child, chain[0])
        return one.covered > 0, near, one.child in chain, one.track.moves(), -one.kind

    def worth(one: Candidate) -> tuple:
        return *rank(one), round(one.covered, 1), len(one.track)

    fit = sorted((one for one in found if one.fits(images)), key=worth, reverse=True)
    # Two robots with the same names in two namespaces, not two estimates of one robot
    equal = sorted({one.topic for one in fit if rank(one) == rank(fit[0]) and one.is_like(fit[0])})
    if len(equal) > 1:
        choices = ", ".join(equal)
        raise BagError(f"poses of several robots fit, choose one with --pose-topic: {choices}")
    return fit
