"""A memory file after simulated power losses, and after its writer was killed: a short version of
`gaussvae bench durability`.
"""

import random
import time
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.file import writing
from gaussvae_ros.bank.forgetting import removing
from gaussvae_ros.bench import durability
from gaussvae_ros.bench.disk_log import Change, DiskLog
from gaussvae_ros.bench.power_loss import WAYS, Disk, losses
from gaussvae_ros.bench.writes import add_frame


def test_nothing_that_was_promised_is_lost_with_the_power(tmp_path):
    assert [problem for problem in durability.after_losses(tmp_path, 15) if problem] == []


def test_a_machine_that_is_held_up_loses_nothing(tmp_path, monkeypatch):
    add = MemoryBank.add

    def add_late(*args, **kwargs):
        time.sleep(0.001)
        return add(*args, **kwargs)

    monkeypatch.setattr(MemoryBank, "add", add_late)
    monkeypatch.setattr(writing, "COMMIT_S", 0.0005)
    monkeypatch.setattr(removing, "PIECE_S", 1e-9)
    assert [problem for problem in durability.after_losses(tmp_path, 30) if problem] == []
    assert writing.COMMIT_S == 0.0005


def test_nothing_that_was_promised_is_lost_with_the_process(tmp_path):
    assert [problem for problem in durability.after_kills(tmp_path, 10) if problem] == []


@pytest.mark.parametrize("killed", [True, False])
def test_a_file_whose_making_was_cut_off_anywhere_is_made_anew(tmp_path, killed):
    made, cut = tmp_path / "made.db", tmp_path / "cut.db"
    with DiskLog() as log:
        with MemoryBank(made) as bank:
            add_frame(bank, 0)
    disk, rng, tried = Disk(), random.Random(0), set()
    for change in log.changes[:-1]:
        disk.take(change)
        left = disk.after_kill() if killed else disk.after_loss(rng.choice(WAYS), rng)
        files = {name.replace(str(made), str(cut)): bytes(data) for name, data in left.items()}
        if len(tried) > 20 and rng.random() < 0.8:
            continue
        if (state := frozenset(files.items())) in tried:
            continue
        tried.add(state)
        for old in tmp_path.glob("cut.db*"):
            old.unlink()
        for name, contents in files.items():
            Path(name).write_bytes(contents)
        with MemoryBank(cut) as bank:
            assert len(bank) in (0, 1) and bank.verify() == []
            add_frame(bank, 1)
    assert len(tried) > 40


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_disk_that_does_not_sync_is_found_out(tmp_path, monkeypatch, ending):
    def keep(log, change):
        if change.what != "sync" or not change.path.endswith(f".db{ending}"):
            log.changes.append(change)

    monkeypatch.setattr(DiskLog, "_keep", keep)
    monkeypatch.setattr(durability, "STEPS", 50)
    assert any(durability.after_losses(tmp_path, 30))


def test_what_is_left_is_what_was_synced_and_any_part_of_the_rest():
    changes = [
        Change("open", "a"),
        Change("write", "a", 0, b"x" * 1024),
        Change("sync", "a"),
        Change("mark", at=1),
        Change("write", "a", 512, b"y" * 1024),
        Change("open", "b"),
        Change("write", "b", 0, b"z"),
    ]
    rng, found, ways = random.Random(0), set(), set()
    for _ in range(200):
        for way, promised, files in losses(changes, [len(changes) - 1], rng):
            assert promised == 1 and set(files) <= {"a", "b"}
            assert files["a"][:512] == b"x" * 512, "what was synced is there"
            assert files["a"][512:1024] in (b"x" * 512, b"y" * 512), "a sector is whole"
            assert way != "dropped" or b"y" * 8 not in files["a"]
            found.add(files["a"][512:1024] + files["a"][1024:])
            ways.add(way)
    assert ways == set(WAYS)
    assert {b"x" * 512, b"y" * 1024, b"x" * 512 + b"y" * 512} <= found
    assert list(losses(changes, [0], rng))[0][1:] == (0, {})


def test_a_deletion_is_for_sure_once_it_is_synced():
    rng = random.Random(0)
    for synced, expected in ((1, {()}), (0, {(), ("a",)})):
        disk = Disk()
        for change in (Change("write", "a", 0, b"x"), Change("sync", "a")):
            disk.take(change)
        disk.take(Change("delete", "a", synced))
        assert {tuple(disk.after_loss("dropped", rng)) for _ in range(50)} == expected
