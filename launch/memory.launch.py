"""A camera gets a memory: `visual_memory` writes, `visual_recall` reads. `--show-args` lists the
arguments.
"""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from gaussvae_ros.nodes.bringup import (
    arguments,
    check_topic,
    given_truth,
    lifecycle_node,
    listed,
    number,
    value,
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*arguments(), OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Action]:
    both = {name: value(context, name) for name in ("bank", "device")}
    names = ("image_transport", "map_frame", "map_id", "corrected_path_topic", "session")
    memory = {name: value(context, name) for name in names}
    memory["quality"] = number(context, "quality")
    memory["predict"] = given_truth(context, "predict")
    cameras, topics = listed(context, "camera"), listed(context, "image_topic")
    return [
        *lifecycle_node(
            context,
            "memory_node",
            "visual_memory",
            {**both, **memory, "cameras": cameras},
            remappings(cameras, topics),
        ),
        *lifecycle_node(context, "recall_node", "visual_recall", both),
    ]


def remappings(cameras: list[str], topics: list[str]) -> list[tuple[str, str]]:
    """From the topics that the node names to those that were asked for."""
    names = ["image"] if len(cameras) < 2 else [f"{camera}/image" for camera in cameras]
    for name in names:
        check_topic(f"camera {','.join(cameras)}: the images' topic", name)
    if not topics:
        return []
    if len(topics) != max(len(cameras), 1):
        raise RuntimeError(
            f"image_topic names {len(topics)} topics and camera {len(cameras)} cameras:"
            " one each, please"
        )
    for topic in topics:
        check_topic("image_topic", topic)
    return list(zip(names, topics))
