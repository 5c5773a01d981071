"""The launch files: both nodes active, namespaces, remaps, cameras, no autostart, managers."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from ament_index_python import PackageNotFoundError, get_package_prefix, get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.srv import DescribeMemory, RecallFrame
from graph import Ros, until
from messages import image_message
from ruamel.yaml import YAML

from gaussvae_ros.bank import MemoryBank

BOTH = ("visual_memory", "visual_recall")
LAUNCH_FILES = Path(get_package_share_directory("gaussvae_ros"), "launch")


def find_executable(package: str, name: str) -> bool:
    try:
        return Path(get_package_prefix(package), "lib", package, name).is_file()
    except PackageNotFoundError:
        return False


def publishing(ros: Ros, topic: str, frames: list[np.ndarray], stamp_ns: int = 5 * 10**9) -> None:
    for i, image in enumerate(frames[:3]):
        ros.publish(topic, image_message(image, stamp_ns + i * 10**9))
        time.sleep(0.2)


def test_an_image_comes_in_and_goes_out(ros, frames):
    bank = ros.folder / "memory.db"
    begun = time.monotonic()
    launched = ros.launch(
        "memory.launch.py", f"bank:={bank}", "image_topic:=/front/color", "camera:=front"
    )
    ros.until_active(*BOTH)
    print(f"active after {time.monotonic() - begun:.1f} s")
    stored = ros.listen(MemoryFrame, "/visual_memory/frames")
    publishing(ros, "/front/color", frames)
    until(lambda: stored, says=ros.logs)
    reply = ros.call(RecallFrame, "/visual_recall/recall_frame", id=stored[0].id)
    assert (
        reply.success
        and (reply.image.width, reply.image.height) == (160, 120)
        and reply.frame.camera == "front"
    )
    assert launched.stop() == 0 and "Traceback" not in launched.log and "ERROR" not in launched.log
    with MemoryBank(bank, readonly=True) as memory:
        assert memory.get(stored[0].id).stamp_ns == 5 * 10**9


def test_recall_alone_on_a_finished_memory(ros, finished_bank):
    launched = ros.launch("recall.launch.py", f"bank:={finished_bank}")
    ros.until_active("visual_recall")
    reply = ros.call(DescribeMemory, "/visual_recall/describe_memory")
    assert reply.success and reply.frames == 12 and reply.path == str(finished_bank)
    assert launched.stop() == 0 and "visual_memory" not in launched.log


def test_namespace_and_relative_topic(ros, frames):
    ros.launch(
        "memory.launch.py",
        f"bank:={ros.folder}/m.db",
        "namespace:=robot1",
        "image_topic:=camera/image_raw",
    )
    ros.until_active("/robot1/visual_memory", "/robot1/visual_recall")
    stored = ros.listen(MemoryFrame, "/robot1/visual_memory/frames")
    diagnostics = ros.listen(DiagnosticArray, "/diagnostics")
    publishing(ros, "/robot1/camera/image_raw", frames)
    until(lambda: stored, says=ros.logs)
    assert ros.call(RecallFrame, "/robot1/visual_recall/recall_frame", id=stored[0].id).success
    names = {f"robot1/visual_{what}" for what in ("memory: camera", "memory: memory", "recall")}
    until(
        lambda: names <= {status.name for array in list(diagnostics) for status in array.status},
        says=ros.logs,
    )


def test_inside_another_launch_file(ros, frames):
    """Its namespace, remaps and use_sim_time reach the nodes."""
    outer = ros.folder / "outer.launch.py"
    outer.write_text(f"""
from launch import LaunchDescription
from launch.actions import GroupAction, IncludeLaunchDescription
from launch_ros.actions import PushRosNamespace, SetParameter, SetRemap

def generate_launch_description():
    inner = {str(LAUNCH_FILES / "memory.launch.py")!r}
    bank = ("bank", {str(ros.folder / "m.db")!r})
    include = IncludeLaunchDescription(inner, launch_arguments=[bank])
    remaps = [SetRemap("image", "/wide/image"), SetRemap("~/frames", "/remembered")]
    sim_time = SetParameter("use_sim_time", True)
    return LaunchDescription([GroupAction([PushRosNamespace("bot"), sim_time, *remaps, include])])
""")
    ros.launch(str(outer))
    ros.until_active("/bot/visual_memory", "/bot/visual_recall")
    assert ros.parameter("/bot/visual_memory", "use_sim_time") is True
    stored = ros.listen(MemoryFrame, "/remembered")
    publishing(ros, "/wide/image", frames)
    until(lambda: stored, says=ros.logs)


def test_several_cameras(ros, frames):
    bank = ros.folder / "m.db"
    ros.launch(
        "memory.launch.py",
        f"bank:={bank}",
        "camera:=front, rear",
        "image_topic:=/a/image_raw,/b/image_raw",
    )
    ros.until_active(*BOTH)
    stored = ros.listen(MemoryFrame, "/visual_memory/frames")
    publishing(ros, "/a/image_raw", frames)
    publishing(ros, "/b/image_raw", frames[6:])
    until(lambda: {frame.camera for frame in stored} == {"front", "rear"}, says=ros.logs)


def test_several_cameras_have_topics_of_their_names(ros):
    ros.launch("memory.launch.py", f"bank:={ros.folder}/m.db", "camera:=front,rear", "namespace:=r")
    ros.until_active("/r/visual_memory")
    assert ros.parameter("/r/visual_memory", "cameras") == ["front", "rear"]
    until(
        lambda: all(
            ros.hears("/r/visual_memory", f"/r/{camera}/image") for camera in ("front", "rear")
        )
    )


def test_without_autostart_the_nodes_wait(ros, finished_bank):
    bank = shutil.copy(finished_bank, ros.folder / "m.db")
    launched = ros.launch("memory.launch.py", f"bank:={bank}", "autostart:=false")
    for node in BOTH:
        assert ros.state(node) == "unconfigured"
        for step, state in [
            ("configure", "inactive"),
            ("activate", "active"),
            ("deactivate", "inactive"),
            ("cleanup", "unconfigured"),
            ("configure", "inactive"),
            ("activate", "active"),
        ]:
            assert ros.transition(node, step), ros.logs()
            assert ros.state(node) == state
    assert ros.call(DescribeMemory, "/visual_recall/describe_memory").frames == 12
    assert launched.stop() == 0


def test_beside_the_lifecycle_manager_of_nav2(ros):
    """It configures, activates, deactivates and cleans up both nodes, with no bond to them."""
    if not find_executable("nav2_lifecycle_manager", "lifecycle_manager"):
        pytest.skip("nav2_lifecycle_manager is not installed")
    file = ros.folder / "manager.yaml"
    parameters = {"autostart": True, "bond_timeout": 0.0, "node_names": list(BOTH)}
    YAML().dump({"lifecycle_manager": {"ros__parameters": parameters}}, file)
    ros.launch("memory.launch.py", f"bank:={ros.folder}/m.db", "autostart:=false")
    manager = ros.start(
        "ros2",
        "run",
        "nav2_lifecycle_manager",
        "lifecycle_manager",
        "--ros-args",
        "--params-file",
        str(file),
    )
    manager.until_says("Managed nodes are active", timeout=60)
    assert [ros.state(node) for node in BOTH] == ["active", "active"]
    time.sleep(5)  # the manager's own bond_timeout is 4 s
    # Pause, resume, reset.
    for command, state in [(1, "inactive"), (2, "active"), (3, "unconfigured")]:
        kind = "nav2_msgs/srv/ManageLifecycleNodes"
        said = ros.ros2(
            "service", "call", "/lifecycle_manager/manage_nodes", kind, f"{{command: {command}}}"
        )
        assert "success=True" in said, said + ros.logs()
        assert [ros.state(node) for node in BOTH] == [state, state]


def test_a_node_that_does_not_configure_says_so_and_can_again(ros):
    """The folder of the memory is a file."""
    place = ros.folder / "place"
    place.write_text("")
    launched = ros.launch("memory.launch.py", f"bank:={place}/m.db")
    launched.until_says("ros2 lifecycle set /visual_memory configure", timeout=60)
    assert "cannot configure" in launched.log and "Traceback" not in launched.log
    assert ros.state("visual_memory") == "unconfigured"
    place.unlink()
    place.mkdir()
    said = ros.ros2(
        "lifecycle", "set", "--no-daemon", "--spin-time", "3", "/visual_memory", "configure"
    )
    assert "successful" in said
    assert ros.state("visual_memory") == "inactive"
