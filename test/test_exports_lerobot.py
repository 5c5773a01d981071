"""A memory as a LeRobot dataset: what is in its files, and that LeRobot loads it, where it is."""

import io
import json
from importlib import import_module

import numpy as np
import pytest
from exporting import START, STEP, add, make, picture, pose_of, write
from PIL import Image
from scipy.spatial.transform import Rotation
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.exports import lerobot
from gaussvae_ros.exports.statistics import Statistics

parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
IMAGE = "observation.images.front"


@pytest.fixture
def memory(tmp_path):
    path = make(tmp_path / "memory.db")
    with MemoryBank(path) as bank:
        bank.begin_session("second tour", start_ns=0)
        for i in range(2, 5):
            data = JpegCodec().encode(picture(30 * i))
            bank.add(data, stamp_ns=START + i * STEP, camera="front", pose=Pose(-i, 0, 0))
    return path


def rows(folder, name: str) -> list[dict]:
    return parquet.read_table(folder / name).to_pylist()


def test_rows_have_pictures_poses_and_what_moved_between_them(tmp_path, memory):
    done = write(memory, tmp_path / "out", "lerobot")
    assert (done.frames, done.without_pose) == (8, 1)
    found = rows(tmp_path / "out", "data/chunk-000/file-000.parquet")
    assert [row["index"] for row in found] == list(range(8))
    assert [row["episode_index"] for row in found] == [0] * 5 + [1] * 3
    assert [row["frame_index"] for row in found] == [0, 1, 2, 3, 4, 0, 1, 2]
    assert [row["memory.id"] for row in found] == [1, 2, 3, 5, 6, 7, 8, 9]
    times = [0, 0.1, 0.2, 0.4, 0.5, 0, 0.1, 0.2]
    assert [row["timestamp"] for row in found] == pytest.approx(times, abs=1e-6)
    for i, row in zip([0, 1, 2, 4, 5], found):
        pose = pose_of(i)
        assert row["observation.state"] == pytest.approx([*pose.position, *pose.orientation])
        shown = np.asarray(Image.open(io.BytesIO(row[IMAGE]["bytes"])))
        assert shown.shape == (48, 64, 3) and abs(shown.mean() - 20 * i) <= 1
    for (i, j), row in zip([(0, 1), (1, 2), (2, 4), (4, 5)], found):
        a, b = pose_of(i), pose_of(j)
        moved = Rotation.from_quat(a.orientation).inv().apply(np.subtract(b.position, a.position))
        assert row["action"] == pytest.approx([*moved[:2], 0.2 * (j - i)], abs=1e-6)
    for last in (4, 7):
        assert found[last]["action"] == [0, 0, 0]


def test_meta_says_what_there_is(tmp_path, memory):
    write(memory, tmp_path / "out", "lerobot", pictures="jpeg")
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0" and info["fps"] == 10
    assert (info["total_frames"], info["total_episodes"], info["total_tasks"]) == (8, 2, 2)
    assert info["features"][IMAGE]["shape"] == [48, 64, 3]
    table = parquet.read_table(tmp_path / "out" / "data/chunk-000/file-000.parquet")
    assert set(table.column_names) == set(info["features"])
    episodes = rows(tmp_path / "out", lerobot.EPISODES)
    ends = [(e["dataset_from_index"], e["dataset_to_index"], e["length"]) for e in episodes]
    assert ends == [(0, 5, 5), (5, 8, 3)]
    assert [e["tasks"] for e in episodes] == [["tour"], ["second tour"]]
    assert {row["task"]: row["task_index"] for row in rows(tmp_path / "out", lerobot.TASKS)} == {
        "tour": 0,
        "second tour": 1,
    }
    stats = json.loads((tmp_path / "out" / "meta" / "stats.json").read_text())
    poses = np.array(table["observation.state"].to_pylist())
    assert stats["observation.state"]["mean"] == pytest.approx(poses.mean(axis=0))
    assert stats["observation.state"]["std"] == pytest.approx(poses.std(axis=0))
    assert np.shape(stats[IMAGE]["mean"]) == (3, 1, 1) and stats[IMAGE]["count"] == [8]
    assert np.ravel(stats[IMAGE]["max"]) == pytest.approx(np.full(3, 120 / 255), abs=0.01)


def test_a_long_memory_becomes_several_files(tmp_path, memory, monkeypatch):
    monkeypatch.setattr(lerobot, "GROUP_BYTES", 150)
    monkeypatch.setattr(lerobot, "FILE_BYTES", 400)
    monkeypatch.setattr(lerobot, "FILES", 1)
    write(memory, tmp_path / "out", "lerobot")
    episodes = rows(tmp_path / "out", lerobot.EPISODES)
    assert [e["data/chunk_index"] for e in episodes] == [0, 1]
    assert [e["data/file_index"] for e in episodes] == [0, 0]
    for number, count in ((0, 5), (1, 3)):
        name = lerobot.DATA.format(chunk_index=number, file_index=0)
        assert parquet.ParquetFile(tmp_path / "out" / name).num_row_groups > 1
        assert len(rows(tmp_path / "out", name)) == count


def test_frames_of_two_sizes_are_refused(tmp_path, memory):
    with MemoryBank(memory) as bank:
        add(bank, 9, size=(32, 24))
    with pytest.raises(BankError, match="of 64x48 and of 32x24 px"):
        write(memory, tmp_path / "out", "lerobot")
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_one_line_says_what_to_install(tmp_path, memory, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(GaussVaeError, match=r"-m pip install 'gaussvae_ros\[lerobot\]'"):
        write(memory, tmp_path / "out", "lerobot")
    assert not (tmp_path / "out").exists()


def test_statistics_are_those_of_all_rows_together():
    values = np.random.default_rng(0).normal(5, 3, (100, 4))
    made = Statistics()
    for begin, end in ((0, 1), (1, 40), (40, 100)):
        made.add(values[begin:end])
    figures = made.figures()
    for name in ("min", "max", "mean", "std"):
        assert figures[name] == pytest.approx(getattr(values, name)(axis=0))


def test_lerobot_loads_it(tmp_path, memory, monkeypatch):
    """With lerobot, or lerobot-dataset, which is it alone; neither comes with our requirements."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    loaded = None
    for package in ("lerobot", "ledataset"):
        try:
            loaded = import_module(f"{package}.datasets.lerobot_dataset")
            break
        except ImportError:
            continue
    if loaded is None:
        pytest.skip("neither lerobot nor lerobot-dataset is installed")
    write(memory, tmp_path / "out", "lerobot")
    windows = {IMAGE: [-0.1, 0.0], "action": [0.0, 0.1]}
    made = loaded.LeRobotDataset("us/memory", root=tmp_path / "out", delta_timestamps=windows)
    assert (len(made), made.num_episodes, made.fps) == (8, 2, 10)
    for i, level in enumerate([0, 20, 40, 80, 100, 60, 90, 120]):
        item = made[i]
        assert tuple(item[IMAGE].shape) == (2, 3, 48, 64)
        assert float(item[IMAGE][1].mean()) == pytest.approx(level / 255, abs=0.01)
        assert item["task"] == ("tour" if i < 5 else "second tour")
    assert made[3]["observation.state"].tolist()[:3] == pytest.approx([5, 2, 0.6])
    assert made[4]["action_is_pad"].tolist() == [False, True]
    only = loaded.LeRobotDataset("us/memory", root=tmp_path / "out", episodes=[1])
    assert len(only) == 3 and only[0]["memory.id"] == 7
