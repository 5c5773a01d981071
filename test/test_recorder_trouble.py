"""The recorder while its file is gone or its disk is full: what it has encoded waits."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
from references import chain, record
from test_recorder import Setup, T, bank, codec, pending  # noqa: F401 (two are fixtures)

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.nodes import recorder as module


def store(it, *frames):
    for frame in frames:
        it.recorder.work(frame)
    return it.recorder.commit()


def delete(path):
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def read(path):
    with MemoryBank(path, readonly=True) as bank:
        return list(bank), bank.info()


def receive(it, *frames):
    for frame in frames:
        it.counters.count(frame.camera, frame.session, "received")
    return frames


def test_a_deleted_file_is_followed_by_a_new_one_with_all_that_waited(bank, codec, caplog):
    it, path = Setup(bank, codec), bank.path
    it.recorder.calibrate("camera", {"k": 1})
    assert store(it, *receive(it, pending(0), pending(1))) and it.recorder.refusal == ""
    waiting, late = receive(it, pending(2), pending(3))
    it.recorder.work(waiting)
    delete(path)
    assert store(it, late)
    assert "deleted" in it.recorder.lost and not it.recorder.refusal and it.recorder.waiting == 0
    assert caplog.text.count("goes on in a new file") == 1
    it.recorder.tally()
    it.recorder.commit()
    frames, info = read(path)
    assert [frame.stamp_ns for frame in frames] == [waiting.stamp_ns, late.stamp_ns]
    assert {frame.frame_id for frame in frames} == {"lens"}
    assert frames[0].id > 2, "an id that was told of is another frame's now"
    [session] = info["sessions"]
    assert (session["name"], session["received"], session["frames"], session["dropped"]) == (
        "drive",
        2,
        2,
        0,
    )
    assert bank.calibration(session["id"], "camera") == {"k": 1}
    assert it.counts() == {"received": 4, "stored": 4, "poses_missing": 4}
    assert len(it.stored) == 4


def test_trouble_with_a_file_that_was_replaced_passes(bank, codec, monkeypatch):
    it, other = Setup(bank, codec), bank.path.with_name("other.db")
    with MemoryBank(other) as second:
        second.begin_session("before", start_ns=0)
    forgotten = []
    it.recorder.forgotten = lambda: forgotten.append(True)
    assert store(it, pending(0)) and not forgotten
    for file in bank.path.parent.glob(f"{bank.path.name}-[ws]*"):
        file.unlink()
    other.rename(bank.path)
    assert (
        store(it, pending(1))
        and forgotten
        and "goes on in the file that is there now" in it.recorder.lost
    )
    monkeypatch.setattr(module, "LOST_S", -1.0)
    assert it.recorder.lost == ""
    frames, info = read(bank.path)
    assert [frame.stamp_ns for frame in frames] == [T + 10**8]
    assert [session["name"] for session in info["sessions"]] == ["before", "drive"]


def test_a_late_pose_of_a_frame_in_a_deleted_file_is_nobodys(bank, codec):
    it, old = Setup(bank, codec), pending(0, settled=False)
    assert store(it, old)
    delete(bank.path)
    assert store(it, pending(1, settled=False))
    it.recorder.settle(old, Pose(1, 2, 3))
    assert it.recorder.commit()
    assert [frame.pose for frame in read(bank.path)[0]] == [None]


def test_frames_wait_for_a_folder_that_comes_back(tmp_path, codec, caplog):
    folder, away = tmp_path / "stick", tmp_path / "away"
    folder.mkdir()
    with MemoryBank(folder / "memory.db") as bank:
        it = Setup(bank, codec)
        assert store(it, pending(0))
        folder.rename(away)
        for number in range(1, 4):
            assert not store(it, pending(number, settled=False))
        late = pending(4, settled=False)
        assert not store(it, late)
        it.recorder.settle(late, Pose(1, 2, 3))
        assert it.recorder.waiting == 4 and "gone" in it.recorder.refusal
        assert sum(record.levelname == "ERROR" for record in caplog.records) == 1, (
            "each try says it again"
        )
        away.rename(folder)
        assert it.recorder.commit() and it.recorder.waiting == 0
        frames, _ = read(folder / "memory.db")
        assert [frame.stamp_ns for frame in frames] == [T + i * 10**8 for i in range(5)]
        assert frames[-1].pose == Pose(1, 2, 3)
        assert it.counts()["stored"] == 5


def test_frames_wait_while_nothing_is_mounted_where_the_disk_was(bank, codec, monkeypatch):
    # So it looks as after the stick was pulled.
    monkeypatch.setattr(module, "mount_of", lambda path: path.parent)
    it = Setup(bank, codec)
    delete(bank.path)
    assert not store(it, pending(0))
    assert "mounted" in it.recorder.refusal and not bank.path.exists()
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    assert it.recorder.commit() and len(read(bank.path)[0]) == 1


def test_what_cannot_wait_is_counted(tmp_path, codec, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 5)
    folder = tmp_path / "stick"
    folder.mkdir()
    with MemoryBank(folder / "memory.db") as bank:
        it = Setup(bank, codec, wants_poses=False)
        folder.rename(tmp_path / "away")
        for number in range(8):
            store(it, pending(number))
        assert it.recorder.waiting == 5 and it.counts() == {"failed": 3}
        folder.mkdir()
        assert it.recorder.commit() and it.counts() == {"failed": 3, "stored": 5}


def test_a_full_disk_delays_frames_and_their_poses(bank, codec, caplog):
    it = Setup(bank, codec)
    assert store(it, pending(0))
    pages = bank._db.execute("PRAGMA page_count").fetchone()[0]
    # "database or disk is full", as SQLite says it for both.
    bank._db.execute(f"PRAGMA max_page_count={pages}")
    number, late = 0, []
    while not it.recorder.refusal or number < 40:
        number += 1
        late.append(pending(number, settled=False))
        store(it, late[-1])
        assert number < 200
    assert "full" in it.recorder.refusal and it.recorder.waiting > 0
    assert 1 <= caplog.text.count("disk is full") <= 2, "each frame says it again"
    for frame in late:
        it.recorder.settle(frame, Pose(1, 2, 3))
    bank._db.execute("PRAGMA max_page_count=1000000")
    assert it.recorder.commit() and it.recorder.refusal == "" and it.recorder.waiting == 0
    assert it.counts() == {"stored": number + 1, "with_pose": number, "poses_missing": 1}
    assert len(it.stored) == len(bank) == number + 1
    assert sum(frame.pose is not None for frame in bank) == number
    assert bank.verify() == []


def test_an_announcement_that_fails_costs_no_frame(bank, codec):
    it = Setup(bank, codec)
    frame = pending(0)
    it.recorder.work(frame)
    it.recorder._stored = lambda frames: 1 / 0
    with pytest.raises(ZeroDivisionError):
        it.recorder.commit()
    assert it.recorder.waiting == 0 and len(bank) == 1
    it.recorder._stored = it.stored.extend
    assert store(it, pending(1)) and [frame.id for frame in it.stored] == [2]
    assert it.counts()["stored"] == 2


def test_closing_tells_what_is_lost(tmp_path, codec, caplog):
    folder = tmp_path / "stick"
    folder.mkdir()
    it = Setup(MemoryBank(folder / "memory.db"), codec)
    folder.rename(tmp_path / "away")
    store(it, pending(0), pending(1))
    it.recorder.close()
    assert "2 frames" in caplog.text and "lost" in caplog.text


def test_frames_of_any_kind_are_let_through(bank, codec):
    """Names as other programs choose them, stamps as clocks go wrong."""
    it = Setup(bank, codec)
    for number, (stamp, name) in enumerate(
        [
            (-(2**31) * 10**9, ""),
            (2**31 * 10**9 - 1, "a\tb"),
            (0, "\u00a0"),
            (-1, "x" * 5000),
            (5, "\ud800"),
        ]
    ):
        frame = pending(number)
        frame.stamp_ns, frame.frame_id = stamp, name
        it.recorder.work(frame)
    assert it.recorder.commit() and it.counts()["stored"] == 5 and np.isfinite(len(bank))


def test_a_predicted_record_goes_with_what_it_needs_where_that_is_gone(bank, codec):
    key, near, far = chain(0)
    records, it = iter([key, near, far, record(7, near)]), Setup(bank, codec)

    def encode(frame, **how):
        frame.data = next(records)
        it.recorder._coded([frame])

    it.recorder._sequences = SimpleNamespace(encode=encode, flush=lambda: None, waiting=[])
    before = pending(0)
    store(it, before)
    middle = pending(1, needed=(key,), before=before)
    it.recorder.work(middle)
    assert bank.get(2).reference == 1
    delete(bank.path)
    assert store(it, pending(2, needed=(key, near), before=middle))
    first, second = bank
    assert first.records == [key, near] and second.records == [key, near, far]
    assert second.reference == first.id and bank.info()["kept"] == 1
    bank.remove([first.id])
    assert store(it, pending(3, needed=(key, near), before=middle))
    assert [frame.needed for frame in bank] == [(key, near)] * 2 and bank.verify() == []
    assert it.counts()["stored"] == 4
