"""The memory file: what goes in comes out, by id, stamp, pose, camera, session and label."""

import json
import logging
import random
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError
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
        "map_id": "",
        "start_ns": 100,
        "frames": 2,
        "first_ns": 100,
        "last_ns": 101,
    }
    assert kitchen == {**facts, "received": 0, "gated": 0, "dropped": 0, "poses_missing": 0}


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


def test_the_bank_leaves_pandas_to_who_asks_for_it():
    pytest.importorskip("pandas")
    code = """if True:
        import sys, gaussvae_ros.bank
        print("sqlite_utils" in sys.modules, "pandas" in sys.modules)
        import pandas
        print(len(pandas.DataFrame({"a": [1]})))
    """
    shown = subprocess.check_output([sys.executable, "-c", code], cwd=REPO, text=True)
    assert shown == "True False\n1\n"


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
