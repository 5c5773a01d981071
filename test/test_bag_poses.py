"""Poses of a bag's images are right or absent: what counts, what is left out, what is said."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from hypothesis import given, settings
from hypothesis import strategies as st
from standin import JpegCodec

from gaussvae_ros.bags import Bag
from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BagError
from gaussvae_ros.frame_tree import FrameTree
from gaussvae_ros.pose_source import PoseSource
from gaussvae_ros.poses import IDENTITY, Track, compose
from gaussvae_ros.replay import replay

STEP = 100_000_000  # ns between frames
COUNT = 12
NO_TURN = (0.0, 0.0, 0.0, 1.0)
MOUNT = (0.2, 0.0, 1.0, *NO_TURN)
PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
NAN, INF = float("nan"), float("inf")


def stamp(i: float) -> int:
    return START + round(i * STEP)


def place(x: float, y: float = 0.0) -> tuple:
    return (float(x), float(y), 0.0, *NO_TURN)


def images(maker: BagMaker, topic: str = "/cam", frame: str = "cam", late: float = 0) -> BagMaker:
    for i in range(COUNT):
        maker.image(topic, stamp(i + late), PICTURE, frame, recorded_ns=stamp(i))
    return maker


def found(
    maker: BagMaker, folder: Path, topic: str = "/cam", pose_topic: str | None = None
) -> tuple[list, PoseSource]:
    """x and y of every image's pose, or None; and the source that was asked."""
    with Bag(maker.write(folder)) as bag:
        source = bag.poses(bag.frame_id(topic), pose_topic, topic)
        poses = [source.at(i.stamp_ns, i.recorded_ns) for i in bag.images(topic)]
    return [None if p is None else tuple(p[:2].round(6)) for p in poses], source


def line(x: float = 0.0, step: float = 0.5) -> list[tuple]:
    return [(round(x + step * i, 6), 0.0) for i in range(COUNT)]


NOWHERE = [None] * COUNT


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


# What is broken


@pytest.mark.parametrize(
    "pose",
    [(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, *[NAN] * 4), (INF, 0.0, 0.0, *NO_TURN)],
)
@pytest.mark.parametrize("good_too", [False, True])
def test_a_bad_mount_is_left_out_and_counted(pose: tuple, good_too: bool, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, pose, topic="/tf_static")
    if good_too:
        maker.tf("base_link", "cam", START + 1, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == (line(0.2) if good_too else NOWHERE)
    assert any("left out: 1 transform of cam" in p for p in source.problems)


def test_a_quaternion_of_another_length_is_scaled_and_said(tmp_path: Path) -> None:
    mount = (0.2, 0.0, 1.0, 0.0, 0.0, 0.0, 2.0)
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, mount, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == line(0.2)
    assert source.problems == ["scaled: 1 rotation of cam, not of length 1"]


def test_frames_in_themselves_and_in_loops(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("cam", "cam", START, MOUNT, topic="/tf_static")
    maker.tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    maker.tf("", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
        maker.tf("cam", "odom", stamp(i), place(5))
    poses, source = found(maker, tmp_path)
    assert poses == line(0.2)
    assert any("2 transforms of cam" in p for p in source.problems)
    assert any("are a loop" in p for p in source.problems)


WILD = [place(1e256), place(1e7), place(-400), (NAN, 0.0, 0.0, *NO_TURN), (0.0,) * 7]


@pytest.mark.parametrize("where", ["/odom", "/tf"])
@pytest.mark.parametrize(
    "wild, at",
    [(w, i) for w in WILD for i in (0, 5, COUNT) if i == 5 or w[0] != -400],  # 400 m may be a begin
)
def test_one_wild_sample_bends_nothing(wild: tuple, where: str, at: int, tmp_path: Path) -> None:
    maker = BagMaker("mcap").tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    images(maker, late=0.25)
    for i in range(COUNT + 1):
        pose = wild if i == at else place(0.5 * i)
        if where == "/odom":
            maker.odometry("/odom", stamp(i), pose)
        else:
            maker.tf("odom", "base_link", stamp(i), pose)
    poses, source = found(maker, tmp_path)
    inner = slice(1, None) if at == 0 else slice(0, COUNT - (at == COUNT))  # at an end, one is held
    assert np.allclose(poses[inner], line(0.325)[inner])
    assert any(p.startswith("left out: 1 ") for p in source.problems)


@pytest.mark.parametrize("wrong", [stamp(1000), stamp(-1000), 5])
@pytest.mark.parametrize("count", [1, 2])
def test_stamps_that_leap_are_left_out(wrong: int, count: int, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link")
    for i in range(COUNT):
        off = 5 <= i < 5 + count
        where = wrong + i * STEP // 5 if off else stamp(i)
        maker.odometry("/odom", where, place(99 if off else i), recorded_ns=stamp(i))
    poses, source = found(maker, tmp_path)
    assert poses == line(0, 1)
    assert any(f"left out: {count} sample" in p for p in source.problems)


def test_samples_without_stamp_count_when_they_were_recorded(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link")
    for i in range(COUNT):
        maker.odometry("/odom", 0, place(i), recorded_ns=stamp(i))
    assert found(maker, tmp_path)[0] == line(0, 1)


def test_a_place_that_a_robot_is_carried_to_is_kept() -> None:
    track = Track()
    for i in range(30):
        track.add(stamp(i), stamp(i), np.array(place(500 if 10 <= i < 20 else 0)))
    assert len(track) == 30 and track.at(stamp(15), 0)[0] == 500


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=20, max_size=40),
    st.sets(st.integers(2, 17), max_size=4),
    st.floats(50, 1e300),
    st.integers(0, 2**32),
)
def test_wild_samples_anywhere_leave_the_rest(steps: list, at: set, far: float, seed: int) -> None:
    at = {i for i in at if not {i - 1, i + 1} & at}  # each alone
    clean, track = Track(), Track()
    rng, x = np.random.default_rng(seed), np.cumsum(steps)
    for i in range(len(steps)):
        pose = np.array(place(x[i]))
        wild = pose + [far * rng.choice([-1, 1]), far * rng.choice([-1, 1]), 0, 0, 0, 0, 0]
        track.add(stamp(i), stamp(i), wild if i in at else pose)
        if i not in at:
            clean.add(stamp(i), stamp(i), pose)
    assert len(track) == len(clean)
    for t in np.linspace(0, len(steps) - 1, 50):
        assert np.allclose(track.at(stamp(t), stamp(t)), clean.at(stamp(t), stamp(t)))


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


# Several robots


def robots(maker: BagMaker, names: tuple = ("robot1", "robot2"), frames: str = "") -> BagMaker:
    """Robots with the same frame names, each with a namespace and a camera; the nth is at y = n."""
    for n, name in enumerate(names, 1):
        images(maker, f"/{name}/cam/image", frames + "cam")
        mount = frames + "base_link", frames + "cam", START, place(0.2 * n)
        maker.tf(*mount, topic=f"/{name}/tf_static")
        for i in range(COUNT):
            pose = place(0.5 * i, n)
            maker.tf(frames + "odom", frames + "base_link", stamp(i), pose, topic=f"/{name}/tf")
            maker.odometry(f"/{name}/odom", stamp(i), pose)
    return maker


@pytest.mark.parametrize("n", [1, 2])
def test_the_namespace_of_the_images_decides_whose_tf_counts(n: int, tmp_path: Path) -> None:
    poses, source = found(robots(BagMaker("mcap")), tmp_path, f"/robot{n}/cam/image")
    assert poses == [(x + 0.2 * n, n) for x, _ in line()]
    assert source.name == f"/robot{n}/tf" and source.problems == []


def test_global_tf_of_a_third_robot_is_not_mixed_in(tmp_path: Path) -> None:
    maker = robots(BagMaker("mcap"))
    for i in range(COUNT):
        maker.tf("map", "odom", stamp(i), place(1000)).tf("odom", "base_link", stamp(i), place(77))
    poses, source = found(maker, tmp_path, "/robot2/cam/image")
    assert poses == [(x + 0.4, 2) for x, _ in line()] and source.reference == "odom"


def test_tf_of_robots_without_a_namespace_of_the_images_is_a_question(tmp_path: Path) -> None:
    maker = BagMaker("mcap")
    for n in (1, 2):
        maker.tf("base_link", "cam", START, MOUNT, topic=f"/robot{n}/tf_static")
        for i in range(COUNT):
            maker.tf("odom", "base_link", stamp(i), place(i, n), topic=f"/robot{n}/tf")
            maker.odometry(f"/robot{n}/odom", stamp(i), place(i, n))
    path = images(maker).write(tmp_path)
    with Bag(path) as bag, pytest.raises(BagError, match="--pose-topic: /robot1/tf, /robot2/tf"):
        bag.poses("cam", None, "/cam")
    for topic in ("/robot2/tf", "/robot2/odom"):
        with Bag(path) as bag:
            assert np.allclose(bag.poses("cam", topic, "/cam").at(stamp(3), 0)[:2], (3.2, 2))


def test_odometry_of_two_robots_is_a_question(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        for n in (1, 2):
            maker.odometry(f"/robot{n}/odom", stamp(i), place(i, n))
    with Bag(maker.write(tmp_path)) as bag:
        with pytest.raises(BagError, match="--pose-topic: /robot1/odom, /robot2/odom"):
            bag.poses("cam", None, "/cam")


@pytest.mark.parametrize("where", ["/tf", "/odom"])
def test_two_robots_on_one_topic_are_noticed(where: str, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link")
    for i in range(COUNT):
        for n, y in enumerate((0, 30)):
            if where == "/tf":
                maker.tf("odom", "base_link", stamp(i + 0.4 * n), place(i, y))
            else:
                maker.odometry("/odom", stamp(i + 0.4 * n), place(i, y))
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE and source.name == ""
    assert f"{where} leaps to and fro, as if two robots shared it" in source.problems[0]


@pytest.mark.parametrize("missing", ["/tf", "/odom"])
def test_another_robots_poses_are_not_taken(missing: str, tmp_path: Path) -> None:
    maker = robots(BagMaker("mcap"))
    gone = ("/robot1/tf", "/robot1/odom") if missing == "/tf" else ("/robot1/odom",)
    maker.entries = [e for e in maker.entries if e[0] not in gone]
    poses, source = found(maker, tmp_path, "/robot1/cam/image")
    assert poses == (NOWHERE if missing == "/tf" else [(x + 0.2, 1) for x, _ in line()])
    if missing == "/tf":
        assert "/robot2/odom is of another camera or robot" in source.problems[0]


def test_one_robot_under_a_namespace_serves_a_camera_outside(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), "/camera/image")
    maker.tf("base_link", "cam", START, MOUNT, topic="/husky/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i), topic="/husky/tf")
    poses, source = found(maker, tmp_path, "/camera/image")
    assert poses == line(0.2)
    assert source.problems == ["TF is that of /husky, the only one that knows cam"]


def test_a_mount_under_a_namespace_is_completed_by_global_tf(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), "/robot/image")
    maker.tf("base_link", "cam", START, MOUNT, topic="/robot/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path, "/robot/image")
    assert poses == line(0.2) and "is completed by /tf" in source.problems[0]


def test_a_global_mount_is_completed_by_tf_under_a_namespace(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), "/robot/image")
    maker.tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i), topic="/robot/tf")
    poses, source = found(maker, tmp_path, "/robot/image")
    assert poses == line(0.2) and "/tf_static is completed by /robot/tf" in source.problems[0]


@pytest.mark.parametrize("within", ["", "/fleet", "/fleet/a_1"])
@pytest.mark.parametrize("tf", [True, False])
def test_odometry_of_another_robot_is_not_ours(within: str, tf: bool, tmp_path: Path) -> None:
    topic, other = f"{within}/robot1/front/image", f"{within}/robot2/odom"
    maker = images(BagMaker("mcap"), topic)
    if tf:
        maker.tf("base_link", "cam", START, MOUNT, topic=f"{within}/robot1/tf_static")
    for i in range(COUNT):
        maker.odometry(other, stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path, topic)
    assert poses == NOWHERE and f"{other} is of another camera or robot" in source.problems[0]


@pytest.mark.parametrize("pans", [False, True])
def test_a_camera_fixed_in_the_world_is_not_on_the_robot(pans: bool, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="ceiling_cam")
    maker.tf("map", "pole", START, place(5, 1), topic="/tf_static")
    for i in range(COUNT):
        turn = (0.0, 0.0, np.sin(0.1 * i * pans), np.cos(0.1 * i * pans))
        maker.tf("pole", "ceiling_cam", stamp(i), (0.0, 0.0, 0.0, *turn))
        maker.tf("map", "base_link", stamp(i), place(0.5 * i))
        maker.odometry("/odom", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == [(5.0, 1.0)] * COUNT and source.name.startswith("/tf")


def test_odometry_of_a_frame_below_the_body_counts(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    maker.tf("base_link", "base_footprint", START, place(0), topic="/tf_static")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i + 9_000), place(0.5 * i), recorded_ns=stamp(i))
        maker.odometry("/odom", stamp(i), place(0.5 * i), "base_footprint")
    poses, source = found(maker, tmp_path)
    assert poses == line() and source.name == "/odom"


def test_a_camera_that_knows_its_own_motion(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), "/d435/image", "d435")
    images(maker, "/t265/fisheye/image", "fisheye")
    maker.tf("t265", "d435", START, place(0.1), topic="/tf_static")
    for i in range(COUNT):
        maker.odometry("/t265/odom/sample", stamp(i), place(0.5 * i), "t265", "t265_odom")
    assert found(maker, tmp_path, "/d435/image")[0] == line(0.1)


# Topics that are no poses of the camera


@pytest.mark.parametrize(
    "topic",
    [
        "/goal_pose",
        "/move_base_simple/goal",
        "/initialpose",
        "/clicked_pose",
        "/aruco_single/pose",
        "/tag_detections/pose",
        "/robot/target_pose",
        "/cmd/pose",
        "/ee_pose",
    ],
)
def test_goals_and_detections_are_no_poses_unless_named(topic: str, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        maker.pose(topic, stamp(i), place(i, 99))
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE and source.name == "" and topic in source.problems[0]
    (tmp_path / "named").mkdir()
    assert found(maker, tmp_path / "named", pose_topic=topic)[0] == [(i, 99) for i in range(COUNT)]


def test_two_messages_are_no_track(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in (3, 6):
        maker.pose("/somebody", stamp(i), place(i))
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE and "/somebody has 2 samples" in source.problems[0]


@pytest.mark.parametrize("tf", [True, False])
@pytest.mark.parametrize("frame", ["cam", "base_link", "robot_1/base_link", "left_camera_optical"])
def test_what_is_seen_from_the_robot_is_no_pose_of_it(frame: str, tf: bool, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    if tf:
        maker.tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.pose("/something", stamp(i), place(i), frame=frame)
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE and f"/something is relative to {frame}" in source.problems[0]


def test_odometry_is_preferred_and_the_choice_is_said(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link")
    for i in range(COUNT):
        maker.odometry("/odom", stamp(i), place(i)).pose("/somewhere", stamp(i), place(0, i))
        maker.pose("/somewhere", stamp(i + 0.5), place(0, i + 0.5))
    poses, source = found(maker, tmp_path)
    assert poses == line(0, 1) and source.name == "/odom"
    assert source.problems == ["poses are of /odom; --pose-topic may choose /somewhere"]


def test_of_two_kinds_of_odometry_that_moves_which_moves(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link")
    for i in range(COUNT):
        maker.odometry("/wheels", stamp(i), place(0)).odometry("/visual", stamp(i), place(i))
    assert found(maker, tmp_path)[1].name == "/visual"


def test_poses_of_several_bodies_on_one_topic(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf("base_link", "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.odometry("/odom", stamp(i), place(0.5 * i))
        maker.odometry("/odom", stamp(i) + 1, place(-i, 5), child="other")
    poses, source = found(maker, tmp_path)
    assert poses == line(0.2)
    assert source.problems == [f"left out: {COUNT} samples of /odom, of other frames than odom"]


@pytest.mark.parametrize("body", ["robot", "vicon/robot/robot"])
def test_a_transform_topic_of_a_motion_capture(body: str, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap")).tf(body, "cam", START, MOUNT, topic="/tf_static")
    for i in range(COUNT):
        maker.transform("/vicon/robot/robot", stamp(i), place(0.5 * i), child=body)
    poses, source = found(maker, tmp_path)
    assert poses == line(0.2) and source.reference == "world"


def test_a_mount_that_nobody_knows_is_said(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        maker.odometry("/odom", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == line()
    assert source.problems == [
        "TF does not say how cam sits on base_link, whose poses are taken as they are"
    ]


@pytest.mark.parametrize("kind", ["odometry", "transform"])
@pytest.mark.parametrize("child", ["cam_optical_frame", "left_optical_frame"])
def test_poses_of_an_optical_frame_itself_get_body_axes(
    kind: str, child: str, tmp_path: Path
) -> None:
    maker = images(BagMaker("mcap"), frame="cam_optical_frame")
    for i in range(COUNT):
        pose = (0.5 * i, 0.0, 0.0, -0.5, 0.5, -0.5, 0.5)
        if kind == "odometry":
            maker.odometry("/vio/odom", stamp(i), pose, child)
        else:
            maker.transform("/mocap", stamp(i), pose, child=child)
    poses, source = found(maker, tmp_path, pose_topic=None)
    assert poses == line() and np.allclose(source.at(stamp(3), stamp(3))[3:], NO_TURN)


@pytest.mark.parametrize("pose", [place(NAN), (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0)])
@pytest.mark.parametrize("named", [None, "/odom"])
def test_poses_that_are_none_of_them_any_say_so(
    pose: tuple, named: str | None, tmp_path: Path
) -> None:
    maker = images(BagMaker("mcap"))
    for i in range(COUNT):
        maker.odometry("/odom", stamp(i), pose)
    poses, source = found(maker, tmp_path, pose_topic=named)
    what = "no image has a pose: /odom has 12 samples, all not finite or without rotation"
    assert poses == NOWHERE and source.problems[0].startswith(what)


def test_images_without_a_frame_are_said(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i), place(0.5 * i))
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE
    assert source.problems == ["no image has a pose: the images do not name their frame"]


# Clocks


@pytest.mark.parametrize(
    "late, text",
    [(-36_000.0, "60.0 min earlier"), (500.0, "50.0 s later"), (9e9, "28.5 years later")],
)
@pytest.mark.parametrize("where", ["/odom", "/tf"])
def test_clocks_that_never_meet(late: float, text: str, where: str, tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link", late=late if late < 1e6 else 0)
    for i in range(COUNT):
        t = stamp(i) - (0 if late < 1e6 else round(late * STEP))
        if where == "/odom":
            maker.odometry("/odom", t, place(i), recorded_ns=stamp(i))
        else:
            maker.tf("odom", "base_link", t, place(i), recorded_ns=stamp(i))
    poses, source = found(maker, tmp_path)
    assert poses == NOWHERE and source.name == where
    assert source.problems[-1].startswith(f"no image has a pose: {where} is known from stamp")
    assert source.problems[-1].endswith(f"and the images begin {text}")


def test_clocks_that_overlap_but_differ_are_said(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link", late=-30)
    for i in range(-40, COUNT):
        maker.odometry("/odom", stamp(i), place(i))
    source = found(maker, tmp_path)[1]
    assert source.problems == [
        "the clocks of the images and of /odom may be 3.0 s apart: so different are their stamps"
        " from the times of recording"
    ]


def test_tf_of_another_clock_gives_way_to_odometry(tmp_path: Path) -> None:
    maker = images(BagMaker("mcap"), frame="base_link")
    for i in range(COUNT):
        maker.tf("odom", "base_link", stamp(i - 10_000), place(-i), recorded_ns=stamp(i))
        maker.odometry("/odom", stamp(i), place(i))
    assert found(maker, tmp_path)[0] == line(0, 1)


def test_a_loop_of_the_bag_keeps_both_runs_apart(tmp_path: Path) -> None:
    maker = BagMaker("mcap")
    for i in range(60):
        t, x = stamp(i % 30), i // 30 * 100
        maker.image("/cam", t, PICTURE, "base_link", recorded_ns=stamp(i))
        maker.odometry("/odom", t, place(x + i % 30), recorded_ns=stamp(i))
    poses, _ = found(maker, tmp_path)
    assert poses[3] == (3, 0) and poses[33] == (103, 0) and None not in poses


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
