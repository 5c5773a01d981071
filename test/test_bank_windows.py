"""The newest frame, frames along the route, and headings."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_likeness import (
    bank,  # noqa: F401 (fixture)
    record,
)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError

# Windows, the newest, headings


def test_newest_is_the_one_stored_last(bank):
    assert bank.newest() is None
    for i, stamp in enumerate((30, 10, 20)):
        bank.add(record(i), stamp_ns=stamp, camera="front" if i < 2 else "rear")
    assert (
        bank.newest().id == 3
        and bank.newest("front").stamp_ns == 10
        and bank.newest("left") is None
    )
    bank._db.execute("UPDATE frames SET checksum = 1 WHERE id = 3")
    assert bank.newest().id == 2  # the one before a damaged one
    with pytest.raises(BankError):
        bank.newest(5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from("ab"), st.integers(1, 2)),
        min_size=1,
        max_size=25,
    ),
    st.data(),
)
def test_a_window_agrees_with_a_plain_slice(tmp_path_factory, rows, data):
    with MemoryBank(tmp_path_factory.mktemp("window") / "m.db") as bank:
        for name in "st":
            bank.begin_session(name, start_ns=0)
        for i, (stamp, camera, session) in enumerate(rows):
            bank.add(record(i), stamp_ns=stamp, camera=camera, session=session)
        center = data.draw(st.integers(1, len(rows)))
        radius = data.draw(st.integers(0, 8))
        route = sorted(
            (row[0], i + 1) for i, row in enumerate(rows) if row[1:] == rows[center - 1][1:]
        )
        at = [frame_id for _, frame_id in route].index(center)
        expected = [frame_id for _, frame_id in route[max(at - radius, 0) : at + radius + 1]]
        assert [frame.id for frame in bank.window(center, radius)] == expected


def test_a_window_leaves_out_damaged_frames_and_refuses_wrong_ones(bank):
    for i in range(9):
        bank.add(record(i), stamp_ns=i)
    bank._db.execute("UPDATE frames SET checksum = 1 WHERE id = 4")
    assert [frame.id for frame in bank.window(5, 2)] == [2, 3, 5, 6, 7]
    for wrong in ((4, 1), (99, 1), (5, -1), (5, 1.5), ("5", 1)):
        with pytest.raises(BankError):
            bank.window(*wrong)


@settings(max_examples=30, deadline=None)
@given(
    st.floats(-10, 10),
    st.floats(0, 4),
    st.lists(st.floats(-7, 7), min_size=1, max_size=8),
    st.floats(-1.2, 1.2),
)
def test_headings(tmp_path_factory, yaw, tolerance, headings, pitch):
    with MemoryBank(tmp_path_factory.mktemp("yaw") / "m.db") as bank:
        for i, heading in enumerate(headings):
            # Turned by `heading` about z, then tilted by `pitch` about y.
            a, b = (heading / 2, pitch / 2)
            quaternion = (
                -math.sin(a) * math.sin(b),
                math.cos(a) * math.sin(b),
                math.sin(a) * math.cos(b),
            )
            bank.add(
                record(i), stamp_ns=i, pose=Pose(0, 0, 0, *quaternion, math.cos(a) * math.cos(b))
            )
        ids = {f.id for f in bank.find(near=(0, 0, 0), radius=1, yaw=yaw, yaw_tolerance=tolerance)}
        for i, heading in enumerate(headings):
            off = abs(math.remainder(heading - yaw, math.tau))
            if abs(off - tolerance) > 1e-6:
                assert (i + 1 in ids) == (off < tolerance)


def test_a_heading_that_is_exactly_asked_for_is_found(bank):
    for i in range(50):
        bank.add(
            record(i), stamp_ns=i, pose=Pose(0, 0, 0, 0, 0, math.sin(i / 10), math.cos(i / 10))
        )
    for i in range(50):
        frames = bank.find(near=(0, 0, 0), radius=0, yaw=i / 5, yaw_tolerance=0)
        assert i in [frame.stamp_ns for frame in frames] and len(frames) <= 2
    assert len(bank.find(near=(0, 0, 0), radius=0, yaw=1, yaw_tolerance=math.inf)) == 50
