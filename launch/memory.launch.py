"""A camera gets a memory: `visual_memory` writes, `visual_recall` reads. `--show-args` lists the arguments."""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from gaussvae_ros.nodes.bringup import arguments, lifecycle_node, listed, value


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*arguments(), OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Action]:
    both = {name: value(context, name) for name in ("bank", "device")}
    memory = {name: value(context, name) for name in ("image_transport", "map_frame")}
    cameras, topics = listed(context, "camera"), listed(context, "image_topic")
    return [
        *lifecycle_node(
            context, "memory_node", "visual_memory", {**both, **memory, "cameras": cameras}, remappings(cameras, topics)
        ),
        *lifecycle_node(context, "recall_node", "visual_recall", both),
    ]


def remappings(cameras: list[str], topics: list[str]) -> list[tuple[str, str]]:
    """From the topics that the node names to those that were asked for."""
    if not topics:
        return []
    if len(topics) != max(len(cameras), 1):
        raise RuntimeError(
            f"image_topic names {len(topics)} topics and camera {len(cameras)} cameras: one each, please"
        )
    names = ["image"] if len(topics) == 1 else [f"{camera}/image" for camera in cameras]
    return list(zip(names, topics))
