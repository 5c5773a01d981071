"""Places where a memory file cannot be, and files that are none."""

import os
import subprocess

import pytest
from test_bank_durability import record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError


@pytest.fixture
def frozen(tmp_path):
    """A folder with a memory file of one frame, in which nothing can be written."""
    folder = tmp_path / "frozen"
    folder.mkdir()
    root = os.geteuid() == 0  # permissions do not stop root, a read-only file system does
    if (
        root
        and subprocess.run(
            ["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True
        ).returncode
    ):
        pytest.skip("no right to mount a read-only disk")
    with MemoryBank(folder / "m.db") as bank:
        bank.add(record(3), stamp_ns=3)
    if root:
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    else:
        folder.chmod(0o555)
    yield folder
    if root:
        subprocess.run(["umount", "-l", folder], check=True)
    else:
        folder.chmod(0o755)


def test_a_place_that_cannot_be_written(frozen):
    with MemoryBank(frozen / "m.db", readonly=True) as bank:
        assert bank.get(1).data == record(3) and bank.verify() == []
    for name in ("m.db", "new.db"):
        with pytest.raises(BankError, match="cannot be opened"):
            MemoryBank(frozen / name)


def test_places_and_files_that_are_no_memory(tmp_path):
    import sqlite3

    foreign = tmp_path / "foreign.db"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE frames (id INTEGER)")
    db.close()
    (tmp_path / "text.db").write_text(
        "This is not a database, but long enough to look like one. " * 50
    )
    (tmp_path / "short.db").write_text("short")
    for name, reason in (
        ("foreign.db", "not a memory file"),
        ("text.db", "not a database"),
        ("short.db", "not a database"),
        ("", "is a folder"),
        ("none/m.db", "exist"),
    ):
        contents = (
            (tmp_path / name).read_bytes()
            if name.count(".") and (tmp_path / name).exists()
            else None
        )
        for readonly in (True, False):
            with pytest.raises(BankError, match=reason) as error:
                MemoryBank(tmp_path / name, readonly=readonly)
            assert "\n" not in str(error.value)
        assert contents is None or (tmp_path / name).read_bytes() == contents
    with pytest.raises(BankError, match="does not exist"):
        MemoryBank(tmp_path / "new.db", readonly=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign.db", "short.db", "text.db"]


def test_an_empty_file_becomes_a_memory(tmp_path):
    (tmp_path / "m.db").touch()
    with pytest.raises(BankError, match="not a memory file"):
        MemoryBank(tmp_path / "m.db", readonly=True)
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add(record(), stamp_ns=1)
