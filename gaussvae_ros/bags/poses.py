"""Which of a bag's messages say where the camera was, and those poses."""

from typing import TYPE_CHECKING

import numpy as np

from gaussvae_ros.errors import BagError
from gaussvae_ros.messages import stamp_of
from gaussvae_ros.poses import FrameTree, PoseSource, Track

if TYPE_CHECKING:
    from gaussvae_ros.bags.bag import Bag

TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
POSE_TYPES = ("geometry_msgs/msg/PoseStamped", "geometry_msgs/msg/PoseWithCovarianceStamped", "nav_msgs/msg/Odometry")


def choose_poses(bag: "Bag", frame_id: str, topic: str | None = None) -> PoseSource | None:
    """The poses of the camera whose images carry `frame_id`: one pass over the bag's pose messages, in memory.

    Without `topic`: TF if it leads from the camera's frame to a moving root, else the pose or Odometry topic with
    the most messages, else None.

    Raises:
        BagError: `topic` holds no poses; the text lists the topics that do.
    """
    tf, pose_topics = bag.topics(TF_TYPES), bag.topics(POSE_TYPES)
    if topic is not None and topic not in tf and topic not in pose_topics:
        listed = ", ".join([*tf, *pose_topics]) or "none"
        raise BagError(f"{bag.path} has no poses on {topic}; pose topics: {listed}")
    static = [name for name in tf if name.endswith("tf_static")]
    moving = [name for name in tf if name not in static and topic in (None, name)]
    tree = FrameTree(frame_id)
    for _, _, message in bag.messages(static):
        for t in getattr(message, "transforms", ()):
            tree.add_static(t.header.frame_id, t.child_frame_id, _transform(t.transform))
    for _, recorded_ns, message in bag.messages(moving):
        for t in getattr(message, "transforms", ()):
            tree.add(t.header.frame_id, t.child_frame_id, stamp_of(t.header), recorded_ns, _transform(t.transform))
    if tree.moves() and topic in (None, *moving):
        return PoseSource(", ".join(moving), tree)
    chosen = topic if topic in pose_topics else max(pose_topics, key=pose_topics.get, default=None)
    if chosen is None or topic in tf:
        return None
    track, reference, base = Track(), "", ""
    for _, recorded_ns, message in bag.messages([chosen]):
        if not isinstance(message, Exception):
            reference, base = message.header.frame_id, getattr(message, "child_frame_id", "")
            pose = getattr(message.pose, "pose", message.pose)  # with a covariance it is one level down
            track.add(stamp_of(message.header) or recorded_ns, recorded_ns, _pose(pose.position, pose.orientation))
    return PoseSource(chosen, tree, track, reference, base) if len(track) else None


def _transform(transform: object) -> np.ndarray:  # [7] as in gaussvae_ros.poses
    return _pose(transform.translation, transform.rotation)


def _pose(p: object, q: object) -> np.ndarray:  # [7] as in gaussvae_ros.poses
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w], np.float64)
