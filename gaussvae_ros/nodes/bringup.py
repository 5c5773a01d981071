"""What the launch files share: their arguments, and a lifecycle node that is configured and activated as it starts.

It runs in the Python of `ros2`, which may lack all that the nodes need, and imports nothing but ROS.
"""

from collections.abc import Iterable
from pathlib import Path
from threading import Event

from ament_index_python import get_package_share_directory
from launch import Action, LaunchContext
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

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
STEPS = {"configure": Transition.TRANSITION_CONFIGURE, "activate": Transition.TRANSITION_ACTIVATE}


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
) -> list[Action]:
    """A node of this package, with params_file and the parameters that are not empty, started as `autostart` says.

    Raises:
        RuntimeError: there is no such params_file.
    """
    file = Path(value(context, "params_file")).expanduser()
    if not file.is_file():  # launch_ros would warn, and start the node without
        raise RuntimeError(f"params_file {file}: there is no such file")
    given = {key: _as_it_is(item) for key, item in parameters.items() if item not in ("", [])}
    if value(context, "use_sim_time"):
        given["use_sim_time"] = value(context, "use_sim_time") == "true"
    node = LifecycleNode(
        package="gaussvae_ros",
        executable=executable,
        name=name,
        namespace=value(context, "namespace"),
        parameters=[file, given] if given else [file],
        remappings=list(remappings),
        output="screen",
    )
    if value(context, "autostart") != "true":
        return [node]
    begin = OpaqueFunction(function=_bring_up, args=[node])
    return [RegisterEventHandler(OnProcessStart(target_action=node, on_start=[begin])), node]


def _as_it_is(item: str | float | list[str]) -> ParameterValue:
    """A string stays one: launch would take a camera named 1 for a number."""
    return ParameterValue(item, value_type=list[str] if isinstance(item, list) else type(item))


def _bring_up(context: LaunchContext, node: LifecycleNode) -> None:
    """Configure and activate, each once the node has answered; a transition event could pass before launch listens."""
    name, log = node.node_name, get_logger("gaussvae_ros")
    client = get_ros_node(context).create_client(ChangeState, f"{name}/change_state")

    def over() -> bool:
        return context.is_shutdown or node.return_code is not None

    def work() -> None:
        for step, number in STEPS.items():
            while not client.wait_for_service(0.5):
                if over():
                    return
            request = ChangeState.Request()
            request.transition.id = number
            answered = Event()
            answer = client.call_async(request)
            answer.add_done_callback(lambda _, event=answered: event.set())
            while not answered.wait(0.5):
                if over():
                    return
            if over():
                return
            if not answer.result().success:
                log.error(f"{name} did not {step}; its message above says why. Again: ros2 lifecycle set {name} {step}")
                return

    context.add_completion_future(context.asyncio_loop.run_in_executor(None, work))
