"""Memory files of earlier and later releases."""

import gzip

import pytest
from test_bank_likeness import REPO, TALLY, descriptor, found, record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.file import schema
from gaussvae_ros.bank.file.schema import migrations
from gaussvae_ros.errors import BankError
from gaussvae_ros.maintenance.needed_models import needs


def test_an_older_schema_is_migrated_and_a_newer_one_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        frame_id = bank.add(record(5), stamp_ns=5)
        assert bank.info()["schema"] == len(migrations._migrations)
    # A later release of this package.
    monkeypatch.setattr(migrations, "_migrations", list(migrations._migrations))

    monkeypatch.setattr(schema, "VERSION", "7.2.0")

    @migrations()
    def m999_weather(db):
        db.execute("ALTER TABLE sessions ADD COLUMN weather TEXT")

    with pytest.raises(BankError, match="older schema"):
        MemoryBank(path, readonly=True)
    with MemoryBank(path) as bank:
        assert bank.info()["schema"] == len(migrations._migrations) and bank.get(
            frame_id
        ).data == record(5)
        bank.begin_session("rainy", start_ns=0)
    MemoryBank(path, readonly=True).close()

    monkeypatch.undo()  # the present release again
    before = path.read_bytes()
    for readonly in (True, False):
        with pytest.raises(BankError, match="needs gaussvae_ros 7.2.0, this is .*: upgrade"):
            MemoryBank(path, readonly=readonly)
    assert path.read_bytes() == before


def test_a_file_of_this_schema_says_the_version_of_the_package():
    described = (REPO / "package.xml").read_text()
    assert f"<version>{schema.VERSION}</version>" in described


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(record(5), stamp_ns=5)
    monkeypatch.setattr(migrations, "_migrations", list(migrations._migrations))

    @migrations()
    def m999_broken(db):
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
    with pytest.raises(BankError, match="older schema: .* as `gaussvae bank add-model` does"):
        MemoryBank(first_release, readonly=True)
    with MemoryBank(first_release) as bank:
        frames = list(bank)
        assert [frame.id for frame in frames] == [1, 2, 3] and bank.verify() == []
        assert [frame.pose and frame.pose.x for frame in frames] == [None, 1, 2] and frames[
            2
        ].label == "dock"
        assert {frame.frame_id for frame in frames} == {""} and bank.calibration(1, "front") is None
        assert bank.find_like(descriptor(0)) == [] and bank.descriptor(1) is None
        assert (
            bank.info()["schema"] == len(migrations._migrations)
            and bank.info()["sessions"][0]["received"] == 0
        )
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


def test_a_file_of_the_sixth_schema_is_read_as_it_is_and_brought_up_to_date(tmp_path):
    """In it a correction was cut off after it held: 20 of 40 poses are moved to their place."""
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank6.db.gz").read_bytes()))

    def asked(bank):
        near = {"near": (10, 5, 0), "radius": 3.2}
        assert [f.id for f in bank.find(**near)] == [8, 9, 10, 11, 12, 13, 14]
        nearest = bank.find(**near, nearest_first=True, limit=3, camera="front")
        assert [f.id for f in nearest] == [11, 9, 13]
        assert [f.id for f in bank.find(**near, session=2)] == []
        assert [f.id for f in bank.find(near=(50, 0, 0), radius=1)] == [50, 51, 52]
        assert [f.id for f in bank.find(near=(30, 5, 0), radius=0.2)] == [31]
        assert bank.find(near=(30, 0, 0), radius=0.2) == []
        assert found(bank, descriptor(7), limit=1) == [8] and bank.references() == ["map", "odom"]
        assert bank.nearest(33, "rear").id == 34 and bank.newest("front").id == 59
        assert bank.verify() == [] and bank.find(label="dock")[0].id == 6

    with MemoryBank(path, readonly=True) as reader:
        asked(reader)
        with MemoryBank(path) as bank:
            for either in (reader, bank):
                asked(either)
            bank.set_poses({31: Pose(-7, 0, 0)})
            assert bank._db.execute("SELECT count(*) FROM moved_poses").fetchone() == (0,)
            bank.remove(range(1, 21))
            bank.set_pose(40, Pose(100, 0, 0))
            assert [f.id for f in bank.find(near=(-7, 0, 0), radius=1)] == [31]
            assert [f.id for f in bank.find(near=(100, 0, 0), radius=1)] == [40]
            assert bank.find(near=(10, 5, 0), radius=3.2) == [] and bank.verify() == []


def test_a_file_of_the_eighth_schema_is_read_as_it_is_and_brought_up_to_date(tmp_path):
    """In it three sessions of 100 frames, one a second; ids 20 to 39 were removed."""
    path, second = tmp_path / "old.db", 10**9
    path.write_bytes(
        gzip.decompress((REPO / "test" / "data" / "bank8_sessions.db.gz").read_bytes())
    )

    def asked(bank):
        stamps = [frame.stamp_ns for frame in bank]
        assert len(stamps) == 280 == len(bank) and stamps == sorted(stamps)
        span = {"after": 10 * second, "before": 16 * second}
        assert bank.ids(**span) == [i for n in range(11, 17) for i in (n, n + 100)] + [17]
        assert [f.id for f in bank.find(**span, camera="r")] == [12, 112, 14, 114, 16, 116]
        assert [f.id for f in bank.find(**span, session=2, camera="l")] == [111, 113, 115]
        assert bank.ids(camera="rare") == [51, 151, 251] and bank.ids(map_id="attic") == [
            *range(101, 301)
        ]
        assert (
            bank.nearest(28 * second + 1, "r").id == 128 and bank.nearest(2000 * second).id == 200
        )
        assert bank.newest("rare").id == 251 and bank.newest("none") is None
        assert [f.id for f in bank.window(12, 9)] == [*range(2, 20, 2), *range(40, 52, 2)]
        assert bank.verify() == [] and bank.info()["sessions"][2]["first_ns"] == 8640 * second

    with MemoryBank(path, readonly=True) as reader:
        asked(reader)
        with MemoryBank(path) as bank:
            for either in (reader, bank):
                asked(either)
            assert bank.add(record(9), stamp_ns=0, camera="rare", session=1) == 301
            assert bank.ids(camera="rare") == [301, 51, 151, 251] and bank.verify() == []
