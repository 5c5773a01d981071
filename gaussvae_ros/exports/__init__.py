"""Frames of a memory file as files of other programs: pictures in folders, trajectories, bags,
datasets.

Frames are decoded and written one by one, so that memory stays small however large the file, and
the folder appears under its name once it is whole. A format is a module with a `Format`, imported
when it is used.
"""

from importlib import import_module

FORMATS = {
    "folder": "Folder",
    "tum": "Tum",
    "kitti": "Kitti",
    "mcap": "Mcap",
    "lerobot": "LeRobot",
    "topomap": "Topomap",
}  # the module, and its class
PICTURES = {"png": "png", "jpeg": "jpg"}  # kinds of pictures, and how their files' names end


def format_of(name: str) -> type:
    """The `Format` of one of FORMATS."""
    return getattr(import_module(f"{__name__}.{name}"), FORMATS[name])
