"""What the launch files share: their arguments, and a lifecycle node that is started again when it
dies.

It runs in the Python of `ros2`, which may lack all that the nodes need, and imports nothing but
ROS.
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
from rclpy.exceptions import InvalidNamespaceException, InvalidTopicNameException
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_topic_name import validate_topic_name

PARAMETERS_FILE = str(Path(get_package_share_directory("gaussvae_ros"), "config", "memory.yaml"))
# An empty argument leaves a parameter to params_file.
ARGUMENTS = {
    "image_topic": "Image topic; several with commas between, one a camera. Empty: image, or"
    " CAMERA/image of several",
    "image_transport": "What the image topics carry: raw or compressed; those that end in"
    " /compressed are. Empty: as params_file says",
    "camera": "Name of the camera in the memory; several with commas between. Empty: as params_file"
    " says",
    "bank": "Path of the memory file. Empty: as params_file says",
    "device": "What fits batches of frames: auto, cpu or cuda. Empty: as params_file says",
    "map_frame": "Coordinate frame of the poses, looked up in TF. Empty: as params_file says",
    "map_id": "Name of the map that poses are in. Empty: as params_file says",
    "corrected_path_topic": "Where SLAM publishes its whole trajectory, which moves stored poses."
    " Empty: as params_file says",
    "session": "Name of the recording. Empty: as params_file says",
    "quality": "Of the pictures, 0 to 100. Empty: as params_file says",
    "predict": "Whether records may be predicted from earlier ones, true or false. Empty: as"
    " params_file says",
    "params_file": "YAML file with the nodes' parameters; an argument that is given here counts"
    " more",
    "namespace": "Namespace of the nodes, their topics and services",
    "relative_tf": "Listen to tf and tf_static in the namespace instead of /tf and /tf_static, as"
    " nav2 does: true or false",
    "enclaves": "Start each node in the SROS2 enclave of its full name, as config/sros2_policy.xml"
    " calls them: true or false",
    "autostart": "Configure and activate the nodes; false leaves that to nav2's lifecycle manager,"
    " or to you",
    "use_sim_time": "Take the time from /clock: true or false. Empty: as params_file says",
}
DEFAULTS = {
    "params_file": PARAMETERS_FILE,
    "autostart": "true",
    "relative_tf": "false",
    "enclaves": "false",
}
CHOICES = {
    "image_transport": ["", "raw", "compressed"],
    "device": ["", "auto", "cpu", "cuda"],
}
TRUTH = {"true": True, "1": True, "false": False, "0": False}
RELATIVE_TF = (("/tf", "tf"), ("/tf_static", "tf_static"))
RESPAWN_S = 2.0  # after the end of a process that died
CRASHED = 70  # exit code of a node after an error inside, see lifecycle.py
# Exit codes of a process that was told to end before it had begun.
ASKED = (-signal.SIGINT, -signal.SIGTERM)


def arguments(names: Iterable[str] = ARGUMENTS) -> list[DeclareLaunchArgument]:
    """Declarations of these launch arguments."""
    return [
        DeclareLaunchArgument(
            name,
            default_value=DEFAULTS.get(name, ""),
            description=ARGUMENTS[name],
            choices=CHOICES.get(name),
        )
        for name in names
    ]


def value(context: LaunchContext, name: str) -> str:
    """Of a launch argument, without blanks around it."""
    return LaunchConfiguration(name).perform(context).strip()


def listed(context: LaunchContext, name: str) -> list[str]:
    """The parts of a launch argument with commas between; none if it is empty."""
    return [part.strip() for part in value(context, name).split(",") if part.strip()]


def truth(context: LaunchContext, name: str) -> bool:
    """Of a launch argument that is true or false, however it is written.

    Raises:
        RuntimeError: it is neither.
    """
    text = value(context, name)
    if text.lower() not in TRUTH:
        raise RuntimeError(f"{name} is true or false, not {text!r}")
    return TRUTH[text.lower()]


def given_truth(context: LaunchContext, name: str) -> bool | str:
    """`truth` of a launch argument, "" if it is empty."""
    return truth(context, name) if value(context, name) else ""


def number(context: LaunchContext, name: str) -> float | str:
    """Of a launch argument that is a number; "" if it is empty.

    Raises:
        RuntimeError: it is none.
    """
    text = value(context, name)
    try:
        return float(text) if text else ""
    except ValueError:
        raise RuntimeError(f"{name} is a number, not {text!r}") from None


def check_topic(what: str, name: str) -> None:
    """Raises RuntimeError if ROS has no topic of this name, absolute or relative."""
    if "//" in name:
        raise RuntimeError(
            f"{what} {name!r} is no name of a topic: it must not hold two slashes in a row"
        )
    try:
        validate_topic_name(name)
    except InvalidTopicNameException as error:
        raise RuntimeError(f"{what} {name!r} is no name of a topic: {_said(error)}") from None


def lifecycle_node(
    context: LaunchContext,
    executable: str,
    name: str,
    parameters: dict[str, str | bool | float | list[str]],
    remappings: Iterable[tuple[str, str]] = (),
    respawn: bool = True,
) -> list[Action]:
    """A node of this package, with params_file and the parameters that are not empty.

    With `autostart` it configures and activates itself. With `respawn`, a node that was killed or
    that crashed is started again.

    Raises:
        RuntimeError: there is no such params_file, or ROS has no such namespace.
    """
    namespace = value(context, "namespace")
    try:
        validate_namespace(f"/{namespace.strip('/')}")
    except InvalidNamespaceException as error:
        raise RuntimeError(f"namespace {namespace!r} is none: {_said(error)}") from None
    file = Path(value(context, "params_file")).expanduser()
    if not file.is_file():  # launch_ros would warn, and start the node without
        raise RuntimeError(f"params_file {file}: there is no such file")
    given = {key: _as_it_is(item) for key, item in parameters.items() if item not in ("", [])}
    if value(context, "use_sim_time"):
        given["use_sim_time"] = truth(context, "use_sim_time")
    # The node does it itself: whoever sent transitions could reach another node of this name.
    given["autostart"] = truth(context, "autostart")
    enclave = "/".join(["", *filter(None, [namespace.strip("/"), name])])
    node = LifecycleNode(
        package="gaussvae_ros",
        executable=executable,
        name=name,
        namespace=namespace,
        parameters=[file, given],
        remappings=[*remappings, *(RELATIVE_TF if truth(context, "relative_tf") else ())],
        ros_arguments=["--enclave", enclave] if truth(context, "enclaves") else [],
        output="screen",
        respawn=respawn,
        respawn_delay=RESPAWN_S,
    )

    def ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
        """Launch would also start one again that was told to end, or that cannot run as it was
        started.
        """
        died = event.returncode == CRASHED or (
            event.returncode < 0 and event.returncode not in ASKED
        )
        return (
            []
            if died or context.is_shutdown
            else [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(node)))]
        )

    handlers = (
        [RegisterEventHandler(OnProcessExit(target_action=node, on_exit=ended))] if respawn else []
    )
    return [*handlers, node]


def _as_it_is(item: str | bool | float | list[str]) -> ParameterValue:
    """A string stays one: launch would take a camera named 1 for a number."""
    return ParameterValue(item, value_type=list[str] if isinstance(item, list) else type(item))


def _said(error: Exception) -> str:
    """What an exception of rclpy says, in one line."""
    return " ".join(str(error).split())
