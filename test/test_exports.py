"""Exports of a memory file: pictures, trajectories, topological maps; each whole or not there."""

import csv
import os
import stat
import tracemalloc

import numpy as np
import pytest
from exporting import INFO, START, STEP, add, make, picture, pose_of, write
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, BankGone, RecordError
from gaussvae_ros.exports import FORMATS
from gaussvae_ros.exports.form import seconds
from gaussvae_ros.exports.kitti import matrix

OPTICAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # columns: right, down, ahead in a body


@pytest.fixture
def memory(tmp_path_factory):
    return make(tmp_path_factory.mktemp("memory") / "memory.db")


def level(path) -> int:
    return round(float(np.asarray(Image.open(path)).mean()))


def table(path) -> np.ndarray:
    return np.loadtxt(path, ndmin=2)


def test_a_folder_has_all_frames_and_what_is_known_of_them(tmp_path, memory):
    done = write(memory, tmp_path / "out", "folder")
    assert (done.frames, done.without_pose, done.damaged, done.problems) == (6, 0, 0, [])
    rows = list(csv.DictReader((tmp_path / "out" / "index.csv").open()))
    assert [int(row["stamp_ns"]) for row in rows] == [START + i * STEP for i in range(6)]
    assert rows[2]["label"] == "dock" and rows[3]["x"] == "" == rows[3]["reference"]
    assert (
        float(rows[4]["x"]) == 5 and rows[4]["reference"] == "map" and rows[4]["map_id"] == "hall"
    )
    for i, row in enumerate(rows):
        assert abs(level(tmp_path / "out" / row["file"]) - 20 * i) <= 1
    write(memory, tmp_path / "jpeg", "folder", pictures="jpeg", label="dock")
    assert sorted(os.listdir(tmp_path / "jpeg")) == ["00000003.jpg", "index.csv"]


def test_tum_has_a_pose_in_optical_axes_for_each_picture(tmp_path, memory):
    done = write(memory, tmp_path / "out", "tum")
    assert done.frames == 5 and done.without_pose == 1
    poses = table(tmp_path / "out" / "groundtruth.txt")
    listed = [line.split() for line in (tmp_path / "out" / "rgb.txt").read_text().splitlines()[1:]]
    assert len(listed) == len(poses) == len(os.listdir(tmp_path / "out" / "rgb")) == 5
    there = [i for i in range(6) if i != 3]
    for i, (stamp, name), row in zip(there, listed, poses):
        assert stamp == f"1700000000.{i}00000000" and name == f"rgb/{stamp}.png"
        assert abs(level(tmp_path / "out" / name) - 20 * i) <= 1
        pose, axes = pose_of(i), Rotation.from_quat(row[4:]).as_matrix()
        assert row[1:4] == pytest.approx(pose.position)
        assert axes == pytest.approx(Rotation.from_quat(pose.orientation).as_matrix() @ OPTICAL)
        assert axes[:, 2] == pytest.approx([np.cos(0.2 * i), np.sin(0.2 * i), 0])  # looks ahead
        assert axes[:, 1] == pytest.approx([0, 0, -1], abs=1e-8)  # and has down below


def test_kitti_has_poses_in_the_first_camera(tmp_path, memory):
    write(memory, tmp_path / "out", "kitti", after=START + STEP)
    there = [i for i in range(1, 6) if i != 3]
    poses = table(tmp_path / "out" / "poses.txt").reshape(-1, 3, 4)
    names = sorted(os.listdir(tmp_path / "out" / "image_2"))
    assert names == [f"{n:06d}.png" for n in range(4)] and len(poses) == 4
    assert table(tmp_path / "out" / "times.txt")[:, 0] == pytest.approx([0, 0.1, 0.3, 0.4])

    def placed(i: int) -> np.ndarray:
        made, pose = np.eye(4), pose_of(i)
        made[:3, :3] = Rotation.from_quat(pose.orientation).as_matrix() @ OPTICAL
        made[:3, 3] = pose.position
        return made

    for i, name, found in zip(there, names, poses):
        assert abs(level(tmp_path / "out" / "image_2" / name) - 20 * i) <= 1
        assert found == pytest.approx((np.linalg.inv(placed(1)) @ placed(i))[:3], abs=1e-8)
    first, *numbers = (tmp_path / "out" / "calib.txt").read_text().split()
    assert first == "P2:" and list(map(float, numbers)) == INFO["p"]


def test_kitti_drives_along_z_and_has_the_left_at_negative_x(tmp_path):
    with MemoryBank(tmp_path / "a.db") as bank:
        quarter = np.sqrt(0.5)  # it looks along y all the time
        for i, at in enumerate([(5, 5), (5, 7), (4, 7)]):
            add(bank, i, pose=Pose(*at, 0, 0, 0, quarter, quarter))
    write(tmp_path / "a.db", tmp_path / "out", "kitti")
    poses = table(tmp_path / "out" / "poses.txt").reshape(-1, 3, 4)
    assert poses[:, :, :3] == pytest.approx(np.stack([np.eye(3)] * 3), abs=1e-8)
    assert poses[:, :, 3] == pytest.approx(np.array([[0, 0, 0], [0, 0, 2], [-1, 0, 2]]), abs=1e-8)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.hypot(*q[:2]) > 0.1))
def test_a_matrix_is_that_of_its_quaternion(numbers):
    turn = Rotation.from_quat(numbers)
    made = matrix(np.array([1.0, 2, 3, *turn.as_quat()]))
    assert made == pytest.approx(np.column_stack([turn.as_matrix(), [1, 2, 3]]), abs=1e-9)


@given(st.integers(-(2**63), 2**63 - 1))
def test_stamps_in_seconds_are_exact(stamp_ns):
    text = seconds(stamp_ns)
    assert int(text.replace(".", "")) == stamp_ns and len(text.partition(".")[2]) == 9


def test_a_topological_map_is_numbered_pictures_and_nothing_else(tmp_path):
    make(tmp_path / "a.db", count=12)
    write(tmp_path / "a.db", tmp_path / "out", "topomap")
    # As navigate.py of visualnav-transformer sorts them.
    names = sorted(os.listdir(tmp_path / "out"), key=lambda x: int(x.split(".")[0]))
    assert names == [f"{n}.png" for n in range(12)]
    for n, name in enumerate(names):
        assert abs(level(tmp_path / "out" / name) - 20 * n) <= 1


def two_cameras(bank):
    add(bank, 9, camera="rear")


def two_maps(bank):
    bank.begin_session("upstairs", start_ns=0, map_id="attic")
    add(bank, 9)


def two_references(bank):
    add(bank, 9, pose=Pose(0, 0, 0, reference="odom"))


def two_sessions(bank):
    bank.begin_session("again", start_ns=0, map_id="hall")
    add(bank, 9)


def one_stamp(bank):
    add(bank, 2, session=1)


def one_stamp_again(bank):
    bank.begin_session("again", start_ns=0, map_id="hall")
    add(bank, 2)


def two_sizes(bank):
    add(bank, 9, size=(32, 24))


def before_1970(bank):
    bank.add(JpegCodec().encode(picture(0)), stamp_ns=-1, camera="front", pose=Pose(0, 0, 0))


@pytest.mark.parametrize(
    "form, spoil, says",
    [
        ("tum", two_cameras, "choose with --camera"),
        ("kitti", two_cameras, "choose with --camera"),
        ("topomap", two_cameras, "front and rear"),
        ("topomap", two_sessions, "choose with --session"),
        ("tum", two_maps, "in map of the map hall and in map of the map attic"),
        ("mcap", two_maps, "choose with --session or --map-id"),
        ("kitti", two_references, "odom"),
        ("tum", one_stamp, "frame 7 has the stamp of another one.*: take --format kitti"),
        ("tum", one_stamp_again, "frame 7 has the stamp of another one.*: choose with --session"),
        ("mcap", before_1970, "1970"),
    ],
)
def test_what_does_not_fit_a_format_is_refused(tmp_path, memory, form, spoil, says):
    with MemoryBank(memory) as bank:
        spoil(bank)
    with pytest.raises(BankError, match=says):
        write(memory, tmp_path / "out", form)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "lerobot"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, MemoryError])
def test_an_export_is_whole_or_not_there(tmp_path, memory, form, error):
    (tmp_path / ".exporting-out" / "out").mkdir(parents=True)  # of one that was killed

    class Stopped(JpegCodec):
        count = 0

        def decode(self, data):
            Stopped.count += 1
            if Stopped.count == 3:
                assert os.listdir(tmp_path) == [".exporting-out"]
                raise error
            return super().decode(data)

    with pytest.raises(error):
        write(memory, tmp_path / "out", form, Stopped())
    assert os.listdir(tmp_path) == []


def test_nothing_is_overwritten(tmp_path, memory):
    (tmp_path / "out").mkdir()
    (tmp_path / "file").write_text("mine")
    write(memory, tmp_path / "out", "topomap")  # an empty folder is as good as none
    for name in ("out", "file"):
        with pytest.raises(BankError, match="overwrites nothing"):
            write(memory, tmp_path / name, "topomap")
    assert len(os.listdir(tmp_path / "out")) == 6 and (tmp_path / "file").read_text() == "mine"
    with pytest.raises(BankError, match="export that meets all conditions, of 6$"):
        write(memory, tmp_path / "none", "folder", after=START + 99 * STEP)
    with pytest.raises(BankError, match=r"with a pose \(1 have none\)"):
        write(memory, tmp_path / "none", "tum", after=START + 3 * STEP, before=START + 3 * STEP)
    assert not (tmp_path / "none").exists()


def test_a_frame_that_does_not_decode_costs_that_frame(tmp_path, memory):
    class Broken(JpegCodec):
        def decode(self, data):
            if abs(super().decode(data).mean() - 40) < 3:
                raise RecordError("nobody can read this")
            return super().decode(data)

    done = write(memory, tmp_path / "out", "folder", Broken())
    assert (done.frames, done.damaged) == (5, 1)
    assert done.problems == ["frame 3 does not decode: nobody can read this"]
    with MemoryBank(memory) as bank:
        bank._db.execute("UPDATE records SET record = zeroblob(99) WHERE frame = 3")
        bank.flush()
    done = write(memory, tmp_path / "rows", "folder")
    assert (done.frames, done.damaged) == (5, 1)
    assert done.problems == ["frame 3 is damaged: its checksum does not match"]


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("form", [name for name in FORMATS if name != "lerobot"])
def test_exports_are_their_owners_or_a_groups(tmp_path, memory, form, umask):
    before = os.umask(umask)
    try:
        write(memory, tmp_path / "deep" / "own", form)
        write(memory, tmp_path / "group", form, file_mode=0o640)
    finally:
        os.umask(before)
    for name, of_files, of_folders in (("deep", 0o600, 0o700), ("group", 0o640, 0o750)):
        for path in (tmp_path / name, *(tmp_path / name).rglob("*")):
            wanted = of_folders if path.is_dir() else of_files
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("form", ["folder", "tum", "topomap", "mcap"])
def test_memory_stays_flat_however_many_frames(tmp_path, form):
    peaks = []
    for count in (200, 800):
        with MemoryBank(tmp_path / f"{count}.db") as bank:
            data = JpegCodec().encode(np.random.default_rng(0).integers(0, 256, (48, 64, 3), "u1"))
            for i in range(count):
                bank.add(data, stamp_ns=START + i * STEP, pose=Pose(i, 0, 0))
        if not peaks:
            write(tmp_path / f"{count}.db", tmp_path / "warm", form)
        tracemalloc.start()
        write(tmp_path / f"{count}.db", tmp_path / f"{count}", form, before=2**62)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2**20


def test_a_memory_that_is_deleted_meanwhile_ends_the_export(tmp_path, memory):
    class Deleting(JpegCodec):
        def decode(self, data):
            memory.unlink(missing_ok=True)
            return super().decode(data)

    with pytest.raises(BankGone, match="was deleted"):
        write(memory, tmp_path / "out", "folder", Deleting())
    assert os.listdir(tmp_path) == []
