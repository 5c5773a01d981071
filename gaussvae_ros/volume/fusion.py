"""Depth pictures with poses to a volume of truncated distances, and how far surfaces lie apart."""

import numpy as np

from gaussvae_ros.errors import VolumeError
from gaussvae_ros.kernels import kernel

TRUNCATION = 5.0  # voxels in front of and behind a surface
NEAREST, FARTHEST = 0.2, 4.5  # m, of depths that count


def fuse(
    depths: list[np.ndarray],
    poses: list[np.ndarray],
    intrinsics: np.ndarray,
    voxel_size: float,
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The distances to the surfaces that depth pictures show, over TRUNCATION voxels.

    Args:
        depths: float32 [h, w] each, m along the optical axis, 0 where unknown.
        poses: [4, 4] each, from camera (z ahead, y down) to map, m.
        intrinsics: [3, 3], px.
        voxel_size: m.

    Returns:
        float32 [z, y, x], -1 (behind) to 1 (free), NaN where nothing was seen; and the outer corner
        x, y, z of its first voxel, m.

    Raises:
        VolumeError: no picture has a depth that counts.
    """
    inverse, seen = np.linalg.inv(intrinsics), []
    for depth, pose in zip(depths, poses, strict=True):
        v, u = np.nonzero((depth[::8, ::8] > NEAREST) & (depth[::8, ::8] < FARTHEST))
        z = depth[::8, ::8][v, u]
        rays = inverse @ np.stack([8.0 * u, 8.0 * v, np.ones(len(u))])
        seen.append((pose[:3, :3] @ (rays * z)).T + pose[:3, 3])
    points = np.concatenate(seen) if seen else np.zeros((0, 3))
    if not len(points):
        raise VolumeError("no picture has a depth that counts")
    margin = TRUNCATION * voxel_size
    corner = np.floor((points.min(0) - margin) / voxel_size) * voxel_size
    shape = np.ceil((points.max(0) + margin - corner) / voxel_size).astype(int)[::-1]
    total, count = np.zeros(shape, np.float32), np.zeros(shape, np.uint16)
    for depth, pose in zip(depths, poses):
        _add(
            np.ascontiguousarray(depth, np.float32), np.linalg.inv(pose), intrinsics.astype(float),
            corner, voxel_size, total, count,
        )  # fmt: skip
    with np.errstate(invalid="ignore"):
        return total / count, tuple(map(float, corner))


@kernel(error_model="numpy")
def _add(depth, view, intrinsics, corner, size, total, count):
    """Add what one depth picture says of each voxel."""
    fx, fy, cx, cy = intrinsics[0, 0], intrinsics[1, 1], intrinsics[0, 2], intrinsics[1, 2]
    height, width = depth.shape
    for k in range(total.shape[0]):
        z = corner[2] + (k + 0.5) * size
        for j in range(total.shape[1]):
            y = corner[1] + (j + 0.5) * size
            for i in range(total.shape[2]):
                x = corner[0] + (i + 0.5) * size
                ahead = view[2, 0] * x + view[2, 1] * y + view[2, 2] * z + view[2, 3]
                if ahead < NEAREST or ahead > FARTHEST + TRUNCATION * size:
                    continue
                right = view[0, 0] * x + view[0, 1] * y + view[0, 2] * z + view[0, 3]
                down = view[1, 0] * x + view[1, 1] * y + view[1, 2] * z + view[1, 3]
                u, v = int(fx * right / ahead + cx + 0.5), int(fy * down / ahead + cy + 0.5)
                if u < 0 or v < 0 or u >= width or v >= height:
                    continue
                d = depth[v, u]
                if d > NEAREST and d < FARTHEST:
                    off = (d - ahead) / (TRUNCATION * size)
                    if off >= -1:
                        total[k, j, i] += min(off, 1.0)
                        count[k, j, i] += 1


def surface_error(wanted: np.ndarray, made: np.ndarray, voxel_size: float) -> tuple[float, float]:
    """How far the surface of `made` lies from that of `wanted`, both as `fuse` gives them: mean and
    99 % quantile in m, over all places where `made` changes its sign between two voxels.

    The distance is what `wanted` says there.
    """
    found = []
    for axis in range(3):
        a, b = (np.moveaxis(made, axis, 0)[s] for s in (slice(None, -1), slice(1, None)))
        crosses = (a * b < 0) & (np.abs(a - b) < 1)  # no jump from free to behind
        at = a[crosses] / (a[crosses] - b[crosses])
        p, q = (np.moveaxis(wanted, axis, 0)[s][crosses] for s in (slice(None, -1), slice(1, None)))
        found.append(np.abs(p + at * (q - p)))
    errors = np.concatenate(found) * TRUNCATION * voxel_size
    return float(errors.mean()), float(np.quantile(errors, 0.99))
