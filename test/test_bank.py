"""The memory file: what goes in comes out, by id, stamp, pose, camera, session and label."""

import json
import logging
import math
import random
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
S = 10**9  # ns


def record(number: int = 0, size: tuple[int, int] = (640, 480), tier: str = "splats") -> bytes:
    return pack(Record(tier, size, random.Random(number).randbytes(200)))


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "memory.db") as bank:
        yield bank


def test_a_frame_comes_back_whole(bank):
    pose = Pose(1.1, -2.2, 3.3, 0, 0, 0.6, 0.8, reference="odom")
    data = record(1, size=(1920, 1080), tier="latent")
    frame_id = bank.add(data, stamp_ns=5 * S, camera="front", pose=pose, label="dock")
    frame = bank.get(frame_id)
    assert (frame.id, frame.data, frame.stamp_ns, frame.camera) == (frame_id, data, 5 * S, "front")
    assert (frame.size, frame.tier, frame.label, frame.pose) == (
        (1920, 1080),
        "latent",
        "dock",
        pose,
    )
    assert type(frame_id) is int and len(bank) == 1


def test_frames_survive_closing(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        ids = [bank.add(record(i), stamp_ns=i * S) for i in range(5)]
    with MemoryBank(tmp_path / "m.db") as bank:
        assert [bank.get(i).data for i in ids] == [record(i) for i in range(5)]
        assert bank.add(record(9), stamp_ns=9 * S) == ids[-1] + 1
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert len(bank) == 6
    assert not (tmp_path / "m.db-lock").exists()


def test_ids_are_not_reused_after_deleting(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        ids = [bank.add(record(i), stamp_ns=i) for i in range(3)]
        bank.flush()
        bank._db.execute("DELETE FROM frames")
    with MemoryBank(tmp_path / "m.db") as bank:
        assert bank.add(record(3), stamp_ns=3) == ids[-1] + 1


def test_pose_that_comes_later_and_changes(bank):
    frame_id = bank.add(record(), stamp_ns=0)
    assert bank.get(frame_id).pose is None and bank.find(near=(0, 0, 0), radius=1e6) == []
    for pose in (Pose(1, 2, 3), Pose(-100, 0, 7, reference="odom")):
        bank.set_pose(frame_id, pose)
        assert bank.get(frame_id).pose == pose
        assert [frame.id for frame in bank.find(near=pose.position, radius=0)] == [frame_id]
    assert bank.find(near=(1, 2, 3), radius=1) == []
    assert bank.find(near=(-100, 0, 7), radius=1, reference="map") == []
    assert len(bank.find(near=(-100, 0, 7), radius=1, reference="odom")) == 1


def test_labels(bank):
    a, b, c = (bank.add(record(i), stamp_ns=i) for i in range(3))
    bank.set_label(a, "dock")
    bank.set_label(b, "door")
    bank.set_label(c, "dock")
    assert [frame.id for frame in bank.find(label="dock")] == [a, c]
    bank.set_label(a, "door")
    bank.set_label(c, None)
    assert bank.find(label="dock") == [] and bank.get(c).label is None
    assert bank.info()["labels"] == {"door": 2}


def test_sessions(bank):
    unnamed = bank.get(bank.add(record(0), stamp_ns=7)).session
    first = bank.begin_session("kitchen", start_ns=100)
    bank.add(record(1), stamp_ns=100)
    second = bank.begin_session("lab", start_ns=50)
    bank.add(record(2), stamp_ns=50)
    bank.add(record(3), stamp_ns=101, session=first)
    assert len({unnamed, first, second}) == 3
    assert [frame.data for frame in bank.find(session=first)] == [record(1), record(3)]
    kitchen = bank.info()["sessions"][1]
    facts = {
        "id": first,
        "name": "kitchen",
        "start_ns": 100,
        "frames": 2,
        "first_ns": 100,
        "last_ns": 101,
    }
    assert kitchen == {**facts, "received": 0, "gated": 0, "dropped": 0, "poses_missing": 0}


def test_nearest(bank):
    front = {t: bank.add(record(t), stamp_ns=t, camera="front") for t in (10, 20, 30)}
    rear = bank.add(record(4), stamp_ns=22, camera="rear")
    assert bank.nearest(23).id == rear
    assert bank.nearest(23, "front").id == front[20]
    assert bank.nearest(25, "front").id == front[20]  # of two equally near, the earlier
    assert bank.nearest(-(2**63)).id == front[10] and bank.nearest(2**63 - 1).id == front[30]
    assert bank.nearest(40, tolerance_ns=10).id == front[30]
    assert bank.nearest(41, tolerance_ns=10) is None
    assert bank.nearest(23, "left") is None


def test_stamps_in_any_order_and_equal(bank):
    stamps = [5, -3, 5, 2**63 - 1, -(2**63), 0]
    ids = [bank.add(record(i), stamp_ns=stamp) for i, stamp in enumerate(stamps)]
    expected = [ids[i] for i in (4, 1, 5, 0, 2, 3)]
    assert [frame.id for frame in bank] == expected == [frame.id for frame in bank.find()]
    assert [frame.id for frame in bank.find(after=5, before=5)] == [ids[0], ids[2]]
    assert bank.find(after=6, before=4) == []


positions = st.tuples(*[st.floats(-50, 50) | st.sampled_from([0.0, 1.0, 3e5, 5e6])] * 3)
frames = st.tuples(
    st.integers(0, 30),
    st.sampled_from(["front", "rear"]),
    st.none() | positions,
    st.none() | st.just("dock"),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(frames, max_size=25),
    positions,
    st.floats(0, 60),
    st.integers(0, 30),
    st.integers(0, 30),
    st.data(),
)
def test_find_agrees_with_a_plain_search(
    tmp_path_factory, rows, centre, radius, after, before, data
):
    chosen = data.draw(
        st.sets(st.sampled_from(["time", "ball", "camera", "label", "limit", "session"]))
    )
    session = 2

    def wanted(row, row_session):
        stamp, camera, position, label = row
        if "ball" in chosen and (
            position is None or sum((p - c) ** 2 for p, c in zip(position, centre)) > radius**2
        ):
            return False
        return (
            ("time" not in chosen or after <= stamp <= before)
            and ("camera" not in chosen or camera == "rear")
            and ("label" not in chosen or label == "dock")
            and ("session" not in chosen or row_session == session)
        )

    with MemoryBank(tmp_path_factory.mktemp("find") / "m.db") as bank:
        bank.begin_session("a", start_ns=0)
        bank.begin_session("b", start_ns=0)
        expected = []
        for i, (stamp, camera, position, label) in enumerate(rows):
            pose = None if position is None else Pose(*position)
            frame_id = bank.add(
                record(i), stamp_ns=stamp, camera=camera, pose=pose, label=label, session=1 + i % 2
            )
            if wanted(rows[i], 1 + i % 2):
                expected.append((stamp, frame_id))
        arguments = {}
        if "time" in chosen:
            arguments.update(after=after, before=before)
        if "ball" in chosen:
            arguments.update(near=centre, radius=radius)
        if "camera" in chosen:
            arguments.update(camera="rear")
        if "label" in chosen:
            arguments.update(label="dock")
        if "session" in chosen:
            arguments.update(session=session)
        if "limit" in chosen:
            arguments.update(limit=3)
        found = [(frame.stamp_ns, frame.id) for frame in bank.find(**arguments)]
        assert found == sorted(expected)[: 3 if "limit" in chosen else None]
        if rows:
            nearest = bank.nearest(after)
            assert abs(nearest.stamp_ns - after) == min(abs(row[0] - after) for row in rows)


def test_a_crowded_place_gives_the_same_frames_as_a_quiet_one(bank, monkeypatch):
    for i in range(60):
        bank.add(record(i), stamp_ns=i, camera="ab"[i % 2], pose=Pose(i % 10, 0, 0))
    question = {"near": (2, 0, 0), "radius": 1.5, "camera": "a", "after": 20, "limit": 4}
    quiet = bank.find(**question)
    monkeypatch.setattr("gaussvae_ros.bank.queries.CROWD", 5)
    assert bank.find(**question) == quiet and [frame.stamp_ns for frame in quiet] == [
        22,
        32,
        42,
        52,
    ]


def test_iteration_holds_while_frames_are_added(bank):
    for i in range(150):
        bank.add(record(i), stamp_ns=7)  # one stamp for all: pages must not lose or repeat any
    seen = []
    for frame in bank:
        seen.append(frame.id)
        if frame.id == 10:
            bank.add(record(150), stamp_ns=8)
    assert seen == list(range(1, 152))


def test_several_threads_share_a_bank(bank):
    errors, ids = [], []

    def work(seed):
        try:
            for i in range(60):
                frame_id = bank.add(record(i), stamp_ns=seed * 1000 + i, pose=Pose(i, seed, 0))
                ids.append(frame_id)
                bank.set_label(frame_id, f"t{seed}")
                assert bank.get(frame_id).label == f"t{seed}"
                assert any(
                    frame.id == frame_id for frame in bank.find(near=(i, seed, 0), radius=0.1)
                )
                if i % 20 == 0:
                    bank.flush()
        except Exception as error:  # a thread's failure must reach the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and sorted(ids) == list(range(1, 241))
    assert bank.info()["labels"] == {f"t{seed}": 60 for seed in range(4)}


def test_info(bank):
    assert bank.info()["frames"] == 0 and bank.info()["bounds_m"] is None
    bank.add(record(0), stamp_ns=3, camera="front", pose=Pose(1, 2, 3))
    bank.add(record(1), stamp_ns=9, camera="rear", pose=Pose(-1, 5, 3))
    bank.add(record(2), stamp_ns=6, camera="rear", label="dock")
    info = bank.info()
    assert (info["frames"], info["first_ns"], info["last_ns"], info["poses"]) == (3, 3, 9, 2)
    assert info["cameras"] == {"front": 1, "rear": 2} and info["labels"] == {"dock": 1}
    assert info["bounds_m"] == [[-1, 1], [2, 5], [3, 3]]
    bank.flush()
    assert json.loads(json.dumps(bank.info())) == bank.info()
    assert bank.info()["bytes"] >= bank.path.stat().st_size > 0


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


def test_backup_of_a_bank_in_use(bank, tmp_path):
    for i in range(50):
        bank.add(record(i), stamp_ns=i, pose=Pose(i, 0, 0))
    bank.backup(tmp_path / "copy.db")
    bank.add(record(50), stamp_ns=50)
    with pytest.raises(BankError, match="exists already"):
        bank.backup(tmp_path / "copy.db")
    with pytest.raises(BankError, match="folder does not exist"):
        bank.backup(tmp_path / "none" / "copy.db")
    with MemoryBank(tmp_path / "copy.db") as copy:
        assert [frame.data for frame in copy] == [record(i) for i in range(50)]
        assert len(copy.find(near=(7, 0, 0), radius=1.1)) == 3 and copy.verify() == []
        assert copy.add(record(51), stamp_ns=51) > 50
    assert not list(tmp_path.glob("*.partial"))


def test_the_bank_needs_no_torch():
    code = """if True:
        import sys, gaussvae_ros.bank
        print([m for m in ("torch", "numba", "cv2") if m in sys.modules])
    """
    assert (
        subprocess.check_output([sys.executable, "-c", code], cwd=REPO, text=True).strip() == "[]"
    )


def test_snippets_of_the_documentation_run(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.ERROR)
    snippets = re.findall(
        r"```python\n(.*?)```", (REPO / "docs" / "bank.md").read_text(), re.DOTALL
    )
    assert len(snippets) >= 4
    names = {}
    for snippet in snippets:
        exec(snippet, names)
