"""The queries of docs/fleet.md, as DuckDB and pandas run them over an archive."""

import re
from pathlib import Path

import pytest
from fleets import START, drive

from gaussvae_ros.bank import MemoryBank

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pandas")

from gaussvae_ros.fleet import schema  # noqa: E402
from gaussvae_ros.fleet.archive import Archive  # noqa: E402
from gaussvae_ros.fleet.push import push  # noqa: E402

PAGE = (Path(__file__).parents[1] / "docs" / "fleet.md").read_text()
MONTH = 31 * 86_400 * 10**9


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A folder with the archive `fleet`: r1 on two tours a month apart, r2 on one."""
    folder = tmp_path_factory.mktemp("queries")
    for number, robot in enumerate(("r1", "r1", "r2")):
        path = drive(folder / f"{number}.db", 40, number, START + MONTH * (number % 2))
        with MemoryBank(path, readonly=True) as bank:
            push(bank, Archive(folder / "fleet"), robot)
    return folder


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_bytes_per_robot_and_day(fleet, monkeypatch):
    monkeypatch.chdir(fleet)
    rows = duckdb.sql(blocks("sql")[0]).fetchall()
    assert [(robot, str(day), frames) for robot, day, frames, *_ in rows] == [
        ("r1", "2025-12-30", 20),
        ("r1", "2025-12-31", 20),
        ("r1", "2026-01-30", 20),
        ("r1", "2026-01-31", 20),
        ("r2", "2025-12-30", 20),
        ("r2", "2025-12-31", 20),
    ]
    parts = [part for manifest in Archive("fleet").manifests() for part in manifest.parts]
    assert sum(row[3] for row in rows) == sum(part.record_bytes for part in parts)


def test_frames_of_one_place_over_months(fleet, monkeypatch):
    monkeypatch.chdir(fleet)
    rows = duckdb.sql(blocks("sql")[1]).fetchall()
    # In each memory frames 2, 4, 5 and 6; 3 was corrected away, and 7 has no pose.
    assert [row[:3] for row in rows] == [("2025-12", 2, 8), ("2026-01", 1, 4)]


def test_robots_that_lost_poses(fleet, monkeypatch):
    monkeypatch.chdir(fleet)
    rows = duckdb.sql(blocks("sql")[2]).fetchall()
    assert (
        rows[0][0] in ("r1", "r2") and all(0.1 <= row[3] <= 0.2 for row in rows) and len(rows) == 6
    )
    assert all(row[-1] in (2, 4) for row in rows)


def test_the_same_with_pandas(fleet, monkeypatch):
    monkeypatch.chdir(fleet)
    names = {}
    [code] = blocks("python")
    exec(compile(code, "docs/fleet.md", "exec"), names)
    expected = {(r, str(d)): n for r, d, _, n, *_ in duckdb.sql(blocks("sql")[0]).fetchall()}
    assert names["daily"]["bytes"].to_dict() == expected


def test_every_column_is_documented():
    for table, columns in (
        ("frames", schema.FRAMES),
        ("records", schema.RECORDS),
        ("sessions", schema.SESSIONS),
        ("models", schema.MODELS),
    ):
        section = PAGE.split(f"### {table}\n")[1].split("\n#")[0]
        rows = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
        told = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
        assert told - {"robot", "day"} == set(columns.names), table
