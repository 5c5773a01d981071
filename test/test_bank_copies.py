"""Copies of a memory file: by `cp` while it is written, without its journal, beside another's
journal, and backups.
"""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.file.journal import _numbers
from gaussvae_ros.bank.file.opening import APPLICATION_ID
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
LAST_S = 20.0  # of which a copy may lack something, as far as a busy machine keeps to it
WRITER = """
import random, sys, time
from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.record import Record, pack
bank = MemoryBank(sys.argv[1])
number = 0
while True:
    data = pack(Record("latent", (640, 480), random.Random(number).randbytes(500)))
    frame_id = bank.add(data, stamp_ns=number, pose=Pose(number, 0, 0))
    if sys.argv[3] == "each":
        bank.flush()
    print(frame_id, "stored", flush=True)
    number += 1
    time.sleep(float(sys.argv[2]))
"""


def record(number: int = 0) -> bytes:
    return pack(Record("latent", (640, 480), random.Random(number).randbytes(500)))


def add(bank: MemoryBank, numbers):
    for i in numbers:
        bank.add(record(i), stamp_ns=i, pose=Pose(i, 0, 0))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tour.db"


@pytest.fixture
def writer(path):
    """Starts processes that write `path` until they are killed."""
    started = []

    def start(pause: float = 0.01, flush: str = "each") -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(pause), flush],
            cwd=REPO,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def written(process: subprocess.Popen, count: int) -> int:
    """The id of the last frame, once a writer has told of so many more."""
    return int([process.stdout.readline().split()[0] for _ in range(count)][-1])


def copied(path: Path) -> list[int]:
    with MemoryBank(path, readonly=True) as bank:
        assert bank.verify() == []
        return [frame.stamp_ns for frame in bank]


def test_a_new_file_has_its_tables_in_the_file_itself(path, tmp_path):
    with MemoryBank(path):
        shutil.copyfile(path, tmp_path / "copy.db")
        assert copied(tmp_path / "copy.db") == []
    with MemoryBank(tmp_path / "copy.db") as bank:
        add(bank, range(3))


def test_a_copy_of_the_file_alone_has_all_but_the_last_seconds(path, tmp_path):
    with MemoryBank(path) as bank, MemoryBank(path, readonly=True) as reader:
        add(bank, range(5))
        bank.flush()
        assert len(reader) == 5
        deadline = time.monotonic() + LAST_S
        shutil.copyfile(path, tmp_path / "copy.db")
        while copied(tmp_path / "copy.db") != list(range(5)):  # although nothing else comes
            assert time.monotonic() < deadline
            time.sleep(0.2)
            shutil.copyfile(path, tmp_path / "copy.db")


@pytest.mark.parametrize("flush", ["each", "late"])
def test_a_copy_while_another_process_writes(path, tmp_path, writer, flush):
    process = writer(0.02, flush)
    for _ in range(3):
        added, found = written(process, 60), []
        deadline = time.monotonic() + LAST_S
        while len(found) < added:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            shutil.copyfile(path, tmp_path / "copy.db")
            found = copied(tmp_path / "copy.db")
            assert found == list(range(len(found)))


def test_an_empty_copy_of_a_memory_without_its_journal_says_so(tmp_path):
    # As of a release that left the tables in the journal.
    old, copy = tmp_path / "old.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("PRAGMA journal_mode=wal")
        db.execute("CREATE TABLE frames (id INTEGER)")
        shutil.copyfile(old, copy)
        for readonly in (True, False):
            with pytest.raises(
                BankError,
                match="copy.db is a copy of a memory that was being written, without copy.db",
            ):
                MemoryBank(copy, readonly=readonly)
        assert sorted(file.name for file in tmp_path.glob("copy*")) == ["copy.db"]


def test_a_file_that_was_only_begun_becomes_a_memory(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    with MemoryBank(path) as bank:
        add(bank, range(3))
    assert copied(path) == [0, 1, 2]


@pytest.mark.parametrize("after", [30, 100, 170])  # frames, at most a hundred a second
def test_the_journal_of_a_killed_writer_is_merged(path, writer, after):
    process = writer()
    done = written(process, after)
    process.kill()
    lines = [line.split() for line in process.communicate()[0].splitlines()]
    done = max([done, *(int(line[0]) for line in lines if line[1:] == ["stored"])])
    assert len(copied(path)) in (done, done + 1)  # by a reader
    with MemoryBank(path) as bank:
        assert len(bank) in (done, done + 1) and bank.verify() == []
    assert sorted(file.name for file in path.parent.iterdir()) == ["tour.db"]


def test_kills_at_any_moment_lose_nothing_that_was_committed(path, writer):
    known = 0
    for i in range(8):
        process = writer(0)
        time.sleep(random.Random(i).uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        lines = [line.split() for line in process.communicate()[0].splitlines()]
        known += 1 + sum(line[1:] == ["stored"] for line in lines)  # one was read at the start
        with MemoryBank(path, readonly=True) as bank:
            assert known - 1 <= len(bank) <= known + 1
            known = len(bank)
    with MemoryBank(path) as bank:
        assert bank.verify() == []


@pytest.mark.parametrize("how", ["moved", "copied"])
@pytest.mark.parametrize("which", ["another", "older", "backup", "closed"])
def test_the_journal_of_a_killed_writer_is_not_merged_into_another_file(
    path, tmp_path, writer, how, which
):
    other = tmp_path / "other.db"
    if which == "another":
        with MemoryBank(other) as bank:
            add(bank, range(500, 530))
    if which == "closed":  # the same memory, before it was opened again
        with MemoryBank(path) as bank:
            add(bank, range(30))
        shutil.copyfile(path, other)
        with MemoryBank(path) as bank:
            add(bank, range(30, 40))
        with MemoryBank(path) as bank:
            add(bank, range(40, 50))
    process = writer(0.02)
    if which == "older":
        written(process, 50)
        shutil.copyfile(path, other)
    if which == "backup":
        written(process, 50)
        with MemoryBank(path, readonly=True) as bank:
            bank.backup(other)
    written(process, 100)
    process.kill()
    process.communicate()
    with open(f"{path}-wal", "rb") as log:
        if not _numbers(log):
            pytest.skip(
                "the writer was killed just as it began a journal: there is nothing to merge"
            )
    expected = [frame.stamp_ns for frame in MemoryBank(other, readonly=True)]
    for journal in ("-wal", "-shm"):
        Path(f"{other}{journal}").unlink(missing_ok=True)
    kept = path.read_bytes()
    wal = Path(f"{path}-wal").read_bytes()
    (shutil.move if how == "moved" else shutil.copyfile)(other, path)
    for readonly in (True, False):
        with pytest.raises(
            BankError, match="tour.db-wal is not the journal of .*tour.db: .* move tour.db-wal away"
        ):
            MemoryBank(path, readonly=readonly)
    assert Path(f"{path}-wal").read_bytes() == wal
    path.with_name("mine.db").write_bytes(kept)  # put back together, nothing is lost
    path.with_name("mine.db-wal").write_bytes(wal)
    assert len(copied(path.with_name("mine.db"))) > 50
    Path(f"{path}-wal").unlink()
    assert copied(path) == expected


def test_a_journal_of_an_earlier_release_is_merged(path, tmp_path):
    copy = tmp_path / "copy.db"
    with MemoryBank(path) as bank:
        add(bank, range(3))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA user_version=0")
        db.execute("PRAGMA wal_checkpoint")
        db.execute("INSERT INTO labels VALUES (1, 'dock')")
        for ending in ("", "-wal"):
            shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
    with MemoryBank(copy) as bank:
        assert bank.get(1).label == "dock"
        add(bank, range(3, 5))
    assert copied(copy) == list(range(5))


def test_file_and_journal_that_were_copied_together_are_one_memory(path, tmp_path, writer):
    process = writer(0.01)
    for copy in range(6):
        time.sleep(0.4)
        process.send_signal(signal.SIGSTOP)
        for ending in ("", "-wal"):
            shutil.copyfile(f"{path}{ending}", tmp_path / f"{copy}.db{ending}")
        done = len(copied(path))
        process.send_signal(signal.SIGCONT)
        # Stopped in the middle of a commit.
        assert len(copied(tmp_path / f"{copy}.db")) in (done, done + 1)


def test_a_copy_torn_in_the_middle_is_found(path, tmp_path):
    with MemoryBank(path) as bank:
        add(bank, range(200))
    early = path.read_bytes()
    with MemoryBank(path) as bank:
        add(bank, range(200, 1000))
    late = path.read_bytes()
    for cut in range(4096, len(early), 4096 * 7):
        (tmp_path / "torn.db").write_bytes(early[:cut] + late[cut:])
        try:
            with MemoryBank(tmp_path / "torn.db", readonly=True) as bank:
                assert bank.verify() != []
        except BankError:
            pass


def test_rows_of_different_moments_are_found(path):
    with MemoryBank(path) as bank:
        add(bank, range(5))
        bank.flush()
        bank._db.execute("PRAGMA foreign_keys=OFF")
        bank._db.execute("DELETE FROM frames WHERE id = 2")
        bank._db.execute("UPDATE pose_runs SET max_x = -1e6, min_x = -1e6")
        texts = [text for _, text in bank.verify()]
        assert any("row 2 of records belongs to nothing" in text for text in texts)
        assert any("frame 4" in text for text in texts) or any(
            "rtree" in text.lower() for text in texts
        )
