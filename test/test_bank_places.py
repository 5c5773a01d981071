"""Places where a memory file cannot be, and files that are none."""

import os
import subprocess
import sys
from ctypes import CFUNCTYPE, c_int, c_void_p, cast

import pytest
from test_bank_durability import record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bench.disk_log import DiskLog
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


class Share(DiskLog):
    """A file system without memory that processes share: `refused` when asked, or unknown to it."""

    def __init__(self, refused: bool):
        self._refused = refused
        # Of sqlite3_io_methods: xShmMap, which returns SQLITE_IOERR_SHMMAP.
        self._refuse = CFUNCTYPE(c_int, *[c_void_p] * 5)(lambda *_: 10 | 21 << 8)
        super().__init__()

    def _methods(self, below):
        methods = super()._methods(below)
        if self._refused:
            methods.contents.others[7] = cast(self._refuse, c_void_p).value
        else:
            methods.contents.version = 1
        return methods


@pytest.mark.skipif(sys.version_info < (3, 11), reason="SQLite's code of an error is not known")
@pytest.mark.parametrize("refused", [True, False])
def test_a_network_share_that_cannot_hold_a_memory_is_told(tmp_path, refused):
    with MemoryBank(tmp_path / "there.db") as bank:
        bank.add(record(), stamp_ns=1)
    contents = (tmp_path / "there.db").read_bytes()
    with Share(refused):
        for name in ("new.db", "there.db") if refused else ("new.db",):
            with pytest.raises(BankError, match="put it on a local disk$"):
                MemoryBank(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir() if "new" in file.name] == []
    assert (tmp_path / "there.db").read_bytes() == contents
    with MemoryBank(tmp_path / "there.db") as bank:
        assert len(bank) == 1
