"""Where frames were taken, asked for without their records."""

from pathlib import Path

from standin import JpegCodec
from timelines import scene

from gaussvae_ros.bank import MemoryBank, Pose

DATA = JpegCodec().encode(scene(0))


def test_poses_of_frames_without_their_records(tmp_path: Path) -> None:
    with MemoryBank(tmp_path / "memory.db") as bank:
        bank.begin_session("tour", start_ns=0, map_id="hall")
        for i in range(5):
            pose = None if i == 2 else Pose(i, 0, 0, reference="odom")
            bank.add(DATA, stamp_ns=10 - i, camera="front", pose=pose)
        bank.flush()
        assert bank.ids_after(0, 3) == [1, 2, 3] and bank.ids_after(3, 9) == [4, 5]
        found = bank.placed([5, 3, 99, 1])
        assert [(f.id, f.stamp_ns, f.camera, f.session, f.map_id) for f in found] == [
            (5, 6, "front", 1, "hall"),
            (1, 10, "front", 1, "hall"),
        ]
        assert found[0].pose == Pose(4, 0, 0, reference="odom")
        bank.set_poses({1: Pose(7, 0, 0, reference="odom")})
        assert bank.placed([1])[0].pose.x == 7


def test_the_version_tells_of_changes_by_others(tmp_path: Path) -> None:
    with MemoryBank(tmp_path / "memory.db") as bank:
        bank.add(DATA, stamp_ns=0)
        bank.flush()
        with MemoryBank(tmp_path / "memory.db", readonly=True) as reader:
            before = reader.version()
            assert reader.version() == before
            bank.set_label(1, "dock")
            bank.flush()
            assert reader.version() != before
