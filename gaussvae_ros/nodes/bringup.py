"""What the launch files share: their arguments, and a lifecycle node that is started again when it dies.

It runs in the Python of `ros2`, which may lack all that the nodes need, and imports nothing but ROS.
"""

import signal
from collections.abc import Iterable
from pathlib import Path

from ament_index_python import get_package_share_directory
from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

PARAMETERS_FILE = str(Path(get_package_share_directory("gaussvae_ros"), "config", "memory.yaml"))
# An empty argument leaves a parameter to params_file.
ARGUMENTS = {
    "image_topic": "Image topic; several with commas between, one a camera. Empty: image, or CAMERA/image of several",
    "image_transport": "What the image topics carry: raw or compressed. Empty: as params_file says",
    "camera": "Name of the camera in the memory; several with commas between. Empty: as params_file says",
    "bank": "Path of the memory file. Empty: as params_file says",
    "device": "What fits batches of frames: auto, cpu or cuda. Empty: as params_file says",
    "map_frame": "Coordinate frame of the poses, looked up in TF. Empty: as params_file says",
    "params_file": "YAML file with the nodes' parameters; an argument that is given here counts more",
    "namespace": "Namespace of the nodes, their topics and services",
    "autostart": "Configure and activate the nodes; false leaves that to nav2's lifecycle manager, or to you",
    "use_sim_time": "Take the time from /clock: true or false. Empty: as params_file says",
}
DEFAULTS = {"params_file": PARAMETERS_FILE, "autostart": "true"}
CHOICES = {
    "image_transport": ["", "raw", "compressed"],
    "device": ["", "auto", "cpu", "cuda"],
    "autostart": ["true", "false"],
    "use_sim_time": ["", "true", "false"],
}
RESPAWN_S = 2.0  # after the end of a process that died
CRASHED = 70  # exit code of a node after an error inside, see lifecycle.py
ASKED = (-signal.SIGINT, -signal.SIGTERM)  # exit codes of a process that was told to end before it had begun


def arguments(names: Iterable[str] = ARGUMENTS) -> list[DeclareLaunchArgument]:
    """Declarations of these launch arguments."""
    return [
        DeclareLaunchArgument(
            name, default_value=DEFAULTS.get(name, ""), description=ARGUMENTS[name], choices=CHOICES.get(name)
        )
        for name in names
    ]


def value(context: LaunchContext, name: str) -> str:
    """Of a launch argument, without blanks around it."""
    return LaunchConfiguration(name).perform(context).strip()


def listed(context: LaunchContext, name: str) -> list[str]:
    """The parts of a launch argument with commas between; none if it is empty."""
    return [part.strip() for part in value(context, name).split(",") if part.strip()]


def lifecycle_node(
    context: LaunchContext,
    executable: str,
    name: str,
    parameters: dict[str, str | float | list[str]],
    remappings: Iterable[tuple[str, str]] = (),
    respawn: bool = True,
) -> list[Action]:
    """A node of this package, with params_file and the parameters that are not empty.

    With `autostart` it configures and activates itself. With `respawn`, a node that was killed or that crashed is
    started again.

    Raises:
        RuntimeError: there is no such params_file.
    """
    file = Path(value(context, "params_file")).expanduser()
    if not file.is_file():  # launch_ros would warn, and start the node without
        raise RuntimeError(f"params_file {file}: there is no such file")
    given = {key: _as_it_is(item) for key, item in parameters.items() if item not in ("", [])}
    if value(context, "use_sim_time"):
        given["use_sim_time"] = value(context, "use_sim_time") == "true"
    # The node does it itself: whoever sent transitions could reach another node of this name.
    given["autostart"] = value(context, "autostart") == "true"
    node = LifecycleNode(
        package="gaussvae_ros",
        executable=executable,
        name=name,
        namespace=value(context, "namespace"),
        parameters=[file, given],
        remappings=list(remappings),
        output="screen",
        respawn=respawn,
        respawn_delay=RESPAWN_S,
    )

    def ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
        """Launch would also start one again that was told to end, or that cannot run as it was started."""
        died = event.returncode == CRASHED or (event.returncode < 0 and event.returncode not in ASKED)
        return (
            []
            if died or context.is_shutdown
            else [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(node)))]
        )

    handlers = [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ended))] if respawn else []
    return [*handlers, node]


def _as_it_is(item: str | float | list[str]) -> ParameterValue:
    """A string stays one: launch would take a camera named 1 for a number."""
    return ParameterValue(item, value_type=list[str] if isinstance(item, list) else type(item))
