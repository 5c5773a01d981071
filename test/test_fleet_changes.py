"""What became otherwise in a memory file after it was sent: what the archive follows, and what it
keeps.
"""

import random

import pytest
from fleets import START, add, drive, everything

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import FleetError
from gaussvae_ros.record import PREDICTED, Record, checksum, pack

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from pushes import pulled, pushed, same  # noqa: E402

from gaussvae_ros.fleet.archive import Archive  # noqa: E402


def test_what_became_otherwise_is_sent(tmp_path):
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    with MemoryBank(path) as bank:
        bank.set_poses({i: Pose(9.0, i, 0.0) for i in (8, 10)})
        bank.set_pose(7, Pose(1.0, 2.0, 3.0))  # it had none
        bank.set_label(9, "charger")
        bank.set_label(4, None)
        bank.set_descriptor(12, b"\1" * 128)
        bank.set_map(1, "house")
    done = pushed(path, archive)
    assert (done.new, done.changed) == (0, 6)
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again)


def test_the_archive_keeps_what_a_budget_took(tmp_path):
    """Frames that were forgotten, and finer records of the same pictures."""
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    with MemoryBank(path, readonly=True) as bank:
        before = everything(bank)
    with MemoryBank(path) as bank:
        bank.remove([1, 20, 21, 22])
        bank.replace({50: (pack(Record("splats", (64, 48), b"coarse")), None)})
        bank.set_label(23, "kept")
    done = pushed(path, archive)
    assert (done.removed, done.changed) == (0, 1) and done.kept == 4
    with pulled(archive, tmp_path / "again.db") as again:
        found = everything(again)
    before[22] = before[22]._replace(label="kept")
    assert found == before


def test_what_was_redacted_goes_from_the_archive(tmp_path):
    """A picture with filled boxes at once; frames that were removed when one says so."""
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    blank = pack(Record("splats", (64, 48), b"boxes"))
    with MemoryBank(path) as bank:
        secret, gone = bank.get(46).data, [bank.get(i).data for i in (51, 52, 53, 54, 55)]
        bank.replace({46: (blank, None), **{i: (blank, None) for i in range(47, 51)}})
        for i in range(46, 51):
            bank.set_descriptor(i, b"\2" * 128)
        bank.remove(range(51, 56))
    assert pushed(path, archive).changed == 5
    files = b"".join((tmp_path / "fleet" / path_).read_bytes() for path_ in archive.paths(""))
    assert secret not in files and all(data in files for data in gone)
    done = pushed(path, archive, redact=True)
    assert (done.removed, done.changed) == (5, 0)
    files = b"".join((tmp_path / "fleet" / path_).read_bytes() for path_ in archive.paths(""))
    assert not any(data in files for data in gone)
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert everything(bank) == everything(again)


def test_what_was_predicted_from_a_picture_with_filled_boxes_has_none_of_it(tmp_path):
    """Only that picture has another descriptor, and its day may be the later one."""
    path, archive = tmp_path / "tour.db", Archive(tmp_path / "fleet")
    key = pack(Record("splats", (64, 48), b"a face"))
    late = pack(Record(PREDICTED, (64, 48), b"more", checksum(key)))
    with MemoryBank(path) as bank:
        bank.begin_session("tour", start_ns=START)
        day = 86_400 * 10**9
        bank.add(key, stamp_ns=START + day, descriptor=b"\1" * 128)
        for stamp in (START, START + 2 * day):
            bank.add(late, stamp_ns=stamp, descriptor=b"\2" * 128, reference=1)
    pushed(path, archive)
    with MemoryBank(path) as bank:
        alone = pack(Record("splats", (64, 48), b"alone"))
        bank.replace({2: (alone, None), 3: (alone, None)})
        bank.replace({1: (pack(Record("splats", (64, 48), b"boxes")), None)})
        bank.set_descriptor(1, b"\3" * 128)
    assert pushed(path, archive).changed == 3
    files = b"".join((tmp_path / "fleet" / path_).read_bytes() for path_ in archive.paths(""))
    assert key not in files
    with MemoryBank(path, readonly=True) as bank, pulled(archive, tmp_path / "again.db") as again:
        assert same(bank, again)


def test_a_frame_takes_what_it_needs_along_where_the_archive_keeps_a_finer_record_of_that(tmp_path):
    """Coarser records of a family of which one frame has no descriptor."""
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    with MemoryBank(path) as bank:
        before = everything(bank)
        assert bank.descriptor(22) is None and bank.get(22).reference == 21
        key = pack(Record("splats", (64, 48), b"coarse"))
        made = {21: (key, None)}
        for i in range(22, 26):
            coarse = pack(Record(PREDICTED, (64, 48), b"coarse %d" % i, checksum(key)))
            made[i] = coarse, 21
        bank.replace(made)
        [after] = bank.whole(22, 22)
    assert pushed(path, archive).changed == 1
    before[21] = before[21]._replace(data=after.data, needed=after.needed)
    with pulled(archive, tmp_path / "again.db") as again:
        assert everything(again) == before and again.verify() == []


def test_damage_on_the_robot_costs_the_archive_nothing(tmp_path):
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    with MemoryBank(path) as bank:
        before = everything(bank)
        add(bank, 5, random.Random(5))
        with bank._use_to_write() as group:
            hit = "UPDATE records SET record = x'00' WHERE frame IN (50, 65)"
            group.write_now([(hit, ())])
    done = pushed(path, archive, redact=True)
    assert (done.removed, done.new, done.damaged) == (0, 4, 1)
    with pulled(archive, tmp_path / "again.db") as again:
        assert everything(again)[:60] == before and len(again) == 64


def test_an_archive_loses_a_part_whose_frames_are_all_redacted(tmp_path):
    path, archive = drive(tmp_path / "tour.db"), Archive(tmp_path / "fleet")
    pushed(path, archive)
    with MemoryBank(path) as bank:
        bank.remove(bank.ids(before=START + 190 * 10**9))
    pushed(path, archive, redact=True)
    assert [part.day for part in archive.manifests()[0].parts] == ["2025-12-31"]
    assert {p.split("/")[2] for p in archive.paths("records")} == {"day=2025-12-31"}


def test_an_older_copy_is_refused(tmp_path):
    path, archive = drive(tmp_path / "tour.db", 30), Archive(tmp_path / "fleet")
    copy = tmp_path / "copy.db"
    with MemoryBank(path) as bank:
        bank.backup(copy)
        add(bank, 9, random.Random(3))
    pushed(path, archive)
    with MemoryBank(copy) as bank:  # which goes on in its own way, under ids handed out again
        bank.begin_session("other", start_ns=START)
        for _ in range(2500):
            bank.add(pack(Record("splats", (64, 48), b"x")), stamp_ns=START)
    with MemoryBank(copy, readonly=True) as bank:
        overlap = set(bank.ids()) & set(range(31, 40))
    if overlap:
        with pytest.raises(FleetError, match="older copy"):
            pushed(copy, archive)
    else:  # ids of the copy lie beyond those that were handed out
        assert pushed(copy, archive).new
