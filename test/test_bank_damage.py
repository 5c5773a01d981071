"""Damage in a memory file: it costs the frames that it hit, and never more than a clear error."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.file.opening import PAGE_SIZE
from gaussvae_ros.errors import BankError
from gaussvae_ros.maintenance.needed_models import needs
from gaussvae_ros.record import Record, pack


def record(number: int) -> bytes:
    return pack(Record("splats", (640, 480), random.Random(number).randbytes(1500)))


def make(path, count=40):
    with MemoryBank(path) as bank:
        for i in range(count):
            label, like = "dock" if i == 3 else None, random.Random(i).randbytes(64)
            bank.add(
                record(i),
                stamp_ns=i,
                camera="front",
                pose=Pose(i, 0, 0),
                label=label,
                descriptor=like,
            )


def overwrite(path, old: bytes, new: bytes):
    contents = path.read_bytes()
    assert contents.count(old) == 1 and len(old) == len(new)
    path.write_bytes(contents.replace(old, new))


def test_a_damaged_record_costs_its_frame_only(tmp_path, caplog):
    path = tmp_path / "m.db"
    make(path)
    piece = record(6)[700:740]
    overwrite(path, piece, bytes(40))
    with MemoryBank(path) as bank:
        with pytest.raises(BankError, match="frame 7 is damaged: its checksum does not match"):
            bank.get(7)
        others = [i for i in range(1, 41) if i != 7]
        assert [frame.id for frame in bank] == others == [frame.id for frame in bank.find()]
        assert "frame 7 is damaged" in caplog.text
        assert [frame.id for frame in bank.find(near=(6, 0, 0), radius=1)] == [6, 8]
        assert [frame.id for frame in bank.find(after=5, limit=3)] == [6, 8, 9]
        assert bank.nearest(6).id == 6 and bank.nearest(6, tolerance_ns=0) is None
        assert bank.verify() == [(7, "frame 7 is damaged: its checksum does not match")]
        bank.add(record(99), stamp_ns=99)


@pytest.mark.parametrize(
    "column, value",
    [
        ("stamp_ns", "9"),
        ("camera", "'rear'"),
        ("camera", "CAST(x'ff' AS TEXT)"),
        ("width", "64"),
        ("tier", "'latent'"),
        ("record", "'text'"),
        ("record", "x'00'"),
        ("record", "(SELECT record FROM records WHERE frame = 1)"),  # whole, but another frame's
    ],
)
def test_the_row_is_checked_beside_the_record(tmp_path, column, value):
    make(tmp_path / "m.db", count=3)
    with MemoryBank(tmp_path / "m.db") as bank:
        table, key = ("records", "frame") if column == "record" else ("frames", "id")
        bank._db.execute(f"UPDATE {table} SET {column} = {value} WHERE {key} = 2")
        assert [frame.id for frame in bank] == [1, 3]
        assert [frame_id for frame_id, _ in bank.verify()] == [2]
        with pytest.raises(BankError, match="frame 2 is damaged"):
            bank.get(2)


def test_a_damaged_pose_costs_its_frame_only(tmp_path):
    make(tmp_path / "m.db", count=3)
    with MemoryBank(tmp_path / "m.db") as bank:
        bank._db.execute("UPDATE poses SET qw = 77 WHERE frame = 2")
        assert [frame.id for frame in bank] == [1, 3]
        assert [frame_id for frame_id, _ in bank.verify()] == [2]


def test_a_page_that_is_lost_costs_the_frames_on_it(tmp_path):
    path = tmp_path / "m.db"
    make(path)
    contents = bytearray(path.read_bytes())
    page = contents.index(record(20)[100:140]) // PAGE_SIZE
    contents[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] = random.Random(1).randbytes(PAGE_SIZE)
    path.write_bytes(contents)
    with MemoryBank(path) as bank:
        found = [frame.id for frame in bank]
        lost = {frame_id for frame_id, _ in bank.verify()} - {None}
        assert 1 <= len(lost) <= 8 and 21 in lost
        assert sorted(lost.union(found)) == list(range(1, 41)) and lost.isdisjoint(found)


def test_a_page_that_there_cannot_be_is_called_damage_and_not_a_full_disk(tmp_path):
    path, data = tmp_path / "m.db", pack(Record("splats", (640, 480), bytes(range(256)) * 40))
    with MemoryBank(path) as bank:
        bank.add(data, stamp_ns=0)
    contents = path.read_bytes()
    begin = end = contents.index(data[:64])
    while contents[end] == data[end - begin]:
        end += 1  # up to the number of the page where the record goes on
    path.write_bytes(contents[:end] + b"\xff" * 4 + contents[end + 4 :])
    with MemoryBank(path, readonly=True) as bank:
        with pytest.raises(BankError, match="full, SQLite says, and the disk is not: .*repair"):
            bank.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_rows_that_belong_to_nothing_hold_up_no_compacting(tmp_path):
    path = tmp_path / "m.db"
    make(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM frames WHERE id = 20")
        db.commit()
    with MemoryBank(path) as bank:
        bank.remove([18, 22])
        bank.compact()
        assert [frame.id for frame in bank] == [i for i in range(1, 41) if i not in (18, 20, 22)]


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize(
    "old, new", [(b"TABLE", b"T\xffBLE"), (b"TABLE", b"TIBLE"), (b"sessions", b"session\xba")]
)
def test_damage_where_the_tables_are_described_is_called_that(tmp_path, old, new, readonly):
    path = tmp_path / "m.db"
    make(path)
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(BankError, match="tables are described|malformed") as caught:
        MemoryBank(path, readonly=readonly)
    assert "codec" not in str(caught.value) and "copy" not in str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "m.db"
    make(path)
    return path


@settings(max_examples=150, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=64), st.booleans())
def test_any_damage_gives_true_frames_or_a_bank_error(sound, tmp_path_factory, where, noise, early):
    path = sound.with_name("damaged.db")
    for old in path.parent.glob("damaged.db*"):
        old.unlink()
    shutil.copy(sound, path)
    size = path.stat().st_size
    with open(path, "rb+") as file:
        file.seek(int(where * (PAGE_SIZE if early else size)))
        file.write(noise)
    try:
        with MemoryBank(path) as bank:
            for ask in (
                lambda: list(bank),
                lambda: bank.find(near=(5, 0, 0), radius=3),
                lambda: bank.find(camera="front", after=10, before=20),
                lambda: bank.find(label="dock"),
                lambda: [bank.get(i) for i in range(1, 41)],
                lambda: filter(None, [bank.nearest(17), bank.newest()]),
                lambda: bank.window(20, 5),
                lambda: [frame for frame, _ in bank.find_like(random.Random(3).randbytes(64))],
                lambda: bank.find(near=(5, 0, 0), radius=3, yaw=0.0, yaw_tolerance=1.0),
            ):
                try:
                    for frame in ask():
                        # two frames' true bytes cannot change places: id, stamp and record are one
                        # checksum
                        assert frame.data == record(frame.id - 1) and frame.stamp_ns == frame.id - 1
                except BankError:
                    pass
            for ask in (
                bank.verify,
                bank.info,
                lambda: needs(bank),
                lambda: bank.add(record(50), stamp_ns=50),
                bank.flush,
            ):
                try:
                    ask()
                except BankError:
                    pass
    except BankError:
        pass
