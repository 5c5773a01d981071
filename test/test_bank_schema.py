"""Memory files of earlier and later releases."""

import gzip

import pytest
from test_bank_likeness import REPO, TALLY, descriptor, found, record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.schema import migrations
from gaussvae_ros.errors import BankError
from gaussvae_ros.needed_models import needs


def test_an_older_schema_is_migrated_and_a_newer_one_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        frame_id = bank.add(record(5), stamp_ns=5)
        assert bank.info()["schema"] == 6
    # A later release of this package.
    monkeypatch.setattr(migrations, "_migrations", list(migrations._migrations))

    @migrations()
    def m007_weather(db):
        db.execute("ALTER TABLE sessions ADD COLUMN weather TEXT")

    with pytest.raises(BankError, match="older schema"):
        MemoryBank(path, readonly=True)
    with MemoryBank(path) as bank:
        assert bank.info()["schema"] == 7 and bank.get(frame_id).data == record(5)
        bank.begin_session("rainy", start_ns=0)
    MemoryBank(path, readonly=True).close()

    monkeypatch.undo()  # the present release again
    before = path.read_bytes()
    for readonly in (True, False):
        with pytest.raises(BankError, match="newer gaussvae_ros .it has m007_weather.: upgrade"):
            MemoryBank(path, readonly=readonly)
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(record(5), stamp_ns=5)
    monkeypatch.setattr(migrations, "_migrations", list(migrations._migrations))

    @migrations()
    def m007_broken(db):
        db.execute("DROP TABLE poses")
        db.execute("SELECT * FROM no_such_table")

    with pytest.raises(BankError, match="no such table"):
        MemoryBank(path)
    monkeypatch.undo()
    with MemoryBank(path) as bank:
        assert len(bank) == 1 and bank.verify() == []


# Files of the first release


@pytest.fixture
def first_release(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank1.db.gz").read_bytes()))
    return path


def test_a_file_of_the_first_schema_is_brought_up_to_date(first_release):
    with pytest.raises(BankError, match="older schema: open it once for writing"):
        MemoryBank(first_release, readonly=True)
    with MemoryBank(first_release) as bank:
        frames = list(bank)
        assert [frame.id for frame in frames] == [1, 2, 3] and bank.verify() == []
        assert [frame.pose and frame.pose.x for frame in frames] == [None, 1, 2] and frames[
            2
        ].label == "dock"
        assert {frame.frame_id for frame in frames} == {""} and bank.calibration(1, "front") is None
        assert bank.find_like(descriptor(0)) == [] and bank.descriptor(1) is None
        assert bank.info()["schema"] == 6 and bank.info()["sessions"][0]["received"] == 0
        bank.set_tally(1, TALLY)
        new = bank.add(
            record(9), stamp_ns=9, session=1, descriptor=descriptor(9), frame_id="optical"
        )
        assert new == 4 and [frame.id for frame in bank.window(3, 5)] == [1, 2, 3]
    with MemoryBank(first_release, readonly=True) as bank:
        assert found(bank, descriptor(9)) == [4] and bank.info()["sessions"][0]["gated"] == 4


def test_a_file_of_the_second_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank2.db.gz").read_bytes()))
    with pytest.raises(BankError, match="older schema: open it once for writing"):
        MemoryBank(path, readonly=True)
    with MemoryBank(path) as bank:
        assert bank.verify() == [] and bank.models() == []
        assert [(f.id, f.label, f.frame_id) for f in bank][2] == (3, "dock", "optical")
        assert bank.calibration(1, "front") == {"width": 640} and bank.descriptor(1)[0] == 100
        assert bank.info()["sessions"][0]["gated"] == 6
        assert sum(need.records for need in needs(bank)) == 3
        assert bank.add_model(b"abc", "first", b"x")
    with MemoryBank(path, readonly=True) as bank:
        assert bank.model(b"abc") == b"x" and len(bank) == 3
