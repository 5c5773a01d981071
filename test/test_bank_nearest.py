"""Frames by distance from a place, and the coordinate frames that poses are in."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank import S, bank, record  # noqa: F401 (bank is a fixture)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError

PLACES = st.tuples(*[st.floats(-9, 9, width=16)] * 3)


@settings(max_examples=30, deadline=None)
@given(
    places=st.lists(PLACES, min_size=1, max_size=12),
    centre=PLACES,
    radius=st.floats(0, 20, width=16),
    limit=st.integers(1, 12),
    labels=st.booleans(),
)
def test_the_nearest_first_and_the_limit_keeps_them(
    tmp_path_factory, places, centre, radius, limit, labels
):
    with MemoryBank(tmp_path_factory.mktemp("nearest") / "memory.db") as bank:  # noqa: F811
        for i, place in enumerate(places):
            bank.add(record(i), stamp_ns=(7 * i % 5) * S, pose=Pose(*place), label="here")
        label = {"label": "here"} if labels else {}
        found = bank.find(near=centre, radius=radius, nearest_first=True, limit=limit, **label)
        all_of_them = bank.find(near=centre, radius=radius)
        away = [math.dist(frame.pose.position, centre) for frame in found]
        assert away == sorted(away) and len(found) == min(limit, len(all_of_them))
        left = {frame.id for frame in all_of_them} - {frame.id for frame in found}
        assert all(math.dist(bank.get(i).pose.position, centre) >= away[-1] for i in left)


def test_nearest_to_what(bank):  # noqa: F811
    with pytest.raises(BankError, match="give near and radius"):
        bank.find(nearest_first=True)


def test_the_frames_that_poses_are_in(bank):  # noqa: F811
    assert bank.references() == []
    for reference in ("odom", "map", "map"):
        bank.add(record(), stamp_ns=S, pose=Pose(1, 2, 3, reference=reference))
    bank.add(record(), stamp_ns=S)
    assert bank.references() == ["map", "odom"]
