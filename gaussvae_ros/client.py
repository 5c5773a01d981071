"""`MemoryClient`, for code that asks the recall node for frames.

Needs ROS 2 and this package built in a workspace.
"""

try:
    from gaussvae_ros.nodes.client import MemoryClient, Recalled
    from gaussvae_ros.nodes.requests import voxels
except ImportError as error:
    raise ImportError(
        "gaussvae_ros.client needs ROS 2 and a workspace with this package:"
        f" source its install/setup.bash ({error})"
    ) from error
from gaussvae_ros.errors import RecallError

__all__ = ["MemoryClient", "RecallError", "Recalled", "voxels"]
