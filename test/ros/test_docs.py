"""docs/ros.md says what there is: arguments, topics, services, parameters; its examples run."""

import ast
import importlib.util
import re
import shutil
from pathlib import Path

import pytest
import yaml
from ament_index_python import get_package_share_directory
from conftest import START
from gaussvae_ros.srv import LabelFrame
from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.utilities import perform_substitutions
from rosidl_runtime_py import set_message_fields
from rosidl_runtime_py.utilities import get_service

from gaussvae_ros.nodes import diagnostics
from gaussvae_ros.nodes.counters import COUNTS
from gaussvae_ros.nodes.parameters import MEMORY, RECALL, Parameter

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "ros.md").read_text()
README = (ROOT / "README.md").read_text()
LAUNCH = sorted(Path(get_package_share_directory("gaussvae_ros"), "launch").glob("*.launch.py"))
NODES = ("visual_memory", "visual_recall")
# Topics that every lifecycle node has.
EVERY_NODE = re.compile(r"/(parameter_events|rosout|.*/transition_event)$")
CALLS = re.findall(
    r"^(?:\$ )?ros2 service call (/visual_\S+) (\S+)(?: \"(.*)\")?$", DOCS + README, re.MULTILINE
)


def section(title: str) -> str:
    begin = re.search(rf"^## {re.escape(title)}$", DOCS, re.MULTILINE)
    return re.split(r"^## ", DOCS[begin.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each table's rows."""
    found = re.findall(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in rows.splitlines()]
        for rows in found
    ]


def cells(row: Parameter) -> list[str]:
    """A parameter as its row in the docs."""
    default = f"[{', '.join(row.default)}]" if isinstance(row.default, list) else f"{row.default}"
    reach = ", ".join(row.choices) if row.range is None else f"{row.range[0]:g} to {row.range[1]:g}"
    return [
        f"`{row.name}`",
        f"`{default}`" if default else "",
        reach,
        "yes" if row.live else "",
        row.description,
    ]


@pytest.mark.parametrize("place, parameters", [(0, MEMORY), (1, RECALL)], ids=NODES)
def test_parameters(place, parameters):
    assert tables(section("Parameters"))[place] == [cells(row) for row in parameters]


def test_parameters_file_has_them_all():
    shipped = yaml.safe_load((ROOT / "config" / "memory.yaml").read_text())
    for node, parameters in zip(NODES, (MEMORY, RECALL), strict=True):
        assert shipped[f"/**/{node}"]["ros__parameters"] == {
            row.name: row.default for row in parameters
        }


def test_launch_arguments():
    documented, there = set(), set()
    [rows] = tables(section("Launch arguments"))
    for argument, files, *_ in rows:
        documented |= {(file.strip(), argument.strip("`")) for file in files.split(",")}
    for file in LAUNCH:
        spec = importlib.util.spec_from_file_location("described", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        declared = [
            e
            for e in module.generate_launch_description().entities
            if isinstance(e, DeclareLaunchArgument)
        ]
        there |= {(file.name.removesuffix(".launch.py"), argument.name) for argument in declared}
        assert file.name in DOCS
        for argument in declared:
            [default] = [
                row[2].strip("`")
                for row in rows
                if row[0] == f"`{argument.name}`" and file.name.split(".")[0] in row[1]
            ]
            value = perform_substitutions(LaunchContext(), argument.default_value or [])
            assert default == ("config/memory.yaml" if argument.name == "params_file" else value)
    assert documented == there


def test_values_of_the_diagnostics():
    documented = {name for row in tables(section("Diagnostics"))[0] for name in row[0].split(", ")}
    folder = Path(diagnostics.__file__).parent
    source = "".join((folder / name).read_text() for name in ("diagnostics.py", "recall_node.py"))
    given = {what.replace("_", " ") for what in COUNTS} | set(
        re.findall(r'^ {8,12}"([^"]+)": ', source, re.MULTILINE)
    )
    assert documented == given


def test_messages_to_operators():
    text = " ".join(section("Diagnostics").split())
    judges = [
        f
        for f in ast.walk(ast.parse(Path(diagnostics.__file__).read_text()))
        if isinstance(f, ast.FunctionDef)
    ]
    judges = [f for f in judges if f.name in ("_judge_camera", "_judge_memory", "_why_silent")]
    assert len(judges) == 3
    said = {
        node.value.strip(" :,")
        for judge in judges
        for node in ast.walk(judge)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value.strip(" :,")) > 7
    }
    said -= {
        "received",
        "out_of_order",
        "poses_missing",
        "sensor_msgs/msg/CompressedImage",
        "compressed",
    }
    assert len(said) > 12
    for fragment in said:
        assert fragment in text, f"docs/ros.md does not say {fragment!r}"


@pytest.fixture(scope="module")
def graph(shared_ros, finished_bank):
    """Both nodes, with the memory of the tests."""
    bank = shutil.copy(finished_bank, shared_ros.folder / "memory.db")
    shared_ros.launch("memory.launch.py", f"bank:={bank}")
    shared_ros.until_active(*NODES)
    return shared_ros


def test_topics(graph):
    there = {}
    for node in NODES:
        for get in (
            graph.node.get_publisher_names_and_types_by_node,
            graph.node.get_subscriber_names_and_types_by_node,
        ):
            there |= {
                topic: kinds[0] for topic, kinds in get(node, "/") if not EVERY_NODE.match(topic)
            }
    documented = {}
    for topics, kinds, *_ in tables(section("Topics"))[0]:
        for topic in re.findall(r"`([^`]+)`", topics):
            documented[topic if topic.startswith("/") else f"/{topic}"] = re.findall(
                r"\w+/msg/\w+", kinds
            )[:1]
    assert documented.pop("/<camera>/image") == []  # of several cameras
    assert {topic: [kind] for topic, kind in there.items() if topic != "/clock"} == documented


def test_services(graph):
    there = {}
    for node in NODES:
        for service, kinds in graph.node.get_service_names_and_types_by_node(node, "/"):
            if not re.match(
                r"(rcl_interfaces|lifecycle_msgs|type_description_interfaces)/", kinds[0]
            ):
                there[service] = kinds[0]
    documented = {}
    for service, kind, _ in tables(section("Services"))[0]:
        documented[service.strip("`")] = re.search(r"\w+/srv/\w+", kind)[0]
    assert documented == there


def test_interfaces_are_linked():
    linked = set(re.findall(r"\]\(\.\./((?:msg|srv)/\w+\.\w+)\)", DOCS))
    assert linked == {
        f"{p.parent.name}/{p.name}" for folder in ("msg", "srv") for p in (ROOT / folder).iterdir()
    }


@pytest.mark.parametrize("name, kind, request_text", CALLS, ids=[f"{i}" for i in range(len(CALLS))])
def test_calls(graph, name, kind, request_text):
    made = get_service(kind)
    request = made.Request()
    set_message_fields(
        request, yaml.safe_load(request_text.replace("/data/", f"{graph.folder}/") or "{}")
    )
    fields = {field: getattr(request, field) for field in request.get_fields_and_field_types()}
    reply = graph.call(made, name, **fields)
    assert reply.success, reply.message
    if hasattr(reply, "frames") and isinstance(reply.frames, list):
        assert reply.frames or "loops" in request_text  # the robot has not come back yet
    if hasattr(reply, "frame") and "stamp" in request_text:
        assert reply.frame.id == 7 and reply.frame.header.stamp.sec == START // 10**9


def test_the_python_example_runs(graph):
    graph.call(LabelFrame, "/visual_memory/label_frame", label="dock")
    names = {}
    [code] = re.findall(r"```python\n(.*?)```", section("From Python"), re.DOTALL)
    exec(code, names)
    assert names["dock"].label == "dock" and names["image"].shape == (120, 160, 3)
    assert names["alike"][0][0].id == names["dock"].id and names["ahead"]


def test_the_python_of_the_readme_runs(graph):
    [code] = [
        part
        for part in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
        if "gaussvae_ros.client" in part
    ]
    names = {}
    exec(code, names)
    assert (
        names["image"].shape == (120, 160, 3)
        and [r.image.shape for r in names["ahead"]] == [(96, 96, 3)] * 6
    )


def test_the_launch_commands_of_the_readme_are_possible():
    [rows] = tables(section("Launch arguments"))
    commands = re.findall(r"ros2 launch gaussvae_ros (\w+)\.launch\.py([^`\n]*)", README)
    assert {name for name, _ in commands} == {
        file.name.removesuffix(".launch.py") for file in LAUNCH
    }
    for name, arguments in commands:
        known = {row[0].strip("`") for row in rows if name in row[1].split(", ")}
        assert {argument.split(":=")[0] for argument in arguments.split()} <= known
