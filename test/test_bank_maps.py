"""Which map the poses of a session are in."""

import gzip
from pathlib import Path

import pytest

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError
from gaussvae_ros.likeness import LENGTH
from gaussvae_ros.record import Record, pack

DATA = pack(Record("splats", (640, 480), b"payload"))


@pytest.fixture
def path(tmp_path):
    """Frames 1 to 6, two of each map: none, "ground floor" and "first floor", all at one place."""
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.begin_session("unknown", start_ns=0)
        add_two(bank)
        bank.begin_session("ground", start_ns=0, map_id="ground floor")
        add_two(bank)
        bank.set_map(bank.begin_session("first", start_ns=0), "first floor")
        add_two(bank)
    return path


def add_two(bank):
    for _ in range(2):
        bank.add(DATA, stamp_ns=0, pose=Pose(1, 0, 0), descriptor=bytes(range(1, LENGTH + 1)))


@pytest.mark.parametrize(
    "map_id, ids", [("", [1, 2]), ("ground floor", [3, 4]), ("first floor", [5, 6]), ("attic", [])]
)
def test_frames_of_one_map_are_found(path, map_id, ids):
    with MemoryBank(path, readonly=True) as bank:
        assert [frame.id for frame in bank.find(map_id=map_id)] == ids
        near = {"near": (1, 0, 0), "radius": 0.5}
        assert [frame.id for frame in bank.find(map_id=map_id, **near)] == ids
        assert [frame.id for frame in bank.find(map_id=map_id, session=2)] == [
            i for i in ids if i in (3, 4)
        ]
        like = bank.find_like(bytes(range(1, LENGTH + 1)), map_id=map_id)
        assert [frame.id for frame, _ in like] == ids
        assert {bank.get(i).map_id for i in ids} <= {map_id}


def test_a_session_says_its_map_and_may_take_another(path):
    with MemoryBank(path) as bank:
        told = [session["map_id"] for session in bank.info()["sessions"]]
        assert told == ["", "ground floor", "first floor"]
        bank.set_map(1, "attic")
        bank.set_map(3, "")
        assert [f.id for f in bank.find(map_id="attic")] == [1, 2] and bank.get(6).map_id == ""
        with pytest.raises(BankError, match="no session 9"):
            bank.set_map(9, "attic")
        for wrong in ("two\nlines", 7, "x" * 1001):
            with pytest.raises(BankError, match="map_id"):
                bank.set_map(1, wrong)
            with pytest.raises(BankError, match="map_id"):
                bank.begin_session("s", start_ns=0, map_id=wrong)
            with pytest.raises(BankError, match="map_id"):
                bank.find(map_id=wrong)
        assert len(bank.info()["sessions"]) == 3
    with MemoryBank(path, readonly=True) as bank:
        assert [session["map_id"] for session in bank.info()["sessions"]][0] == "attic"
        assert bank.verify() == []


def test_a_file_of_an_earlier_release_is_read_as_it_is_and_gains_maps_and_corrections(tmp_path):
    path = tmp_path / "old.db"
    packed = Path(__file__).parent / "data" / "bank3.db.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    with MemoryBank(path, readonly=True) as reader:
        ids = [frame.id for frame in reader]
        posed = [frame.id for frame in reader if frame.pose is not None]
        assert [frame.id for frame in reader.find(map_id="")] == ids and ids
        assert reader.find(map_id="ground floor") == [] and reader.get(ids[0]).map_id == ""
        info = reader.info()
        assert info["corrected"] == 0 and {s["map_id"] for s in info["sessions"]} == {""}
        first = {i: reader.original_pose(i) for i in posed}
        assert first == {i: reader.get(i).pose for i in posed} and posed
        with MemoryBank(path) as bank:
            bank.set_map(1, "ground floor")
            assert bank.set_poses({i: Pose(50 + i, 0, 0) for i in posed}) == []
            for either in (reader, bank):  # the reader opened it as it was
                near = either.find(near=(50, 0, 0), radius=10, yaw=0, yaw_tolerance=0.1)
                assert {frame.id for frame in near} == set(posed)
                assert {i: either.original_pose(i) for i in posed} == first
                assert either.find(map_id="ground floor") and either.verify() == []
                assert either.info()["corrected"] == len(posed)
