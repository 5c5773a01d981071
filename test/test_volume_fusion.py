"""Depth pictures to a volume of distances, through a record, and how far the surface moved."""

import numpy as np
import pytest

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.fusion import fuse, surface_error

INTRINSICS = np.array([[80.0, 0, 40], [0, 80, 30], [0, 0, 1]])


def wall(distance):
    """A wall ahead, 60 px high and 80 wide, with a step of 0.2 m in it; the camera's pose."""
    depth = np.full((60, 80), distance, np.float32)
    depth[:, 40:] -= 0.2
    depth[:3] = 0
    return depth, np.eye(4)


def test_the_surface_is_where_the_depth_says_and_stays_there_in_a_record():
    depth, pose = wall(1.5)
    volume, corner = fuse([depth, depth], [pose, pose], INTRINSICS, 0.02)
    y = int((0.0 - corner[1]) / 0.02)
    for x, wanted in ((-0.5, 1.5), (0.4, 1.3)):
        ray = volume[:, y, int((x - corner[0]) / 0.02)]
        k = int(np.flatnonzero((ray[:-1] > 0) & (ray[1:] <= 0))[0])
        found = corner[2] + 0.02 * (k + 0.5 + ray[k] / (ray[k] - ray[k + 1]))
        assert found == pytest.approx(wanted, abs=1e-3)
    assert np.isnan(volume).any() and np.nanmax(volume) == 1
    made = VolumeCodec().decode(VolumeCodec().encode(volume, 60, voxel_size=0.02, origin=corner))
    mean, most = surface_error(volume, made, 0.02)
    assert 0 <= mean < 0.004 and mean <= most
    assert surface_error(volume, volume, 0.02)[0] == pytest.approx(0, abs=1e-6)


def test_pictures_without_depth_are_refused():
    with pytest.raises(VolumeError):
        fuse([np.zeros((60, 80), np.float32)], [np.eye(4)], INTRINSICS, 0.02)
    with pytest.raises(VolumeError):
        fuse([], [], INTRINSICS, 0.02)
