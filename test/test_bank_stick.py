"""A memory file on a stick that is pulled out, and another that comes."""

import subprocess
from pathlib import Path

import pytest
from test_bank_gone import (
    add,
    names,
    path,  # noqa: F401 (fixture)
)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankGone


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
