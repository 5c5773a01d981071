"""A memory as a bag: its pictures, calibrations and poses, as rosbag2 and our replay read them."""

from pathlib import Path

import numpy as np
import pytest
from exporting import INFO, START, STEP, add, make, pose_of, write
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.exports.mcap import Mcap
from gaussvae_ros.replay import replay


@pytest.fixture
def memory(tmp_path):
    return make(tmp_path / "memory.db")


def messages(path: Path) -> list[tuple[str, int, object]]:
    with AnyReader([path]) as bag:
        return [
            (connection.topic, stamp, bag.deserialize(data, connection.msgtype))
            for connection, stamp, data in bag.messages()
        ]


def replayed(path: Path, folder: Path, **how: object) -> list:
    with MemoryBank(folder / "again.db") as bank:
        result = replay(path, JpegCodec(), bank, compare=0, **how)
        assert result["skipped"] == 0
        return list(bank)


@pytest.mark.parametrize("name", ["front_optical_frame", "front_camera", "optical", "/optical"])
def test_replay_finds_every_frame_where_it_was(tmp_path, name):
    with MemoryBank(tmp_path / "memory.db") as bank:
        for i in range(6):
            add(bank, i, frame_id=name, pose=pose_of(i) or Pose(3, 2, 1))
    write(tmp_path / "memory.db", tmp_path / "out", "mcap")
    with MemoryBank(tmp_path / "memory.db", readonly=True) as bank:
        wanted = list(bank)
    found = replayed(tmp_path / "out", tmp_path)
    assert [frame.stamp_ns for frame in found] == [frame.stamp_ns for frame in wanted]
    for frame, old in zip(found, wanted):
        assert frame.pose.reference == "map"
        assert frame.pose.position == pytest.approx(old.pose.position)
        assert np.abs(np.dot(frame.pose.orientation, old.pose.orientation)) == pytest.approx(1)
        shown, was = (JpegCodec().decode(f.records).mean() for f in (frame, old))
        assert shown == pytest.approx(was, abs=3)


def test_pictures_and_calibrations_come_under_their_stamps(tmp_path, memory):
    write(memory, tmp_path / "out", "mcap")
    found = messages(tmp_path / "out")
    stamps = [START + i * STEP for i in range(6)]
    for topic in ("/front/image/compressed", "/front/camera_info"):
        mine = [(stamp, message) for name, stamp, message in found if name == topic]
        assert [stamp for stamp, _ in mine] == stamps
        for stamp, message in mine:
            header = message.header
            assert header.stamp.sec * 10**9 + header.stamp.nanosec == stamp
            assert header.frame_id == "front_optical_frame"
    info = next(message for topic, _, message in found if topic == "/front/camera_info")
    assert (info.width, info.height, info.distortion_model) == (64, 48, "plumb_bob")
    for name in "dkrp":
        assert list(getattr(info, name)) == INFO[name]
    placed = [stamp for topic, stamp, _ in found if topic == "/tf"]
    assert placed == [stamp for i, stamp in enumerate(stamps) if i != 3]
    assert [stamp for topic, stamp, _ in found if topic == "/tf_static"] == stamps[:1]
    image = next(message for topic, _, message in found if topic.endswith("/compressed"))
    assert bytes(image.data[:2]) == b"\xff\xd8" and "jpeg" in image.format


def test_definitions_are_inside_and_static_transforms_are_kept_for_later(tmp_path, memory):
    write(memory, tmp_path / "out", "mcap", pictures="png")
    with open(tmp_path / "out" / "out.mcap", "rb") as file:
        summary = make_reader(file).get_summary()
    for schema in summary.schemas.values():
        assert schema.encoding == "ros2msg" and b"std_msgs/Header" in schema.data
    qos = {c.topic: c.metadata["offered_qos_profiles"] for c in summary.channels.values()}
    assert "durability: 1" in qos["/tf_static"] and qos["/tf"] in ("", "[]")
    [image, *_] = [m for t, _, m in messages(tmp_path / "out") if t.endswith("/compressed")]
    assert bytes(image.data[1:4]) == b"PNG" and "png" in image.format


@pytest.mark.parametrize(
    "camera, topic",
    [
        ("front", "/front/image"),
        ("/cam/image_raw", "/cam/image_raw"),
        ("/cam/image_raw/compressed", "/cam/image_raw"),
        ("Kamera im Flur (2)", "/Kamera_im_Flur_2_/image"),
        ("3rd", "/_3rd/image"),
        ("猫", "/camera/image"),
        ("/", "/camera/image"),
        ("/top", "/top/image"),
    ],
)
def test_every_name_of_a_camera_makes_a_topic(tmp_path, memory, camera, topic):
    with MemoryBank(memory, readonly=True) as bank:
        (tmp_path / "a").mkdir()
        made = Mcap(tmp_path / "a", bank, None)
        with made.files:
            assert made._topic(camera) == topic == made._topic(camera)
            assert made._topic(f"{camera} ") != topic  # another one


def test_any_calibration_will_do(tmp_path):
    for i, known in enumerate([{}, {"width": 64}, {**INFO, "k": "none"}, {**INFO, "p": [1, 2]}]):
        with MemoryBank(tmp_path / f"{i}.db") as bank:
            add(bank, 0)
            bank.set_calibration("front", known)
        write(tmp_path / f"{i}.db", tmp_path / f"{i}", "mcap")
        topics = {topic for topic, _, _ in messages(tmp_path / f"{i}")}
        assert topics == {"/front/image/compressed", "/tf", "/tf_static"}
