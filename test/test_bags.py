"""Bags as streams of images and poses: three formats, interpolation, damaged or foreign files."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.bags import Bag
from gaussvae_ros.errors import BagError
from gaussvae_ros.poses import BODY_IN_OPTICAL, Track, compose, interpolate, rotate
from gaussvae_ros.poses.frame_tree import FrameTree

BAGS = Path(__file__).parents[2] / "shared" / "data" / "bags"
STEP = 100_000_000  # ns between frames
NO_TURN = (0.0, 0.0, 0.0, 1.0)
PICTURE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)


def yaw(angle: float) -> tuple:
    return (0.0, 0.0, float(np.sin(angle / 2)), float(np.cos(angle / 2)))


def quaternions() -> st.SearchStrategy:
    return (
        st.lists(st.floats(-1, 1), min_size=4, max_size=4)
        .map(np.array)
        .filter(lambda q: np.linalg.norm(q) > 0.1)
    )


def at(
    path: Path, stamp_ns: int, frame_id: str = "camera", topic: str | None = None
) -> np.ndarray | None:
    with Bag(path) as bag:
        source = bag.poses(frame_id, topic)
        return source and source.at(stamp_ns, stamp_ns)


@pytest.mark.parametrize("kind", KINDS)
def test_images_come_in_order_with_their_stamps(kind: str, tmp_path: Path) -> None:
    maker = BagMaker(kind)
    for i in range(4):
        maker.image(
            "/cam", START + i * STEP, PICTURE + np.uint8(i), recorded_ns=START + i * STEP + 7
        )
    with Bag(maker.write(tmp_path)) as bag:
        topic = bag.image_topic()
        images = list(bag.images(topic))
    assert topic == "/cam" and [s.stamp_ns for s in images] == [START + i * STEP for i in range(4)]
    assert all(np.array_equal(s.pixels, PICTURE + np.uint8(i)) for i, s in enumerate(images))
    assert {s.recorded_ns - s.stamp_ns for s in images} == {7} and {s.frame_id for s in images} == {
        "camera"
    }


def test_an_unstamped_image_takes_the_record_time(tmp_path: Path) -> None:
    with Bag(BagMaker("mcap").image("/cam", 0, PICTURE, recorded_ns=START).write(tmp_path)) as bag:
        assert next(bag.images("/cam")).stamp_ns == START


def test_a_broken_image_costs_that_frame_only(tmp_path: Path) -> None:
    maker = (
        BagMaker("db3").jpeg("/cam", START, PICTURE).jpeg("/cam", START + STEP, b"\xff\xd8 broken")
    )
    with Bag(maker.jpeg("/cam", START + 2 * STEP, PICTURE).write(tmp_path)) as bag:
        images = list(bag.images("/cam"))
    assert [s.pixels is None for s in images] == [False, True, False] and "JPEG" in images[
        1
    ].problem


def test_topics_are_listed_when_there_are_several(tmp_path: Path) -> None:
    path = (
        BagMaker("mcap")
        .image("/left", START, PICTURE)
        .jpeg("/right/compressed", START, PICTURE)
        .write(tmp_path)
    )
    with Bag(path) as bag:
        with pytest.raises(
            BagError, match=r"several image topics.*/left \(1\), /right/compressed \(1\)"
        ):
            bag.image_topic()
        assert bag.image_topic("/left") == "/left"
        with pytest.raises(BagError, match="no images on /up; image topics: /left"):
            bag.image_topic("/up")


def test_a_bag_without_images_says_so(tmp_path: Path) -> None:
    with Bag(
        BagMaker("mcap").pose("/pose", START, (0.0, 0.0, 0.0, *NO_TURN)).write(tmp_path)
    ) as bag:
        with pytest.raises(BagError, match="holds no images"):
            bag.image_topic()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("message", ["pose", "pose_with_covariance", "odometry"])
def test_a_pose_is_interpolated_at_the_image_stamp(kind: str, message: str, tmp_path: Path) -> None:
    maker = BagMaker(kind)
    getattr(maker, message)("/where", START, (1.0, 2.0, 3.0, *yaw(0.0)))
    getattr(maker, message)("/where", START + STEP, (2.0, 2.0, 5.0, *yaw(1.0)))
    path = maker.write(tmp_path)
    assert np.allclose(at(path, START + STEP // 4), (1.25, 2, 3.5, *yaw(0.25)))
    assert np.allclose(at(path, START + STEP), (2, 2, 5, *yaw(1)))


def test_no_pose_far_outside_the_track_or_across_a_long_gap(tmp_path: Path) -> None:
    maker = BagMaker("mcap")
    for t in (0, STEP, 40 * STEP):
        maker.pose("/pose", START + t, (float(t), 0.0, 0.0, *NO_TURN))
    path = maker.write(tmp_path)
    assert at(path, START - STEP // 2) is not None and at(path, START - 2 * STEP) is None
    assert at(path, START + 41 * STEP) is not None and at(path, START + 42 * STEP) is None
    assert at(path, START + 20 * STEP) is None and at(path, START + 40 * STEP) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_tf_is_chained_from_the_root_to_the_camera(kind: str, tmp_path: Path) -> None:
    maker = BagMaker(kind)
    maker.tf(
        "/base_link",
        "camera",
        START,
        (0.5, 0.0, 1.0, *NO_TURN),
        topic="/tf_static",
        recorded_ns=START + 9 * STEP,
    )
    for i in range(3):
        maker.tf("map", "odom", START + i * STEP, (10.0, 0.0, 0.0, *yaw(np.pi / 2)))
        maker.tf("odom", "base_link", START + i * STEP, (float(i), 0.0, 0.0, *NO_TURN))
        maker.tf("base_link", "wheel", START + i * STEP, (7.0, 7.0, 7.0, *NO_TURN))
    pose = at(maker.write(tmp_path), START + 3 * STEP // 2, "/camera")
    # 1.5 m driven + 0.5 m mount, turned left by the map.
    assert np.allclose(pose, (10, 2, 1, *yaw(np.pi / 2)))


def test_a_camera_in_optical_axes_gets_body_axes(tmp_path: Path) -> None:
    optical = (-0.5, 0.5, -0.5, 0.5)
    maker = BagMaker("mcap").tf(
        "base_link", "cam_optical_frame", START, (0.0, 0.0, 1.0, *optical), topic="/tf_static"
    )
    maker.tf("odom", "base_link", START, (3.0, 0.0, 0.0, *yaw(0.7)))
    assert np.allclose(at(maker.write(tmp_path), START, "cam_optical_frame"), (3, 0, 1, *yaw(0.7)))


def test_odometry_takes_the_mount_from_tf_static(tmp_path: Path) -> None:
    maker = BagMaker("mcap").tf(
        "base_link", "camera", START, (1.0, 0.0, 0.5, *NO_TURN), topic="/tf_static"
    )
    path = maker.odometry("/odom", START, (5.0, 0.0, 0.0, *yaw(np.pi / 2))).write(tmp_path)
    assert np.allclose(at(path, START), (5, 1, 0.5, *yaw(np.pi / 2)))


def test_the_pose_topic_is_chosen_by_its_count_or_by_hand(tmp_path: Path) -> None:
    maker = BagMaker("mcap").pose("/goal", START, (9.0, 9.0, 9.0, *NO_TURN))
    for i in range(3):
        maker.odometry("/odom", START + i * STEP, (1.0, 0.0, 0.0, *NO_TURN))
    path = maker.image("/cam", START, PICTURE).write(tmp_path)
    assert at(path, START)[0] == 1 and at(path, START, topic="/goal")[0] == 9
    with pytest.raises(BagError, match="no poses on /cam; pose topics: /goal, /odom"):
        at(path, START, topic="/cam")


def test_poses_recorded_after_their_images_count(tmp_path: Path) -> None:
    maker = BagMaker("mcap").image("/cam", START, PICTURE)
    maker.pose("/slam", START - STEP, (0.0, 0.0, 0.0, *NO_TURN), recorded_ns=START + 600 * STEP)
    maker.pose("/slam", START + STEP, (2.0, 0.0, 0.0, *NO_TURN), recorded_ns=START + 601 * STEP)
    assert np.allclose(at(maker.write(tmp_path), START), (1, 0, 0, *NO_TURN))


def test_a_clock_set_back_keeps_both_runs_apart() -> None:
    track = Track()
    for run, x in enumerate((1.0, 5.0)):
        for i in range(30):
            track.add(
                START + i * STEP, START + (run * 30 + i) * STEP, np.array([x, 0, 0, *NO_TURN])
            )
    assert track.at(START + 3 * STEP, START + 3 * STEP)[0] == 1
    assert track.at(START + 3 * STEP, START + 33 * STEP)[0] == 5


def test_late_samples_are_sorted_in_and_bad_ones_left_out() -> None:
    track = Track()
    for t, x in ((0, 0.0), (4, 4.0), (2, 2.0), (3, np.nan)):
        track.add(START + t * STEP, START, np.array([x, 0, 0, *NO_TURN]))
    track.add(START + 5 * STEP, START, np.zeros(7))
    assert len(track) == 3 and track.at(START + 3 * STEP, START)[0] == pytest.approx(3)


def test_a_loop_of_frames_ends() -> None:
    tree = FrameTree("a")
    tree.add_static("b", "a", np.array([0, 0, 0, *NO_TURN]))
    tree.add_static("a", "b", np.array([0, 0, 0, *NO_TURN]))
    assert tree.chain() == ["a", "b"]


@settings(deadline=None)
@given(quaternions(), quaternions(), st.floats(0, 1))
def test_rotations_agree_with_scipy(p: np.ndarray, q: np.ndarray, t: float) -> None:
    spatial = pytest.importorskip("scipy.spatial.transform")
    p, q = p / np.linalg.norm(p), q / np.linalg.norm(q)
    a, b = np.array([1, 2, 3, *p]), np.array([-4, 0, 2, *q])
    ra, rb = spatial.Rotation.from_quat(p), spatial.Rotation.from_quat(q)
    assert np.allclose(rotate(p, b[:3]), ra.apply(b[:3]))
    product = compose(a, b)
    assert np.allclose(product[:3], ra.apply(b[:3]) + a[:3])
    assert (spatial.Rotation.from_quat(product[3:]) * (ra * rb).inv()).magnitude() < 1e-6
    if (ra.inv() * rb).magnitude() < np.pi - 1e-3:  # opposite rotations have two short ways
        slerp = spatial.Slerp([0, 1], spatial.Rotation.from_quat([p, q]))(t)
        assert (
            spatial.Rotation.from_quat(interpolate(a, b, t)[3:]) * slerp.inv()
        ).magnitude() < 1e-6
    # Forward is z of optical axes.
    assert np.allclose(rotate(BODY_IN_OPTICAL[3:], np.array([1.0, 0, 0])), [0, 0, 1])


@pytest.mark.parametrize(
    "name, text",
    [
        ("none.bag", "no such bag"),
        ("x.txt", "is not a bag"),
        ("x.bag", "damaged or not"),
        ("x.mcap", "damaged or not"),
        ("x.db3", "damaged or not"),
        ("empty", "is not a bag"),
    ],
)
def test_what_is_no_bag_is_refused_in_one_line(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif name.startswith("x"):
        path.write_bytes(b"this is not a bag, whatever its name says\n" * 40)
    with pytest.raises(BagError, match=text) as caught:
        Bag(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_bag_gives_frames_or_a_bag_error(kind: str, tmp_path: Path) -> None:
    maker = BagMaker(kind)
    for i in range(6):
        maker.image("/cam", START + i * STEP, PICTURE)
    whole = maker.write(tmp_path)
    file = whole if kind == "bag" else next(p for p in whole.iterdir() if p.suffix == f".{kind}")
    data, rng = file.read_bytes(), np.random.default_rng(1)
    for trial in range(60):
        edited = bytearray(data)
        for i in rng.integers(0, len(data), 4):
            edited[i] ^= 1 << rng.integers(8)
        file.write_bytes(edited if trial % 2 else edited[: rng.integers(1, len(data))])
        try:
            with Bag(whole) as bag:
                assert len(list(bag.images(bag.image_topic()))) <= 6
        except BagError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["db3", "mcap"])
def test_a_folder_without_its_metadata_still_opens(kind: str, tmp_path: Path) -> None:
    path = BagMaker(kind).image("/cam", START, PICTURE).write(tmp_path)
    (path / "metadata.yaml").unlink()
    with Bag(path) as bag:
        assert len(list(bag.images(bag.image_topic()))) == 1


@pytest.mark.skipif(not BAGS.is_dir(), reason="the shared bags are not here")
@pytest.mark.parametrize(
    "name, frames, with_pose",
    [
        ("made_zed_lab_a_25_mcap", 25, 25),
        ("made_zed_lab_a_4raw_db3", 4, 4),
        ("made_zed_lab_c_50.bag", 50, 50),
        ("real_fiducials_aruco_images.bag", 1, 0),
    ],
)
def test_the_shared_bags(name: str, frames: int, with_pose: int) -> None:
    with Bag(BAGS / name) as bag:
        images = list(bag.images(bag.image_topic()))
        source = bag.poses(images[0].frame_id)
        posed = [s for s in images if source and source.at(s.stamp_ns, s.recorded_ns) is not None]
    assert (
        len(images) == frames
        and all(s.pixels is not None for s in images)
        and len(posed) == with_pose
    )
