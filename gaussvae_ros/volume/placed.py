"""A volume with its place, as files state it."""

import logging
from dataclasses import dataclass

import numpy as np

TURNED, UNEVEN = 0.01, 0.001  # shares of a voxel's edge: beyond these, axes are turned, or no cubes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VolumeFile:
    """A volume as read: `array` [z, y, x], the edge of a voxel in m, and the origin: the outer
    corner of the first voxel, x, y, z in m."""

    array: np.ndarray
    voxel_size: float = 1.0
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)


def placed(array: np.ndarray, steps: np.ndarray, centre: np.ndarray | None) -> VolumeFile:
    """A volume by its voxels: `steps` [3, 3] in m from one to the next along the array's x, y and
    z, and the `centre` of the first one, m; None where that is not known.

    Axes that run backwards are turned around. What a record does not keep, other turns and voxels
    that are no cubes, is logged.
    """
    steps = np.asarray(steps, float)
    edges = np.linalg.norm(steps, axis=1)
    edge = float(edges[0])
    if (np.abs(edges - edge) > UNEVEN * edge).any():
        sides = " x ".join(f"{side:g}" for side in edges)
        log.warning("voxels of %s m are no cubes: the first edge is kept", sides)
    if np.abs(steps - np.diag(np.diag(steps))).max() > TURNED * edges.max():
        log.warning("the axes of the volume are turned: the place of its first voxel alone is kept")
        steps = np.diag(edges)
    back = np.flatnonzero(np.diag(steps) < 0)
    array = np.flip(array, tuple(2 - back))
    if centre is None:
        return VolumeFile(array, edge)
    first = np.asarray(centre, float).copy()
    first[back] += np.diag(steps)[back] * (np.array(array.shape[::-1])[back] - 1)
    return VolumeFile(array, edge, tuple(map(float, first - edge / 2)))
