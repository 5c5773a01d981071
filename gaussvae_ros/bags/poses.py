"""Which of a bag's messages say where the camera was, and those poses."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gaussvae_ros.bags.pose_topics import (
    POSE_TYPES,
    Candidate,
    best,
    candidates,
    image_times,
    is_body,
    namespace,
    pose_of,
    read,
    says_no_robot,
)
from gaussvae_ros.errors import BagError
from gaussvae_ros.files import printable
from gaussvae_ros.images.messages import stamp_of
from gaussvae_ros.poses.frame_tree import FrameTree, counted, is_world
from gaussvae_ros.poses.source import PoseSource

if TYPE_CHECKING:
    from gaussvae_ros.bags.bag import Bag

TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
LOOK = 30  # images; TF that knows the camera at one of them is of their clock
ENOUGH = 0.8  # of the images that a pose topic has poses for, for TF to be preferred


def choose_poses(
    bag: "Bag", frame_id: str, topic: str | None = None, image_topic: str = ""
) -> PoseSource:
    """The poses of the camera whose images carry `frame_id`, all in memory.

    Without `topic`: TF if it leads from the camera's frame to the world; else the pose topic that
    fits the images best, on a mount out of TF. Several robots are told apart by the namespace of
    `image_topic`. Where nothing fits, the source has no name, and its `problems` say why.

    Raises:
        BagError: `topic` holds no poses, or several robots fit; the text lists the choices.
    """
    chooser = _Chooser(bag, frame_id, image_topic)
    if topic is None:
        return chooser.choose()
    if topic not in chooser.tf and topic not in chooser.poses:
        listed = ", ".join([*chooser.tf, *chooser.poses]) or "none"
        path = printable(bag.path)
        raise BagError(f"{path} has no poses on {topic}; pose topics: {listed}")
    return chooser.take(topic)


class _Chooser:
    def __init__(self, bag: "Bag", frame_id: str, image_topic: str) -> None:
        self.bag, self.leaf, self.image_topic = bag, frame_id, image_topic
        self.tf, self.poses = list(bag.topics(TF_TYPES)), list(bag.topics(POSE_TYPES))
        self.problems: list[str] = []
        self._groups: dict[str, list[str]] = {}  # namespace: its TF topics
        for name in self.tf:
            if name.rpartition("/")[2] in ("tf", "tf_static"):
                self._groups.setdefault(name.rpartition("/")[0], []).append(name)
        if not self._groups and self.tf:
            self._groups[""] = self.tf
        # Namespaces of other cameras, and of other robots' TF
        self._others = {namespace(name) for name in bag.topics(IMAGES) if name != image_topic}
        self._others -= {"", namespace(image_topic)}

    def choose(self) -> PoseSource:
        """What says best where the camera was."""
        tree, topics = self._tree(self.image_topic)
        chain = tree.chain()
        by_tf = tree.moves() and is_world(chain[-1])
        # Not a head that turns on a robot of which TF does not know that it drives
        body = next((f for f in reversed(chain) if not is_world(f)), None)
        drives = by_tf and tree.moves(body)
        if drives and self._covered(tree, image_times(self.bag, self.image_topic, LOOK)):
            return self._of_tf(tree, topics)
        found, why = self._candidates(tree)
        doubt = by_tf or len(found) > 1 or any(not one.child for one in found)
        images = image_times(self.bag, self.image_topic) if found and doubt else []
        fit = best(found, images, self.image_topic, chain)
        if not fit and not by_tf and (mixed := self._mixed(topics)):
            return mixed
        if fit and not self._is_better(tree, fit[0], images):
            self._tell_others(fit)
            return self._of_track(fit[0], tree)
        if tree.moves() or (len(chain) > 1 and is_world(chain[-1])):
            return self._of_tf(tree, topics)
        why += [one.summary() for one in found]
        if len(chain) > 1:
            why.append(f"TF leads from {tree.leaf} to {chain[-1]} only")
        elif self.tf:
            why.append(_unknown("TF", tree.leaf))
        return self._nothing("; ".join(why), tree)

    def take(self, topic: str) -> PoseSource:
        """The poses of a topic that somebody has named."""
        place = topic.rpartition("/")[0]
        if topic in self.tf:
            static = [name for name in self.tf if _is_static(name)]
            own = [name for name in static if name.rpartition("/")[0] == place]
            tree = self._read(dict.fromkeys([*(own or static), topic]))
            if len(tree.chain()) > 1:
                return PoseSource(topic, tree, problems=self.problems)
            return self._nothing(_unknown(topic, tree.leaf), tree)
        try:
            tree, _ = self._tree(self.image_topic)
        except BagError:  # the topic's namespace decides
            tree = self._read(self._groups.get(place, ()))
        found = candidates(self.bag, [topic], self.problems)
        found.sort(key=lambda c: c.child in tree.chain(), reverse=True)
        if not found:
            return self._nothing(f"{topic} holds none", tree)
        if not len(found[0].track):
            return self._nothing(found[0].summary(), tree)
        self._tell_others(found)
        return self._of_track(found[0], tree)

    def _tree(self, of: str) -> tuple[FrameTree, list[str]]:
        """The transforms above a topic's camera, and their topics: those of its namespace."""
        within = self._within(of)
        others = [n for n in sorted(self._groups, key=len, reverse=True) if n not in within]
        nothing = FrameTree(self.leaf)
        for name in within:
            tree = self._read(self._groups[name])
            if len(tree.chain()) > 1:
                self._others |= {namespace(f"{n}/tf") for n in others} - {""}
                return tree, self._groups[name]
            nothing = tree
        trees = {n: self._read(self._groups[n]) for n in others if not self._is_foreign(f"{n}/tf")}
        trees = {n: tree for n, tree in trees.items() if len(tree.chain()) > 1}
        if len(trees) > 1:
            choices = ", ".join(f"{n}/tf" for n in sorted(trees))
            what = f"several robots have a frame {self.leaf}"
            raise BagError(f"{what}, choose one with --pose-topic: {choices}")
        for name, tree in trees.items():
            self.problems.append(f"TF is that of {name}, the only one that knows {self.leaf}")
            return tree, self._groups[name]
        return nothing, []

    def _within(self, of: str) -> list[str]:
        """The namespaces with TF that a topic is in, the innermost first."""
        inside = [n for n in self._groups if f"/{of.strip('/')}".startswith(f"{n}/")]
        return sorted(inside, key=len, reverse=True)

    def _is_foreign(self, topic: str) -> bool:
        """Whether a topic's namespace is that of another camera or robot."""
        ours, its = (name.strip("/").split("/")[:-1] for name in (self.image_topic, topic))
        pairs = ((a, b) for a, b in zip(ours, its) if a != b)
        a, b = next(pairs, ("", "other"))
        sisters = re.sub(r"\d+", "#", a) == re.sub(r"\d+", "#", b)
        return namespace(topic) in self._others or sisters

    def _mixed(self, topics: list[str]) -> PoseSource | None:
        """TF of one of the camera's namespaces, completed by the others, if it finds the world."""
        others = [t for n in self._within(self.image_topic) for t in self._groups[n]]
        others = [name for name in others if name not in topics]
        if not (topics and others):
            return None
        tree = self._read([*topics, *others])
        if not (tree.moves() and is_world(tree.chain()[-1])):
            return None
        self.problems.append(f"TF of {', '.join(topics)} is completed by {', '.join(others)}")
        return self._of_tf(tree, [*topics, *others])

    def _read(self, topics: Iterable[str]) -> FrameTree:
        tree, topics = FrameTree(self.leaf), list(topics)
        for _, recorded_ns, message in read(self.bag, filter(_is_static, topics), self.problems):
            for t in message.transforms:
                tree.add_static(t.header.frame_id, t.child_frame_id, pose_of(t), recorded_ns)
        moving = [name for name in topics if not _is_static(name)]
        for _, recorded_ns, message in read(self.bag, moving, self.problems):
            for t in message.transforms:
                stamp_ns = stamp_of(t.header) or recorded_ns
                tree.add(t.header.frame_id, t.child_frame_id, stamp_ns, recorded_ns, pose_of(t))
        return tree

    def _candidates(self, tree: FrameTree) -> tuple[list[Candidate], list[str]]:
        """Tracks that may carry the camera, and why the other pose topics may not."""
        goals = [name for name in self.poses if says_no_robot(name)]
        why = [f"{name} holds goals or detections, by its name" for name in goals]
        chain = tree.chain()
        found, owner = [], namespace(chain[0])
        names = [name for name in self.poses if name not in goals]
        for one in candidates(self.bag, names, self.problems) if names else []:
            # Where there is one tree, of all, its frames say more than namespaces.
            mounted = one.child in chain and [*self._groups] == [""]
            another = one.child and owner and namespace(one.child) not in ("", owner)
            own = one.frame in chain or (not one.child and is_body(one.frame))
            if own and not is_world(one.frame):
                why.append(f"{one.topic} is relative to {one.frame}, a frame of the robot")
            elif not mounted and (another or self._is_foreign(one.topic)):
                why.append(f"{one.topic} is of another camera or robot, by its namespace")
            elif one.child not in chain and tree.is_beside(one.child):
                why.append(f"{one.topic} is of {one.child}, which does not carry {tree.leaf} by TF")
            else:
                found.append(one)
        return found, why

    def _is_better(self, tree: FrameTree, one: Candidate, images: list[tuple[int, int]]) -> bool:
        """Whether TF tells more of the camera than the best pose topic."""
        chain = tree.chain()
        if is_world(chain[-1]) and len(chain) > 1:
            if tree.moves(one.child if one.child in chain else None):
                return self._covered(tree, images) >= ENOUGH * one.covered
            return not one.track.moves()  # a robot that stands still
        return tree.moves() and one.child not in chain and not is_body(chain[-1])

    def _covered(self, tree: FrameTree, images: list[tuple[int, int]]) -> float:
        """Part of the images at which TF knows the camera; all without images."""
        root = tree.chain()[-1]
        known = [tree.at(root, *image, held=True) is not None for image in images]
        return sum(known) / len(known) if known else 1.0

    def _of_tf(self, tree: FrameTree, topics: list[str]) -> PoseSource:
        root = tree.chain()[-1]
        if not is_world(root):
            self.problems.append(f"poses are in {root}, which may move itself")
        names = [n for n in topics if not _is_static(n)] or topics
        return PoseSource(", ".join(names), tree, problems=self.problems)

    def _of_track(self, one: Candidate, tree: FrameTree) -> PoseSource:
        if one.child and one.child not in tree.chain():
            mount = f"how {tree.leaf or 'the camera'} sits on {one.child}"
            self.problems.append(f"TF does not say {mount}, whose poses are taken as they are")
        elif not one.child and len(tree.chain()) > 1:
            self.problems.append(f"{one.topic} does not say of what: taken as the camera's poses")
        return PoseSource(one.topic, tree, one.track, one.frame, one.child, self.problems)

    def _tell_others(self, fit: list[Candidate]) -> None:
        """Say which tracks are left out for the first."""
        one, *others = fit
        names = dict.fromkeys(c.topic for c in others if c.topic != one.topic)
        if names:
            choices = ", ".join(names)
            self.problems.append(f"poses are of {one.topic}; --pose-topic may choose {choices}")
        if count := sum(len(c.track) for c in others if c.topic == one.topic):
            what = f"{counted(count, 'sample')} of {one.topic}"
            self.problems.append(f"left out: {what}, of other frames than {one.frame}")

    def _nothing(self, why: str, tree: FrameTree) -> PoseSource:
        if why:
            how = "; --pose-topic takes what it names" if self.poses else ""
            self.problems.append(f"no image has a pose: {why}{how}")
        return PoseSource("", tree, problems=self.problems)


def _unknown(what: str, leaf: str) -> str:
    """Why TF says nothing of a camera."""
    return f"{what} does not know {leaf!r}" if leaf else "the images do not name their frame"


def _is_static(topic: str) -> bool:
    return "static" in topic.rpartition("/")[2]
