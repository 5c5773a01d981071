"""A memory file that is deleted, replaced or taken away while it is open."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, BankGone
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]


def record(number: int = 0) -> bytes:
    return pack(Record("latent", (640, 480), random.Random(number).randbytes(500)))


def add(bank: MemoryBank, numbers, **facts) -> list[int]:
    return [bank.add(record(i), stamp_ns=i, **facts) for i in numbers]


def remove(path: Path, *endings: str):
    for ending in endings:
        Path(f"{path}{ending}").unlink(missing_ok=True)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


ALL = ("", "-wal", "-shm", "-lock")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tour.db"


@pytest.mark.parametrize(
    "endings", [ALL, ("",), ("", "-lock"), ("", "-wal", "-shm"), ("", "-shm", "-lock")]
)
def test_a_deleted_file_is_noticed_and_the_frames_go_on_in_a_new_one(path, endings):
    with MemoryBank(path) as bank:
        assert bank.check_place() == ""
        first = bank.begin_session("tour", start_ns=0)
        ids = add(bank, range(3), session=first)
        bank.flush()
        waiting = add(
            bank, range(3, 5), camera="front", pose=Pose(1, 2, 3), frame_id="optical", label="dock"
        )
        remove(path, *endings)
        assert bank.check_place() == f"{path} was deleted"
        for call in (
            lambda: bank.add(record(), stamp_ns=1),
            bank.flush,
            lambda: bank.get(ids[0]),
            lambda: len(bank),
        ):
            with pytest.raises(
                BankGone, match=f"was deleted; not stored yet: frames {waiting[0]} to {waiting[1]}$"
            ):
                call()
        assert bank.waiting == 2
        kept = bank.reopen()
        assert [(f.id, f.data, f.stamp_ns, f.camera) for f in kept] == [
            (frame_id, record(i), i, "front") for i, frame_id in zip((3, 4), waiting)
        ]
        assert {(f.label, f.pose, f.frame_id) for f in kept} == {("dock", Pose(1, 2, 3), "optical")}
        assert bank.check_place() == "" and bank.reopen() == [] and len(bank) == 0 == bank.waiting
        session = bank.begin_session("tour", start_ns=3)
        again = [
            bank.add(f.data, stamp_ns=f.stamp_ns, camera=f.camera, session=session) for f in kept
        ]
        assert min(again) > max(waiting)  # an id that somebody holds is never another frame's
    with MemoryBank(path) as bank:
        assert [frame.id for frame in bank] == again and bank.verify() == []
    assert names(path.parent) == ["tour.db"]


@pytest.mark.parametrize("lock", [True, False])
def test_a_replaced_file_is_noticed_and_takes_no_damage(path, tmp_path, lock):
    with MemoryBank(tmp_path / "other.db") as other:
        add(other, range(100, 140))
    contents = (tmp_path / "other.db").read_bytes()
    bank = MemoryBank(path)
    add(bank, range(3))
    bank.flush()
    add(bank, range(3, 5))
    (tmp_path / "other.db").replace(path)
    if not lock:
        remove(path, "-lock")
    assert bank.check_place() == f"{path} was replaced by another file"
    with pytest.raises(
        BankGone, match="was replaced by another file; not stored yet: frames 4 to 5; lost"
    ):
        bank.close()
    assert path.read_bytes() == contents
    with pytest.raises(BankError, match="tour.db-wal is not the journal of"):
        MemoryBank(path)
    remove(path, "-wal", "-shm")
    with MemoryBank(path) as bank:
        assert [frame.data for frame in bank] == [
            record(i) for i in range(100, 140)
        ] and bank.verify() == []


@pytest.mark.parametrize(
    "merged, removed", [(True, ()), (False, ()), (False, ("-wal",)), (False, ("-wal", "-shm"))]
)
def test_a_file_that_is_copied_over_is_noticed_and_takes_no_damage(path, tmp_path, merged, removed):
    with MemoryBank(tmp_path / "other.db") as other:
        add(other, range(100, 140))
    with MemoryBank(path) as bank:
        add(bank, range(50))
        bank.flush()
        if merged:
            bank._group._journal.merge()
        add(bank, range(50, 53))
        shutil.copyfile(tmp_path / "other.db", path)
        assert (
            bank.check_place() == f"{path} was replaced by another file, which was copied over it"
        )
        remove(path, *removed)
        with pytest.raises(BankGone, match="was replaced by another file"):
            bank.flush()
        assert path.read_bytes() == (tmp_path / "other.db").read_bytes()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in bank] == [
            *range(50, 53),
            *range(100, 140),
        ] and bank.verify() == []
        shutil.copyfile(tmp_path / "other.db", path)
        add(bank, [7])
        with pytest.raises(
            BankGone, match="was replaced by another file, .*lost, because the bank is closed"
        ):
            bank.close()
    with MemoryBank(path) as bank:
        assert [frame.stamp_ns for frame in bank] == list(range(100, 140)) and bank.verify() == []


READER = """
import sys
from gaussvae_ros.bank import MemoryBank
bank = MemoryBank(sys.argv[1], readonly=True)
print(len(list(bank)), flush=True)
sys.stdin.readline()
print(bank.check_place(), flush=True)
bank.close()
print(len(list(MemoryBank(sys.argv[1], readonly=True))), flush=True)
"""


@pytest.mark.parametrize("merged", [True, False])
def test_the_writer_goes_on_in_what_was_copied_over_a_file_that_others_read(path, tmp_path, merged):
    with MemoryBank(tmp_path / "other.db") as other:
        add(other, range(100, 140))
    with MemoryBank(path) as bank:
        add(bank, range(50))
        bank.flush()
        if merged:
            bank._group._journal.merge()
        command = [sys.executable, "-c", READER, path]
        reader = subprocess.Popen(
            command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout.readline() == "50\n"
        add(bank, [50])
        shutil.copyfile(tmp_path / "other.db", path)
        assert "was replaced" in bank.check_place()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        bank.flush()
        assert [frame.stamp_ns for frame in bank] == [50, *range(100, 140)] and bank.verify() == []
        told = reader.communicate("\n", timeout=60)[0].splitlines()
        assert (
            re.fullmatch(f"{path}-(wal|shm) was (replaced by another file|deleted)", told[0])
            and told[1] == "41"
        )


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_the_place_of_a_file_holds_nobody_up(path, kind):
    with MemoryBank(path) as bank:
        add(bank, range(3))
        bank.flush()
        remove(path, "", "-wal", "-shm")
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
        assert bank.check_place()
        for attempt in (bank.reopen, lambda: MemoryBank(path, readonly=True)):
            with pytest.raises(BankError, match="is a device or a pipe, not a memory file"):
                attempt()
        path.unlink()
        bank.reopen()
        add(bank, [3])
        assert [frame.stamp_ns for frame in bank] == [3]


def test_a_journal_is_not_merged_by_time_into_what_was_copied_over_its_file(path, tmp_path):
    with MemoryBank(tmp_path / "other.db") as other:
        add(other, range(100, 140))
    bank = MemoryBank(path)
    add(bank, range(50))
    bank.flush()
    shutil.copyfile(tmp_path / "other.db", path)
    time.sleep(1.2)  # a merge is due
    assert "was replaced" in bank.check_place()
    bank.close()
    assert path.read_bytes() == (tmp_path / "other.db").read_bytes()


def test_an_older_copy_that_is_put_back_under_the_writer_is_noticed(path, tmp_path):
    with MemoryBank(path) as bank:
        for i in range(3):
            add(bank, [i])
            bank.flush()
            bank._group._journal.merge()
            shutil.copyfile(path, tmp_path / f"copy{i}.db")
        assert bank.check_place() == ""
        shutil.copyfile(tmp_path / "copy0.db", path)
        assert "was replaced" in bank.check_place()
        bank.reopen()
        assert [frame.stamp_ns for frame in bank] == [0] and bank.verify() == []


def test_a_file_that_is_only_touched_is_the_same(path):
    with MemoryBank(path) as bank:
        add(bank, [0])
        bank.flush()
        path.touch()
        assert bank.check_place() == ""
        add(bank, [1])
        assert len(bank) == 2


def test_a_bank_goes_on_in_the_file_that_replaced_its_own(path, tmp_path):
    with MemoryBank(tmp_path / "other.db") as other:
        add(other, range(100, 140))
    with MemoryBank(path) as bank:
        add(bank, range(50))
        bank.flush()
        add(bank, range(50, 53))
        path.replace(tmp_path / "moved.db")
        (tmp_path / "other.db").replace(path)
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in bank] == [
            *range(50, 53),
            *range(100, 140),
        ] and bank.verify() == []
    with MemoryBank(tmp_path / "moved.db") as moved:  # also what was in its journal only
        assert [frame.stamp_ns for frame in moved] == list(range(50)) and moved.verify() == []
    assert names(tmp_path) == ["moved.db", "tour.db"]


def test_a_file_that_is_moved_away_and_back(path, tmp_path):
    with MemoryBank(path) as bank:
        add(bank, range(3))
        bank.flush()
        add(bank, range(3, 5))
        path.replace(tmp_path / "moved.db")
        assert "was deleted" in bank.check_place()
        (tmp_path / "moved.db").replace(path)
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in bank] == list(range(5)) and bank.verify() == []


@pytest.mark.parametrize("endings", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_journal_that_is_deleted_under_its_writer(path, endings):
    with MemoryBank(path) as bank:
        add(bank, range(40))
        bank.flush()
        add(bank, range(40, 43))
        remove(path, *endings)
        assert bank.check_place() == f"{path}{endings[0]} was deleted"
        with pytest.raises(BankGone):
            bank.flush()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in bank] == list(range(43)) and bank.verify() == []


def test_a_folder_that_goes_away_and_comes_back(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    with MemoryBank(folder / "tour.db") as bank:
        add(bank, range(3))
        shutil.rmtree(folder)
        assert bank.check_place() == f"the folder of {folder / 'tour.db'} is gone"
        for _ in range(2):
            with pytest.raises(BankGone, match="the folder of .* is gone"):
                bank.reopen()
        assert bank.waiting == 3
        folder.mkdir()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert len(bank) == 3 and bank.verify() == []


def test_closing_a_bank_whose_file_is_gone_names_what_is_lost(path):
    bank = MemoryBank(path)
    add(bank, range(2))
    remove(path, *ALL)
    other = MemoryBank(path)
    add(other, range(5))
    other.flush()
    before = names(path.parent)
    with pytest.raises(BankGone, match="frames 1 to 2; lost, because the bank is closed"):
        bank.close()
    bank.close()
    assert names(path.parent) == before == ["tour.db", "tour.db-lock", "tour.db-shm", "tour.db-wal"]
    with pytest.raises(BankError, match="is being written by process"):
        MemoryBank(path)  # the other's lock holds
    with MemoryBank(path, readonly=True) as reader:
        assert len(reader) == 5
    other.close()
    with MemoryBank(path) as bank:
        assert len(bank) == 5 and bank.verify() == []


def test_two_banks_never_write_one_file_though_its_lock_is_deleted(path):
    with MemoryBank(path) as first:
        add(first, range(3))
        first.flush()
        waiting = add(first, range(3, 6))
        remove(path, "-lock")
        with MemoryBank(path) as second:
            ids = add(second, range(10, 13))
            second.flush()
            assert set(ids).isdisjoint(waiting)
            assert (
                "now" in first.check_place()
                and "is being written by process" in first.check_place()
            )
            with pytest.raises(BankGone, match="is being written by process"):
                first.flush()
            with pytest.raises(BankGone, match="is being written by process"):
                first.reopen()
            assert first.waiting == 3
        kept = first.reopen()
        add(first, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in first] == [
            0,
            1,
            2,
            3,
            4,
            5,
            10,
            11,
            12,
        ] and first.verify() == []
        assert len({frame.id for frame in first}) == 9


def test_a_lock_file_that_is_only_deleted_is_made_again(path):
    with MemoryBank(path) as bank:
        remove(path, "-lock")
        assert bank.check_place() == "" and Path(f"{path}-lock").exists()
        with pytest.raises(BankError, match="is being written by process"):
            MemoryBank(path)
        add(bank, range(2))
    assert names(path.parent) == ["tour.db"]


def test_a_writer_that_came_and_went_while_the_lock_file_was_deleted(path):
    with MemoryBank(path) as first:
        add(first, range(3))
        first.flush()
        waiting = add(first, range(3, 6))
        # Else SQLite lets nobody else write: the first is within a transaction.
        first._group._undo()
        remove(path, "-lock")
        with MemoryBank(path) as second:
            add(second, range(10, 13))
        with pytest.raises(BankGone, match="was written by another process"):
            first.flush()
        kept = first.reopen()
        assert [frame.id for frame in kept] == waiting
        add(first, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in first] == [
            0,
            1,
            2,
            3,
            4,
            5,
            10,
            11,
            12,
        ] and first.verify() == []


def test_a_reader_does_not_serve_a_file_that_is_gone(path, tmp_path):
    with MemoryBank(path) as bank:
        add(bank, range(3))
    with MemoryBank(path, readonly=True) as reader:
        assert len(reader) == 3
        frames = iter(reader)
        next(frames)
        path.replace(tmp_path / "moved.db")
        assert reader.check_place() == f"{path} was deleted"
        for call in (
            lambda: len(reader),
            lambda: reader.get(1),
            reader.info,
            reader.verify,
            lambda: list(reader),
        ):
            with pytest.raises(BankGone, match="was deleted"):
                call()


@pytest.fixture
def stick(tmp_path):
    """Mounts a new, empty disk at one folder each time it is called; the one before is taken away,
    though in use.
    """
    folder, mounted = tmp_path / "stick", []
    folder.mkdir()

    def plug() -> Path:
        pull()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no right to mount a disk: {done.stderr.strip()}")
        mounted.append(folder)
        return folder / "tour.db"

    def pull():
        while mounted:
            subprocess.run(["umount", "-l", mounted.pop()], check=True)

    plug.pull = pull
    yield plug
    pull()


def test_a_stick_that_goes_away_and_another_that_comes(stick):
    path = stick()
    bank = MemoryBank(path)
    add(bank, range(3))
    bank.flush()
    add(bank, range(3, 5))
    inode = path.stat().st_ino
    stick.pull()
    assert bank.check_place() == f"{path} was deleted"
    with pytest.raises(BankGone):
        bank.flush()
    stick()
    other = MemoryBank(path)  # such as a node that was started again
    assert path.stat().st_ino == inode, "this test is about disks whose files have the same inode"
    add(other, range(10, 12))
    other.flush()
    names_before = names(path.parent)
    with pytest.raises(BankGone, match="frames 4 to 5; lost"):
        bank.close()
    assert (
        names(path.parent)
        == names_before
        == ["tour.db", "tour.db-lock", "tour.db-shm", "tour.db-wal"]
    )
    with MemoryBank(path, readonly=True) as reader:
        assert len(reader) == 2
    other.close()
    assert names(path.parent) == ["tour.db"]


def test_a_bank_goes_on_with_the_stick_that_comes(stick):
    path = stick()
    with MemoryBank(path) as bank:
        add(bank, range(3))
        stick.pull()
        assert bank.check_place() == f"{path} was deleted"
        stick()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        bank.flush()
        assert len(bank) == 3
    with MemoryBank(path, readonly=True) as reader:
        assert len(reader) == 3 and reader.verify() == []
