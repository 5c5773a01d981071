"""The launch files: both nodes active, arguments before params_file, namespaces, remaps, cameras,
no autostart.
"""

import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from ament_index_python import PackageNotFoundError, get_package_prefix, get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from graph import ROOT, Ros, image_message, until
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import ListParameters
from ruamel.yaml import YAML

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes.bringup import ARGUMENTS
from gaussvae_ros.nodes.parameters import MEMORY, RECALL
from gaussvae_ros.srv import DescribeMemory, RecallFrame

BOTH = ("visual_memory", "visual_recall")
RECALLS = {"bank", "device", "params_file", "namespace", "relative_tf", "autostart", "use_sim_time"}
DESIGNED = {*RECALLS, "image_topic", "image_transport", "camera", "map_frame", "session", "quality"}
PARAMETERS_FILE = Path(get_package_share_directory("gaussvae_ros"), "config", "memory.yaml")


def find_executable(package: str, name: str) -> bool:
    try:
        return Path(get_package_prefix(package), "lib", package, name).is_file()
    except PackageNotFoundError:
        return False


def publishing(ros: Ros, topic: str, frames: list[np.ndarray], stamp_ns: int = 5 * 10**9) -> None:
    for i, image in enumerate(frames[:3]):
        ros.publish(topic, image_message(image, stamp_ns + i * 10**9))
        time.sleep(0.2)


def hears(ros: Ros, node: str, topic: str) -> bool:
    names = ros.node.get_subscriber_names_and_types_by_node(
        node.rpartition("/")[2], node.rpartition("/")[0] or "/"
    )
    return topic in dict(names)


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
    inner = {str(PARAMETERS_FILE.parents[1] / "launch" / "memory.launch.py")!r}
    bank = {str(ros.folder / "m.db")!r}
    include = IncludeLaunchDescription(inner, launch_arguments=[("bank", bank)])
    remaps = [SetRemap("image", "/wide/image"), SetRemap("~/frames", "/remembered")]
    return LaunchDescription(
        [
            GroupAction(
                [PushRosNamespace("bot"), SetParameter("use_sim_time", True), *remaps, include]
            )
        ]
    )
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
            hears(ros, "/r/visual_memory", f"/r/{camera}/image") for camera in ("front", "rear")
        )
    )


@pytest.mark.parametrize("key", ["/**", "visual_memory", "/visual_memory", "/**/visual_memory"])
def test_arguments_count_more_than_the_file_and_the_file_more_than_nothing(ros, key):
    """Whichever of the ways a file may name the node in, with the wildcard before and after it."""
    file, never = (
        ros.folder / "mine.yaml",
        {"device": "auto", "bank": "never", "cameras": ["never"]},
    )
    parameters = {
        "ros__parameters": {**never, "map_frame": "odom", "min_distance": 0.5, "use_sim_time": True}
    }
    YAML().dump({"/**": {"ros__parameters": {"bank": "never"}}} | {key: parameters}, file)
    arguments = [
        f"params_file:={file}",
        f"bank:={ros.folder}/m.db",
        "camera:=1",
        "device:=cpu",
        "autostart:=false",
    ]
    ros.launch("memory.launch.py", *arguments)
    given = {
        "bank": f"{ros.folder}/m.db",
        "cameras": ["1"],
        "device": "cpu",
        "map_frame": "odom",
        "min_distance": 0.5,
    }
    assert {name: ros.parameter("visual_memory", name) for name in given} == given
    assert ros.parameter("visual_memory", "use_sim_time") is True


def test_use_sim_time(ros):
    ros.launch(
        "memory.launch.py", f"bank:={ros.folder}/m.db", "use_sim_time:=true", "autostart:=false"
    )
    assert [ros.parameter(node, "use_sim_time") for node in BOTH] == [True, True]


def test_arguments_as_people_write_them(ros):
    written = [
        "relative_tf:=True",
        "autostart:=False",
        "use_sim_time:=TRUE",
        "session:=tour",
        "quality:=75",
    ]
    ros.launch(
        "memory.launch.py",
        f"bank:={ros.folder}/m.db",
        "namespace:=/robot1/",
        "camera:=a-b",
        *written,
    )
    memory, recall = "/robot1/visual_memory", "/robot1/visual_recall"
    given = {"session": "tour", "quality": 75.0, "use_sim_time": True, "cameras": ["a-b"]}
    assert {name: ros.parameter(memory, name) for name in given} == given
    for node in (memory, recall):
        assert ros.state(node) == "unconfigured"
        assert ros.transition(node, "configure") and ros.transition(node, "activate"), ros.logs()
        until(
            lambda node=node: (
                hears(ros, node, "/robot1/tf") and hears(ros, node, "/robot1/tf_static")
            )
        )
        assert not hears(ros, node, "/tf")


def test_whole_numbers_where_others_could_be(ros):
    file = ros.folder / "mine.yaml"
    YAML().dump(
        {
            "/**": {
                "ros__parameters": {
                    "quality": 75,
                    "min_distance": 1,
                    "tolerance": 2,
                    "bank": "m.db",
                }
            }
        },
        file,
    )
    ros.launch("memory.launch.py", f"params_file:={file}", "autostart:=false")
    assert [ros.parameter("visual_memory", name) for name in ("quality", "min_distance")] == [75, 1]
    assert ros.parameter("visual_recall", "tolerance") == 2
    assert "successful" in ros.ros2(
        "param", "set", "--no-daemon", "--spin-time", "3", "/visual_memory", "quality", "20"
    )
    assert (
        ros.transition("visual_memory", "configure")
        and ros.parameter("visual_memory", "quality") == 20
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


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["params_file:=nowhere.yaml"], "params_file nowhere.yaml: there is no such file"),
        (["image_topic:=/a,/b"], "image_topic names 2 topics and camera 0 cameras"),
        (["image_topic:=/a", "camera:=x,y"], "image_topic names 1 topics and camera 2 cameras"),
        (["image_transport:=theora"], '"theora" is not valid'),
        (
            ["image_topic:=/cam//image"],
            "image_topic '/cam//image' is no name of a topic: it must not hold two slashes",
        ),
        (["image_topic:=/cam-1/image"], "image_topic '/cam-1/image' is no name of a topic"),
        (["camera:=a-b,c"], "camera a-b,c: the images' topic 'a-b/image' is no name of a topic"),
        (["namespace:=robot-1"], "namespace 'robot-1' is none"),
        (["autostart:=perhaps"], "autostart is true or false, not 'perhaps'"),
        (["quality:=high"], "quality is a number, not 'high'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_arguments_start_nothing(ros, arguments, complaint):
    launched = ros.launch("memory.launch.py", *arguments)
    assert launched.wait() != 0
    assert (
        complaint in launched.log
        and "Traceback" not in launched.log
        and "process started" not in launched.log
    )


def test_a_node_that_ends_does_not_hold_launch_up(ros):
    """A value that the node refuses ends it; launch must not wait for its services."""
    file = ros.folder / "wrong.yaml"
    YAML().dump({"/**": {"ros__parameters": {"device": "abacus"}}}, file)
    launched = ros.launch("memory.launch.py", f"params_file:={file}")
    assert launched.wait(60) is not None
    assert "device" in launched.log and "Traceback" not in launched.log


def test_every_argument_is_described(ros):
    assert sorted(ARGUMENTS) == sorted(DESIGNED)
    for file, names in [("memory.launch.py", DESIGNED), ("recall.launch.py", RECALLS)]:
        shown = ros.ros2("launch", "gaussvae_ros", file, "--show-args")
        said = dict(re.findall(r"'(\w+)':\n\s+(\S.*)\n", shown))
        assert all(said[name].startswith(ARGUMENTS[name]) for name in said)
        assert said.keys() == names


def test_the_parameters_file_holds_every_default():
    stated = YAML(typ="safe").load(ROOT / "config" / "memory.yaml")
    for name, table in [("visual_memory", MEMORY), ("visual_recall", RECALL)]:
        values = stated[f"/**/{name}"]["ros__parameters"]
        assert values == {row.name: row.default for row in table}
        assert {key: type(value) for key, value in values.items()} == {
            row.name: type(row.default) for row in table
        }
    assert (ROOT / "config" / "memory.yaml").read_text() == PARAMETERS_FILE.read_text()


def test_the_nodes_have_the_parameters_of_their_tables(ros):
    ros.launch("memory.launch.py", "autostart:=false")
    for node, table in zip(BOTH, (MEMORY, RECALL)):
        ros.call(GetState, f"{node}/get_state")
        names = set(ros.call(ListParameters, f"{node}/list_parameters").result.names)
        assert {row.name for row in table} <= names
        assert {row.name: ros.parameter(node, row.name) for row in table} == {
            row.name: row.default for row in table
        }
