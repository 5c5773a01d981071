"""The memory file through kills, a second writer, full disks and places that cannot be written."""

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.schema import migrations
from gaussvae_ros.bank.waiting import GROUP_WRITES
from gaussvae_ros.bank.writing import COMMIT_S
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
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
    added = [writer.stdout.readline().split() for _ in range(300)]
    writer.kill()
    killed = time.monotonic()
    added += [line.split() for line in writer.communicate()[0].splitlines()]
    added = [(int(line[0]), float(line[1])) for line in added if len(line) == 2]
    assert writer.returncode == -signal.SIGKILL

    with MemoryBank(path, readonly=True) as bank:
        stored = [frame.id for frame in bank]
        assert bank.verify() == []
    assert stored == list(range(1, len(stored) + 1))
    assert all(frame_id in stored for frame_id, when in added if when < killed - 1)
    assert len(stored) < len(added)  # the test killed in the middle of a group
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
            deadline = time.monotonic() + 1
            while len(reader) == before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert len(reader) == before + 1 == len(bank)


def test_a_program_that_forgets_to_close_stores_its_frames(tmp_path):
    writer = start("MemoryBank(sys.argv[1]).add(record(7), stamp_ns=1)", tmp_path / "m.db")
    assert writer.wait(10) == 0, writer.stderr.read()
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


def test_a_long_group_is_committed_early(tmp_path):
    with (
        MemoryBank(tmp_path / "m.db") as bank,
        MemoryBank(tmp_path / "m.db", readonly=True) as reader,
    ):
        started = time.monotonic()
        bank.begin_session("s", start_ns=0)
        for i in range(GROUP_WRITES + 1):
            bank.add(record(n=1), stamp_ns=i)
        if time.monotonic() - started > COMMIT_S:
            pytest.skip("this machine is too slow to fill a group before its time is over")
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
            assert reader.wait(20) == 0, reader.stderr.read()


def test_a_second_writer_is_refused_at_once(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(record(), stamp_ns=1)
        started = time.monotonic()
        with pytest.raises(
            BankError,
            match=f"written by process {os.getpid()} .since [^ ]*.: open it with readonly=True",
        ):
            MemoryBank(path)
        other = start("MemoryBank(sys.argv[1])", path)
        assert f"being written by process {os.getpid()}" in other.communicate(timeout=10)[1]
        assert time.monotonic() - started < 3
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


def fill(bank: MemoryBank) -> tuple[list[int], BankError]:
    ids = []
    for i in range(3000):
        try:
            ids.append(bank.add(record(i), stamp_ns=i, pose=Pose(i, 0, 0)))
            if i % 20 == 0:
                bank.flush()
        except BankError as error:
            return ids, error
    raise AssertionError("the disk never became full")


def test_a_full_disk_delays_frames_and_loses_none(small_disk, caplog):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    with MemoryBank(small_disk / "m.db") as bank:
        ids, error = fill(bank)
        assert "full" in str(error) or "disk I/O" in str(error)
        # It names what is not stored yet.
        assert "\n" not in str(error) and f"to {ids[-1]}" in str(error)
        # Still seen by the bank's own reads.
        assert [bank.get(i).data for i in ids] == [record(i - 1) for i in ids]
        # They wait with the others.
        ids += [bank.add(record(ids[-1] + i), stamp_ns=9000 + i) for i in range(10)]
        assert bank.waiting >= 10 and bank.get(ids[-1]).data == record(ids[-1] - 1)
        time.sleep(2 * COMMIT_S)  # the timer tries, fails and goes on
        ballast.unlink()
        deadline = time.monotonic() + 5
        with MemoryBank(small_disk / "m.db", readonly=True) as reader:
            while len(reader) < len(ids) and time.monotonic() < deadline:
                time.sleep(0.05)
        ids.append(bank.add(record(ids[-1]), stamp_ns=9999))
        assert any("written again" in message for message in caplog.messages)
    with MemoryBank(small_disk / "m.db") as bank:
        assert [frame.id for frame in bank] == ids == list(range(1, len(ids) + 1))
        assert [frame.data for frame in bank] == [record(i) for i in range(len(ids))]
        assert bank.verify() == []


def test_closing_on_a_full_disk_names_what_is_lost(small_disk):
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    bank = MemoryBank(small_disk / "m.db")
    ids, _ = fill(bank)
    with pytest.raises(
        BankError, match=f"frames \\d+ to {ids[-1]}; lost, because the bank is closed"
    ) as error:
        bank.close()
    first_lost = int(str(error.value).split("frames ")[1].split(" ")[0])
    (small_disk / "ballast").unlink()
    with MemoryBank(small_disk / "m.db") as bank:
        assert [frame.id for frame in bank] == list(range(1, first_lost))
        assert bank.add(record(), stamp_ns=0) > ids[-1]


def test_a_file_that_may_not_grow(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.begin_session("s", start_ns=0)
        pages = bank._db.execute("PRAGMA page_count").fetchone()[0]
        bank._db.execute(f"PRAGMA max_page_count={pages + 30}")
        ids, error = fill(bank)
        assert "full" in str(error)
        bank._db.execute("PRAGMA max_page_count=100000")
        ids.append(bank.add(record(ids[-1]), stamp_ns=ids[-1]))
        assert [frame.data for frame in bank] == [record(i) for i in range(len(ids))]
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert [frame.id for frame in bank] == ids and bank.verify() == []


def test_a_pose_waits_too(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        frame_id = bank.add(record(), stamp_ns=0)
        bank.flush()
        bank.set_pose(frame_id, Pose(1, 0, 0))
        blocker = start(
            """
import sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(60)
""",
            tmp_path / "m.db",
        )
        time.sleep(1.0)  # until our group is committed, the other program waits for its lock
        assert blocker.stdout.readline() == "locked\n"
        bank._db.execute("PRAGMA busy_timeout=50")
        bank.set_pose(frame_id, Pose(2, 0, 0))
        bank.set_pose(frame_id, Pose(3, 0, 0))
        assert bank.get(frame_id).pose == Pose(1, 0, 0)  # what the file has
        with pytest.raises(BankError, match="locked; not stored yet: 2 changes of what was there"):
            bank.flush()
        blocker.kill()
        blocker.wait()
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert bank.get(frame_id).pose == Pose(3, 0, 0)


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


def test_an_older_schema_is_migrated_and_a_newer_one_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        frame_id = bank.add(record(5), stamp_ns=5)
        assert bank.info()["schema"] == 3
    # A later release of this package.
    monkeypatch.setattr(migrations, "_migrations", list(migrations._migrations))

    @migrations()
    def m004_weather(db):
        db.execute("ALTER TABLE sessions ADD COLUMN weather TEXT")

    with pytest.raises(BankError, match="older schema"):
        MemoryBank(path, readonly=True)
    with MemoryBank(path) as bank:
        assert bank.info()["schema"] == 4 and bank.get(frame_id).data == record(5)
        bank.begin_session("rainy", start_ns=0)
    MemoryBank(path, readonly=True).close()

    monkeypatch.undo()  # the present release again
    before = path.read_bytes()
    for readonly in (True, False):
        with pytest.raises(BankError, match="newer gaussvae_ros .it has m004_weather.: upgrade"):
            MemoryBank(path, readonly=readonly)
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(record(5), stamp_ns=5)
    monkeypatch.setattr(migrations, "_migrations", list(migrations._migrations))

    @migrations()
    def m004_broken(db):
        db.execute("DROP TABLE poses")
        db.execute("SELECT * FROM no_such_table")

    with pytest.raises(BankError, match="no such table"):
        MemoryBank(path)
    monkeypatch.undo()
    with MemoryBank(path) as bank:
        assert len(bank) == 1 and bank.verify() == []
