"""Frames in a row that vote where they were taken: find_like with several descriptors."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_likeness import descriptor, near, record
from test_cli import run

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError

S = 10**9  # ns
PLACES = 60


def looks(place: int) -> int:
    """Number of what a place looks like: every tenth place looks the same."""
    return place % 10 if place != 34 else 100


@pytest.fixture
def tours(tmp_path):
    """A corridor whose places look alike, but for one, and a second camera that sees something
    else; then the same way in another session.
    """
    with MemoryBank(tmp_path / "m.db") as bank:
        for name, noise in (("first", 20), ("second", 30)):
            bank.begin_session(name, start_ns=0)
            for place in range(PLACES):
                look = near(looks(place), noise)
                bank.add(record(0), stamp_ns=place * S, camera="front", descriptor=look)
                look = descriptor(1000 + place)
                bank.add(record(0), stamp_ns=place * S, camera="back", descriptor=look)
        bank.flush()
        yield bank


def place(frame) -> int:
    return frame.stamp_ns // S


def test_a_row_tells_places_apart_that_look_alike(tours):
    row = [near(looks(p), 40) for p in range(31, 38)]  # past the one that looks otherwise
    alone = tours.find_like(row[-1], limit=12)
    assert len({place(frame) for frame, _ in alone}) == 6
    found = tours.find_like(row, limit=12)
    assert [place(frame) for frame, _ in found[:2]] == [37, 37]
    assert {frame.session for frame, _ in found[:2]} == {1, 2}
    assert found[1][1] > found[2][1] + 0.03
    assert [score for _, score in found] == sorted((s for _, s in found), reverse=True)


def test_the_way_back_and_another_pace_are_found(tours):
    back = [near(looks(p), 40) for p in range(37, 30, -1)]
    assert [place(frame) for frame, _ in tours.find_like(back, limit=2)] == [31, 31]
    fast = [near(looks(p), 40) for p in range(26, 40, 2)]
    assert [place(frame) for frame, _ in tours.find_like(fast, limit=2)] == [38, 38]


def test_conditions_are_about_the_frame_found(tours):
    row = [near(looks(p), 40) for p in range(31, 38)]
    tours.set_label(2 * 27 + 1, "dock")  # place 27 of the first tour
    assert [place(f) for f, _ in tours.find_like(row, label="dock")] == [27]
    assert {f.session for f, _ in tours.find_like(row, session=2)} == {2}
    assert tours.find_like(row, camera="front", limit=1)[0][0].camera == "front"
    assert tours.find_like(row, camera="none") == []


def test_a_row_of_the_bank_itself(tours):
    row = tours.row(2 * 37 + 1, 7)
    assert row == [tours.descriptor(2 * p + 1) for p in range(31, 38)]
    assert len(tours.row(5, 10)) == 3
    found = tours.find_like(row, limit=2)
    assert [frame.session for frame, _ in found] == [1, 2] and found[0][1] == 1
    bare = tours.add(record(0), stamp_ns=0)
    with pytest.raises(BankError, match="without a descriptor"):
        tours.row(bare, 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6))
def test_of_few_frames_the_best_row_is_found(tmp_path_factory, seed, count):
    rng = np.random.default_rng(seed)
    many = [rng.integers(-127, 128, 16, np.int8).tobytes() for _ in range(25)]
    with MemoryBank(tmp_path_factory.mktemp("bank") / "m.db") as bank:
        for number, look in enumerate(many):
            bank.add(record(0), stamp_ns=number, descriptor=look)
        last = int(rng.integers(count - 1, 25))
        frame, score = bank.find_like(many[last - count + 1 : last + 1], limit=1)[0]
        assert frame.id == last + 1 and score == 1


def test_removed_frames_and_other_kinds_are_left_out(tours):
    row = [near(looks(p), 40) for p in range(31, 38)]
    tours.remove([2 * 37 + 1])
    other = tours.add(record(0), stamp_ns=99 * S, descriptor=descriptor(0, 32))
    found = tours.find_like(row, limit=50)
    assert place(found[0][0]) == 37 and found[0][0].session == 2
    assert not {2 * 37 + 1, other} & {frame.id for frame, _ in found}


@pytest.mark.parametrize(
    "asked", [[], [descriptor(0), descriptor(0, 32)], ["x"], [descriptor(0)] * 101, [b""]]
)
def test_bad_rows(tours, asked):
    with pytest.raises(BankError) as error:
        tours.find_like(asked)
    assert "\n" not in str(error.value)
    with pytest.raises(BankError):
        tours.row(1, 0)


def test_the_command(tours, capsys):
    ids = [2 * p + 1 for p in range(31, 38)]
    shown = json.loads(run(capsys, "bank", "list", tours.path, "--like", *ids, "--json")[1])
    assert shown[0]["id"] == ids[-1] and shown[0]["likeness"] == 1
    assert place(tours.get(shown[1]["id"])) == 37
