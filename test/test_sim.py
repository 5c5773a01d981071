"""The simulated drive: true poses, a bag that others read, one drive per seed, a closed loop."""

import numpy as np
import pytest
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
from ruamel.yaml import YAML

from gaussvae_ros.bags import Bag
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.sim import write_drive
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor, render
from gaussvae_ros.sim.drive import FOCAL, IMAGE, MOUNT, RATE, SIZE, START_NS, where

SECONDS = 2.0


@pytest.fixture(scope="module")
def bag_path(tmp_path_factory):
    return write_drive(tmp_path_factory.mktemp("drive") / "bag", SECONDS)


@pytest.fixture(scope="module")
def world():
    return build(0)


def test_the_bag_holds_frames_and_true_poses(bag_path):
    with Bag(bag_path) as bag:
        assert bag.image_topic() == IMAGE
        images = list(bag.images(IMAGE))
        poses = {name: bag.poses("camera_optical_frame", name) for name in (None, "/odom")}
    stamps = START_NS + np.arange(SECONDS * RATE) * 10**9 / RATE
    assert [s.stamp_ns for s in images] == stamps.tolist()
    assert all(s.pixels.shape == (*SIZE[::-1], 3) for s in images)
    for image, (x, y, yaw) in zip(images, where(np.arange(SECONDS * RATE) / RATE, SECONDS)):
        eye = (x + MOUNT[0] * np.cos(yaw), y + MOUNT[0] * np.sin(yaw), MOUNT[2])
        for source in (
            poses.values()
        ):  # TF, and Odometry with the mount from /tf_static, in REP 103's body axes
            pose = source.at(image.stamp_ns, image.recorded_ns)
            assert (
                np.allclose(pose[:3], eye)
                and abs(pose[5] * np.cos(yaw / 2) - pose[6] * np.sin(yaw / 2)) < 1e-6
            )


def test_the_same_seed_gives_the_same_bag_and_replaces_it(bag_path, tmp_path):
    again = write_drive(write_drive(tmp_path / "bag", 1.0, seed=5), SECONDS)
    with Bag(bag_path) as a, Bag(again) as b:
        assert all(
            np.array_equal(p.pixels, q.pixels) for p, q in zip(a.images(IMAGE), b.images(IMAGE))
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bag"]


def test_the_file_in_the_bag_has_the_bags_name(bag_path):
    assert sorted(p.name for p in bag_path.iterdir()) == ["bag.mcap", "metadata.yaml"]
    about = YAML(typ="safe", pure=True).load((bag_path / "metadata.yaml").read_text())[
        "rosbag2_bagfile_information"
    ]
    assert about["relative_file_paths"] == ["bag.mcap"] == [file["path"] for file in about["files"]]


def test_fixed_transforms_are_played_for_whoever_comes_late(bag_path):
    with Reader(bag_path) as reader:
        [fixed] = [c for c in reader.connections if c.topic == "/tf_static"]
    assert [qos.durability for qos in fixed.ext.offered_qos_profiles] == [
        QosDurability.TRANSIENT_LOCAL
    ]


def test_it_does_not_replace_what_is_no_bag(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(GaussVaeError, match="not replacing"):
        write_drive(tmp_path / "photos", 1.0)
    with pytest.raises(GaussVaeError, match="1 to 3600 s"):
        write_drive(tmp_path / "bag", 0.1)


def test_two_rounds_pass_the_same_places_at_a_robot_s_speed():
    times = np.arange(0, 30, 0.1)
    poses = where(times, 30)
    half = len(times) // 2
    assert np.linalg.norm(poses[:half, :2] - poses[half:, :2], axis=1).max() < 0.4
    assert 0.5 < np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1).max() / 0.1 < 2.2
    assert np.abs(np.diff(np.unwrap(poses[:, 2]))).max() / 0.1 < 2.5
    heading = np.arctan2(*np.diff(poses[:, :2], axis=0).T[::-1])
    assert np.abs(np.angle(np.exp(1j * (poses[:-1, 2] - heading)))).max() < 0.3


def test_the_picture_obeys_the_pinhole_model(world):
    """The far wall's door, seen from 2 and from 1 m nearer, grows as 1 / distance."""
    near, far = (np.full(3, v) for v in (0.0, 0.0))
    for distance, out in ((2.0, near), (3.0, far)):
        view = render(world, 9.0 - distance, 1.2, 0.6, 0.0, SIZE, FOCAL)
        green = (view[..., 1] > 1.25 * view[..., 0]) & (view[..., 1] > 1.2 * view[..., 2])
        columns = np.flatnonzero(green[:200].sum(0) > 20)  # above the plant
        out[:] = np.ptp(columns)
    assert near[0] / far[0] == pytest.approx(1.5, rel=0.06)


def test_a_turn_moves_the_picture_sideways(world):
    here, turned = (
        render(world, 3.0, 1.0, 0.6, yaw, SIZE, FOCAL) for yaw in (0.0, np.arctan(40 / FOCAL))
    )
    middle = np.s_[200:280, 280:340]
    shifts = [
        np.abs(turned[200:280, 280 + s : 340 + s] - here[middle]).mean() for s in range(20, 61)
    ]
    assert abs(20 + int(np.argmin(shifts)) - 40) <= 1


def test_the_sensor_adds_little_noise_and_blurs_turns(world):
    view = render(world, 3.0, 1.0, 0.6, 0.0, SIZE, FOCAL)
    still, again, turning = (Sensor(SIZE, FOCAL, 0).expose(view, px) for px in (0, 0, 9))
    assert np.array_equal(still, again)
    sharpness = [np.abs(np.diff(image.astype(float), axis=1)).mean() for image in (still, turning)]
    assert sharpness[1] < 0.8 * sharpness[0]
    assert (
        1
        < np.std(
            still[:, :, 0]
            - np.clip(view[:, :, 0] * Sensor(SIZE, FOCAL, 0)._vignette[..., 0], 0, 255)
        )
        < 6
    )
