"""Poses of a memory file that are moved in bulk, through kills, readers and full disks."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank, Pose, corrections
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
DATA = pack(Record("splats", (640, 480), b"payload"))
MANY = 5000  # poses, many pieces


def fill(bank: MemoryBank, count: int) -> None:
    """Frames 1 to `count` at (id, 0, 0)."""
    for i in range(1, count + 1):
        bank.add(DATA, stamp_ns=i, pose=Pose(i, 0, 0))
    bank.flush()


def moved(count: int, y: float = 7.0) -> dict[int, Pose]:
    return {i: Pose(i + 0.5, y, 0) for i in range(1, count + 1)}


def moved_places(count: int, y: float = 7.0) -> list[tuple[float, float]]:
    return [(i + 0.5, y) for i in range(1, count + 1)]


def places(bank: MemoryBank) -> list[tuple[float, float]]:
    return [frame.pose.position[:2] for frame in bank]


def unfinished(bank: MemoryBank) -> int:
    return bank._db.execute("SELECT count(*) FROM moved_poses").fetchone()[0]


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(corrections, "PIECE", 10)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 55])
def test_poses_are_moved_with_their_index_and_the_originals_stay(tmp_path, small_pieces, count):
    with MemoryBank(tmp_path / "m.db") as bank:
        fill(bank, 55)
        bank.set_poses(moved(count))
        assert places(bank)[:count] == [(i + 0.5, 7) for i in range(1, count + 1)]
        assert places(bank)[count:] == [(i, 0) for i in range(count + 1, 56)]
        near = {"radius": 0.4}
        assert [f.id for f in bank.find(near=(1.5, 7, 0), **near)] == [1]
        assert bank.find(near=(1, 0, 0), **near) == []
        assert bank.original_pose(1) == Pose(1, 0, 0) and bank.original_pose(55) == Pose(55, 0, 0)
        bank.set_poses(moved(count, y=9.0))
        assert bank.original_pose(1) == Pose(1, 0, 0) and bank.get(1).pose.y == 9
        info = bank.info()
        assert info["corrected"] == count and info["poses"] == 55 and info["bounds_m"][1][1] == 9
        assert bank.verify() == [] and unfinished(bank) == 0
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert places(bank)[:count] == [(i + 0.5, 9) for i in range(1, count + 1)]
        with pytest.raises(BankError, match="readonly"):
            bank.set_poses(moved(1))


def test_frames_that_had_no_pose_get_one(tmp_path, small_pieces):
    with MemoryBank(tmp_path / "m.db") as bank:
        for i in range(30):
            bank.add(DATA, stamp_ns=i, pose=Pose(i, 0, 0) if i % 2 else None)
        assert bank.original_pose(1) is None
        bank.set_poses(moved(30))
        assert all(y == 7 for _, y in places(bank)) and bank.verify() == []
        assert bank.original_pose(1) == Pose(1.5, 7, 0) and bank.original_pose(2) == Pose(1, 0, 0)


@pytest.mark.parametrize("count", [3, 35])
def test_frames_that_are_not_there_are_said_and_cost_the_others_nothing(
    tmp_path, small_pieces, count
):
    with MemoryBank(tmp_path / "m.db") as bank:
        fill(bank, count)
        waiting = bank.add(DATA, stamp_ns=99)
        others = {waiting: Pose(1, 2, 3), waiting + 5: Pose(0, 0, 0), 10**6: Pose(0, 0, 0)}
        assert bank.set_poses({**moved(count), **others}) == [waiting + 5, 10**6]
        assert places(bank) == [*moved_places(count), (1, 2)] and bank.verify() == []
        assert bank.set_poses({**moved(count, 9.0), waiting: Pose(3, 4, 5)}) == []
        assert places(bank) == [*moved_places(count, 9.0), (3, 4)]


def test_what_is_no_pose_moves_none(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        fill(bank, 3)
        before = places(bank)
        with pytest.raises(BankError, match="a pose is a Pose"):
            bank.set_poses({2: Pose(0, 0, 0), 1: (1, 2, 3)})
        with pytest.raises(BankError, match="frame id must be an integer"):
            bank.set_poses({"1": Pose(0, 0, 0)})
        assert bank.set_poses({}) == []
        assert places(bank) == before and bank.original_pose(1) == Pose(1, 0, 0)


@pytest.mark.parametrize("valid", [False, True])
def test_a_correction_that_was_cut_off_holds_whole_or_not_at_all(tmp_path, small_pieces, valid):
    """In every way to ask, before it is finished, and also for the pose that is set then."""
    path, left = tmp_path / "m.db", 30
    with MemoryBank(path) as bank:
        fill(bank, 40)
        bank._try_to_finish = lambda: None  # as a process that was killed would not
        if not valid:
            bank.set_poses.__globals__["_SET_VALID"], kept = "SELECT ?", corrections._SET_VALID
        try:
            bank.set_poses(moved(left))
        finally:
            if not valid:
                corrections._SET_VALID = kept
        assert unfinished(bank) == left
    for readonly in (True, False):
        with MemoryBank(path, readonly=readonly) as bank:
            expected = [(i + 0.5, 7) if valid and i <= left else (i, 0) for i in range(1, 41)]
            assert places(bank) == expected and bank.verify() == []
            at, other = ((5.5, 7, 0), (5, 0, 0)) if valid else ((5, 0, 0), (5.5, 7, 0))
            assert [f.id for f in bank.find(near=at, radius=0.3)] == [5]
            assert bank.find(near=other, radius=0.3) == []
            assert bank.info()["bounds_m"][1] == [0, 7 if valid else 0]
            assert bank.original_pose(5) == Pose(5, 0, 0)
    with MemoryBank(path) as bank:
        bank.set_pose(5, Pose(0, -3, 0))
        assert bank.get(5).pose.y == -3
        bank.set_poses({6: Pose(0, -4, 0)})
        expected[4], expected[5] = (0, -3), (0, -4)
        assert places(bank) == expected and bank.verify() == [] and unfinished(bank) == 0
        assert bank.original_pose(5) == Pose(5, 0, 0)


WRITER = """
import sys
from gaussvae_ros.bank import MemoryBank, Pose
bank = MemoryBank(sys.argv[1])
count, turn = len(bank), 0
while True:
    turn += 1
    print(turn, flush=True)
    bank.set_poses({i: Pose(i, turn, 0) for i in range(1, count + 1)})
    print(-turn, flush=True)
"""


@pytest.mark.parametrize("after", [0.02, 0.1, 0.3])
def test_a_kill_at_any_moment_leaves_all_old_or_all_new(tmp_path, after):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        fill(bank, MANY)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    for line in writer.stdout:
        if line.strip() == "-1":
            break
    time.sleep(after)
    writer.send_signal(signal.SIGKILL)
    begun = [int(line) for line in writer.communicate()[0].split()]
    done, started = max([1, *(-n for n in begun)]), max([1, *begun])
    with MemoryBank(path, readonly=True) as bank:
        found = {y for _, y in places(bank)}
        assert len(found) == 1 and done <= found.pop() <= started
    with MemoryBank(path) as bank:
        bank.set_poses({1: Pose(0, 0, 0)})
        assert unfinished(bank) == 0 and bank.verify() == []
        assert {bank.original_pose(i) for i in (1, MANY)} == {Pose(1, 0, 0), Pose(MANY, 0, 0)}


READER = """
import sys
from gaussvae_ros.bank import MemoryBank
bank, seen = MemoryBank(sys.argv[1], readonly=True), set()
for line in sys.stdin:
    found = {frame.pose.y for frame in bank.find(near=(0, 0, 0), radius=1e6)}
    assert len(found) == 1, found
    seen |= found
    print(*seen, flush=True)
"""


def test_readers_see_all_old_or_all_new_and_the_writer_goes_on(tmp_path, small_pieces):
    path, count = tmp_path / "m.db", 1000
    with MemoryBank(path) as bank:
        fill(bank, count)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(path)],
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

        def ask() -> str:
            reader.stdin.write("\n")
            reader.stdin.flush()
            return reader.stdout.readline().strip()

        assert ask() == "0.0"
        correction = threading.Thread(target=bank.set_poses, args=(moved(count),))
        correction.start()
        added = 0
        while correction.is_alive():
            bank.add(DATA, stamp_ns=0)
            added += 1
            ask()
        assert ask() == "0.0 7.0"
        reader.stdin.close()
        assert reader.wait(60) == 0
        assert added > 1 and len(bank) == count + added and bank.verify() == []


def test_two_corrections_at_a_time_come_one_after_the_other(tmp_path, small_pieces):
    with MemoryBank(tmp_path / "m.db") as bank:
        fill(bank, 200)
        threads = [
            threading.Thread(target=bank.set_poses, args=(moved(200, y),)) for y in (3.0, 4.0, 5.0)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({y for _, y in places(bank)}) == 1 and bank.verify() == []


def test_a_full_disk_moves_none_and_loses_nothing(tmp_path):
    folder, refused = tmp_path / "disk", 0
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        with MemoryBank(folder / "m.db") as bank:
            fill(bank, 1500)
            expected = dict(enumerate(places(bank), 1))
            for leave in (0, 40_000, 100_000, 200_000, 400_000):
                bank._group._journal.merge(shrink=True)
                facts = os.statvfs(folder)
                (folder / "ballast").write_bytes(bytes(facts.f_bavail * facts.f_frsize - leave))
                waits = bank.add(DATA, stamp_ns=10**6 + leave, pose=Pose(leave, 0, 0))
                expected[waits] = (leave, 0)
                try:
                    bank.set_poses(moved(1500, leave))
                    expected |= {i: (i + 0.5, leave) for i in range(1, 1501)}
                except BankError as error:
                    assert "could not be written" in str(error) or "not stored yet" in str(error)
                    refused += 1
                assert dict(enumerate(places(bank), 1)) == expected
                (folder / "ballast").unlink()
            assert refused and len(bank) == 1505
            bank.set_poses(moved(1500, 77.0))
            assert unfinished(bank) == 0 and bank.verify() == []
            assert {y for _, y in places(bank)} == {0, 77}
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_mix_of_corrections_is_the_last_one_of_each_frame(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("mix") / "m.db"
    count, number = 24, st.floats(-1e6, 1e6)
    with MemoryBank(path) as bank, pytest.MonkeyPatch.context() as patch:
        patch.setattr(corrections, "PIECE", 5)
        expected, original = {}, {}
        for i in range(1, count + 1):
            pose = Pose(random.Random(i).random(), 0, 0) if i % 3 else None
            bank.add(DATA, stamp_ns=i, pose=pose)
            expected[i] = pose
        original = {i: pose for i, pose in expected.items() if pose is not None}
        for _ in range(data.draw(st.integers(1, 4))):
            ids = data.draw(st.sets(st.integers(1, count)))
            poses = {i: Pose(data.draw(number), data.draw(number), 0) for i in ids}
            bank.set_poses(poses)
            expected |= poses
            original = {**poses, **original}
        assert {frame.id: frame.pose for frame in bank} == expected
        assert {i: bank.original_pose(i) for i in expected} == {
            i: original.get(i) for i in expected
        }
        for frame_id, pose in expected.items():
            if pose is not None:
                near = bank.find(near=pose.position, radius=1e-3)
                assert frame_id in [frame.id for frame in near]
        assert bank.verify() == []
