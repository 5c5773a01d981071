"""Which topics give the poses of a bag's images, and which are no poses of the camera."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from bagposes import COUNT, MOUNT, NAN, NO_TURN, NOWHERE, found, images, line, place, stamp

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
        maker.odometry("/axial_mixtures", stamp(i), place(0)).odometry(
            "/visual", stamp(i), place(i)
        )
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
