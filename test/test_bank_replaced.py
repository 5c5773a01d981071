"""A memory file that another one is copied over, or put in the place of."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from test_bank_gone import (
    REPO,
    add,
    names,
    path,  # noqa: F401 (fixture)
    record,
    remove,
)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError, BankGone


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
        told = reader.communicate("\n", timeout=600)[0].splitlines()
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


def test_likeness_is_that_of_the_file_that_is_there(path, tmp_path):
    with MemoryBank(tmp_path / "other.db") as other:
        other.add(record(1), stamp_ns=1, descriptor=b"\x7f\x00")
    with MemoryBank(path) as bank:
        bank.add(record(0), stamp_ns=0, descriptor=b"\x00\x7f")
        assert bank.find_like(b"\x00\x7f")[0][1] == 1
        path.replace(tmp_path / "moved.db")
        (tmp_path / "other.db").replace(path)
        bank.reopen()
        [(frame, score)] = bank.find_like(b"\x7f\x00")
        assert frame.stamp_ns == 1 and score == 1
