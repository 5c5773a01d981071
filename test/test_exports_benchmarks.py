"""Trajectories of the benchmarks themselves, through a bag and a memory, come out as they were."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from exporting import write
from scipy.spatial.transform import Rotation
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.replay import replay

DATA = Path(__file__).parents[2] / "shared" / "data"
STEP, FRAMES = 100_000_000, 20  # ns
PICTURE = np.zeros((48, 64, 3), np.uint8)


def table(path: Path) -> np.ndarray:
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return np.loadtxt(path)


def remembered(folder: Path, poses: np.ndarray, frame_id: str) -> Path:
    """A memory of a drive whose camera has these poses [N, 7] in TF."""
    maker = BagMaker("mcap")
    for i, pose in enumerate(poses.tolist()):
        maker.image("/cam", START + i * STEP, PICTURE, frame_id)
        maker.tf("world", frame_id, START + i * STEP, tuple(pose))
    with MemoryBank(folder / "memory.db") as bank:
        replay(maker.write(folder), JpegCodec(), bank, compare=0)
    return folder / "memory.db"


def test_tum(tmp_path):
    """The ground truth is that of the camera's optical frame, as TF of the recording has it."""
    truth = table(DATA / "seq_tum_fr1_rpy" / "groundtruth.txt")[: FRAMES * 5 : 5, 1:]
    path = remembered(tmp_path, truth, "openni_rgb_optical_frame")
    write(path, tmp_path / "out", "tum")
    found = np.loadtxt(tmp_path / "out" / "groundtruth.txt")[:, 1:]
    assert found[:, :3] == pytest.approx(truth[:, :3], abs=1e-6)
    between = Rotation.from_quat(found[:, 3:]).inv() * Rotation.from_quat(truth[:, 3:])
    assert between.magnitude().max() < 1e-4  # rad; the truth has four decimals


def test_kitti(tmp_path):
    """The benchmark's poses are those of the camera in optical axes, beginning where it begins."""
    truth = table(DATA / "seq_kitti_gray_1" / "poses.txt")[:FRAMES].reshape(-1, 3, 4)
    turns = Rotation.from_matrix(truth[:, :, :3]).as_quat()
    path = remembered(tmp_path, np.column_stack([truth[:, :, 3], turns]), "camera_optical")
    write(path, tmp_path / "out", "kitti")
    found = np.loadtxt(tmp_path / "out" / "poses.txt").reshape(-1, 3, 4)
    first = np.vstack([truth[0], [0, 0, 0, 1]])
    wanted = np.linalg.inv(first) @ np.concatenate(
        [truth, np.tile([[[0, 0, 0, 1]]], (len(truth), 1, 1))], axis=1
    )
    assert found == pytest.approx(wanted[:, :3], abs=1e-5)
    assert found[-1, 2, 3] > 5  # m, ahead
