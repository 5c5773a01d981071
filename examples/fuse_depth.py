"""Depth camera to truncated distances to a small record to a mesh, and how far the surface moved.

    python examples/fuse_depth.py FOLDER [VOXEL_SIZE [EVERY [MESH]]]

MESH, such as room.ply, gets the surface of quality 40, by marching cubes (needs scikit-image).
FOLDER has depth/*.png (16 bit, mm; 0 and 65535 are unknown), pose/*.txt (4x4, camera to map, m) and
camera-intrinsics.txt (3x3, px), in the same order, as the 7-Scenes data set of tsdf-fusion-python.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.fusion import fuse, surface_error


def main(folder: str, voxel_size: str = "0.02", every: str = "1", mesh: str = "") -> None:
    root, size = Path(folder), float(voxel_size)
    depths = []
    for path in sorted(root.glob("depth/*.png"))[:: int(every)]:
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        depths.append(np.where(depth == 65535, 0, depth).astype(np.float32) / 1000)
    poses = [np.loadtxt(path) for path in sorted(root.glob("pose/*.txt"))[:: int(every)]]
    volume, corner = fuse(depths, poses, np.loadtxt(root / "camera-intrinsics.txt"), size)
    band = int(np.count_nonzero(np.abs(volume) < 1))
    print(f"{'x'.join(map(str, volume.shape))} voxels, {band:,} of them near a surface")
    codec = VolumeCodec()
    for quality in range(0, 70, 10):
        data = codec.encode(volume, quality, voxel_size=size, origin=corner)
        made = codec.decode(data)
        mean, most = surface_error(volume, made, size)
        print(
            f"quality {quality}: {len(data):,} bytes, {8 * len(data) / band:.3f} bits a voxel near"
            f" a surface; surface off by {1e3 * mean:.1f} mm in the mean, {1e3 * most:.1f} at 99 %",
            flush=True,
        )
        if mesh and quality == 40:
            write_mesh(mesh, made, size, corner)


def write_mesh(path: str, volume: np.ndarray, size: float, corner: tuple[float, ...]) -> None:
    """Write where distances are zero as triangles, x y z in m, in PLY."""
    from skimage.measure import marching_cubes

    known = ~np.isnan(volume)
    whole = known.copy()  # cubes all of whose corners are known
    for axis in range(3):
        whole &= np.roll(whole, -1, axis)
    points, faces, *_ = marching_cubes(np.where(known, volume, 1), 0, mask=whole)
    points = (points[:, ::-1] + 0.5) * size + corner
    rows = np.zeros(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    head = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    Path(path).write_bytes(head.encode() + points.astype("<f4").tobytes() + rows.tobytes())
    print(f"{path}: {len(points):,} points, {len(faces):,} triangles")


if __name__ == "__main__":
    main(*sys.argv[1:])
