"""Volumes in a memory file: stored, found by place and time, and whatever is done to the file."""

import gzip
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from test_bank_likeness import REPO, descriptor, record

from gaussvae_ros.bank import Budget, MemoryBank, Pose
from gaussvae_ros.bank.care.repairing import repair
from gaussvae_ros.bank.file.schema import migrations
from gaussvae_ros.bank.merging import copy_frames
from gaussvae_ros.errors import BankError, RecordError, VolumeError
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.region import cut, occupied

CODEC = VolumeCodec()
TURNED = (0, 0, 0.5**0.5, 0.5**0.5)  # a quarter to the left, around z


def wall(origin=(0.0, 0.0, 0.0), shape=(8, 20, 30)):
    """A grid of 10 cm voxels whose last columns along x are occupied."""
    grid = np.zeros(shape, np.uint8)
    grid[..., -2:] = 100
    return CODEC.encode(grid, voxel_size=0.1, origin=origin)


def noise(seed):
    """One that takes some KB."""
    grid = np.random.default_rng(seed).integers(0, 2, (32, 32, 32)).astype(bool)
    return CODEC.encode(grid, voxel_size=0.1, origin=(10.0 * seed, 0, 0))


@pytest.fixture
def path(tmp_path):
    """A memory with a session that has three volumes, and a frame of another one."""
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.begin_session("tour", start_ns=0, map_id="hall")
        bank.add_volume(wall(), stamp_ns=10)
        bank.add_volume(wall((5, 0, 0)), stamp_ns=30)
        bank.add_volume(wall(), stamp_ns=20, pose=Pose(20, 0, 0, *TURNED, reference="odom"))
        bank.begin_session("other", start_ns=0)
        bank.add(record(1), stamp_ns=40, pose=Pose(1, 1, 0), descriptor=descriptor(1))
    return path


@pytest.mark.parametrize(
    "asked, ids",
    [
        ({}, [2, 3, 1]),  # the latest first
        ({"limit": 1}, [2]),
        ({"after": 11, "before": 29}, [3]),
        ({"near": (-1, 1, 0.4), "radius": 1.0}, [1]),  # from outside, to the face of its box
        ({"near": (-1, 1, 0.4), "radius": 0.99}, []),
        ({"near": (4, 0, 0), "radius": 1.0}, [2, 1]),
        ({"near": (18.5, 1.5, 0), "radius": 0.1}, [3]),  # turned: x 18 to 20, y 0 to 3
        ({"near": (18.5, 1.5, 0), "radius": 0.1, "reference": "map"}, []),
        ({"session": 2}, []),
        ({"map_id": "hall"}, [2, 3, 1]),
        ({"map_id": "attic"}, []),
    ],
)
def test_volumes_are_found_by_place_and_time(path, asked, ids):
    with MemoryBank(path, readonly=True) as bank:
        assert [volume.id for volume in bank.find_volumes(**asked)] == ids
        asked.pop("limit", None)
        assert bank.volume_ids(**asked)[: len(ids)] == ids


def test_a_volume_comes_back_with_all_that_it_was_stored_with(path):
    with MemoryBank(path, readonly=True) as bank:
        volume = bank.volume(3)
        assert volume.data == wall() and volume.stamp_ns == 20 and volume.session == 1
        assert volume.pose == Pose(20, 0, 0, *TURNED, reference="odom") and volume.map_id == "hall"
        assert bank.info()["volumes"] == 3 and bank.volume_references() == ["map", "odom"]
        with pytest.raises(BankError, match="no volume 4 in"):
            bank.volume(4)


def test_what_is_no_volume_is_refused(path):
    with MemoryBank(path) as bank:
        for data in (b"", record(1), wall()[:-1]):
            with pytest.raises(RecordError):
                bank.add_volume(data, stamp_ns=1)
        with pytest.raises(BankError, match="no session 9"):
            bank.add_volume(wall(), stamp_ns=1, session=9)
        with pytest.raises(BankError, match="a pose is a Pose"):
            bank.add_volume(wall(), stamp_ns=1, pose=(0, 0, 0))
        with pytest.raises(BankError, match="no volume 9"):
            bank.remove_volumes([1, 9])
        assert len(bank.volume_ids()) == 3
        bank.remove_volumes([2, 3])
        assert bank.volume_ids() == [1] and bank.add_volume(wall(), stamp_ns=1) == 4
        assert bank.info()["sessions"][bank.volume(4).session - 1]["name"] == "unnamed"


def test_a_volume_takes_the_place_of_those_that_it_covers(path):
    with MemoryBank(path) as bank:
        grown = wall((-0.2, 0, 0), (8, 24, 82))  # over the first and the second
        assert bank.add_volume(grown, stamp_ns=50, session=2, replaces=True) == 4
        assert bank.volume_ids() == [4, 2, 3, 1]  # those of another session stay
        assert bank.add_volume(grown, stamp_ns=60, session=1, replaces=True) == 5
        assert bank.volume_ids() == [5, 4, 3]  # and one in another coordinate frame


def test_regions_in_metres_and_their_occupied_voxels(path):
    with MemoryBank(path, readonly=True) as bank:
        volume = bank.volume(3)
    box = np.array([[18.0, 2.5, 0.0], [19.0, 9.0, 0.5]])  # its far end: y is its own x
    part = cut(CODEC, volume.data, volume.pose.array, *box)
    assert part.array.shape == (5, 10, 5) and np.allclose(part.pose[:3], (19, 2.5, 0), atol=0.2)
    points = occupied(part, None, *box)
    assert len(points) == 5 * 10 * 2 and (points[:, 3] == 100).all()
    assert points[:, 1].min() > 2.8 and points[:, 0].max() < 19.0
    assert len(occupied(part, (0, 0), *box)) == 5 * 10 * 3
    assert cut(CODEC, volume.data, volume.pose.array, (0, 0, 0), (1, 1, 1)) is None
    with pytest.raises(VolumeError, match="a lower and an upper corner, not 1, 0, 0 and 0, 1, 1"):
        cut(CODEC, volume.data, volume.pose.array, (1, 0, 0), (0, 1, 1))


def test_distances_are_occupied_near_the_surface_and_unknown_voxels_never():
    z = np.arange(16, dtype=np.float32)[:, None, None] * np.ones((1, 16, 16), np.float32)
    grid = 0.1 * (z - 7.5)
    grid[:, :4] = np.nan
    part = cut(CODEC, CODEC.encode(grid, 90, voxel_size=0.1), np.array([0, 0, 0, 0, 0, 0, 1.0]))
    points = occupied(part)
    assert len(points) == 2 * 12 * 16 and np.allclose(np.abs(points[:, 2] - 0.8), 0.05)
    empty = cut(CODEC, CODEC.encode(np.zeros((4, 4, 4), bool)), np.array([0, 0, 0, 0, 0, 0, 1.0]))
    assert len(occupied(empty)) == 0


def test_a_damaged_volume_costs_itself_only(path, tmp_path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE volumes SET stamp_ns = 31 WHERE id = 2")
        db.execute("DELETE FROM sessions WHERE id = 1")
        db.commit()
    with MemoryBank(path, readonly=True) as bank:
        assert [volume.id for volume in bank.find_volumes()] == [3, 1]
        with pytest.raises(BankError, match="volume 2 is damaged"):
            bank.volume(2)
        assert (None, "volume 2 is damaged: its checksum does not match") in bank.verify()
    done = repair(path)
    assert any("volume 2" in other for other in done.others) and done.frames == 1
    with MemoryBank(path) as bank:
        assert bank.verify() == [] and bank.volume_ids() == [3, 1] and len(bank) == 1
        assert bank.info()["sessions"][0]["name"] == "repaired"
        assert bank.add_volume(wall(), stamp_ns=1) > 3  # no id is given again


def test_backups_and_merged_files_have_the_volumes(path, tmp_path):
    with MemoryBank(path) as bank, MemoryBank(tmp_path / "all.db") as merged:
        bank.backup(tmp_path / "copy.db")
        merged.add_volume(wall(), stamp_ns=5)
        assert copy_frames(bank, merged).volumes == {1: 2, 2: 3, 3: 4}
        assert copy_frames(bank, merged, [1], [2]).volumes == {2: 5}
        assert merged.volume(4).pose == bank.volume(3).pose and merged.volume(5).map_id == "hall"
        assert merged.verify() == []
    with MemoryBank(tmp_path / "copy.db", readonly=True) as copy:
        assert copy.volume_ids() == [2, 3, 1] and copy.verify() == []


def test_a_budget_counts_volumes(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for second in range(400):
            pose = Pose(second, 0, 0)
            bank.add(record(second), stamp_ns=second * 10**9, pose=pose, descriptor=descriptor(0))
        for seed in (1, 2, 3, 4, 1):
            bank.add_volume(noise(seed), stamp_ns=(100 + seed) * 10**9)
        assert bank.forget(Budget(max_age=289)).volumes == 3 and bank.volume_ids() == [4, 3]
        for seed in (5, 6, 7, 8, 9, 3, 5):
            bank.add_volume(noise(seed), stamp_ns=300 * 10**9)
        bank.set_label(bank.newest().id, "dock")  # which protects what is of its time
        done = bank.forget(Budget(max_bytes=bank.usage().used - 4096))
        assert done.volumes == 2 and done.why == ""  # those that later ones cover
        assert 2 not in bank.volume_ids()
        most, frames = 230_000, len(bank)  # 190,000 are the tables'
        done = bank.forget(Budget(max_bytes=most))
        assert done.volumes > 0 and done.removed > 0 and frames > len(bank) > 0
        left = bank.info()["volumes"]
        assert bank.verify() == [] and bank.usage().used <= most
        done = bank.forget(Budget(max_bytes=4096))  # all that is not protected
        assert done.volumes == left - len(bank.volume_ids()) and "protected" in done.why


def test_what_is_redacted_leaves_no_byte(path):
    data = noise(3)
    with MemoryBank(path) as bank:
        number = bank.add_volume(data, stamp_ns=70)
        bank.remove_volumes([number])
        bank.scrub()
        assert bank.verify() == []
    assert data[50:90] not in path.read_bytes()


def test_a_file_of_before_is_read_as_it_is_and_brought_up_to_date(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank9.db.gz").read_bytes()))
    with MemoryBank(path, readonly=True) as bank:
        assert bank.volume_ids() == [] and bank.find_volumes(near=(0, 0, 0), radius=9) == []
        assert bank.info()["volumes"] == 0 and bank.volume_references() == []
        assert len(bank) == 39 and bank.verify() == [] and bank.find(text="exit")[0].id == 7
        with pytest.raises(BankError, match="no volume 1"):
            bank.volume(1)
        with MemoryBank(path) as writer:
            assert writer.info()["schema"] == len(migrations._migrations)
            assert writer.add_volume(wall(), stamp_ns=1, session=2) == 1
            assert writer.forget(Budget(max_sessions=1)).removed == 10  # the rest is around a label
            assert writer.volume_ids() == [1] == bank.volume_ids() and writer.verify() == []


def test_volumes_of_a_file_that_was_lost_lend_their_ids_to_no_others(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        assert bank.add_volume(wall(), stamp_ns=1) == 1
        for file in tmp_path.glob("m.db*"):
            file.unlink()
        assert bank.check_place() and bank.reopen() == []
        assert bank.add_volume(wall(), stamp_ns=2) == 2 and bank.volume_ids() == [2]
