"""Redaction after and during trouble: kills, full disks, readers of an old state."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from redacting import Bytes, fill, record, traces
from test_bank_full import fill as fill_disk
from test_bank_full import small_disk  # noqa: F401 (a fixture)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.opening import open_file
from gaussvae_ros.errors import BankError
from gaussvae_ros.maintenance.redaction import Redaction


def test_what_a_killed_writer_left_in_its_journal_goes_too(tmp_path):
    program = (
        "import os, signal, sys\n"
        "sys.path.insert(0, 'test')\n"
        "from redacting import MemoryBank, fill\n"
        "bank = MemoryBank(sys.argv[1])\n"
        "fill(bank, [None] * 9)\n"
        "bank.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.db")],
        cwd=Path(__file__).parents[1],
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    data = record(5)
    assert "record in a.db-wal" in traces(tmp_path, 5, data)
    with MemoryBank(tmp_path / "a.db") as bank:
        Redaction(bank, Bytes()).remove([5])
        assert traces(tmp_path, 5, data) == []
        assert traces(tmp_path, 4, record(4))


def test_a_reader_of_an_old_state_is_named_and_the_next_try_ends_it(tmp_path):
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None] * 9)
        bank.flush()
        with MemoryBank(tmp_path / "a.db", readonly=True) as idle:
            with closing(open_file(tmp_path / "a.db", readonly=True)) as busy:
                busy.execute("BEGIN")
                busy.execute("SELECT count(*) FROM frames").fetchone()
                with pytest.raises(BankError, match="a.db-wal still holds what was removed"):
                    Redaction(bank, Bytes()).remove([5])
            assert bank.ids() == [1, 2, 3, 4, 6, 7, 8, 9]
            Redaction(bank, Bytes()).remove([])
            assert traces(tmp_path, 5, chains[5][-1]) == []
            assert idle.ids() == bank.ids() and idle.verify() == []
    assert os.listdir(tmp_path) == ["a.db"]


@pytest.mark.parametrize("leave", [0, 100, 300])  # KiB: for nothing, for the log, for the copy
def test_a_full_disk_keeps_the_file_and_the_next_try_ends_it(small_disk, leave):
    folder = small_disk(2048)
    with MemoryBank(folder / "a.db") as bank:
        chains = fill(bank, [None] * 60)
        bank.flush()
        fill_disk(folder, leave)
        with pytest.raises(BankError, match="full|No space"):
            Redaction(bank, Bytes()).remove([5])
        (folder / "ballast").unlink()
        assert bank.verify() == [] and len(bank) in (59, 60)
        assert not list(folder.glob("*.partial"))
        Redaction(bank, Bytes()).remove([5] if len(bank) == 60 else [])
        assert bank.ids() == [i for i in range(1, 61) if i != 5] and bank.verify() == []
        assert traces(folder, 5, chains[5][-1]) == []
        assert {frame.id: frame.records for frame in bank} == {
            i: chain for i, chain in chains.items() if i != 5
        }


def test_a_kill_leaves_a_whole_file_and_the_next_try_ends_it(tmp_path):
    program = (
        "import os, signal, sys\n"
        "sys.path.insert(0, 'test')\n"
        "from redacting import Bytes, MemoryBank\n"
        "from gaussvae_ros.maintenance.redaction import Redaction\n"
        "signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))\n"  # ends the process at once
        "bank = MemoryBank(sys.argv[1])\n"
        "Redaction(bank, Bytes()).remove([i for i in bank.ids() if 100 <= i < 200])\n"
        "os.kill(os.getpid(), signal.SIGALRM)\n"
    )
    with MemoryBank(tmp_path / "a.db") as bank:
        chains = fill(bank, [None] * 1000)
    for delay in (0.01, 0.05, 0.1, 0.15, 0.2, 0.4):
        command = [sys.executable, "-c", program, str(tmp_path / "a.db"), str(delay)]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], timeout=120)
        assert done.returncode == -signal.SIGALRM
        with MemoryBank(tmp_path / "a.db") as bank:
            assert bank.verify() == []
            assert set(range(1, 1001)) - set(bank.ids()) <= set(range(100, 200))
            bank.add(record(99), stamp_ns=0)  # as a node would go on
    with MemoryBank(tmp_path / "a.db") as bank:
        Redaction(bank, Bytes()).remove([i for i in bank.ids() if 100 <= i < 200])
        assert len(bank) == 906 and bank.verify() == []
    for i in (100, 150, 199):
        assert traces(tmp_path, i, chains[i][-1]) == []
    assert os.listdir(tmp_path) == ["a.db"]
