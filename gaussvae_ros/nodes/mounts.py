"""Disks that may be taken away."""

import os
from pathlib import Path


def mount_of(path: Path) -> Path | None:
    """Where the disk of a file is mounted, None for the system's own.

    A stick that is pulled out leaves an empty folder.
    """
    mount = next((folder for folder in path.parents if os.path.ismount(folder)), None)
    return mount if mount != Path(path.anchor) else None
