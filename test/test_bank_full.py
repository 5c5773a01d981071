"""A memory file on disks that are small, full, or cannot be written."""

import logging
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.file import waiting as waiting_module
from gaussvae_ros.bank.file import writing
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]


def record(number: int = 0, n: int = 500) -> bytes:
    return pack(Record("latent", (640, 480), random.Random(number).randbytes(n)))


def add(bank: MemoryBank, number: int) -> int:
    like = random.Random(number).randbytes(64)
    return bank.add(
        record(number),
        stamp_ns=number,
        pose=Pose(number, 0, 0),
        descriptor=like,
        frame_id="optical",
    )


@pytest.fixture
def small_disk(tmp_path):
    """Makes file systems of some KiB."""
    made = []

    def make(kib: int) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", folder],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"no right to mount a small disk: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield make
    for folder in made:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, leave: int = 0):
    """A file that takes all space but `leave` KiB."""
    free = shutil.disk_usage(folder).free - leave * 1024
    (folder / "ballast").write_bytes(bytes(free))


def wait_until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def test_a_small_disk_takes_frames_one_at_a_time(small_disk):
    with MemoryBank(small_disk(1024) / "m.db") as bank:
        for i in range(150):
            add(bank, i)
            bank.flush()
        assert len(bank) == 150 and bank.verify() == []


@pytest.mark.parametrize("kib", [1024, 2048])
@pytest.mark.parametrize("group", [1, 50, 10**6])
def test_a_small_disk_holds_nearly_as_many_frames_as_fit(
    small_disk, kib, group, caplog, monkeypatch
):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(writing, "COMMIT_S", 600.0)  # so that groups have the same size anywhere
    folder = small_disk(kib)
    bank = MemoryBank(folder / "m.db")
    with pytest.raises(BankError, match="full|disk I/O"):
        for i in range(10000):
            add(bank, i)
            if i % group == group - 1:
                bank.flush()
    with pytest.raises(BankError, match="full|disk I/O"):
        bank.flush()
    with pytest.raises(
        BankError, match=r"frames \d+ to \d+; lost, because the bank is closed"
    ) as error:
        bank.close()
    first_lost = int(re.search(r"frames (\d+)", str(error.value))[1])
    with MemoryBank(folder / "m.db", readonly=True) as reader:
        assert [frame.id for frame in reader] == list(
            range(1, first_lost)
        ) and reader.verify() == []
    # about 1 KB a frame; the journal's index takes 32 KiB of the disk, the empty tables 50
    assert first_lost - 1 > (kib - 82) * 0.9


@pytest.mark.parametrize("group", [1, 30])
def test_frames_wait_and_are_stored_when_there_is_space(small_disk, group, caplog):
    caplog.set_level(logging.CRITICAL)
    folder = small_disk(1024)
    with MemoryBank(folder / "m.db") as bank:
        bank.begin_session("before", start_ns=0)
        add(bank, 0)
        bank.flush()
        fill(folder, leave=8)
        refused = 0
        for i in range(1, 300):
            if i == 100:
                bank.begin_session("while full", start_ns=i)  # the clock jumped
            frame_id = add(bank, i)
            if i == 200:
                bank.set_pose(frame_id, Pose(1, 2, 3))
                bank.set_label(frame_id, "dock")
            if i % group == 0:
                try:
                    bank.flush()
                except BankError:
                    refused += 1
        assert refused and 200 < bank.waiting <= 300
        assert re.search(r"m.db could not be written: .*(full|disk I/O)", bank.refusal)
        assert len(bank.find(limit=1)) == 1, "questions are answered meanwhile"
        (folder / "ballast").unlink()
        wait_until(lambda: bank.waiting == 0)  # by itself
        assert bank.refusal == ""
        assert [frame.stamp_ns for frame in bank.find(session=2)] == list(range(100, 300))
    with MemoryBank(folder / "m.db", readonly=True) as bank:
        assert [(f.id, f.data) for f in bank] == [
            (i + 1, record(i)) for i in range(300)
        ] and bank.verify() == []
        assert bank.get(201).pose == Pose(1, 2, 3) and bank.find(label="dock")[0].id == 201


def test_a_backup_to_another_disk_while_the_own_one_is_full(small_disk, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    folder = small_disk(1024)
    with MemoryBank(folder / "m.db") as bank:
        for i in range(20):
            add(bank, i)
        assert bank.backup(tmp_path / "before.db") == ""
        fill(folder)
        number = 20
        while not bank.waiting:  # what is left of the journal's space is taken first
            add(bank, number)
            number += 1
            try:
                bank.flush()
            except BankError:
                break
        stored = number - bank.waiting
        assert f"not stored yet: frames {stored + 1} to {number}" in bank.backup(
            tmp_path / "copy.db"
        )
        with pytest.raises(BankError, match="full|could not be written"):
            bank.backup(folder / "copy.db")
        assert bank.verify() == [] and not (folder / "copy.db").exists()
        (folder / "ballast").unlink()
    with MemoryBank(tmp_path / "copy.db", readonly=True) as copy:
        assert [frame.stamp_ns for frame in copy] == list(range(stored)) and copy.verify() == []
    with MemoryBank(folder / "m.db", readonly=True) as bank:
        assert len(bank) == number


def test_a_disk_that_becomes_full_and_free_again_and_again(small_disk, caplog):
    caplog.set_level(logging.CRITICAL)
    folder = small_disk(2048)
    with MemoryBank(folder / "m.db") as bank:
        for i in range(200):
            if i % 40 == 10:
                fill(folder, leave=random.Random(i).choice([0, 4, 40]))
            if i % 40 == 30:
                (folder / "ballast").unlink()
            add(bank, i)
            try:
                bank.flush()
            except BankError:
                pass
    with MemoryBank(folder / "m.db", readonly=True) as bank:
        assert [frame.stamp_ns for frame in bank] == list(range(200)) and bank.verify() == []


def test_what_waits_is_bounded_and_what_is_refused_is_said(small_disk, caplog, monkeypatch):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(waiting_module, "GROUP_WRITES", 50)
    folder = small_disk(1024)
    with MemoryBank(folder / "m.db") as bank:
        add(bank, 0)
        bank.flush()
        fill(folder)
        with pytest.raises(
            BankError, match="frames .* to .*; no more can wait in memory, so this is refused$"
        ):
            for i in range(1, 400):
                add(bank, i)
        waiting = bank.waiting
        assert 40 <= waiting <= 50
        for _ in range(3):
            with pytest.raises(BankError, match="refused"):
                add(bank, 0)
        assert bank.waiting == waiting
        (folder / "ballast").unlink()
        add(bank, 1000)
        bank.flush()
        assert bank.waiting == 0 and [frame.stamp_ns for frame in bank][-1] == 1000
    monkeypatch.setattr(waiting_module, "GROUP_BYTES", 20_000)
    with MemoryBank(folder / "m.db") as bank:
        fill(folder)
        with pytest.raises(BankError, match="refused"):
            for i in range(2000, 2400):
                add(bank, i)
        assert 10 < bank.waiting < 40
        (folder / "ballast").unlink()


@pytest.mark.parametrize("leave", [0, 4, 20, 60])
def test_opening_on_a_full_disk_is_one_sentence(small_disk, leave):
    folder = small_disk(1024)
    with MemoryBank(folder / "old.db") as bank:
        add(bank, 0)
    fill(folder, leave)
    names = sorted(file.name for file in folder.iterdir())
    for name in ("new.db", "old.db"):
        try:
            MemoryBank(folder / name).close()
        except BankError as error:
            assert str(error).startswith(f"{folder / name} cannot be opened")
            assert "full" in str(error) or "No space" in str(error) or "disk I/O" in str(error)
            assert "\n" not in str(error)
            assert name == "old.db" or sorted(file.name for file in folder.iterdir()) == names
    with MemoryBank(folder / "old.db", readonly=True) as bank:
        assert len(bank) == 1  # and on a full disk, too, a memory can be read
    (folder / "ballast").unlink()
    with MemoryBank(folder / "old.db") as bank:
        assert len(bank) == 1 and bank.verify() == []
