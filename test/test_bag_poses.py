"""Poses of a bag's images: mounts, trees that change, and what a replay says of them."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from bagposes import COUNT, MOUNT, NOWHERE, PICTURE, STEP, found, images, line, place, stamp
from hypothesis import given, settings
from hypothesis import strategies as st
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.poses import IDENTITY, Track, compose
from gaussvae_ros.poses.frame_tree import FrameTree
from gaussvae_ros.replay import replay

# A mount that is repeated


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("period", [1, 4])
def test_a_mount_on_tf_is_no_motion(kind: str, period: int, tmp_path: Path) -> None:
    maker = images(BagMaker(kind))
    for i in range(COUNT):
        maker.odometry("/odom", stamp(i), place(0.5 * i))
        if i % period == 0:
            maker.tf("base_link", "cam", stamp(i), MOUNT)
    poses, source = found(maker, tmp_path)
    assert poses == line(0.2) and source.reference == "odom" and source.problems == []


def test_a_mount_that_is_said_rarely_and_late_still_holds(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", stamp(9), MOUNT)
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
    assert found(maker, tmp_path)[0] == line(0.2)


def test_a_mount_alone_is_no_pose(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        maker.tf("base_link", "cam", stamp(i), MOUNT)
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE and source.name == ""
    assert "TF leads from cam to base_link only" in source.problems[0]


@pytest.mark.parametrize("odometry", [False, True])
def test_a_robot_that_stands_still_has_its_poses(odometry: bool, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("map", "base_link", stamp(i), place(3))
        if odometry:
            maker.odometry("/odom", stamp(i), place(3))
    poses, source = found(maker, tmp_path)
    assert poses == [(3.2, 0)] * COUNT and source.reference == "map"


def test_odometry_that_moves_is_preferred_to_tf_that_does_not(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0)).odometry("/odom", stamp(i), place(i))
    assert found(maker, tmp_path)[0] == line(0.2, 1)


def test_a_camera_fixed_in_the_world_has_its_pose(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("map", "cam", START, place(7), topic="/tf_static")
    assert found(maker, tmp_path)[0] == [(7, 0)] * COUNT


@pytest.mark.parametrize("tf_stands", [False, True])
def test_a_head_that_turns_on_a_robot_that_drives(tf_stands: bool, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        if tf_stands:
            maker.tf("odom", "base_link", stamp(i), place(0))
        a = 0.1 * i
        maker.odometry("/odom", stamp(i), place(i))
        maker.tf("base_link", "head", stamp(i), (1.0, 0.0, 0.0, 0.0, 0.0, np.sin(a), np.cos(a)))
    maker.tf("head", "cam", START, place(1), topic="/tf_static")
    poses, source = found(maker, tmp_path)
    assert source.name == "/odom"
    assert np.allclose(poses, [(i + 1 + np.cos(0.2 * i), np.sin(0.2 * i)) for i in range(COUNT)])


# Trees that change


def test_a_mount_that_changes_counts_from_then_on(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, place(1), topic="/tf_static")
    for i in (3, 6):  # as latched messages come again in each split
        maker.tf("base_link", "cam", START, place(1), topic="/tf_static", recorded_ns=stamp(i))
    maker.tf("base_link", "cam", START, place(2), topic="/tf_static", recorded_ns=stamp(8))
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == line(1)[:8] + line(2)[8:]
    assert source.problems == ["cam is fixed in base_link in 2 ways in turn"]


def test_a_frame_that_changes_its_parent(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
        arm = "left" if i < 6 else "right"
        maker.tf(arm, "cam", stamp(i), place(1))
    maker.tf("base_link", "left", START, place(0, 1), topic="/tf_static")
    maker.tf("base_link", "right", START, place(0, -1), topic="/tf_static")
    poses, source = found(maker, tmp_path)
    assert poses == [(0.5 * i + 1, 1 if i < 6 else -1) for i in range(COUNT)]
    assert any("several parents" in p for p in source.problems)


def test_of_two_parents_the_one_that_leads_to_the_world_counts(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
        if i in (3, 4, 5):
            maker.tf("tag36h11:1", "cam", stamp(i), place(3 - 0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == line(0.2) and source.reference == "odom"
    assert source.problems == [
        "cam has several parents, base_link, tag36h11:1: the one known at a stamp counts"
    ]


def test_slashes_before_names_do_not_matter(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="/cam")
    maker.tf("/base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "/base_link", stamp(i), place(0.5 * i))
    assert found(maker, tmp_path)[0] == line(0.2)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-3, 3), min_size=7, max_size=7), min_size=1, max_size=5))
def test_chains_agree_with_scipy(numbers: list) -> None:
    Rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    numbers = [np.array(n) for n in numbers if np.linalg.norm(n[3:]) > 0.2]
    tree, expected = FrameTree("0"), np.eye(4)
    for i, n in enumerate(numbers):
        tree.add_static(str(i + 1), str(i), n)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = Rotation.from_quat(n[3:]).as_matrix(), n[:3]
        expected = matrix @ expected
    pose = tree.at(tree.chain()[-1], 0, 0)
    assert tree.chain() == [str(i) for i in range(len(numbers) + 1)]
    assert np.allclose(pose[:3], expected[:3, 3], atol=1e-9)
    assert np.allclose(Rotation.from_quat(pose[3:]).as_matrix(), expected[:3, :3], atol=1e-9)


# In a replay


def test_a_replay_says_what_was_left_out(tmp_path: Path) -> None:
    maker = BagMaker("mcap")
    big = np.kron(PICTURE, np.ones((8, 8, 1), np.uint8))
    for i in range(4):
        maker.image("/cam", stamp(i), big, "cam").pose("/goal_pose", stamp(i), place(i))
    with MemoryBank(tmp_path / "memory.db") as bank:
        result = replay(maker.write(tmp_path), JpegCodec(), bank, compare=0)
    assert result["poses"] is None and result["with_pose"] == 0 and result["frames"] == 4
    assert result["problems"] == [
        "no image has a pose: /goal_pose holds goals or detections, by its name;"
        " --pose-topic takes what it names"
    ]


def test_a_bag_of_images_alone_has_no_problem(tmp_path: Path) -> None:
    poses, source = found(images(BagMaker("mcap")), tmp_path)
    assert poses == NOWHERE and source.problems == []


def test_a_long_track_is_cleaned_in_time_and_bounds() -> None:
    rng, track = np.random.default_rng(0), Track()
    x = np.cumsum(rng.normal(0, 0.02, 20_000))
    for i in range(len(x)):
        track.add(START + i * STEP // 10, 0, np.array(place(1e6 if i % 997 == 5 else x[i])))
    assert track.wild() == len(range(5, len(x), 997)) and len(track) + track.wild() == len(x)
    assert np.array_equal(compose(IDENTITY, track.at(START, 0)), np.array(place(x[0])))
