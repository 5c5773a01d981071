"""The launch files' arguments and params_file: which counts, how to write them, what is wrong."""

import re
from pathlib import Path

import pytest
from ament_index_python import get_package_share_directory
from graph import ROOT, until
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import ListParameters
from ruamel.yaml import YAML

from gaussvae_ros.nodes.bringup import ARGUMENTS
from gaussvae_ros.nodes.parameters import MEMORY, RECALL

BOTH = ("visual_memory", "visual_recall")
RECALLS = {"bank", "device", "params_file", "namespace", "relative_tf", "enclaves", "autostart"}
RECALLS |= {"use_sim_time"}
DESIGNED = {
    *RECALLS,
    "image_topic",
    "image_transport",
    "camera",
    "map_frame",
    "map_id",
    "corrected_path_topic",
    "session",
    "quality",
    "predict",
}
PARAMETERS_FILE = Path(get_package_share_directory("gaussvae_ros"), "config", "memory.yaml")


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
        "predict:=False",
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
    given["predict"] = False
    assert {name: ros.parameter(memory, name) for name in given} == given
    for node in (memory, recall):
        assert ros.state(node) == "unconfigured"
        assert ros.transition(node, "configure") and ros.transition(node, "activate"), ros.logs()
        until(
            lambda node=node: ros.hears(node, "/robot1/tf") and ros.hears(node, "/robot1/tf_static")
        )
        assert not ros.hears(node, "/tf")


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
