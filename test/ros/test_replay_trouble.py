"""replay.launch.py: what cannot be replayed, what ends a replay, and what of a bag is played."""

import time

import pytest
from bagmaker import START, BagMaker
from touring import tour

from gaussvae_ros.bags import Bag
from gaussvae_ros.nodes import player


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["bag:=none"], "none: no such bag"),
        (["bag:=two"], "choose one with --topic: /a (1), /b (1)"),
        (["bag:=two", "topic:=/c"], "image topics: /a (1), /b (1)"),
        (["bag:=two", "topic:=/a", "rate:=0"], "rate must be above 0"),
        (["bag:=two", "topic:=/a", "compare:=many"], "invalid int value: 'many'"),
        (["bag:=two", "topic:=/a", "quality:=high"], "quality is a number, not 'high'"),
        (["bag:=two", "topic:=/a", "tier:=jpeg"], '"jpeg" is not valid'),
        (["bag:=two", "topic:=/a", "params_file:=none.yaml"], "none.yaml: there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_replayed_starts_nothing(ros, frames, arguments, complaint):
    BagMaker("mcap").image("/a", START, frames[0]).image("/b", START, frames[0]).write(
        ros.folder, "two"
    )
    launched = ros.launch("replay.launch.py", *arguments)
    assert launched.wait(30) == 1
    assert (
        complaint in launched.log
        and "Traceback" not in launched.log
        and "process started" not in launched.log
    )


def test_a_bag_of_which_nothing_comes_through(ros, frames):
    path = BagMaker("mcap").image("/a", START, frames[0], encoding="rgb9").write(ros.folder)
    launched = ros.launch("replay.launch.py", f"bag:={path}")
    assert launched.wait(60) == 1
    assert "nothing came through: of 1 images on /a none was stored" in launched.log
    assert (
        "image encoding 'rgb9' is not supported" in launched.log and "Traceback" not in launched.log
    )


def test_a_bank_that_cannot_be_made(ros, frames):
    path = tour("mcap", frames[:2]).write(ros.folder)
    launched = ros.launch("replay.launch.py", f"bag:={path}", "bank:=nowhere/memory.db")
    assert launched.wait(60) == 1
    assert (
        "its folder does not exist" in launched.log
        and "visual_memory did not configure" in launched.log
    )


def test_ctrl_c_ends_it_within_seconds(ros, frames):
    path = tour("bag", frames[:12]).write(ros.folder)
    launched = ros.launch(
        "replay.launch.py", f"bag:={path}", "rate:=0.1", f"report:={ros.folder}/report"
    )
    launched.until_says("playing 12 images", timeout=60)
    time.sleep(1)
    begun = time.monotonic()
    launched.stop()
    assert time.monotonic() - begun < 8
    assert "Traceback" not in launched.log
    assert [p for p in (ros.folder / "report").iterdir() if p.name.startswith(".play")] == []


@pytest.mark.parametrize(
    "topic, compressed, node_topic",
    [
        ("/cam/image_raw", False, "/cam/image_raw"),
        ("/cam/image_raw/compressed", True, "/cam/image_raw/compressed"),
        ("/cam/jpeg", True, "/cam/jpeg/compressed"),  # the node listens to that of image_transport
        ("/cam/compressed", False, "/cam"),
    ],
)
def test_what_is_played_of_a_bag(tmp_path, frames, topic, compressed, node_topic):
    maker = tour("db3", frames[:3], compressed, topic).pose("/pose", START, (0.0,) * 6 + (1.0,))
    with Bag(maker.write(tmp_path)) as bag:
        part = player.part(bag)
        assert (part.topic, part.node_topic, part.images) == (topic, node_topic, 3)
        assert part.transport == ("compressed" if compressed else "raw")
        assert sorted(part.others) == ["/tf", "/tf_static"]
        assert player.root(bag, topic) == "map"


def test_poses_that_are_not_tf_are_not_played(tmp_path, frames):
    maker = (
        BagMaker("mcap").image("/cam", START, frames[0]).pose("/pose", START, (0.0,) * 6 + (1.0,))
    )
    with Bag(maker.write(tmp_path)) as bag:
        assert player.part(bag).others == () and player.root(bag, "/cam") == ""
