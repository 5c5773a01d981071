"""The command line of both nodes: `--help`, and one sentence for what ROS cannot make out."""

import re
import sys
from pathlib import Path

import rclpy
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from gaussvae_ros.errors import ConfigError
from gaussvae_ros.nodes.parameters import Parameter

HELP = """\
usage: ros2 run gaussvae_ros {name} [-h] [--ros-args [-p PARAMETER:=VALUE ...] [--params-file FILE]
[-r FROM:=TO ...]]

{about}

A lifecycle node: configure and activate it, or start it with `-p autostart:=true` or by `ros2
launch gaussvae_ros`.
docs/ros.md describes its topics and services. Parameters, with their defaults:
"""


def wants_help(about: str, table: tuple[Parameter, ...]) -> bool:
    """Print what a node is and its parameters, if that is asked for."""
    own = sys.argv[1 : sys.argv.index("--ros-args")] if "--ros-args" in sys.argv else sys.argv[1:]
    if not {"-h", "--help"} & set(own):
        return False
    print(HELP.format(name=Path(sys.argv[0]).name, about=about.strip()))
    for row in table:
        print(f"  {row.name}:={row.default}\n        {row.description}{_reach(row)}")
    return True


def begin(args: list[str] | None) -> None:
    """`rclpy.init`, which leaves signals alone.

    Raises:
        ConfigError: ROS cannot parse the arguments; the sentence names the wrong one.
    """
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except (rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError) as error:
        said = " ".join(str(error).split()).removeprefix("failed to initialize rcl: ")
        what, _, why = re.sub(r", at \S+:\d+", "", said).partition(" Error: ")
        why = "" if why.startswith(("error not set", "Expected lexeme")) else f" {why}"
        raise ConfigError(f"ROS cannot take the arguments: {what}{why}") from error


def _reach(row: Parameter) -> str:
    if row.choices:
        return f" ({', '.join(row.choices)})"
    return "" if row.range is None else f" ({row.range[0]:g} to {row.range[1]:g})"
