"""One parameter of a node, as its table has it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """One row. Its type is that of `default`; one of float takes whole numbers, too."""

    name: str
    default: bool | int | float | str | list[str]
    description: str  # with the unit
    range: tuple[float, float] | None = None  # both ends belong to it
    choices: tuple[str, ...] = ()
    live: bool = False  # may change at any time; the others only while the node is unconfigured
