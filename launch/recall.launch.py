"""A finished memory to look into: `visual_recall` alone. `--show-args` lists the arguments."""

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from gaussvae_ros.nodes.bringup import arguments, lifecycle_node, value


def generate_launch_description() -> LaunchDescription:
    names = (
        "bank",
        "device",
        "params_file",
        "namespace",
        "relative_tf",
        "enclaves",
        "autostart",
        "use_sim_time",
    )
    return LaunchDescription([*arguments(names), OpaqueFunction(function=nodes)])


def nodes(context: LaunchContext) -> list[Action]:
    parameters = {name: value(context, name) for name in ("bank", "device")}
    return lifecycle_node(context, "recall_node", "visual_recall", parameters)
