"""Frames and changes that wait in memory while the disk takes none."""

import logging
import time

import pytest
from test_bank_durability import (
    record,
    small_disk,  # noqa: F401 (fixture)
    start,
)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.file.writing import COMMIT_S
from gaussvae_ros.errors import BankError


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
        deadline = time.monotonic() + 60
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
