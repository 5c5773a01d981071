"""Poses of a bag's images where something is broken: samples, stamps, clocks."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from bagposes import (
    COUNT,
    INF,
    MOUNT,
    NAN,
    NO_TURN,
    NOWHERE,
    PICTURE,
    STEP,
    found,
    images,
    line,
    place,
    stamp,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.poses import Track

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
