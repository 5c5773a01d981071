"""How large a memory file's journal gets, and files and folders that allow no more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_bank_full import REPO, add, record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.journal import LARGEST
from gaussvae_ros.errors import BankError

LIMITED = """
import resource, sys, random, time
from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack
def record(number):
    return pack(Record("latent", (640, 480), random.Random(number).randbytes(500)))
bank = MemoryBank(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
failed = 0
for i in range(400):
    bank.add(record(i), stamp_ns=i)
    try:
        bank.flush()
    except BankError as error:
        failed += 1
print(failed, bank.waiting)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
end = time.monotonic() + 60
while bank.waiting and time.monotonic() < end:
    time.sleep(0.05)
print(bank.waiting)
bank.close()
"""


def test_files_that_may_not_grow(tmp_path):
    path = tmp_path / "m.db"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], cwd=REPO, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    failed, waiting, left = map(int, done.stdout.split())
    assert failed > 20 and waiting > 20 and left == 0
    with MemoryBank(path, readonly=True) as bank:
        assert [frame.data for frame in bank] == [
            record(i) for i in range(400)
        ] and bank.verify() == []


def test_the_journal_stays_small(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank, MemoryBank(path, readonly=True) as reader:
        largest = 0
        for i in range(300):
            add(bank, i)
            bank.flush()
            largest = max(largest, Path(f"{path}-wal").stat().st_size)
            assert len(reader) == i + 1
        assert largest < LARGEST + 200_000
        for i in range(300, 1500):  # one long group
            add(bank, i)
        bank.flush()
        for i in range(1500, 1520):
            add(bank, i)
            bank.flush()
        assert Path(f"{path}-wal").stat().st_size < LARGEST + 200_000


@pytest.mark.parametrize(
    "name, reason",
    [
        ("none/m.db", "its folder does not exist"),
        ("", "is a folder"),
        ("x" * 300, "File name too long"),
        ("x" * 252, "File name too long"),  # that of its lock
        ("file/m.db", "its folder does not exist"),
        ("a\0b", "null"),
    ],
)
@pytest.mark.parametrize("readonly", [True, False])
def test_paths_that_cannot_be(tmp_path, name, reason, readonly):
    (tmp_path / "file").touch()
    with pytest.raises(BankError) as error:
        MemoryBank(f"{tmp_path}/{name}", readonly=readonly)
    assert "\n" not in str(error.value) and "Errno" not in str(error.value)
    assert reason in str(error.value) or (readonly and "does not exist" in str(error.value))
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_folders_and_files_without_permission(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may do everything")
    folder = tmp_path / "folder"
    folder.mkdir()
    with MemoryBank(folder / "m.db") as bank:
        add(bank, 0)
    (folder / "m.db").chmod(0)
    for readonly in (True, False):
        with pytest.raises(BankError, match="permission denied"):
            MemoryBank(folder / "m.db", readonly=readonly)
    folder.chmod(0o555)
    with pytest.raises(BankError, match="Permission denied"):
        MemoryBank(folder / "new.db")
    folder.chmod(0o755)
