"""How much is written for a frame: group commits, and merges of the journal that are not often."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file import journal, writing
from gaussvae_ros.bench import writes
from gaussvae_ros.bench.disk_log import DiskLog

REPO = Path(__file__).parents[1]
GROUP = 8  # frames, at 10 a second and commits every 0.8 s


def test_frames_in_groups_take_8_kb_of_writes_each(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "COMMIT_S", 600.0)
    path = tmp_path / "m.db"
    with DiskLog() as log:
        with MemoryBank(path) as bank:
            for number in range(1000):
                writes.add_frame(bank, number)
        with MemoryBank(path) as bank:
            begun, commits = len(log.changes), 50
            for number in range(1000, 1000 + commits * GROUP):
                writes.add_frame(bank, number)
                if number % GROUP == GROUP - 1:
                    bank.flush()
                    if number % (12 * GROUP) == GROUP - 1:  # after 10 s
                        bank._group._journal.merge()
            changes = log.changes[begun:]
    written = sum(len(change.data) for change in changes)
    assert 2000 < written / (commits * GROUP) < 8000
    synced = [change.path for change in changes if change.what == "sync"]
    assert synced.count(f"{path}-wal") >= commits, "each commit is synced"


def test_commits_go_into_the_file_in_time_also_when_none_follows(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "MERGE_S", 0.5)
    path, copy = tmp_path / "m.db", tmp_path / "copy.db"
    with MemoryBank(path) as bank:
        for number in range(3):
            writes.add_frame(bank, number)
            bank.flush()
        deadline, count = time.monotonic() + 60, 0
        while count < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
            shutil.copyfile(path, copy)  # the file alone
            with MemoryBank(copy, readonly=True) as copied:
                count = len(copied)
        assert count == 3


@pytest.mark.parametrize("open_group", [False, True])
def test_commits_go_into_the_file_in_time_while_others_follow(tmp_path, monkeypatch, open_group):
    monkeypatch.setattr(journal, "MERGE_S", 0.2)
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        deadline, merged, number = time.monotonic() + 60, False, 0
        while not merged and time.monotonic() < deadline:
            writes.add_frame(bank, number)
            number += 1
            if not open_group or number % 5 == 0:
                bank.flush()
            time.sleep(0.02)
            merged = number > 10 and journal.ask_alone(path, "SELECT count(*) FROM frames") > 5
        assert merged


READER = """
import sys
from gaussvae_ros.bank import MemoryBank
seen = set()
with MemoryBank(sys.argv[1], readonly=True) as bank:
    while len(seen) < 30:
        count = len(bank)
        found = [frame.id for frame in bank.find()]
        assert count % 8 == 0 and len(found) % 8 == 0, (count, len(found))
        seen.add(count)
"""


def test_readers_elsewhere_never_see_half_a_group(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "COMMIT_S", 600.0)
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.begin_session("s", start_ns=0)
        command = [sys.executable, "-c", READER, path]
        reader = subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True)
        number = 0
        while reader.poll() is None and number < 100_000:
            writes.add_frame(bank, number)
            number += 1
            if number % GROUP == 0:
                bank.flush()
                time.sleep(0.02)
        assert reader.wait(60) == 0, reader.stderr.read()
        reader.stderr.close()


def test_a_frame_that_comes_after_a_flush_waits_for_a_group_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "COMMIT_S", 1.0)
    with (
        MemoryBank(tmp_path / "m.db") as bank,
        MemoryBank(tmp_path / "m.db", readonly=True) as reader,
    ):
        bank.begin_session("s", start_ns=0)
        first = time.monotonic()
        writes.add_frame(bank, 0)
        time.sleep(0.7)
        bank.flush()
        writes.add_frame(bank, 1)
        while len(reader) < 2:
            assert time.monotonic() < first + 60
            time.sleep(0.02)
        assert time.monotonic() > first + 1.6, "it went with the timer of the group before"
