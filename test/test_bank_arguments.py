"""What a memory file takes and what it refuses: names, poses, records, questions."""

import math

import numpy as np
import pytest
from test_bank import (
    bank,  # noqa: F401 (fixture)
    record,
)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, RecordError


@pytest.mark.parametrize(
    "arguments",
    [
        {"stamp_ns": 1.5},
        {"stamp_ns": True},
        {"stamp_ns": None},
        {"stamp_ns": 2**63},
        {"stamp_ns": -(2**63) - 1},
        {"camera": ""},
        {"camera": None},
        {"camera": "a\nb"},
        {"camera": "\ud800"},
        {"session": 77},
        {"label": ""},
        {"label": 5},
        {"label": "a\tb"},
        {"label": "x" * 201},
        {"camera": "x" * 1001},
        {"pose": (1, 2, 3)},
        {"descriptor": "text"},
        {"descriptor": b""},
        {"descriptor": bytes(1025)},
        {"frame_id": None},
    ],
)
def test_bad_arguments_store_nothing(bank, arguments):
    with pytest.raises(BankError) as error:
        bank.add(record(), **{"stamp_ns": 1, **arguments})
    assert "\n" not in str(error.value) and len(bank) == 0
    assert len([bank.add(record(), stamp_ns=1)]) == len(bank) == 1


@pytest.mark.parametrize(
    "name", ["a\tb", "a\nb", "a\u00a0b", "a\0b", "\u2028", " ", "\u200d", "map\x7f"]
)
def test_names_of_coordinate_frames_are_kept_as_they_are(bank, name):
    frame_id = bank.add(record(), stamp_ns=1, frame_id=name, pose=Pose(1, 2, 3, reference=name))
    assert bank.get(frame_id).frame_id == bank.get(frame_id).pose.reference == name
    assert [frame.id for frame in bank.find(near=(1, 2, 3), radius=1, reference=name)] == [frame_id]
    assert bank.verify() == []


def test_names_of_coordinate_frames_that_no_file_can_hold_cost_no_frame(bank):
    odd = bank.add(
        record(), stamp_ns=1, frame_id="a\udcff", pose=Pose(1, 2, 3, reference="b\ud800")
    )
    long = bank.add(record(), stamp_ns=2, frame_id="x" * 10**6, camera="rear")
    assert (bank.get(odd).frame_id, bank.get(odd).pose.reference) == ("a?", "b?")
    assert bank.get(long).frame_id == "x" * 1000


@pytest.mark.parametrize(
    "name", ["dock\u00a07", "\u3000", "مى\u200cخواهم", "👩\u200d🔧", "x" * 200]
)
def test_labels_and_cameras_may_have_any_character_of_a_line(bank, name):
    bank.begin_session(name, start_ns=0)
    frame_id = bank.add(record(), stamp_ns=1, camera=name, label=name)
    assert [frame.id for frame in bank.find(label=name, camera=name)] == [frame_id]


def test_what_is_refused_of_a_name_is_said(bank):
    frame_id = bank.add(record(), stamp_ns=1)
    for label, reason in (
        ("a\tb", r"U\+0009 is not: 'a.tb'"),
        ("", "not empty"),
        ("x" * 201, "at most 200 char.*201"),
    ):
        with pytest.raises(BankError, match=f"^label .*{reason}"):
            bank.set_label(frame_id, label)
    with pytest.raises(
        BankError, match="^name of the session has at most 1000 characters, not 1001"
    ) as error:
        bank.begin_session("x" * 1001, start_ns=0)
    assert len(str(error.value)) < 150


@pytest.mark.parametrize(
    "data", [record()[:-1], record() + b"x", bytes([1, *record()[1:]]), b"", "text", None]
)
def test_only_whole_records_enter(bank, data):
    with pytest.raises(RecordError):
        bank.add(data, stamp_ns=1)
    assert len(bank) == 0


@pytest.mark.parametrize(
    "question",
    [
        {"near": (0, 0, 0)},
        {"radius": 1.0},
        {"near": (0, 0), "radius": 1},
        {"near": (0, 0, math.nan), "radius": 1},
        {"near": (0, 0, 0), "radius": -1},
        {"near": (0, 0, 0), "radius": math.inf},
        {"near": 5, "radius": 1},
        {"after": 0.5},
        {"before": 2**70},
        {"limit": 0},
        {"limit": 2.0},
        {"camera": ""},
        {"session": "kitchen"},
        {"reference": "map"},
        {"yaw": 0.0, "yaw_tolerance": 1.0},
        {"near": (0, 0, 0), "radius": 1, "yaw": 0.0},
        {"near": (0, 0, 0), "radius": 1, "yaw_tolerance": 0.1},
        {"near": (0, 0, 0), "radius": 1, "yaw": math.nan, "yaw_tolerance": 1},
        {"near": (0, 0, 0), "radius": 1, "yaw": 0, "yaw_tolerance": -0.1},
        {"near": (0, 0, 0), "radius": 1, "yaw": 0, "yaw_tolerance": math.nan},
        {"near": (0, 0, 0), "radius": 1, "yaw": "north", "yaw_tolerance": 1},
    ],
)
def test_bad_questions(bank, question):
    with pytest.raises(BankError):
        bank.find(**question)


def test_unknown_frames_and_closed_banks(tmp_path):
    bank = MemoryBank(tmp_path / "m.db")
    for call in (
        bank.get,
        lambda i: bank.set_pose(i, Pose(0, 0, 0)),
        lambda i: bank.set_label(i, None),
    ):
        with pytest.raises(BankError, match="no frame 3 in"):
            call(3)
        with pytest.raises(BankError, match="64 bits"):
            call(2**64)
    bank.close()
    bank.close()
    for call in (
        lambda: bank.add(record(), stamp_ns=1),
        lambda: bank.find(),
        lambda: len(bank),
        bank.flush,
        bank.info,
    ):
        with pytest.raises(BankError, match="closed"):
            call()


def test_pose_is_checked_and_normalised():
    pose = Pose(1, 2, 3, 0, 0, 0.7071, 0.7071)
    assert math.hypot(*pose.orientation) == pytest.approx(1, abs=1e-15)
    assert pose.position == (1.0, 2.0, 3.0)
    quaternions = [(0, 0, 0, *bad) for bad in ((0, 0, 0, 0), (0, 0, 0, 2), (0, math.nan, 0, 1))]
    for bad in (
        (math.nan, 0, 0),
        (0, math.inf, 0),
        ("a", 0, 0),
        (None, 0, 0),
        (0, 0, 2e9),
        *quaternions,
    ):
        with pytest.raises(BankError, match="pose has|not made of numbers|farther"):
            Pose(*bad)
    with pytest.raises(BankError):
        Pose(0, 0, 0, reference="")


@pytest.mark.parametrize("x", [1e9, -1e9, 16777217.0, 1e-300, 5e6 + 0.01])
def test_positions_that_32_bit_floats_round_are_found(bank, x):
    bank.add(record(), stamp_ns=0, pose=Pose(x, 0, 0))
    assert bank.find(near=(x, 0, 0), radius=0.001)[0].pose.x == x


@pytest.mark.parametrize("radius", [1e9, 1e154, 1.4e154, 1.7e308])
def test_a_radius_may_be_as_large_as_numbers_are(bank, radius):
    bank.add(record(), stamp_ns=0, pose=Pose(1, 2, 3))
    assert len(bank.find(near=(0, 0, 0), radius=radius)) == 1
    assert len(bank.find(near=(0, 0, 0), radius=radius, yaw=0, yaw_tolerance=1)) == 1


def test_numpy_numbers_are_numbers(bank):
    one = np.int64(1)
    session = bank.begin_session("s", start_ns=one)
    frame_id = np.int64(
        bank.add(
            record(), stamp_ns=one, session=np.int64(session), pose=Pose(*np.float32([1, 2, 3]))
        )
    )
    bank.set_pose(frame_id, Pose(*np.array([4.0, 5, 6])))
    bank.set_label(frame_id, "dock")
    frame = bank.get(frame_id)
    assert [type(n) for n in (frame.id, frame.stamp_ns, frame.session, frame.pose.x)] == [
        int,
        int,
        int,
        float,
    ]
    assert bank.find(near=np.array([4, 5, 6]), radius=one, after=one, before=one, limit=one) == [
        frame
    ]
    assert bank.nearest(one, tolerance_ns=one) == frame


def test_odd_file_names(tmp_path):
    for name in ("a b?c#d%20.db", "ü.memory", ":memory:"):
        with MemoryBank(tmp_path / name) as bank:
            bank.add(record(), stamp_ns=1)
        with MemoryBank(str(tmp_path / name), readonly=True) as bank:
            assert len(bank) == 1
        assert (tmp_path / name).exists()
    with pytest.raises(BankError):
        MemoryBank(tmp_path / "a\0b")
    with pytest.raises(BankError):
        MemoryBank(tmp_path / ("x" * 300))
