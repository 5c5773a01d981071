"""The bench of archives and catalogues measures what it says."""

import pytest

from gaussvae_ros.bench import fleet
from gaussvae_ros.bench.fleet_data import Fleet
from gaussvae_ros.errors import GaussVaeError

pytest.importorskip("pyarrow")
pytest.importorskip("psycopg")


def test_an_archive_is_measured_beside_rsync(tmp_path, monkeypatch):
    monkeypatch.setattr(fleet, "LATER", 50)
    rows = {row["name"]: row for row in fleet.run(tmp_path, 500)}
    assert rows.pop(fleet.NO_CATALOGUE)["value"] is None
    assert all(row["value"] > 0 for row in rows.values()) and len(rows) == 8
    assert 1.0 < rows["fleet: archive over records with descriptors"]["value"] < 1.5


def test_a_catalogue_is_measured_and_emptied(database, monkeypatch):
    monkeypatch.setattr(fleet, "ASKED", 8)
    monkeypatch.setattr(fleet, "LIKE", 4)
    monkeypatch.setattr(fleet, "PLAIN", 50)
    rows = {row["name"]: row["value"] for row in fleet.ask(database, 1000)}
    assert rows["fleet: recall@10 of likeness; ms of exact search"] > 0.9
    assert all(value > 0 or "index" in name for name, value in rows.items())
    from gaussvae_ros.fleet.catalogue import make

    make(database)
    with pytest.raises(GaussVaeError, match="without a catalogue"):
        fleet.ask(database, 1000)


def test_the_fleet_is_a_hundred_robots_on_one_route():
    made = Fleet(1000)
    data = list(made.copies())
    assert made.each == 10 and made.columns.count(",") == 21
    assert all(b"".join(data).count(b"r%03d" % robot) == 10 for robot in range(100))
