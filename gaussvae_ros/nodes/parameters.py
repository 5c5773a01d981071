"""The parameters of both nodes: a table each, which declares them and fills docs/ros.md's."""

import math
from types import SimpleNamespace

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as Value

from gaussvae_ros.codec import DEFAULT_MODEL, DEVICES
from gaussvae_ros.errors import ConfigError
from gaussvae_ros.files import FILE_MODES
from gaussvae_ros.fit import EFFORTS
from gaussvae_ros.gates import Limits
from gaussvae_ros.nodes.budget_parameters import BUDGET
from gaussvae_ros.nodes.parameter import Parameter
from gaussvae_ros.record import TIERS

BANK = "~/.ros/gaussvae/memory.db"
TRANSPORTS = ("raw", "compressed")
DURABILITIES = ("group", "full")
RELIABILITIES = ("auto", "reliable", "best_effort")


COMMON = (
    Parameter("bank", BANK, "path of the memory file; ~ is the home of who runs the node"),
    Parameter(
        "device",
        "auto",
        "what fits batches of frames; single frames are for the CPU",
        choices=DEVICES,
    ),
    Parameter("model", DEFAULT_MODEL, "name or path of the model that frames are encoded with"),
    Parameter("threads", 1, "that encode and draw; more pay only where cores are idle", (1, 64)),
    Parameter("autostart", False, "whether the node configures and activates itself as it starts"),
    Parameter("encoder", "", "YAML file of an encoder of images and texts in ONNX; empty: none"),
)
MEMORY = (
    *COMMON,
    Parameter(
        "file_mode",
        FILE_MODES[0],
        "who may open a memory file that is made, and backups: the owner, or a group, too",
        choices=FILE_MODES,
    ),
    Parameter(
        "cameras",
        ["camera"],
        "names of the cameras; one listens to image, several to <name>/image each",
    ),
    Parameter("image_transport", "raw", "what the cameras publish", choices=TRANSPORTS),
    Parameter(
        "image_reliability",
        "auto",
        "what is asked of DDS for images; auto: reliable where every publisher offers it",
        choices=RELIABILITIES,
    ),
    Parameter(
        "image_depth", 5, "images of a camera that DDS keeps until they are looked at", (1, 100)
    ),
    Parameter(
        "map_frame", "map", "coordinate frame of the poses, looked up in TF; empty: no poses"
    ),
    Parameter(
        "corrected_path_topic",
        "",
        "where SLAM publishes its whole trajectory, which moves stored poses; empty: they stay",
    ),
    Parameter(
        "correct_leaps",
        False,
        "without that topic: whether leaps of odom_frame in map_frame move stored poses",
    ),
    Parameter(
        "odom_frame", "odom", "coordinate frame that drifts and never leaps, for corrections"
    ),
    Parameter("base_frame", "base_link", "coordinate frame that moves with the robot, likewise"),
    Parameter(
        "map_id",
        "",
        "name of the map that poses are in; empty: as map_topic says; another one begins a session",
        live=True,
    ),
    Parameter(
        "map_topic",
        "",
        "map whose size, resolution and origin name it; OccupancyGrid, or MapMetaData by its name",
    ),
    Parameter(
        "volume_topic",
        "",
        "PointCloud2 of the centres of occupied voxels, as a mapper publishes them; empty: none",
    ),
    Parameter("volume_voxel_size", 0.05, "m, edge of a voxel of volume_topic", (0.001, 100.0)),
    Parameter("volume_period", 30.0, "s between two volumes of it, at least", (0.0, 86400.0)),
    Parameter("session", "", "name of the recording; empty: the local time at which it began"),
    Parameter(
        "tier",
        "latent",
        "no longer used: splats counts as the quality with as many of them, and is warned of",
        choices=TIERS,
        live=True,
    ),
    Parameter(
        "quality",
        50.0,
        "of the pictures: 0.1 to 36 KB each, 0.5 at 50; 25 more doubles that up to 75, 5 above",
        (0.0, 100.0),
        live=True,
    ),
    Parameter(
        "effort",
        "fast",
        "best is for the highest quality and takes seconds a frame",
        choices=(*EFFORTS,),
        live=True,
    ),
    Parameter(
        "predict",
        True,
        "whether records may be predicted from earlier ones, which takes fewer bytes",
        live=True,
    ),
    Parameter(
        "read_text",
        False,
        "whether signs and numbers are read in stored frames, one a second; takes the extra text",
    ),
    Parameter(
        "queue_size",
        2,
        "frames of a camera that may wait for the encoder; the oldest is dropped",
        (1, 100),
        live=True,
    ),
    Parameter(
        "durability",
        "group",
        "group: frames are committed and announced together; full: each at once, on its own",
        choices=DURABILITIES,
        live=True,
    ),
    Parameter(
        "commit_period",
        0.8,
        "of groups: s from one commit to the next at least",
        (0.0, 0.8),
        live=True,
    ),
    Parameter(
        "pose_timeout",
        2.0,
        "s that a frame waits for its pose in TF, before it stays without",
        (0.0, 60.0),
        live=True,
    ),
    Parameter(
        "min_interval",
        Limits.min_interval,
        "s between two stored frames of a camera, at least",
        (0.0, 3600.0),
        live=True,
    ),
    Parameter(
        "max_interval",
        Limits.max_interval,
        "s after which a frame is stored although nothing is new",
        (0.0, 86400.0),
        live=True,
    ),
    Parameter(
        "min_distance",
        Limits.min_distance,
        "m that the camera moved: the frame is stored",
        (0.0, 1000.0),
        live=True,
    ),
    Parameter(
        "min_angle",
        Limits.min_angle,
        "rad that the camera turned: the frame is stored",
        (0.0, 3.2),
        live=True,
    ),
    Parameter(
        "novelty",
        Limits.novelty,
        "how unlike the frame stored last a frame must be",
        (0.0, 1.0),
        live=True,
    ),
    Parameter(
        "image_timeout",
        5.0,
        "s without an image, after which diagnostics warn",
        (0.1, 3600.0),
        live=True,
    ),
    *BUDGET,
)
RECALL = (
    *COMMON,
    Parameter(
        "tolerance",
        0.5,
        "s between a stamp that is asked for and the frame returned, at most",
        (0.0, 3600.0),
        live=True,
    ),
    Parameter(
        "publish_recalled",
        False,
        "whether recalled frames are also published as Image, with CameraInfo",
    ),
)


def declare(node: Node, table: tuple[Parameter, ...], is_configured) -> None:
    """Declare a node's parameters, and refuse wrong values of them from now on.

    `is_configured()` says whether those that are not live must stay as they are.

    Raises:
        ConfigError: a value that the node was started with is of the wrong type or out of range.
    """
    rows = {row.name: row for row in table}

    def check(values: list[Value]) -> SetParametersResult:
        for value in values:
            row = rows.get(value.name)
            if row and (problem := _problem(row, value.value, is_configured())):
                return SetParametersResult(successful=False, reason=problem)
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)
    for row in table:
        try:
            declared = node.declare_parameter(row.name, row.default, _descriptor(row))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise ConfigError(f"parameter {row.name}: {error}") from error
        if declared.type_ == Value.Type.NOT_SET:
            raise ConfigError(f"parameter {row.name}: it has no value, as an empty list has none")


def values(node: Node, table: tuple[Parameter, ...]) -> SimpleNamespace:
    """What a node's parameters are now, by name."""
    found = {row.name: node.get_parameter(row.name).value for row in table}
    floats = {row.name: float(found[row.name]) for row in table if isinstance(row.default, float)}
    return SimpleNamespace(**{**found, **floats})


def _problem(row: Parameter, value: object, configured: bool) -> str:
    """Why a parameter cannot take a value, empty if it can. rclpy checks the types and ranges of
    all but floats.
    """
    if configured and not row.live:
        return (
            f"{row.name} can only be changed while the node is unconfigured: deactivate and clean"
            " it up first"
        )
    if row.choices and value not in row.choices:
        return f"{row.name} is one of {', '.join(row.choices)}, not {value!r}"
    if isinstance(row.default, float):
        low, high = row.range or (-math.inf, math.inf)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            return f"{row.name} is a number from {low:g} to {high:g}, not {value!r}"
    return ""


def _descriptor(row: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=row.description)
    if row.choices:
        descriptor.additional_constraints = f"one of {', '.join(row.choices)}"
    if row.range is not None:
        low, high = row.range
        if isinstance(row.default, int):
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    # rclpy would refuse 75 for 75.0, as people write it.
    descriptor.dynamic_typing = isinstance(row.default, float)
    return descriptor
