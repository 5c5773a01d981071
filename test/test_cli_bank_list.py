"""`gaussvae bank list`: conditions mixed freely, and the order by stamp, nearness or likeness."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from references import record
from test_cli import codec, run  # noqa: F401 (a fixture)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.cli.bank_list import nearest
from gaussvae_ros.likeness import describe

SECOND = 10**9  # ns


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.fixture
def memory(tmp_path):
    """Two sessions of eight frames each, of two cameras, which look east and north in turn."""
    with MemoryBank(tmp_path / "memory.db") as bank:
        for name, map_id in (("monday", "hall"), ("tuesday", "attic")):
            bank.begin_session(name, start_ns=0, map_id=map_id)
            for i in range(8):
                yaw = math.pi / 2 * (i % 2)
                pose = Pose(i, 0, 0, 0, 0, math.sin(yaw / 2), math.cos(yaw / 2), "map")
                number = bank.add(
                    record(i),
                    stamp_ns=i * SECOND,
                    camera=("front", "rear")[i // 4],
                    pose=pose,
                    label="dock" if i == 5 else None,
                    descriptor=describe(picture(i)).tobytes(),
                )
        bank.begin_session("monday", start_ns=0)
        assert number == 16
    return bank.path


def ids(capsys, memory, *options: object) -> list[int]:
    code, out, err = run(capsys, "bank", "list", memory, "--json", *options)
    assert code == 0, err
    return [frame["id"] for frame in json.loads(out)]


EAST = ["--near", 3, 0, 0, "--radius", 3, "--yaw", 0, "--yaw-tolerance", 0.3]


@pytest.mark.parametrize(
    "options, found",
    [
        (EAST, [1, 9, 3, 11, 5, 13, 7, 15]),
        ([*EAST, "--session", "tuesday"], [9, 11, 13, 15]),
        ([*EAST, "--session", 2, "--camera", "rear"], [13, 15]),
        ([*EAST, "--map-id", "hall", "--after", SECOND, "--before", 4 * SECOND], [3, 5]),
        ([*EAST, "--reference", "odom"], []),
        (["--stamp", 5 * SECOND + 1, "--limit", 2], [6, 14]),
        (["--stamp", 5 * SECOND + 1, *EAST, "--session", 1, "--limit", 3], [7, 5, 3]),
        (["--stamp", 99 * SECOND, "--label", "dock"], [6, 14]),
        (["--stamp", -(2**63), "--limit", 1], [1]),
        (["--stamp", 2**63 - 1, "--camera", "front", "--limit", 1], [4]),
        (["--stamp", 0, "--after", 6 * SECOND, "--limit", 1], [7]),
        (["--like", 3, "--limit", 2], [3, 11]),
        (["--like", 3, "--session", "tuesday", "--camera", "front", "--limit", 1], [11]),
    ],
)
def test_conditions_mix_freely(memory, capsys, options, found):
    assert ids(capsys, memory, *options) == found


def test_an_image_file_is_asked_about(memory, tmp_path, capsys):
    Image.fromarray(picture(6)).save(tmp_path / "here.png")
    assert ids(capsys, memory, "--like", tmp_path / "here.png", "--limit", 2) == [7, 15]
    assert len(ids(capsys, memory, "--like", tmp_path / "here.png")) == 10


@pytest.mark.parametrize(
    "options, says",
    [
        (["--session", "monday"], "sessions 1, 3 are called 'monday': give an id"),
        (["--session", "sunday"], "is called 'sunday'"),
        (["--yaw", 1], "yaw and yaw_tolerance go together"),
        (["--yaw", 1, "--yaw-tolerance", 1], "give near and radius too"),
        (["--stamp", 1, "--like", 2], "not allowed with argument"),
        (["--like", "nothing.png"], "nothing.png"),
        (["--stamp", 1, "--after", 3, "--before", 2, "--limit", 0], "at least 1"),
    ],
)
def test_what_does_not_fit_is_one_line(memory, capsys, options, says):
    code, out, err = run(capsys, "bank", "list", memory, *options)
    assert code == 2 and not out and says in err and err.count("\n") == 1


@settings(max_examples=60)
@given(
    st.lists(st.integers(-(10**12), 10**12) | st.sampled_from([-(2**63), 2**63 - 1]), max_size=12),
    st.integers(-(10**12), 10**12) | st.integers(-(2**63), 2**63 - 1),
    st.integers(1, 5),
    st.integers(-(10**12), 10**12) | st.none(),
    st.integers(-(10**12), 10**12) | st.none(),
)
def test_the_nearest_are_those_of_a_sort(tmp_path_factory, stamps, stamp, limit, after, before):
    given = {"after": after, "before": before}
    given = {name: value for name, value in given.items() if value is not None}
    with MemoryBank(tmp_path_factory.mktemp("near") / "a.db") as bank:
        for i, s in enumerate(stamps):
            bank.add(record(i), stamp_ns=s)
        found = [frame.stamp_ns for frame in nearest(bank, stamp, limit, given)]
    inside = [s for s in stamps if given.get("after", s) <= s <= given.get("before", s)]
    assert found == sorted(inside, key=lambda s: (abs(s - stamp), s))[:limit]
