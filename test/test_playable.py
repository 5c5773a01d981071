"""What `ros2 bag play` is given: the bag where it can read all of it, else a copy."""

from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from rosbags.rosbag2 import Reader

from gaussvae_ros.bags import Bag
from gaussvae_ros.bags.playable import is_playable, write_playable

STEP = 100_000_000  # ns
TOPICS = ["/cam", "/cam_info", "/tf"]


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 255, (12, 16, 3), np.uint8)


def tour(kind: str) -> BagMaker:
    maker = BagMaker(kind)
    for i in range(5):
        maker.image("/cam", START + i * STEP, picture(i)).image(
            "/other", START + i * STEP, picture(i)
        )
        maker.tf("map", "camera", START + i * STEP, (float(i), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    roi = maker.make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    header, k = maker.header(START, "camera"), np.arange(9.0)
    info = maker.make(
        "sensor_msgs/msg/CameraInfo",
        header,
        12,
        16,
        "plumb_bob",
        np.arange(5.0),
        k,
        k,
        np.arange(12.0),
        0,
        0,
        roi,
    )
    return maker.put("/cam_info", info, START)


def check(path: Path, out: Path) -> None:
    """A copy holds what the bag does, as a strict reader finds it."""
    with Bag(path) as bag:
        assert write_playable(bag, TOPICS, out) == 0
    with Reader(out) as reader:
        counts = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
    assert counts == {
        "/cam": ("sensor_msgs/msg/Image", 5),
        "/cam_info": ("sensor_msgs/msg/CameraInfo", 1),
        "/tf": ("tf2_msgs/msg/TFMessage", 5),
    }
    with Bag(out) as copy:
        assert is_playable(copy, TOPICS)
        images = list(copy.images("/cam"))
        assert copy.poses("camera").at(START + STEP, START)[0] == 1
    assert [i.stamp_ns for i in images] == [START + i * STEP for i in range(5)]
    assert all(np.array_equal(image.pixels, picture(i)) for i, image in enumerate(images))


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_rosbag2_is_played_as_it_is_and_a_copy_is_whole(kind, tmp_path):
    path = tour(kind).write(tmp_path)
    with Bag(path) as bag:
        assert is_playable(bag, TOPICS) == (kind != "bag")
    check(path, tmp_path / "copy")


def test_what_needs_more_than_ros2_bag_play_is_copied(tmp_path):
    path = tour("mcap").write(tmp_path)
    (path / "metadata.yaml").write_text("nothing")
    with Bag(path) as bag:
        assert not is_playable(bag, TOPICS)
    check(path, tmp_path / "copy")
    ros1 = tour("bag").write_mcap(tmp_path / "ros1.mcap", profile="ros1", encoding="ros1")
    with Bag(ros1) as bag:
        assert not is_playable(bag, TOPICS)
    check(ros1, tmp_path / "copy1")


def test_a_damaged_chunk_is_not_played_as_it_is(tmp_path):
    path = tour("mcap").write_mcap(tmp_path / "a.mcap", chunk_size=1_000)
    data = bytearray(path.read_bytes())
    data[2_000] ^= 1
    path.write_bytes(data)
    with Bag(path) as bag:
        assert not is_playable(bag, TOPICS) and bag.problems
        write_playable(bag, TOPICS, tmp_path / "copy")
    with Bag(tmp_path / "copy") as copy:
        assert (
            is_playable(copy, TOPICS) and 3 <= copy.topics(("sensor_msgs/msg/Image",))["/cam"] <= 5
        )
