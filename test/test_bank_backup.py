"""Backups of a memory file, also while it is written."""

import json
import os
import re
import time

import pytest
from test_bank_copies import add, copied, path, writer  # noqa: F401 (fixtures)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import main

# Backups


def test_a_backup_while_another_process_writes(path, tmp_path, writer, capsys):
    process = writer(0.005)
    time.sleep(0.5)
    done = int(process.stdout.readline().split()[0])
    assert main(["bank", "backup", str(path), "-o", str(tmp_path / "copy.db"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["copy"] == str(tmp_path / "copy.db") and told["frames"] >= done
    assert told["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert copied(tmp_path / "copy.db") == list(range(told["frames"]))
    assert process.poll() is None
    assert main(["bank", "backup", str(path), "-o", str(tmp_path / "other.db")]) == 0
    assert "frames" in capsys.readouterr().out


@pytest.mark.parametrize(
    "bank, out, reason",
    [
        ("tour.db", "there.db", "there.db exists already: a backup overwrites nothing"),
        ("tour.db", "stale.db", "stale.db-wal exists already"),
        ("tour.db", "tour.db", "tour.db exists already"),
        ("tour.db", "none/copy.db", "its folder does not exist"),
        ("tour.db", ".", "is a folder"),
        (
            "tour.db",
            "tour.db-journal",
            "tour.db-journal cannot be made: .* end the names of what lies beside",
        ),
        ("tour.db", "new.db-wal", "new.db-wal cannot be made"),
        ("tour.db", "tour.db-lock", "tour.db-lock cannot be made"),
        ("tour.db", "/dev/null", "/dev/null is a device or a pipe"),
        ("tour.db", "x" * 250, "File name too long|could not be written"),
        ("missing.db", "copy.db", "missing.db does not exist"),
        ("there.db", "copy.db", "is not a memory file|not a database"),
    ],
)
def test_backups_that_cannot_be(tmp_path, capsys, bank, out, reason):
    with MemoryBank(tmp_path / "tour.db") as memory:
        add(memory, range(3))
    (tmp_path / "there.db").write_text("something else")
    (tmp_path / "stale.db-wal").write_text("left")
    before = sorted(file.name for file in tmp_path.iterdir())
    assert main(["bank", "backup", str(tmp_path / bank), "-o", str(tmp_path / out)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and re.search(reason, complaint)
    assert (tmp_path / "there.db").read_text() == "something else"
    assert [
        name for name in sorted(file.name for file in tmp_path.iterdir()) if "shm" not in name
    ] == [name for name in before if "shm" not in name] or bank == "tour.db"
    assert not list(tmp_path.glob("*.partial"))


def test_a_backup_tells_its_progress_and_can_be_stopped(path, tmp_path):
    with MemoryBank(path) as bank:
        add(bank, range(3000))
        told = []
        bank.backup(tmp_path / "copy.db", told.append)
        assert told == sorted(told) and told[-1] == (tmp_path / "copy.db").stat().st_size

        def stop(written: int):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bank.backup(tmp_path / "other.db", stop)
        add(bank, [3000])
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "tour.db"]
    assert copied(tmp_path / "copy.db") == list(range(3000))
