"""Corrected trajectories: interpolation and corrections against scipy, paths from their bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation, Slerp

from gaussvae_ros.poses import compose, interpolate, inverse
from gaussvae_ros.poses.path_message import read_path
from gaussvae_ros.poses.trajectory import Odometry, alike, cleaned, interpolated, moved, origins

S = 10**9  # ns
STORE = get_typestore(Stores.ROS2_JAZZY)
finite = st.floats(-100, 100)


@st.composite
def poses(draw, count=st.integers(1, 8)):
    count = draw(count) if not isinstance(count, int) else count
    numbers = draw(arrays(float, (count, 7), elements=finite))
    turned = numbers[:, 3:] + [0, 0, 0, 1e-3]
    norms = np.linalg.norm(turned, axis=1, keepdims=True)
    turned = np.where(norms > 1e-2, turned / np.maximum(norms, 1e-9), [0, 0, 0, 1])
    return np.concatenate([numbers[:, :3], turned], axis=1)


def rising(draw, count):
    return np.cumsum(draw(arrays(np.int64, count, elements=st.integers(1, 10 * S))))


def matrices(poses):
    whole = np.tile(np.eye(4), (len(poses), 1, 1))
    whole[:, :3, :3] = Rotation.from_quat(poses[:, 3:]).as_matrix()
    whole[:, :3, 3] = poses[:, :3]
    return whole


def same(a, b, tolerance=1e-6):
    return np.allclose(matrices(a), matrices(b), atol=tolerance)


@settings(deadline=None)
@given(st.data())
def test_composing_and_inverting_are_those_of_matrices(data):
    a, b = data.draw(poses(5)), data.draw(poses(5))
    assert np.allclose(matrices(compose(a, b)), matrices(a) @ matrices(b), atol=1e-9)
    assert np.allclose(matrices(inverse(a)), np.linalg.inv(matrices(a)), atol=1e-9)
    assert np.allclose(compose(a[0], b[0]), compose(a, b)[0])


@settings(deadline=None)
@given(st.data())
def test_interpolation_is_linear_and_slerp_and_its_ends_hold(data):
    track = data.draw(poses(st.integers(2, 8)))
    stamps = rising(data.draw, len(track))
    at = data.draw(arrays(np.int64, 6, elements=st.integers(-S, int(stamps[-1]) + S)))
    found, inside = interpolated(stamps, track, at), np.clip(at, stamps[0], stamps[-1])
    for axis in range(3):
        assert np.allclose(found[:, axis], np.interp(inside, stamps, track[:, axis]), atol=1e-6)
    # scipy, too, turns the short way; which is that of two that are half a turn apart is open
    dots = np.abs((track[1:, 3:] * track[:-1, 3:]).sum(1))
    if (dots > 1e-3).all():
        turned = Slerp(stamps - stamps[0], Rotation.from_quat(track[:, 3:]))(inside - stamps[0])
        error = (turned.inv() * Rotation.from_quat(found[:, 3:])).magnitude()
        assert (error < 1e-5).all()
    one = interpolate(track[0], track[1], 0.25)
    quarter = stamps[:1] + np.int64((stamps[1] - stamps[0]) // 4)
    if stamps[1] - stamps[0] > 10**6:
        assert same(interpolated(stamps, track, quarter), one[None], 1e-3)


def test_a_trajectory_of_one_pose_holds_everywhere():
    track = np.array([[1.0, 2, 3, 0, 0, 0, 1]])
    assert np.allclose(interpolated(np.array([5]), track, np.array([0, 5, 9])), track[[0, 0, 0]])


@settings(deadline=None)
@given(st.data())
def test_every_frame_lands_where_the_corrected_trajectory_puts_the_robot(data):
    """At the path's own stamps exactly, whatever the mount of the camera and the drift."""
    odometry, path, mount = data.draw(poses(6)), data.draw(poses(6)), data.draw(poses(1))
    stamps = rising(data.draw, 6)
    seen = compose(odometry, mount)
    at, origin = origins((stamps, path), (stamps, odometry))
    assert np.array_equal(at, stamps)
    assert same(compose(interpolated(at, origin, stamps), seen), compose(path, mount))
    # beyond the ends the nearest end's correction goes on
    beyond = interpolated(at, origin, np.array([stamps[0] - 10**12, stamps[-1] + 10**12]))
    assert same(beyond, origin[[0, -1]])


def test_drift_that_grows_evenly_is_taken_back_evenly_between_sparse_poses():
    """A robot that drives a circle, with five poses of SLAM: no corner is cut."""
    stamps = np.arange(0, 1001) * S // 10
    angle = stamps / S * 0.3
    half = angle / 2 + np.pi / 4
    zero = np.zeros_like(angle)
    truth = np.column_stack(
        [5 * np.cos(angle), 5 * np.sin(angle), zero, zero, zero, np.sin(half), np.cos(half)]
    )
    drift = np.column_stack([0.01 * angle, -0.02 * angle, zero, zero, zero, zero, zero + 1])
    odometry = compose(inverse(drift), truth)
    few = slice(None, None, 250)
    at, origin = origins((stamps[few], truth[few]), (stamps, odometry))
    found = compose(interpolated(at, origin, stamps), odometry)
    assert np.abs(found - truth).max() < 1e-9
    straight = interpolated(stamps[few], truth[few], stamps)
    assert np.linalg.norm((straight - truth)[:, :3], axis=1).max() > 1


def test_what_is_no_pose_is_left_out_and_the_last_of_a_stamp_holds():
    good = [1, 0, 0, 0, 0, 0, 2]
    rows = {
        30: good,
        10: [2, 0, 0, 0, 0, 0, 1],
        11: [np.nan, 0, 0, 0, 0, 0, 1],
        12: [0, np.inf, 0, 0, 0, 0, 1],
        13: [0, 0, 0, 0, 0, 0, 0],
        14: [0, 0, 0, 0, np.nan, 0, 1],
        15: [1e12, 0, 0, 0, 0, 0, 1],
    }
    stamps = np.array([*rows, 10])
    found = cleaned(stamps, np.array([*rows.values(), [3, 0, 0, 0, 0, 1, 0]], float))
    assert found[0].tolist() == [10, 30]
    assert found[1].tolist() == [[3, 0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 1]]
    empty = cleaned(np.zeros(0, np.int64), np.zeros((0, 7)))
    assert len(empty[0]) == 0 and empty[1].shape == (0, 7)


def test_a_path_without_common_time_with_odometry_says_nothing():
    one = np.array([[0.0, 0, 0, 0, 0, 0, 1]])
    for stamp in (0, 100 * S):
        at, origin = origins((np.array([stamp]), one), (np.array([50 * S]), one))
        assert len(at) == 0 and origin.shape == (0, 7)
    at, _ = origins((np.array([0]), one), (np.zeros(0, np.int64), np.zeros((0, 7))))
    assert len(at) == 0


def test_while_odometry_was_silent_nothing_is_known_unless_the_robot_stood():
    poses = np.array([[x, 0, 0, 0, 0, 0, 1] for x in (0.0, 0, 1, 2)])
    known = np.array([0, 100 * S, 101 * S, 111 * S])
    stamps = np.array([0, 50, 100, 100.5, 101, 105, 111]) * S
    path = stamps.astype(np.int64), np.tile([0.0, 0, 0, 0, 0, 0, 1], (7, 1))
    at, _ = origins(path, (known, poses))
    assert (at / S).tolist() == [0, 50, 100, 100.5, 101, 111]


def test_odometry_of_a_robot_that_stands_still_is_two_samples():
    odometry, here = Odometry(), np.array([0.0, 0, 0, 0, 0, 0, 1])
    for t in range(1000):
        odometry.add(t, here)
    odometry.add(500, here + [9, 0, 0, 0, 0, 0, 0])  # late
    there = here + [1, 0, 0, 0, 0, 0, 0]
    odometry.add(1000, there)
    stamps, poses = odometry.samples()
    assert stamps.tolist() == [0, 999, 1000]
    assert poses[:, 0].tolist() == [0, 0, 1]


def test_what_creeps_is_kept_too():
    odometry = Odometry()
    for t in range(5000):
        odometry.add(t, np.array([t * 1e-4, 0, 0, 0, 0, 0, 1]))
    stamps, poses = odometry.samples()
    found = interpolated(stamps, poses, np.arange(5000))
    assert np.abs(found[:, 0] - np.arange(5000) * 1e-4).max() < 0.005 and len(stamps) < 1000


def test_how_far_two_paths_are_alike():
    poses = np.random.default_rng(0).normal(size=(5, 7))
    stamps = np.arange(5) * S
    path, other, late = (stamps, poses), poses.copy(), stamps.copy()
    assert alike(path, path) == 5 and alike((stamps[:3], poses[:3]), path) == 3
    assert alike(path, (stamps[:0], poses[:0])) == 0
    other[3, 5] += 2e-4
    late[1] += 1
    assert alike(path, (stamps, other)) == 3 and alike(path, (late, poses)) == 1
    assert alike((stamps, other), (stamps[:3], poses[:3])) == 3


def test_moved_is_by_distance_or_angle():
    a = np.array([[0.0, 0, 0, 0, 0, 0, 1]] * 4)
    b = a.copy()
    b[1, 0], b[2, 3:], b[3, 3:] = 0.02, [0, 0, np.sin(0.01), np.cos(0.01)], [0, 0, 0, -1]
    assert moved(a, b, 0.01, 0.01).tolist() == [False, True, True, False]


# Paths as they come


def message(reference, stamps, poses, frames=None):
    make = STORE.types
    pose = [
        make["geometry_msgs/msg/PoseStamped"](
            header(stamp, name),
            make["geometry_msgs/msg/Pose"](
                make["geometry_msgs/msg/Point"](*row[:3]),
                make["geometry_msgs/msg/Quaternion"](*row[3:]),
            ),
        )
        for stamp, row, name in zip(stamps, poses, frames or [reference] * len(stamps))
    ]
    return make["nav_msgs/msg/Path"](header(7, reference), pose)


def header(stamp, name):
    time = STORE.types["builtin_interfaces/msg/Time"](*divmod(int(stamp), S))
    return STORE.types["std_msgs/msg/Header"](time, name)


@settings(deadline=None)
@given(st.data(), st.booleans())
def test_a_path_is_read_from_its_bytes(data, little):
    count = data.draw(st.integers(0, 5))
    stamps = data.draw(arrays(np.int64, count, elements=st.integers(-(2**31) * S, 2**31 * S - 1)))
    numbers = data.draw(arrays(float, (count, 7)))
    name = data.draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
    inner = name if data.draw(st.booleans()) else ""
    made = message(name, stamps, numbers, [inner] * count)
    raw = bytes(STORE.serialize_cdr(made, "nav_msgs/msg/Path", little_endian=little))
    found = read_path(raw)
    assert found.reference == name and found.other == ""
    assert found.stamps.tolist() == stamps.tolist()
    assert np.array_equal(found.poses, numbers, equal_nan=True)
    if count:
        cut = data.draw(st.integers(0, len(raw) - 8))
        assert read_path(raw[:cut]) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    read_path(data)
    read_path(b"\0\1\0\0" + data)


@pytest.mark.parametrize("frames", [["map", "odom"], ["map", "mapp"], ["a", "b"]])
def test_poses_in_several_frames_are_left_to_others(frames):
    made = message("map", [1, 2], np.zeros((2, 7)), frames)
    raw = STORE.serialize_cdr(made, "nav_msgs/msg/Path")
    assert read_path(bytes(raw)) is None


def test_another_frame_of_all_poses_is_named():
    made = message("map", [1, 2], np.zeros((2, 7)), ["odom", "odom"])
    assert read_path(bytes(STORE.serialize_cdr(made, "nav_msgs/msg/Path"))).other == "odom"
