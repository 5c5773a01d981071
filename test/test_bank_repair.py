"""`repair`: what is sound of a damaged memory file, in its place."""

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_damage import make, overwrite, record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.care.repairing import repair
from gaussvae_ros.bank.file.opening import PAGE_SIZE
from gaussvae_ros.cli import main
from gaussvae_ros.errors import BankError
from gaussvae_ros.record import Record, checksum, pack


def facts(bank):
    return {frame.id: (frame, bank.descriptor(frame.id)) for frame in bank}


def frames_of(path):
    with MemoryBank(path, readonly=True) as bank:
        assert bank.verify() == []
        return facts(bank)


def with_a_damaged_record(path):
    """A file of 40 frames, of which the one with id 7 is damaged."""
    make(path)
    overwrite(path, record(6)[700:740], bytes(40))
    return path


def test_a_sound_file_stays_as_it_is(tmp_path):
    path = tmp_path / "m.db"
    make(path)
    contents = path.read_bytes()
    done = repair(path)
    assert done.frames == 40 and done.lost == {} and done.old is None
    assert path.read_bytes() == contents
    assert not list(tmp_path.glob("*damaged*")) and not list(tmp_path.glob("*repairing*"))


def test_a_damaged_record_costs_its_frame_and_those_that_need_it(tmp_path, capsys):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for i in range(3):
            key = bank.add(record(i), stamp_ns=10 * i, pose=Pose(i, 0, 0), label=f"key {i}")
            later = Record("predicted", (640, 480), b"payload %d" % i, checksum(record(i)))
            bank.add(pack(later), stamp_ns=10 * i + 1, reference=key, descriptor=b"like")
        bank.remove([1])  # which 2 needs
        before = facts(bank)
    overwrite(path, record(1)[700:740], bytes(40))
    damaged = path.read_bytes()
    path.chmod(0o640)
    assert main(["bank", "repair", str(path)]) == 1
    said = capsys.readouterr().out
    assert "frame 3 is lost: frame 3 is damaged" in said and "frame 4 is lost: " in said
    assert "3 frames are sound, 2 lost; the damaged file is" in said
    assert frames_of(path) == {i: before[i] for i in (2, 5, 6)}
    assert (tmp_path / "m.db.damaged").read_bytes() == damaged
    assert path.stat().st_mode & 0o777 == 0o640
    with MemoryBank(path) as bank:
        assert bank.info()["kept"] == 1 and bank.add(record(9), stamp_ns=9) >= 7
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.db", "m.db.damaged"]
    assert main(["bank", "repair", str(path)]) == 0


def test_what_is_damaged_beside_a_frame_does_not_cost_it(tmp_path):
    path = tmp_path / "m.db"
    make(path, count=5)
    with MemoryBank(path) as bank:
        bank.set_calibration("front", {"width": 640}, session=1)
        bank.add_model(b"hash", "model", b"bytes")
        db = bank._db
        db.execute("PRAGMA foreign_keys=OFF")
        db.execute("UPDATE poses SET qw = 77 WHERE frame = 2")
        db.execute("UPDATE descriptors SET descriptor = x'00' WHERE frame = 3")
        db.execute("UPDATE cameras SET calibration = '{'")
        db.execute("UPDATE models SET model = x'00'")
        db.execute("DELETE FROM pose_runs")
        db.execute("DELETE FROM sessions")
        db.execute("DELETE FROM correction")
    done = repair(path)
    assert done.frames == 5 and done.lost == {} and len(done.others) >= 5
    found = frames_of(path)
    assert [found[i][0].pose for i in (1, 2, 4)] == [Pose(0, 0, 0), None, Pose(3, 0, 0)]
    assert found[3][1] is None and found[4][1] is not None
    with MemoryBank(path) as bank:
        assert bank.models() == [] and bank.calibration(1, "front") is None
        assert bank.info()["sessions"][0]["name"] == "repaired"
        assert bank.find(near=(3, 0, 0), radius=0.5)[0].id == 4
        bank.set_poses({1: Pose(9, 9, 9)})


def test_a_record_whose_frame_is_lost_is_kept_for_those_that_need_it(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        key = bank.add(record(0), stamp_ns=0)
        later = pack(Record("predicted", (640, 480), b"payload", checksum(record(0))))
        bank.add(later, stamp_ns=1, reference=key)
        bank.flush()
        bank._db.execute("PRAGMA foreign_keys=OFF")
        bank._db.execute("DROP TRIGGER frames_keep")
        bank._db.execute("DELETE FROM frames WHERE id = 1")
    with MemoryBank(path) as bank:
        assert bank.verify() != []
    done = repair(path)
    assert done.frames == 1 and list(done.lost) == [1]
    assert frames_of(path)[2][0].records == [record(0), later]


@pytest.mark.parametrize("what", ["records", "frames"])
def test_a_page_that_is_lost_costs_what_was_on_it(tmp_path, what):
    path = tmp_path / "m.db"
    make(path, count=600)
    with MemoryBank(path) as bank:
        before = facts(bank)
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        root = bank._db.execute(sql, [what]).fetchone()[0]
    contents = bytearray(path.read_bytes())
    # The last child of the root but one, see https://sqlite.org/fileformat.html#b_tree_pages.
    page = contents[(root - 1) * PAGE_SIZE :][:PAGE_SIZE]
    assert page[0] in (2, 5), "the root has children"
    count = int.from_bytes(page[3:5], "big")
    at = int.from_bytes(page[12 + 2 * (count - 1) :][:2], "big")
    child = int.from_bytes(page[at : at + 4], "big")
    contents[(child - 1) * PAGE_SIZE : child * PAGE_SIZE] = random.Random(1).randbytes(PAGE_SIZE)
    path.write_bytes(contents)
    done = repair(path)
    found = frames_of(path)
    assert done.old is not None and found.items() <= before.items()
    assert sorted([*found, *done.lost]) == list(range(1, 601)), "each is there or named"
    assert 300 < len(found) < 600


def test_an_index_of_time_that_is_wrong_is_named_and_made_anew(tmp_path):
    path = tmp_path / "m.db"
    make(path, count=600)
    with MemoryBank(path) as bank:
        before = facts(bank)
        bank._db.execute("DELETE FROM stamp_runs WHERE run = 2")
        bank._db.execute("INSERT INTO stamp_runs VALUES (9, 9, 'rear', 9)")
        assert [i for i, problem in bank.verify() if "not in the index" in problem] == [
            *range(256, 384)
        ]
    done = repair(path)
    assert done.frames == 600 and frames_of(path) == before


def test_who_writes_is_asked_first_and_who_reads_notices(tmp_path):
    path = with_a_damaged_record(tmp_path / "m.db")
    with MemoryBank(path) as bank:
        bank.add(record(50), stamp_ns=50)
        with pytest.raises(BankError, match="is being written by process"):
            repair(path)
    with MemoryBank(path, readonly=True) as reader:
        assert len(list(reader)) == 40
        assert list(repair(path).lost) == [7]
        assert "was replaced" in reader.check_place()
    assert len(frames_of(path)) == 40


def test_what_a_killed_writer_left_in_its_journal_is_not_lost(tmp_path):
    path = with_a_damaged_record(tmp_path / "m.db")
    with MemoryBank(path) as bank:
        bank.add(record(50), stamp_ns=50)
        bank.flush()
        for file in ("m.db", "m.db-wal"):
            shutil.copy(tmp_path / file, tmp_path / file.replace("m.", "killed."))
    assert (tmp_path / "killed.db-wal").stat().st_size > 0
    assert repair(tmp_path / "killed.db").frames == 40
    assert frames_of(tmp_path / "killed.db")[41][0].data == record(50)


def test_a_new_file_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    path = with_a_damaged_record(tmp_path / "m.db")
    contents, replace = path.read_bytes(), Path.replace

    def fail(self, target):
        if "repairing" in self.name:
            raise PermissionError(1, "Operation not permitted")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(BankError, match="could not be repaired: .*not permitted"):
        repair(path)
    assert path.read_bytes() == contents
    assert [file.name for file in tmp_path.iterdir()] == ["m.db"]


def test_what_cannot_be_repaired_stays_as_it_is(tmp_path):
    path = tmp_path / "m.db"
    make(path)
    path.write_bytes(path.read_bytes().replace(b"TABLE", b"T\xffBLE"))
    contents = path.read_bytes()
    with pytest.raises(BankError, match="tables are described|malformed"):
        repair(path)
    assert path.read_bytes() == contents
    assert "m.db.damaged" not in [file.name for file in tmp_path.iterdir()]
    with pytest.raises(BankError, match="does not exist"):
        repair(tmp_path / "none.db")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "m.db"
    make(path)
    return path


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=300)),
        min_size=1,
        max_size=4,
    )
)
def test_any_damage_is_repaired_or_refused_and_costs_no_healthy_frame(sound, damage):
    path, size = sound.with_name("damaged.db"), sound.stat().st_size
    for old in path.parent.glob("damaged.db*"):
        old.unlink()
    shutil.copy(sound, path)
    with open(path, "rb+") as file:
        for where, noise in damage:
            file.seek(int(where * size))
            file.write(noise)
    try:
        with MemoryBank(path, readonly=True) as bank:
            before = {frame.id for frame in bank}
        done = repair(path)
    except BankError:
        return  # where its tables are described
    found = frames_of(path)
    assert before <= found.keys() and len(found) == done.frames
    assert sorted([*found, *done.lost]) == list(range(1, 41)), "each is there or named"
    for frame_id, (frame, _) in found.items():
        assert frame.data == record(frame_id - 1) and frame.stamp_ns == frame_id - 1
