"""Poses of a bag's images where several robots or cameras are in the bag."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from bagposes import COUNT, MOUNT, NOWHERE, found, images, line, place, stamp

from gaussvae_ros.bags import Bag
from gaussvae_ros.errors import BagError

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
