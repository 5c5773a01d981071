"""Memories that are kept within a budget: their size, and what goes on while they forget."""

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from drives import SECOND, add, cells, drive, look, pose
from hypothesis import given, settings
from hypothesis import strategies as st
from references import record
from test_bank_full import fill, small_disk  # noqa: F401

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.bank.file.opening import PAGE_SIZE
from gaussvae_ros.bank.forgetting import usage as measuring
from gaussvae_ros.bank.forgetting.budget import EMPTY
from gaussvae_ros.errors import BankError

REPO = Path(__file__).parents[1]


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


@pytest.mark.parametrize("policy", ["fade", "fifo"])
def test_the_file_is_no_larger_than_its_budget(bank, policy):
    for round_ in range(3):
        for i in range(1500):
            add(bank, 2000 * round_ + i, pose(i * 0.02), session=None)
        before = bank.size()
        budget = Budget(max_bytes=400_000, policy=policy)
        assert bank.forget(budget).why == "" and bank.size() <= 400_000 < before
    bank.close()
    assert bank.path.stat().st_size <= 400_000
    with MemoryBank(bank.path, readonly=True) as read:
        assert read.verify() == [] and len(read) > 400


def test_a_floor_of_free_space_is_kept_by_forgetting(bank, monkeypatch):
    drive(bank, 2000)
    size = bank.size()
    disk = type("Disk", (), {})

    def disk_usage(folder):
        disk.free = 10_000_000 - bank.size()
        return disk

    monkeypatch.setattr(measuring.shutil, "disk_usage", disk_usage)
    budget = Budget(min_free_bytes=10_000_000 - size // 2)
    assert bank.forget(budget).why == "" and bank.size() <= size // 2 and len(bank) > 250


def test_a_budget_that_no_file_can_meet_says_so(bank):
    drive(bank, 100)
    done = bank.forget(Budget(max_bytes=1000))
    assert (
        done.removed == 100
        and "no frames are left" in done.why
        and "max_bytes is 1,000" in done.why
    )


def test_what_a_file_without_frames_takes_is_known(bank):
    assert bank.usage().used == EMPTY
    assert Budget(max_bytes=EMPTY * 16 // 15).out_of_reach() == "" == Budget().out_of_reach()
    why = Budget(max_bytes=EMPTY * 16 // 15 - 1).out_of_reach()
    assert "184,320 bytes: at least 196,608" in why
    for number, size in enumerate((75_000, 140_000), 1):
        bank.add_model(b"%d" % size, "model", random.Random(size).randbytes(size))
        assert 0 <= EMPTY + bank.usage().models - bank.usage().used <= number * PAGE_SIZE


def test_the_frames_stored_last_can_be_spared(bank):
    ids = drive(bank, 100)
    for policy in ("fade", "fifo"):
        bank.forget(Budget(max_frames=50, policy=policy), spare=20)
        assert set(ids[-20:]) <= {frame.id for frame in bank} and len(bank) == 50
    why = bank.forget(Budget(max_frames=5), spare=20).why
    assert why.startswith("only the 20 frames stored last, which stay") and len(bank) == 20


def test_a_plan_names_what_would_go_and_changes_nothing(bank):
    drive(bank, 200)
    bank.flush()
    for budget in (Budget(max_frames=30), Budget(max_frames=30, policy="fifo"), Budget(max_age=20)):
        with MemoryBank(bank.path, readonly=True) as read:
            ids, why = read.plan(budget)
        assert len(bank) == 200 and not why and len(ids) == len(set(ids)) > 100
    ids, _ = bank.plan(Budget(max_frames=30))
    assert bank.forget(Budget(max_frames=30)).removed == len(ids)
    assert not set(ids) & {frame.id for frame in bank}


def test_frames_are_added_while_others_are_forgotten(bank):
    drive(bank, 3000)
    added, ended = [], threading.Event()

    def go_on():
        while not ended.is_set():
            added.append(add(bank, 10_000 + len(added), pose(1000 + len(added))))
            time.sleep(0.001)

    thread = threading.Thread(target=go_on)
    thread.start()
    bank.forget(Budget(max_frames=500))
    ended.set()
    thread.join()
    bank.forget(Budget(max_frames=500))
    assert len(added) > 10 and len(bank) == 500 and bank.verify() == []


def test_a_kill_at_any_moment_leaves_whole_frames(tmp_path):
    code = """
import sys
from gaussvae_ros.bank import Budget, MemoryBank
with MemoryBank(sys.argv[1]) as bank:
    print("ready", flush=True)
    bank.forget(Budget(max_bytes=300_000), progress=lambda done: print(done.removed, flush=True))
"""
    for delay in (0, 4, 9):
        path = tmp_path / f"{delay}.db"
        with MemoryBank(path) as bank:
            drive(bank, 2500)
        process = subprocess.Popen(
            [sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True, cwd=REPO
        )
        for _ in range(delay + 1):
            process.stdout.readline()
        time.sleep(0.002 * delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with MemoryBank(path) as bank:
            assert bank.verify() == [] and 0 < len(bank) <= 2500
            assert bank.forget(Budget(max_bytes=300_000)).why == "" and bank.size() <= 300_000


def test_on_a_full_disk_forgetting_makes_room_or_says_that_it_cannot(small_disk):  # noqa: F811
    folder = small_disk(3000)
    with MemoryBank(folder / "m.db") as bank:
        drive(bank, 2000)
        bank.flush()
        budget = Budget(min_free_bytes=600_000)
        for leave in (0, 600):  # KiB
            fill(folder, leave)
            try:
                bank.forget(budget)
            except BankError as error:
                assert "full" in str(error) and not leave
            (folder / "ballast").unlink()
            assert 0 < len(bank) <= 2000 and bank.verify() == [] and bank.waiting == 0
        assert bank.forget(budget).why == "" and 0 < len(bank) < 2000
        fill(folder, 100)  # others did: nothing is forgotten for that
        before = len(bank)
        assert (
            "others have filled the disk" in bank.forget(replace(budget, min_free_bytes=2**22)).why
        )
        assert len(bank) == before


@pytest.mark.parametrize(
    "table, column, value",
    [
        ("descriptors", "descriptor", "'text'"),
        ("descriptors", "descriptor", "CAST(x'ff' AS TEXT)"),
        ("poses", "x", "'text'"),
        ("poses", "qw", "9e999"),
        ("poses", "reference", "CAST(x'ff' AS TEXT)"),
        ("frames", "stamp_ns", "'text'"),
        ("frames", "camera", "CAST(x'ff' AS TEXT)"),
    ],
)
@pytest.mark.parametrize("policy", ["fade", "fifo"])
def test_damage_does_not_keep_the_memory_from_forgetting(bank, policy, table, column, value):
    drive(bank, 200)
    key = "id" if table == "frames" else "frame"
    bank.flush()
    bank._db.execute(f"UPDATE {table} SET {column} = {value} WHERE {key} = 50")
    assert bank.forget(Budget(max_frames=60, policy=policy)).why == "" and len(bank) == 60


def test_frames_that_a_damaged_page_keeps_are_passed_over(bank, caplog):
    drive(bank, 800)
    bank.close()
    contents = bytearray(bank.path.read_bytes())
    at = contents.index(look(200)) // PAGE_SIZE * PAGE_SIZE  # a page of descriptors
    contents[at : at + 16] = bytes(range(200, 216))
    bank.path.write_bytes(contents)
    with MemoryBank(bank.path) as again:
        assert again.forget(Budget(max_frames=200)).why == "" and len(again) == 200
        done = again.forget(Budget(max_frames=10))
        assert "only protected frames and damaged ones are left" in done.why and len(again) < 180
    assert caplog.text.count("damage keeps frames from being removed") == 1


FRAME = st.tuples(
    st.integers(-8, 8),  # x, in cells
    st.integers(0, 400),  # stamp, s
    st.integers(0, 3),  # what it looks like
    st.sampled_from(["alone", "alone", "predicted"]),
    st.sampled_from(["", "", "", "", "", "dock"]),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(FRAME, min_size=5, max_size=60), st.integers(1, 40), st.integers(0, 20))
def test_whatever_is_stored_the_budget_is_met_and_references_stay_whole(frames, most, around):
    kept = {}
    for policy in ("fifo", "fade"):
        with tempfile.TemporaryDirectory() as folder, MemoryBank(f"{folder}/m.db") as bank:
            chains, stamps = {}, {}
            for number, (x, stamp, what, kind, label) in enumerate(frames):
                last = next(reversed(chains), None)
                predicted = kind == "predicted" and last and len(chains[last]) < 3
                needed = chains[last] if predicted else []
                data = record(number, *needed)
                how = {"reference": last} if predicted else {}
                frame_id = bank.add(
                    data,
                    stamp_ns=stamp * SECOND,
                    pose=pose(x / 2 + 0.2),
                    descriptor=look(what),
                    label=label or None,
                    **how,
                )
                chains[frame_id], stamps[frame_id] = [*needed, data], stamp
            labelled = [stamps[f.id] for f in bank if f.label]
            near = {i for i, s in stamps.items() if any(abs(s - at) <= around for at in labelled)}
            budget = Budget(
                max_frames=most, policy=policy, protect_before=around, protect_after=around
            )
            done = bank.forget(budget)
            left = {frame.id: frame.records for frame in bank}
            assert near <= set(left) and len(left) == max(min(most, len(frames)), len(near))
            assert bool(done.why) == (len(near) > most) and done.removed == len(frames) - len(left)
            assert all(records == chains[frame_id] for frame_id, records in left.items())
            assert bank.verify() == []
            kept[policy] = len(cells(bank))
    assert kept["fade"] >= kept["fifo"]
