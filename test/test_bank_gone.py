"""A memory file that is deleted, replaced or taken away while it is open."""

import random
import shutil
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, BankGone
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]


def record(number: int = 0) -> bytes:
    return pack(Record("latent", (640, 480), random.Random(number).randbytes(500)))


def add(bank: MemoryBank, numbers, **facts) -> list[int]:
    return [bank.add(record(i), stamp_ns=i, **facts) for i in numbers]


def remove(path: Path, *endings: str):
    for ending in endings:
        Path(f"{path}{ending}").unlink(missing_ok=True)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


ALL = ("", "-wal", "-shm", "-lock")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tour.db"


@pytest.mark.parametrize(
    "endings", [ALL, ("",), ("", "-lock"), ("", "-wal", "-shm"), ("", "-shm", "-lock")]
)
def test_a_deleted_file_is_noticed_and_the_frames_go_on_in_a_new_one(path, endings):
    with MemoryBank(path) as bank:
        assert bank.check_place() == ""
        first = bank.begin_session("tour", start_ns=0)
        ids = add(bank, range(3), session=first)
        bank.flush()
        waiting = add(
            bank, range(3, 5), camera="front", pose=Pose(1, 2, 3), frame_id="optical", label="dock"
        )
        remove(path, *endings)
        assert bank.check_place() == f"{path} was deleted"
        for call in (
            lambda: bank.add(record(), stamp_ns=1),
            bank.flush,
            lambda: bank.get(ids[0]),
            lambda: len(bank),
        ):
            with pytest.raises(
                BankGone, match=f"was deleted; not stored yet: frames {waiting[0]} to {waiting[1]}$"
            ):
                call()
        assert bank.waiting == 2
        kept = bank.reopen()
        assert [(f.id, f.data, f.stamp_ns, f.camera) for f in kept] == [
            (frame_id, record(i), i, "front") for i, frame_id in zip((3, 4), waiting)
        ]
        assert {(f.label, f.pose, f.frame_id) for f in kept} == {("dock", Pose(1, 2, 3), "optical")}
        assert bank.check_place() == "" and bank.reopen() == [] and len(bank) == 0 == bank.waiting
        session = bank.begin_session("tour", start_ns=3)
        again = [
            bank.add(f.data, stamp_ns=f.stamp_ns, camera=f.camera, session=session) for f in kept
        ]
        assert min(again) > max(waiting)  # an id that somebody holds is never another frame's
    with MemoryBank(path) as bank:
        assert [frame.id for frame in bank] == again and bank.verify() == []
    assert names(path.parent) == ["tour.db"]


def test_a_file_that_is_moved_away_and_back(path, tmp_path):
    with MemoryBank(path) as bank:
        add(bank, range(3))
        bank.flush()
        add(bank, range(3, 5))
        path.replace(tmp_path / "moved.db")
        assert "was deleted" in bank.check_place()
        (tmp_path / "moved.db").replace(path)
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in bank] == list(range(5)) and bank.verify() == []


@pytest.mark.parametrize("endings", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_journal_that_is_deleted_under_its_writer(path, endings):
    with MemoryBank(path) as bank:
        add(bank, range(40))
        bank.flush()
        add(bank, range(40, 43))
        remove(path, *endings)
        assert bank.check_place() == f"{path}{endings[0]} was deleted"
        with pytest.raises(BankGone):
            bank.flush()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in bank] == list(range(43)) and bank.verify() == []


def test_a_folder_that_goes_away_and_comes_back(tmp_path):
    folder = tmp_path / "stick"
    folder.mkdir()
    with MemoryBank(folder / "tour.db") as bank:
        add(bank, range(3))
        shutil.rmtree(folder)
        assert bank.check_place() == f"the folder of {folder / 'tour.db'} is gone"
        for _ in range(2):
            with pytest.raises(BankGone, match="the folder of .* is gone"):
                bank.reopen()
        assert bank.waiting == 3
        folder.mkdir()
        kept = bank.reopen()
        add(bank, [frame.stamp_ns for frame in kept])
        assert len(bank) == 3 and bank.verify() == []


def test_closing_a_bank_whose_file_is_gone_names_what_is_lost(path):
    bank = MemoryBank(path)
    add(bank, range(2))
    remove(path, *ALL)
    other = MemoryBank(path)
    add(other, range(5))
    other.flush()
    before = names(path.parent)
    with pytest.raises(BankGone, match="frames 1 to 2; lost, because the bank is closed"):
        bank.close()
    bank.close()
    assert names(path.parent) == before == ["tour.db", "tour.db-lock", "tour.db-shm", "tour.db-wal"]
    with pytest.raises(BankError, match="is being written by process"):
        MemoryBank(path)  # the other's lock holds
    with MemoryBank(path, readonly=True) as reader:
        assert len(reader) == 5
    other.close()
    with MemoryBank(path) as bank:
        assert len(bank) == 5 and bank.verify() == []


def test_two_banks_never_write_one_file_though_its_lock_is_deleted(path):
    with MemoryBank(path) as first:
        add(first, range(3))
        first.flush()
        waiting = add(first, range(3, 6))
        remove(path, "-lock")
        with MemoryBank(path) as second:
            ids = add(second, range(10, 13))
            second.flush()
            assert set(ids).isdisjoint(waiting)
            assert (
                "now" in first.check_place()
                and "is being written by process" in first.check_place()
            )
            with pytest.raises(BankGone, match="is being written by process"):
                first.flush()
            with pytest.raises(BankGone, match="is being written by process"):
                first.reopen()
            assert first.waiting == 3
        kept = first.reopen()
        add(first, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in first] == [
            0,
            1,
            2,
            3,
            4,
            5,
            10,
            11,
            12,
        ] and first.verify() == []
        assert len({frame.id for frame in first}) == 9


def test_a_lock_file_that_is_only_deleted_is_made_again(path):
    with MemoryBank(path) as bank:
        remove(path, "-lock")
        assert bank.check_place() == "" and Path(f"{path}-lock").exists()
        with pytest.raises(BankError, match="is being written by process"):
            MemoryBank(path)
        add(bank, range(2))
    assert names(path.parent) == ["tour.db"]


def test_a_writer_that_came_and_went_while_the_lock_file_was_deleted(path):
    with MemoryBank(path) as first:
        add(first, range(3))
        first.flush()
        waiting = add(first, range(3, 6))
        # Else SQLite lets nobody else write: the first is within a transaction.
        first._group._undo()
        remove(path, "-lock")
        with MemoryBank(path) as second:
            add(second, range(10, 13))
        with pytest.raises(BankGone, match="was written by another process"):
            first.flush()
        kept = first.reopen()
        assert [frame.id for frame in kept] == waiting
        add(first, [frame.stamp_ns for frame in kept])
        assert [frame.stamp_ns for frame in first] == [
            0,
            1,
            2,
            3,
            4,
            5,
            10,
            11,
            12,
        ] and first.verify() == []


def test_a_reader_does_not_serve_a_file_that_is_gone(path, tmp_path):
    with MemoryBank(path) as bank:
        add(bank, range(3))
    with MemoryBank(path, readonly=True) as reader:
        assert len(reader) == 3
        frames = iter(reader)
        next(frames)
        path.replace(tmp_path / "moved.db")
        assert reader.check_place() == f"{path} was deleted"
        for call in (
            lambda: len(reader),
            lambda: reader.get(1),
            reader.info,
            reader.verify,
            lambda: list(reader),
        ):
            with pytest.raises(BankGone, match="was deleted"):
                call()
