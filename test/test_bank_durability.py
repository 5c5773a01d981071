"""The memory file through kills, a second writer, full disks and places that cannot be written."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file import writing
from gaussvae_ros.bank.file.waiting import GROUP_WRITES
from gaussvae_ros.bank.file.writing import COMMIT_S
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
LAST_S = 6.0  # what a killed writer may lose on a busy machine; otherwise the last second
PRELUDE = """
import random, sys, time
from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.record import Record, pack
def record(number, n=2000):
    return pack(Record("splats", (640, 480), random.Random(number).randbytes(n)))
"""


def record(number: int = 0, n: int = 2000) -> bytes:
    return pack(Record("splats", (640, 480), random.Random(number).randbytes(n)))


def start(code: str, *arguments) -> subprocess.Popen:
    command = [sys.executable, "-c", PRELUDE + code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no right to mount a small disk: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_killed_writer_loses_at_most_the_last_second(tmp_path):
    path = tmp_path / "m.db"
    writer = start(
        """
bank = MemoryBank(sys.argv[1])
number = 0
while True:
    frame_id = bank.add(record(number), stamp_ns=number, pose=Pose(number, 0, 0))
    print(frame_id, time.monotonic(), flush=True)
    number += 1
    time.sleep(0.005)
""",
        path,
    )
    added = [writer.stdout.readline().split()]
    while float(added[-1][1]) < float(added[0][1]) + 1.5 * LAST_S:
        added.append(writer.stdout.readline().split())
    writer.kill()
    killed = time.monotonic()
    added += [line.split() for line in writer.communicate()[0].splitlines()]
    added = [(int(line[0]), float(line[1])) for line in added if len(line) == 2]
    assert writer.returncode == -signal.SIGKILL

    with MemoryBank(path, readonly=True) as bank:
        stored = [frame.id for frame in bank]
        assert bank.verify() == []
    assert stored == list(range(1, len(stored) + 1))
    assert COMMIT_S < 1
    assert all(frame_id in stored for frame_id, when in added if when < killed - LAST_S)
    with MemoryBank(path) as bank:
        assert [frame.data for frame in bank] == [record(i) for i in range(len(stored))]
        new_id = bank.add(record(0), stamp_ns=0)
    assert new_id > added[-1][0]  # also the ids of lost frames are not given again


def test_a_frame_is_committed_in_time_when_no_other_comes(tmp_path):
    with (
        MemoryBank(tmp_path / "m.db") as bank,
        MemoryBank(tmp_path / "m.db", readonly=True) as reader,
    ):
        for _ in range(2):
            bank.add(record(), stamp_ns=1)
            before = len(reader)
            deadline = time.monotonic() + 60
            while len(reader) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(reader) == before + 1 == len(bank)


def test_a_program_that_forgets_to_close_stores_its_frames(tmp_path):
    writer = start("MemoryBank(sys.argv[1]).add(record(7), stamp_ns=1)", tmp_path / "m.db")
    assert writer.wait(60) == 0, writer.stderr.read()
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert [frame.data for frame in bank] == [record(7)]


def test_the_file_alone_is_whole_once_its_writer_is_closed(tmp_path):
    path, copy = tmp_path / "m.db", tmp_path / "copy.db"
    with MemoryBank(path) as bank:
        bank.add(record(0), stamp_ns=0)
    with MemoryBank(path, readonly=True) as reader:  # with it SQLite would keep the log
        with MemoryBank(path) as bank:
            bank.add(record(1), stamp_ns=1)
            assert len(reader) <= 2
        shutil.copyfile(path, copy)
        with MemoryBank(copy, readonly=True) as copied:
            assert [frame.data for frame in copied] == [record(0), record(1)]
        assert len(reader) == 2


def test_commits_are_synced_to_the_disk(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        pragmas = [
            bank._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("synchronous", "journal_mode")
        ]
        assert pragmas == [2, "wal"]  # 2 is FULL
        assert bank._db.execute("PRAGMA auto_vacuum").fetchone()[0] == 2  # INCREMENTAL


def test_a_long_group_is_committed_early(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "COMMIT_S", 600.0)
    with (
        MemoryBank(tmp_path / "m.db") as bank,
        MemoryBank(tmp_path / "m.db", readonly=True) as reader,
    ):
        bank.begin_session("s", start_ns=0)
        for i in range(GROUP_WRITES + 1):
            bank.add(record(n=1), stamp_ns=i)
        assert len(reader) == GROUP_WRITES and bank.waiting == 1


def test_readers_in_other_processes(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.begin_session("s", start_ns=0)
        readers = [
            start(
                """
with MemoryBank(sys.argv[1], readonly=True) as bank:
    last = 0
    while last < 400:
        ids = [frame.id for frame in bank]
        assert ids == list(range(1, len(ids) + 1)) and len(ids) >= last, ids
        assert all(bank.get(i).data == record(i) for i in ids[-3:])
        last = len(ids)
        time.sleep(0.01)
""",
                path,
            )
            for _ in range(2)
        ]
        for i in range(1, 401):
            bank.add(record(i), stamp_ns=i)
            time.sleep(0.001)
            if i % 50 == 0:
                bank.flush()
        for reader in readers:
            assert reader.wait(60) == 0, reader.stderr.read()


def test_a_second_writer_is_refused_at_once(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(record(), stamp_ns=1)
        with pytest.raises(
            BankError,
            match=f"written by process {os.getpid()} .since [^ ]*.: open it for reading only",
        ):
            MemoryBank(path)
        other = start("MemoryBank(sys.argv[1])", path)
        assert f"being written by process {os.getpid()}" in other.communicate(timeout=600)[1]
        with MemoryBank(path, readonly=True) as reader:
            with pytest.raises(BankError, match="readonly=True and cannot be changed"):
                reader.add(record(), stamp_ns=1)
        bank.add(record(), stamp_ns=2)
    with MemoryBank(path) as bank:
        assert len(bank) == 2


def test_the_lock_of_a_killed_writer_is_free(tmp_path):
    writer = start(
        "bank = MemoryBank(sys.argv[1]); print('open', flush=True); time.sleep(60)",
        tmp_path / "m.db",
    )
    assert writer.stdout.readline() == "open\n"
    writer.kill()
    writer.wait()
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add(record(), stamp_ns=1)
