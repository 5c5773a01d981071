"""A bag through both nodes, every frame recalled and compared: a report.

`--show-args` lists the arguments.
"""

import json
import subprocess
from pathlib import Path

from ament_index_python import get_package_prefix
from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited

from gaussvae_ros.nodes.bringup import arguments, given_truth, lifecycle_node, number, value

EVALUATOR = str(Path(get_package_prefix("gaussvae_ros"), "lib", "gaussvae_ros", "replay_evaluator"))
ARGUMENTS = {
    "bag": (
        None,
        "The bag: a rosbag2 folder, a bare .mcap or .db3 file, or a .bag of ROS 1,"
        " which is converted",
    ),
    "topic": ("", "Images to replay. Empty: the only image topic of the bag"),
    "rate": (
        "1.0",
        "How fast the bag is played; frames that the encoder has no time for are dropped"
        " and counted",
    ),
    "report": ("replay_report", "Folder for report.html and replay.json"),
    "bank": (
        "",
        "Memory file to add the frames to. Empty: a new one in the folder of the report, replay.db",
    ),
    "tier": ("", "No longer used: quality says it all, and splats counts as a quality"),
    "quality": ("", "Of the pictures, 0 (0.1 KB) to 100 (36 KB). Empty: as params_file says"),
    "predict": (
        "",
        "Whether records may be predicted from earlier ones, true or false. Empty: as params_file"
        " says",
    ),
    "compare": (
        "8",
        "How many evenly spread frames JPEG and WebP get too",
    ),
    "map_frame": ("", "Coordinate frame of the poses. Empty: the root of the bag's TF"),
    "map_id": ("", "Name of the map that poses are in. Empty: as params_file says"),
}
SHARED = ("device", "params_file")
CHOICES = {"tier": ["", "latent", "splats"]}
# What the other launch files leave to the user: the evaluator brings the nodes up,
# and the bag has the time.
FIXED = {"namespace": "", "autostart": "false", "use_sim_time": "true"}
FIXED |= {"relative_tf": "false", "enclaves": "false"}
# Every frame is wanted, also late.
EVERY = {"min_interval": 0.0, "max_interval": 0.0, "novelty": 0.0, "queue_size": 100}
EVERY["durability"] = "full"  # how frames fall into groups would depend on the machine


def generate_launch_description() -> LaunchDescription:
    own = [
        DeclareLaunchArgument(
            name, default_value=default, description=text, choices=CHOICES.get(name)
        )
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*own, *arguments(SHARED), OpaqueFunction(function=replay)])


def replay(context: LaunchContext) -> list[Action]:
    context.launch_configurations.update(FIXED)
    given = {name: value(context, name) for name in (*ARGUMENTS, *SHARED)}
    bag, report = (Path(given[name]).expanduser() for name in ("bag", "report"))
    options = [f"--{name}={given[name]}" for name in ("topic", "rate", "compare")]
    command = [EVALUATOR, *options, f"--report={report}", "--", str(bag)]
    plan = _planned([*command[:1], "--plan", *command[1:]])
    both = {"bank": given["bank"] or _new_bank(report), "device": given["device"]}
    memory = {
        "cameras": [plan["topic"]],
        "image_transport": plan["transport"],
        "map_frame": given["map_frame"] or plan["map_frame"],
        "map_id": given["map_id"],
        "session": bag.name,
        "tier": given["tier"],
        "quality": number(context, "quality"),
        "predict": given_truth(context, "predict"),
    }
    remappings = [("image", plan["node_topic"])]
    processes = [
        *lifecycle_node(
            context, "memory_node", "visual_memory", {**both, **memory, **EVERY}, remappings, False
        ),
        *lifecycle_node(context, "recall_node", "visual_recall", both, respawn=False),
        ExecuteProcess(cmd=command, name="replay_evaluator", output="screen"),
    ]
    ended = [
        RegisterEventHandler(OnProcessExit(target_action=process, on_exit=_ended))
        for process in processes
    ]
    return [*ended, *processes]


def _planned(command: list[str]) -> dict:
    """What the evaluator says about the bag, before anything is started."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        *_, why = ["", *done.stderr.strip().splitlines()]
        raise RuntimeError(
            why.removeprefix("replay_evaluator: ") or f"{command[0]}: exit code {done.returncode}"
        )
    return json.loads(done.stdout)


def _new_bank(report: Path) -> str:
    """A path where nothing of an earlier replay is left."""
    report.mkdir(parents=True, exist_ok=True)
    for old in report.glob("replay.db*"):
        old.unlink()
    return str(report / "replay.db")


def _ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
    """Whichever process ends first, the replay is over.

    An error makes the exit code of ros2 launch 1.
    """
    if context.is_shutdown:
        return []
    if event.process_name.startswith("replay_evaluator") and event.returncode == 0:
        return [Shutdown(reason="the replay is over")]
    raise RuntimeError(
        f"{event.process_name} ended with exit code {event.returncode}; its message above says why"
    )
