"""replay.launch.py: a bag played into the real nodes, recalled and reported."""

import json
from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from graph import Ros
from touring import STEP, tour

from gaussvae_ros.bags import Bag
from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.replay import replay


def replayed(ros: Ros, path: Path, *arguments: str) -> tuple[dict, str]:
    """Figures and output of a replay that goes well."""
    report = ros.folder / "report"
    launched = ros.launch("replay.launch.py", f"bag:={path}", f"report:={report}", *arguments)
    assert launched.wait(120) == 0, launched.log
    assert "Traceback" not in launched.log
    return json.loads((report / "replay.json").read_text()), launched.log


def offline(path: Path, folder: Path, **how: object) -> dict[int, tuple[bytes, object]]:
    """Record and pose by stamp, as `gaussvae replay` makes them."""
    with MemoryBank(folder / "offline.db") as bank:
        replay(path, FrameCodec(), bank, compare=0, ahead=0, **how)
        return {frame.stamp_ns: (frame.data, frame.pose) for frame in bank}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_is_what_replay_stores_without_a_graph(ros, frames, kind):
    path = tour(kind, frames[:6]).write(ros.folder)
    result, log = replayed(ros, path, "compare:=1", "quality:=40", "rate:=4")
    assert (
        result["images"] == 6 and result["received"] + result["lost"] == 6 and result["gated"] == 0
    )
    assert (
        result["stored"] + result["dropped"] == result["received"]
        and result["stored"] == result["frames"] > 0
    )
    assert sorted(p.name for p in (ros.folder / "report").iterdir()) == [
        "replay.db",
        "replay.json",
        "report.html",
    ]
    expected = offline(path, ros.folder, quality=40)
    codec, originals = FrameCodec(), {image.stamp_ns: image.pixels for image in images(path)}
    with MemoryBank(ros.folder / "report" / "replay.db", readonly=True) as bank:
        remembered = list(bank)
    assert {frame.camera for frame in remembered} == {"/front/image/compressed"}
    for frame in remembered:
        data, pose = expected[frame.stamp_ns]
        assert frame.data == data
        assert frame.pose is None or np.allclose(
            (*frame.pose.position, *frame.pose.orientation), (*pose.position, *pose.orientation)
        )
    assert result["with_pose"] == sum(frame.pose is not None for frame in remembered) > 0
    assert result["poses"] == "TF in map" and {f.pose.reference for f in remembered if f.pose} == {
        "map"
    }
    scores = [psnr(originals[frame.stamp_ns], codec.decode(frame.records)) for frame in remembered]
    assert result["psnr"] == pytest.approx(np.mean(scores)) and result[
        "worst_psnr"
    ] == pytest.approx(min(scores))
    assert result["bytes"] == pytest.approx(np.mean([len(frame.data) for frame in remembered]))
    assert result["compared"]["ours"]["frames"] == 1 and result["recall_ms"] > 0
    page = (ros.folder / "report" / "report.html").read_text()
    for said in (
        "images in the bag",
        "images dropped",
        "lost before",
        "Worst frames first",
        "recall (ms) of every frame",
    ):
        assert said in page
    assert f"{result['stored']} stored" in log and "gaussvae, all frames" in log


def images(path: Path) -> list:
    with Bag(path) as bag:
        return list(bag.images(bag.image_topic()))


def test_a_loop_images_that_are_none_and_a_bank_that_is_there(ros, frames, finished_bank):
    """The same stamps twice with other pictures; raw mono images, one of no known encoding."""
    maker = BagMaker("mcap")
    for i in range(6):
        picture, encoding = frames[2 * i][..., 0], "mono8" if i != 1 else "mono9"
        maker.image(
            "/mono", START + i % 3 * STEP, picture, recorded_ns=START + i * STEP, encoding=encoding
        )
    bank = ros.folder / "memory.db"
    bank.write_bytes(finished_bank.read_bytes())
    result, _ = replayed(ros, maker.write(ros.folder), "compare:=0", "rate:=4", f"bank:={bank}")
    assert result["images"] == 6 and result["sessions"] == 2 and result["skipped"] == 1
    [problem] = result["problems"]
    assert problem.startswith(
        f"image 1 of the bag at {START + STEP} ns: image encoding 'mono9' is not supported"
    )
    assert (
        result["worst_psnr"] > 15
    )  # every picture beside its own original, not that of the other round
    with MemoryBank(bank, readonly=True) as memory:
        assert len(memory) == 12 + result["frames"] and result["first_id"] == 13
        assert len(memory.info()["sessions"]) == 3


def test_what_the_queue_drops_is_counted(ros, frames):
    maker = BagMaker("mcap")
    for i in range(180):
        maker.jpeg("/cam", START + i * STEP, frames[i % 12])
    result, _ = replayed(ros, maker.write(ros.folder), "compare:=0", "rate:=400")  # 1,000 Hz
    assert result["images"] == 180 and result["dropped"] + result["lost"] > 0 < result["stored"]
    assert result["stored"] + result["dropped"] + result["lost"] == 180


def test_a_recording_that_was_cut_short_is_played_as_far_as_it_goes(ros, frames):
    path = tour("mcap", frames[:8]).write_mcap(ros.folder / "cut.mcap", chunk_size=20_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with Bag(path) as bag:
        expected = bag.topics(("sensor_msgs/msg/CompressedImage",))["/front/image/compressed"]
    result, log = replayed(ros, path, "compare:=0", "rate:=4")
    assert 0 < result["images"] == expected < 8 and result["stored"] > 0
    assert result["problem_counts"] == {"bag": 1} and "breaks off" in result["problems"][0]
    assert "converting what is played of it" in log and "breaks off" in log
