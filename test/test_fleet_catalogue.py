"""The catalogue: it follows the archive, and lets nobody do what they may not."""

import random

import pytest
from fleets import START, add, drive

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import FleetError

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
psycopg = pytest.importorskip("psycopg")

from gaussvae_ros.fleet import catalogue as catalogues  # noqa: E402
from gaussvae_ros.fleet.archive import Archive  # noqa: E402
from gaussvae_ros.fleet.catalogue import Catalogue, make  # noqa: E402
from gaussvae_ros.fleet.push import push  # noqa: E402

FRAMES = "SELECT count(*) FROM fleet.frames WHERE robot = %s"
ROW = """
    INSERT INTO fleet.frames
        (robot, bank, id, day, first, session, camera, stamp_ns, width, height, tier, bytes)
    VALUES (%s, 'b', %s, '2026-01-01', 1, 1, 'c', 0, 64, 48, 'splats', 9)
"""


def send(path, archive, robot):
    with MemoryBank(path, readonly=True) as bank:
        push(bank, archive, robot)


def follow(name, archive):
    with Catalogue(name) as catalogue:
        return sum(catalogue.follow(archive, manifest) for manifest in archive.manifests())


def as_role(name: str, role: str):
    return psycopg.connect(name, user=role, autocommit=True)


def count(name: str, robot: str) -> int:
    with psycopg.connect(name) as db:
        return db.execute(FRAMES, [robot]).fetchone()[0]


def test_it_follows_the_archive(database, tmp_path):
    archive, path = Archive(tmp_path / "fleet"), drive(tmp_path / "tour.db")
    make(database)
    send(path, archive, "r1")
    assert follow(database, archive) == 60 and follow(database, archive) == 0
    with MemoryBank(path) as bank:
        add(bank, 5, random.Random(1))
        bank.set_label(9, "charger")
        bank.set_pose(8, Pose(5.0, 5.0, 0.0))
        bank.remove(range(51, 56))
    with MemoryBank(path, readonly=True) as bank:
        push(bank, archive, "r1", redact=True)
        facts = {frame.id: (frame.stamp_ns, frame.label, frame.pose) for frame in bank}
    follow(database, archive)
    with psycopg.connect(database) as db:
        rows = db.execute("SELECT id, stamp_ns, label, x, y, z, qx, qy, qz, qw FROM fleet.frames")
        found = {n: (stamp, label, *pose) for n, stamp, label, *pose in rows}
    assert found == {
        n: (stamp, label, *(pose.position + pose.orientation if pose else [None] * 7))
        for n, (stamp, label, pose) in facts.items()
    }
    with MemoryBank(path) as bank:
        bank.remove(bank.ids(before=START + 190 * 10**9))  # all of a part
    with MemoryBank(path, readonly=True) as bank:
        push(bank, archive, "r1", redact=True)
        left = len(bank)
    follow(database, archive)
    assert count(database, "r1") == left


def test_migrations_are_applied_once_and_in_order(database):
    names = [name for name, _ in catalogues.migrations()]
    assert make(database) == names == sorted(names) and make(database) == []
    with psycopg.connect(database) as db:
        db.execute("DELETE FROM fleet.migrations WHERE name = %s", names[-1:])
    with pytest.raises(FleetError, match="earlier release"):
        Catalogue(database)
    with psycopg.connect(database) as db:
        db.execute("INSERT INTO fleet.migrations VALUES ('999_later')")
    with pytest.raises(FleetError, match="999_later of a later release"):
        Catalogue(database)


def test_what_is_no_catalogue_is_one_line(database):
    for name, why in ((database, "no catalogue yet"), ("host=/nowhere", "/nowhere")):
        with pytest.raises(FleetError, match=why) as told:
            Catalogue(name)
        assert len(str(told.value).splitlines()) == 1


@pytest.fixture(scope="module")
def fleet(postgres):
    """A catalogue with a row of r1 and r2, a role for each, a reader and a stranger."""
    database = postgres("roles")
    make(database, robots=["r1", "r2"], readers=["anna"])
    with psycopg.connect(database) as db:
        if not db.execute("SELECT 1 FROM pg_roles WHERE rolname = 'eve'").fetchone():
            db.execute("CREATE ROLE eve LOGIN")
    for robot in ("r1", "r2"):
        with as_role(database, robot) as db:
            db.execute(ROW, (robot, 1))
            db.execute("INSERT INTO fleet.parts VALUES (%s, 'b', '2026-01-01', 1, 'v')", [robot])
    return database


def test_a_robot_writes_and_sees_its_own_rows(fleet):
    with as_role(fleet, "r1") as db, db.transaction(force_rollback=True):
        assert db.execute("SELECT robot FROM fleet.frames").fetchall() == [("r1",)]
        assert db.execute("UPDATE fleet.frames SET label = 'dock'").rowcount == 1
        assert db.execute("DELETE FROM fleet.frames").rowcount == 1
    assert count(fleet, "r2") == 1


@pytest.mark.parametrize(
    "cheat",
    [
        ROW.replace("%s", "'r2'", 1).replace("%s", "7", 1),
        "UPDATE fleet.frames SET robot = 'r2'",
        "INSERT INTO fleet.parts VALUES ('r2', 'b', '2026-01-01', 9, 'v')",
        "UPDATE fleet.parts SET robot = 'r2'",
        "INSERT INTO fleet.sessions VALUES ('r2', 'b', 1, 'n', 0, '', 0, 0, 0, 0)",
        ROW.replace("%s", "'r2'", 1).replace("%s", "1", 1)
        + " ON CONFLICT (robot, bank, id) DO UPDATE SET label = 'mine'",
        "TRUNCATE fleet.frames",
        "DROP TABLE fleet.frames",
        "ALTER TABLE fleet.frames DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own ON fleet.frames",
        "CREATE POLICY mine ON fleet.frames USING (true)",
        "SET ROLE r2",
        "SET ROLE gaussvae_reader",
        "SET SESSION AUTHORIZATION r2",
        "CREATE TABLE fleet.mine (a int)",
        "INSERT INTO fleet.migrations VALUES ('x')",
        "SELECT pg_read_file('postgresql.conf')",
        "ALTER ROLE r1 BYPASSRLS",
    ],
)
def test_a_robot_cannot_touch_what_is_others(fleet, cheat):
    with as_role(fleet, "r1") as db:
        with pytest.raises(psycopg.Error):
            db.execute(cheat)
    assert count(fleet, "r1") == count(fleet, "r2") == 1


@pytest.mark.parametrize("setting", ["row_security = off", "ROLE gaussvae_robot"])
def test_no_setting_lets_a_robot_see_others(fleet, setting):
    with as_role(fleet, "r1") as db:
        db.execute(f"SET {setting}")
        try:
            assert db.execute("SELECT 1 FROM fleet.frames WHERE robot = 'r2'").fetchall() == []
            assert db.execute("DELETE FROM fleet.frames WHERE robot = 'r2'").rowcount == 0
        except psycopg.errors.InsufficientPrivilege:
            pass
    assert count(fleet, "r2") == 1


def test_a_robot_lets_nobody_in(fleet):
    with as_role(fleet, "r1") as db:
        db.execute("GRANT SELECT ON fleet.frames TO PUBLIC")  # a warning, and nothing else
        asked = "SELECT has_table_privilege('eve', 'fleet.frames', 'SELECT')"
        assert db.execute(asked).fetchone() == (False,)


def test_a_reader_sees_all_and_writes_nothing(fleet):
    with as_role(fleet, "anna") as db:
        assert db.execute("SELECT robot FROM fleet.frames ORDER BY 1").fetchall() == [
            ("r1",),
            ("r2",),
        ]
        for cheat in (
            "DELETE FROM fleet.frames",
            "UPDATE fleet.frames SET label = 'x'",
            ROW.replace("%s", "'anna'", 1).replace("%s", "7", 1),
            "SET ROLE r1",
            "CREATE TEMPORARY TABLE mine (a int)",
        ):
            with pytest.raises(psycopg.Error):
                db.execute(cheat)
    assert count(fleet, "r1") == count(fleet, "r2") == 1


def test_nobody_else_gets_in(fleet):
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        as_role(fleet, "eve")


def test_a_robot_fills_the_catalogue_by_its_own_role(fleet, tmp_path):
    archive = Archive(tmp_path / "fleet")
    send(drive(tmp_path / "tour.db"), archive, "r1")
    [manifest] = archive.manifests()
    with Catalogue(psycopg.conninfo.make_conninfo(fleet, user="r1")) as catalogue:
        assert catalogue.follow(archive, manifest) == 60
    with Catalogue(psycopg.conninfo.make_conninfo(fleet, user="r2")) as catalogue:
        with pytest.raises(FleetError, match="row-level security"):
            catalogue.follow(archive, manifest)
    assert (count(fleet, "r1"), count(fleet, "r2")) == (61, 1)
