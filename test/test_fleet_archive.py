"""An archive's files: what was written comes back, each row group decodes alone, half a file is
none.
"""

import stat

import pytest
from fleets import drive
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.bulk import Whole
from gaussvae_ros.errors import FleetError

pa = pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from gaussvae_ros.fleet import archive as archives  # noqa: E402
from gaussvae_ros.fleet.archive import Archive, Manifest, day_of  # noqa: E402
from gaussvae_ros.fleet.schema import chains, records_table  # noqa: E402


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    with MemoryBank(drive(tmp_path_factory.mktemp("robot") / "tour.db"), readonly=True) as bank:
        found = bank.whole(1, bank.last_id())
        assert [row.id for row in found] == bank.ids() and len(found) == 60
    return found


def test_frames_come_back_with_all_that_belongs_to_them(rows, tmp_path):
    archive = Archive(f"file://{tmp_path}/fleet")
    part = archive.write_part("r1", "b1", "2025-12-30", rows)
    assert archive.read_part("r1", "b1", part) == rows
    assert (part.first, part.last, part.rows) == (1, 60, 60)
    assert part.record_bytes == sum(len(row.data) for row in rows)
    kinds = (
        {row.tier for row in rows},
        {row.label for row in rows},
        {bool(row.texts) for row in rows},
    )
    assert kinds == ({"splats", "predicted"}, {None, "dock"}, {False, True})


def test_each_row_group_decodes_by_itself(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "GROUP", 7)
    archive = Archive(tmp_path)
    manifest = Manifest("r1", "b1", parts=[archive.write_part("r1", "b1", "2025-12-30", rows[:50])])
    archive.publish_manifest(manifest)
    found = []
    groups = list(archive.groups(["r1"]))
    assert [count for *_, count in groups] == [7] * 7 + [1]
    for path, group, count in groups:
        table = archive.read_group(path, group)
        assert len(table) == count
        found += chains(table)
    assert found == [(*row.needed, row.data) for row in rows[:50]]
    assert list(archive.groups(["r2"])) == [] and archive.manifests() == [manifest]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_records_need_is_in_their_row_group(data):
    """References within the group, before it, behind the frame, and of frames that are gone."""
    known: dict[int, tuple[bytes, ...]] = {-1: (b"k",), -2: (b"k", b"l")}
    made = []
    for number in range(1, data.draw(st.integers(1, 20)) + 1):
        near = [i for i, chain in known.items() if len(chain) < 3]
        reference = data.draw(st.sampled_from([None, *near]))
        needed = () if reference is None else known[reference]
        known[number] = (*needed, b"%d" % number)
        row = Whole(number, 0, "c", 1, (8, 8), "t", "", None, None, None, [], [], reference, needed,
                    b"%d" % number, None)  # fmt: skip
        made.append(row)
    rows = data.draw(st.lists(st.sampled_from(made), unique_by=id, min_size=1))  # some were removed
    rows.sort(key=lambda row: row.id)
    group = data.draw(st.integers(1, 9))
    table, found = records_table("b", rows, group), []
    for begin in range(0, len(rows), group):
        found += chains(table.slice(begin, group))
    assert found == [(*row.needed, row.data) for row in rows]


def test_half_a_file_is_none(rows, tmp_path):
    """The link drops after any number of bytes: what was there stays, whole."""
    sent = []
    archive = Archive(tmp_path, sent.append)
    part = archive.write_part("r1", "b1", "2025-12-30", rows[:20])
    before = {path: (tmp_path / path).read_bytes() for path in archive.paths("")}
    pieces = len(sent)
    for limit in range(pieces):
        left = [None] * limit

        def drop(count: int):
            if not left:
                raise ConnectionError("link is down")
            left.pop()

        with pytest.raises(FleetError, match="link is down"):
            Archive(tmp_path, drop).write_part("r1", "b1", "2025-12-30", rows)
        there = {path: (tmp_path / path).read_bytes() for path in archive.paths("")}
        assert there.keys() == before.keys()
        assert there[part.path("frames", "r1", "b1")] == before[part.path("frames", "r1", "b1")]


@pytest.mark.parametrize("mode, folder_mode", [(0o600, 0o700), (0o640, 0o750)])
def test_only_the_owner_may_look_into_a_folder_or_a_group(rows, tmp_path, mode, folder_mode):
    archive = Archive(tmp_path / "fleet", file_mode=mode)
    path = (
        tmp_path
        / "fleet"
        / archive.write_part("r1", "b1", "2025-12-30", rows).path("records", "r1", "b1")
    )
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in path.parents[:4]} == {folder_mode}


@pytest.mark.parametrize("url", ["nothing://x", "file:///proc/nowhere"])
def test_a_place_that_is_none_is_one_line(url, rows):
    with pytest.raises(FleetError) as told:
        Archive(url).write_part("r1", "b1", "2025-12-30", rows[:1])
    assert len(str(told.value).splitlines()) == 1 and url in str(told.value)


def test_damage_is_found(rows, tmp_path):
    archive = Archive(tmp_path)
    part = archive.write_part("r1", "b1", "2025-12-30", rows)
    path = tmp_path / part.path("records", "r1", "b1")
    data = bytearray(path.read_bytes())
    at = data.index(rows[30].data) + 9
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(FleetError, match="CRC|corrupt"):
        archive.read_part("r1", "b1", part)


@pytest.mark.parametrize(
    "stamp, day", [(0, "1970-01-01"), (-1, "1969-12-31"), (2**63 - 1, "2262-04-11")]
)
def test_days_are_those_of_stamps(stamp, day):
    assert day_of(stamp) == day
