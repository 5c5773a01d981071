"""Who may write a memory file, what is said of the writer, and a reader that finds the file
anew.
"""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file.lock import may_be_written
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes.lazy_bank import LazyBank
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
HOLDER = """
import sys, time
from gaussvae_ros.bank import MemoryBank
bank = MemoryBank(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


def record(number: int = 0) -> bytes:
    return pack(Record("latent", (640, 480), random.Random(number).randbytes(500)))


def add(bank: MemoryBank, numbers):
    for i in numbers:
        bank.add(record(i), stamp_ns=i)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tour.db"


@pytest.fixture
def holder(path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def refusal(path: Path) -> str:
    with pytest.raises(BankError) as error:
        MemoryBank(path)
    return str(error.value)


def test_the_writer_is_named(path, holder):
    told = refusal(path)
    assert re.fullmatch(
        rf"{path} is being written by process {holder.pid} \(since 20[0-9-]+T[0-9:]+[+-][0-9:]+\): "
        "open it for reading only or close it there",
        told,
    )
    assert may_be_written(path)
    holder.kill()
    holder.wait()
    assert not may_be_written(path) and Path(f"{path}-lock").exists()
    MemoryBank(path).close()


@pytest.mark.parametrize(
    "signature, reason",
    [
        (b"", "by another process: open"),
        (b"77", "by process 77"),
        (
            b"77 elsewhere 2026-01-02T03:04:05+00:00\n",
            "process 77 on elsewhere .since 2026-01-02T03:04:05.*nobody can",
        ),
        (b"\xff\xfe junk", "by another process: open"),
        (
            b"99999999999999999999 " + socket.gethostname().encode(),
            "by process 99999999999999999999",
        ),
    ],
)
def test_what_a_lock_file_may_say(path, holder, signature, reason):
    Path(f"{path}-lock").write_bytes(signature)  # the lock itself holds whatever stands in the file
    assert re.search(reason, refusal(path))


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_lock_file_that_nobody_holds_is_not_believed(path, tmp_path, host):
    """As a killed process leaves it, whose number another one has by now, or a copied folder."""
    other = tmp_path / "other.db"
    for made, stamps in ((path, range(3)), (other, range(9))):
        with MemoryBank(made) as bank:
            for stamp in stamps:
                bank.add(record(), stamp_ns=stamp)
            bank.flush()
            shutil.copy(f"{made}-wal", tmp_path / f"wal-of-{made.name}")
    Path(f"{path}-lock").write_text(f"{os.getpid()} {host} 2026-01-02T03:04:05+00:00\n")
    assert not may_be_written(path)
    with MemoryBank(path, readonly=True) as bank:
        assert len(bank) == 3
    shutil.copy(tmp_path / f"wal-of-{other.name}", f"{path}-wal")  # that of another file
    for readonly in (True, False):
        with pytest.raises(BankError, match="-wal is not the journal of"):
            MemoryBank(path, readonly=readonly)


def test_readers_who_ask_for_the_lock_do_not_keep_a_writer_out(path):
    MemoryBank(path).close()
    Path(f"{path}-lock").touch()
    ends = threading.Event()

    def ask():
        while not ends.is_set():
            may_be_written(path)

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(50):
            MemoryBank(path).close()
    finally:
        ends.set()
        for reader in readers:
            reader.join()


def test_a_writer_that_has_ended_while_its_child_lives(path):
    code = """
import os, sys, time
from gaussvae_ros.bank import MemoryBank
bank = MemoryBank(sys.argv[1])
if os.fork():
    print(os.getpid(), flush=True)
    os._exit(0)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, path], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    pid = int(process.stdout.readline())
    process.wait()
    try:
        assert re.search(
            rf"by process {pid} \(.*which has ended: one that it started", refusal(path)
        )
    finally:
        for entry in Path("/proc").glob("[0-9]*/fd/*"):  # the child
            try:
                if os.readlink(entry) == f"{path}-lock":
                    os.kill(int(entry.parts[2]), 9)
                    break
            except OSError:
                continue
        process.stdout.close()


def test_a_lock_that_cannot_be_made(path):
    Path(f"{path}-lock").mkdir()
    assert refusal(path) == f"{path} cannot be opened for writing: Is a directory"
    assert not path.exists()


def test_of_many_threads_one_gets_the_lock(path):
    won, lost = [], []

    def work():
        try:
            won.append(MemoryBank(path))
        except BankError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Who comes between the winner's lock and its signature reads no process number.
    assert len(won) == 1 and len(lost) == 11
    assert all("is being written by " in text for text in lost), lost
    won[0].close()


def test_locks_that_are_deleted_all_the_time_never_let_two_write(path):
    """Two threads write as often as they may, while a third removes the lock file."""
    MemoryBank(path).close()
    done, stored, stop = [], [], threading.Event()

    def work(seed: int):
        number = 0
        while not stop.is_set():
            try:
                with MemoryBank(path) as bank:
                    bank._db.execute("PRAGMA busy_timeout=100")
                    for _ in range(5):
                        number += 1
                        frame_id = bank.add(record(number), stamp_ns=seed * 10**6 + number)
                        bank.flush()
                        stored.append((frame_id, seed * 10**6 + number))
            except BankError:
                pass
        done.append(seed)

    threads = [threading.Thread(target=work, args=[seed]) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    removals, deadline = 0, time.monotonic() + 60
    while removals < 60 or len(stored) <= 20 and time.monotonic() < deadline:
        Path(f"{path}-lock").unlink(missing_ok=True)
        removals += 1
        stop.wait(0.03)
    stop.set()
    for thread in threads:
        thread.join()
    with MemoryBank(path) as bank:
        there = {frame.id: frame.stamp_ns for frame in bank}
        assert bank.verify() == []
    assert len(stored) > 20 and len({frame_id for frame_id, _ in stored}) == len(stored)
    assert all(there.get(frame_id) == stamp for frame_id, stamp in stored)


# Readers that find the file anew


def stamps(lazy: LazyBank) -> list[int]:
    return [frame.stamp_ns for frame in lazy.get()]


@pytest.mark.parametrize("how", ["moved", "copied"])
@pytest.mark.parametrize("left", ["closed", "killed"])
def test_a_lazy_reader_sees_what_lies_at_the_path(path, tmp_path, how, left):
    lazy = LazyBank(path)
    with pytest.raises(BankError, match="there is no memory at .*tour.db yet"):
        lazy.get()
    with MemoryBank(path) as bank:
        add(bank, range(3))
    if left == "killed":
        shutil.copyfile(path, tmp_path / "kept")
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, path], cwd=REPO, stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        process.kill()
        process.communicate()
    assert stamps(lazy) == [0, 1, 2]
    first = lazy.get()
    assert lazy.get() is first
    with MemoryBank(tmp_path / "other.db") as bank:
        add(bank, range(10, 15))
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    (shutil.move if how == "moved" else shutil.copyfile)(tmp_path / "other.db", path)
    assert stamps(lazy) == [10, 11, 12, 13, 14]
    path.unlink()
    with pytest.raises(BankError, match="there is no memory"):
        lazy.get()
    lazy.close()


def test_a_lazy_reader_follows_a_writer(path):
    lazy = LazyBank(path)
    with MemoryBank(path) as bank:
        for i in range(5):
            add(bank, [i])
            bank.flush()
            assert stamps(lazy) == list(range(i + 1))
        reader = lazy.get()
        bank._group._journal.merge()
        assert lazy.get() is reader  # the file changed under its own writer
        for ending in ("", "-wal", "-shm", "-lock"):
            Path(f"{path}{ending}").unlink()
        with pytest.raises(BankError, match="there is no memory"):
            lazy.get()
        bank.reopen()
        add(bank, [7])
        bank.flush()
        assert stamps(lazy) == [7]
    assert stamps(lazy) == [7]
    lazy.close()
