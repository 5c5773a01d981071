"""What a memory file sends to an archive comes back the same, whatever happens in between."""

import gzip
import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fleets import START, add, drive

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import FleetError

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from pushes import pulled, pushed, same  # noqa: E402

from gaussvae_ros.fleet import archive as archives  # noqa: E402
from gaussvae_ros.fleet import push as pushing  # noqa: E402
from gaussvae_ros.fleet.archive import Archive, Rate  # noqa: E402
from gaussvae_ros.fleet.pull import Wanted, pull, rows_of  # noqa: E402
from gaussvae_ros.fleet.push import push  # noqa: E402

DATA = Path(__file__).parent / "data"


def test_a_memory_comes_back_the_same(tmp_path):
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    done = pushed(path, archive)
    assert (done.new, done.changed) == (60, 0)
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again) and again.verify() == []
        assert bank.original_pose(3) == again.original_pose(3) != again.get(3).pose
    days = [part.day for part in archive.manifests()[0].parts]
    assert days == ["2025-12-30", "2025-12-31"]


def test_some_frames_come_with_what_they_need(tmp_path):
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    memory = pushed(path, archive).bank
    wanted = {("r1", memory, number) for number in (4, 5, 58, 999)} | {("r2", memory, 1)}
    with MemoryBank(tmp_path / "some.db") as some, MemoryBank(path, readonly=True) as bank:
        ids = pull(archive, some, Wanted(frames=wanted))
        assert ids == {("r1", memory, n): i + 1 for i, n in enumerate((4, 5, 58))}
        for (_, _, old), new in ids.items():
            assert (
                some.get(new).records == bank.get(old).records and len(some.get(new).records) == 2
            )
        assert some.verify() == []
    span = {"after": START + 150 * 10**9, "before": START + 200 * 10**9}
    with MemoryBank(tmp_path / "hour.db") as some, MemoryBank(path, readonly=True) as bank:
        pull(archive, some, Wanted(["r1"], **span))
        assert [f.stamp_ns for f in some] == [f.stamp_ns for f in bank.find(**span)]
        assert len(some) == 6


def test_nothing_new_sends_nothing(tmp_path):
    sent = []
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet", sent.append)
    pushed(path, archive)
    sent.clear()
    assert pushed(path, archive).new == 0 and sent == []
    os.utime(path)  # looked at anew: still nothing but the manifest
    assert pushed(path, archive).new == 0 and sum(sent) < 5000


def test_what_is_new_is_sent_and_files_stay_few(tmp_path):
    path, archive = drive(tmp_path / "tour.db", 1), Archive(tmp_path / "fleet")
    for _ in range(12):
        pushed(path, archive)
        with MemoryBank(path) as bank:
            add(bank, 2, random.Random(1))
    assert pushed(path, archive).new == 2
    files = [file for file in archive.paths("frames") if file.endswith(".parquet")]
    assert len(files) == 2  # of the two days that the frames are of
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again)


def test_big_parts_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(pushing, "SMALL", 5)
    monkeypatch.setattr(pushing, "ROWS", 20)
    monkeypatch.setattr(pushing, "PIECE", 8)
    monkeypatch.setattr(archives, "GROUP", 4)
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    assert [part.rows for part in archive.manifests()[0].parts] == [20, 27, 13]
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again)


def test_a_link_that_drops_at_any_byte_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "BLOCK", 2**14)
    monkeypatch.setattr(pushing, "ROWS", 20)
    monkeypatch.setattr(pushing, "SMALL", 15)
    monkeypatch.setattr(pushing, "PIECE", 8)
    path, blocks = drive(tmp_path / "tour.db", 40), []
    pushed(path, Archive(tmp_path / "whole", blocks.append))
    with MemoryBank(path, readonly=True) as bank:
        rows = bank.whole(1, bank.last_id())
    for limit in range(len(blocks)):
        url, left = tmp_path / f"fleet{limit}", [limit]

        def drop(count: int):
            left[0] -= 1
            if left[0] < 0:
                raise ConnectionError("link is down")

        for _ in range(2):  # and again, at the same distance
            left[0] = limit
            try:
                pushed(path, Archive(url, drop))
            except FleetError as error:
                assert "link is down" in str(error)
        archive = Archive(url)
        pushed(path, archive)
        named = {
            part.path(table, "r1", manifest.bank)
            for manifest in archive.manifests()
            for part in manifest.parts
            for table in ("frames", "records")
        }
        there = {p for p in archive.paths("") if p.startswith(("frames", "records", "partial"))}
        assert there == named
        [manifest] = archive.manifests()
        assert list(rows_of(archive, manifest)) == rows


@pytest.mark.parametrize("robots, why", [(None, "no memory is"), (["r1", "r2"], "robot r2")])
def test_a_pull_of_what_is_not_there_is_refused(tmp_path, robots, why):
    archive = Archive(tmp_path / "fleet")
    if robots:
        pushed(drive(tmp_path / "tour.db", 5), archive)
    with pytest.raises(FleetError, match=why):
        pulled(archive, tmp_path / "again.db", robots)


def test_a_killed_push_is_ended_by_the_next(tmp_path):
    path = drive(tmp_path / "tour.db")
    code = (
        "import sys, time; from gaussvae_ros.bank import MemoryBank\n"
        "from gaussvae_ros.fleet.archive import Archive; from gaussvae_ros.fleet.push import push\n"
        "bank = MemoryBank(sys.argv[1], readonly=True)\n"
        "def pause(count): print(count, flush=True); time.sleep(0.2)\n"
        "push(bank, Archive(sys.argv[2], pause), 'r1')\n"
    )
    arguments = [sys.executable, "-c", code, path, tmp_path / "fleet"]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE)
    for _ in range(4):
        child.stdout.readline()
    with pytest.raises(FleetError, match="another push"):
        pushed(path, Archive(tmp_path / "fleet"))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    archive = Archive(tmp_path / "fleet")
    pushed(path, archive)
    assert archive.paths("partial") == []
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again)


def test_a_memory_that_is_being_written_can_be_pushed(tmp_path):
    archive, rng = Archive(tmp_path / "fleet"), random.Random(2)
    path = drive(tmp_path / "tour.db", 30)
    with MemoryBank(path) as writer:
        for _ in range(3):
            add(writer, 5, rng)
            writer.flush()
            assert pushed(path, archive).new >= 5
            add(writer, 1, rng)  # waits
    pushed(path, archive)
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again)


def test_two_robots_and_two_memories_of_one_lie_side_by_side(tmp_path):
    archive = Archive(tmp_path / "fleet")
    paths = [drive(tmp_path / f"{seed}.db", 20, seed) for seed in range(3)]
    for path, robot in zip(paths, ("r1", "r1", "r2")):
        pushed(path, archive, robot)
    assert [m.robot for m in archive.manifests()] == ["r1", "r1", "r2"]
    with (
        pulled(archive, tmp_path / "r2.db", ["r2"]) as again,
        MemoryBank(paths[2], readonly=True) as bank,
    ):
        assert same(bank, again)


@pytest.mark.parametrize("robot", ["", "a/b", "..", "x" * 64, "a b"])
def test_a_robot_has_a_name(robot, tmp_path):
    with pytest.raises(FleetError, match="name"):
        pushed(drive(tmp_path / "tour.db", 1), Archive(tmp_path / "fleet"), robot)


def test_a_limit_of_the_rate_holds():
    waited, now = [], [0.0]
    rate = Rate(1000, lambda: now[0], lambda s: (waited.append(s), now.__setitem__(0, now[0] + s)))
    for _ in range(10):
        rate(500)
    assert sum(waited) == pytest.approx(5.0)


@pytest.mark.parametrize("schema", [3, 6, 8])
def test_files_of_earlier_releases_are_pushed_as_they_are(schema, tmp_path):
    path, archive = tmp_path / "old.db", Archive(tmp_path / "fleet")
    path.write_bytes(gzip.decompress((DATA / f"bank{schema}.db.gz").read_bytes()))
    with MemoryBank(path, readonly=True) as bank:
        frames = list(bank)
        done = push(bank, archive, "r1")
    assert done.new == len(frames) > 0
    with pulled(archive, tmp_path / "again.db") as again:
        found = list(again)
    assert sorted((f.stamp_ns, f.camera, f.label, str(f.pose), f.data) for f in found) == sorted(
        (f.stamp_ns, f.camera, f.label, str(f.pose), f.data) for f in frames
    )


def test_an_empty_memory_sends_nothing(tmp_path):
    with closing(MemoryBank(tmp_path / "empty.db")):
        pass
    assert pushed(tmp_path / "empty.db", Archive(tmp_path / "fleet")).new == 0
