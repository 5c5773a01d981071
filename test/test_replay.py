"""A bag through codec and bank: what is stored and measured, what a broken frame or bag costs."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BagError, BankError
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.recalls import SHOWN, as_rows
from gaussvae_ros.problems import Problems
from gaussvae_ros.replay import replay

BAGS = Path(__file__).parents[2] / "shared" / "data" / "bags"
STEP = 100_000_000  # ns


def picture(i: int, size: int = 192) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    waves = [np.sin(x / (5 + i % 7)), np.cos(y / 9 + i), np.sin((x + y) / 13)]
    return (128 + 100 * np.stack(waves, -1)).astype(np.uint8)


def drive(kind: str = "mcap", frames: int = 5, **changes: object) -> BagMaker:
    maker = BagMaker(kind)
    for i in range(frames):
        maker.image("/cam", START + i * STEP, changes.get(f"frame_{i}", picture(i)))
        maker.pose("/pose", START + i * STEP, (float(i), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    return maker


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "memory.db") as bank:
        yield bank


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_stored_with_stamp_pose_and_camera(kind, tmp_path, bank):
    result = replay(drive(kind).write(tmp_path), JpegCodec(), bank, compare=0)
    frames = list(bank)
    assert [f.stamp_ns for f in frames] == [START + i * STEP for i in range(5)]
    assert [f.pose.x for f in frames] == [0, 1, 2, 3, 4] and {f.pose.reference for f in frames} == {
        "map"
    }
    assert {f.camera for f in frames} == {"/cam"}
    assert (result["frames"], result["with_pose"], result["sessions"], result["skipped"]) == (
        5,
        5,
        1,
        0,
    )
    assert (result["first_id"], result["last_id"]) == (frames[0].id, frames[-1].id)
    assert result["span_s"] == pytest.approx(0.4) and result["poses"] == "/pose"


def test_two_cameras_on_one_topic_have_their_own_poses(tmp_path, bank):
    maker, turn = BagMaker("mcap"), (0.0, 0.0, 0.0, 1.0)
    maker.tf("base_link", "left", START, (0.0, 1.0, 0.0, *turn), topic="/tf_static")
    maker.tf("base_link", "right", START, (0.0, -1.0, 0.0, *turn), topic="/tf_static")
    for i in range(6):
        frame = "left" if i % 2 else "/right"
        maker.image("/cam", START + i * STEP, picture(i), "unknown" if i == 4 else frame)
        maker.tf("odom", "base_link", START + i * STEP, (float(i), 0.0, 0.0, *turn))
    result = replay(maker.write(tmp_path), JpegCodec(), bank, compare=0)
    places = [f.pose and (f.pose.x, f.pose.y) for f in bank]
    assert places == [(0, -1), (1, 1), (2, -1), (3, 1), None, (5, 1)] and result["poses"] == "/tf"
    assert result["problems"] == [
        "/cam has images of several frames, 'right', 'left', 'unknown'",
        "'unknown': no image has a pose: TF does not know 'unknown'",
    ]


def test_what_the_first_encode_of_all_does_besides_is_not_measured(tmp_path, bank):
    """Compiling, that is, or loading a model."""

    class Cold(JpegCodec):
        warm = False

        def encode(self, image, *args, **how):
            time.sleep(0 if self.warm else 3)
            self.warm = True
            return super().encode(image, *args, **how)

    assert replay(drive(frames=1).write(tmp_path), Cold(), bank, compare=0)["encode_ms"] < 2900


def test_the_figures_are_those_of_the_records(tmp_path, bank):
    codec = JpegCodec()
    result = replay(drive().write(tmp_path), codec, bank, quality=20, compare=2, predict=False)
    frames = list(bank)
    scores = [psnr(picture(i), codec.decode(f.records)) for i, f in enumerate(frames)]
    assert (
        result["total_bytes"]
        == sum(len(f.data) for f in frames)
        == pytest.approx(5 * result["bytes"])
    )
    assert result["psnr"] == pytest.approx(np.mean(scores)) and result[
        "worst_psnr"
    ] == pytest.approx(min(scores))
    ours = result["compared"]["ours"]
    assert ours["frames"] == 2 and ours["psnr"] == pytest.approx((scores[0] + scores[4]) / 2)
    for peer in ("jpeg", "webp"):
        assert result["compared"][peer]["bytes"] <= ours["bytes"]
    # The stand-in is a JPEG of less care.
    assert result["compared"]["jpeg"]["psnr"] > ours["psnr"] - 0.5
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert [row[0] for row in as_rows(result)][:3] == [
        "gaussvae, all frames",
        "gaussvae, same frames alone",
        "JPEG, at equal bytes",
    ]


@pytest.mark.parametrize(
    "step, stored", [(20 * STEP, [3, 3]), (STEP, [5, 1])], ids=["at once", "the third"]
)
def test_a_clock_that_was_set_back_begins_a_session(tmp_path, bank, step, stored):
    maker = BagMaker("mcap")
    for i in range(6):
        maker.image("/cam", START + i % 3 * step, picture(i), recorded_ns=START + i * STEP)
    result = replay(maker.write(tmp_path), JpegCodec(), bank, compare=0)
    assert result["sessions"] == 2
    assert [s["frames"] for s in bank.info()["sessions"]] == stored


def test_images_out_of_order_are_one_session(tmp_path, bank):
    order = [0, 2, 1, 4, 3, 6, 5, 8, 7, 9]
    maker = BagMaker("mcap")
    for i, k in enumerate(order):
        maker.image("/cam", START + k * STEP, picture(k), recorded_ns=START + i * STEP)
    result = replay(maker.write(tmp_path), JpegCodec(), bank, compare=0)
    assert (result["frames"], result["sessions"], result["span_s"]) == (
        10,
        1,
        pytest.approx(9 * STEP / 1e9),
    )
    assert [frame.stamp_ns for frame in bank] == [START + k * STEP for k in range(10)]


def test_a_broken_frame_costs_that_frame_only(tmp_path, bank):
    maker = drive(frame_1=np.zeros((1, 70000, 3), np.uint8)).jpeg(
        "/cam2", START, b"\xff\xd8 broken"
    )
    result = replay(maker.write(tmp_path), JpegCodec(), bank, topic="/cam", compare=0)
    assert (result["frames"], result["skipped"], len(bank)) == (4, 1, 4)
    too_large = "image of 70000x1 px is too large: a side has at most 65535 px, all of it 67108864"
    assert result["problems"] == [f"frame 1 at {START + STEP} ns: {too_large}"]
    with pytest.raises(
        BagError, match=r"no readable image on /cam2: frame 0 .* neither JPEG nor PNG"
    ):
        replay(tmp_path / "test", JpegCodec(), bank, topic="/cam2", compare=0)


def test_a_bag_that_breaks_off_keeps_its_first_frames(tmp_path, bank):
    path = drive("bag", frames=12).write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(whole[len(whole) // 2 :][:4000], b"\x99" * 4000))
    try:
        result = replay(path, JpegCodec(), bank, compare=0)
    except BagError as error:
        assert "\n" not in str(error) and len(bank) == 0
    else:
        assert result["frames"] == len(bank) > 0 and result["problems"]


def test_a_bank_that_takes_no_frame_stops_the_replay(tmp_path, bank):
    bank.close()
    with pytest.raises(BankError, match="is closed"):
        replay(drive().write(tmp_path), JpegCodec(), bank, compare=0)


def test_the_report_shows_worst_frames_first(tmp_path, bank):
    noise = np.random.default_rng(0).integers(0, 255, (192, 192, 3), np.uint8)
    path = drive(frames=SHOWN + 3, frame_4=noise).write(tmp_path)
    result = replay(path, JpegCodec(), bank, compare=2, report_dir=tmp_path / "report")
    page = Path(result["report"]).read_text()
    worst = page[page.index("Worst frames first") : page.index("Evenly spread frames")]
    assert worst.index("frame 4,") < min(
        worst.index(f"frame {i},") for i in range(SHOWN + 3) if f"frame {i}," in worst and i != 4
    )
    assert worst.count('class="views"') == SHOWN and "PSNR at equal bytes" in page
    assert "http://" not in page and "https://" not in page and 'src="data:image/' in page


def test_mono_and_tiny_frames_are_replayed_too(tmp_path, bank):
    maker = BagMaker("mcap").image("/mono", START, picture(0)[..., 0].copy(), encoding="mono8")
    maker.image("/tiny", START, picture(0, 10))
    path = maker.write(tmp_path)
    assert (
        replay(path, JpegCodec(), bank, topic="/mono", quality=20)["compared"]["jpeg"]["frames"]
        == 1
    )
    tiny = replay(path, JpegCodec(), bank, topic="/tiny", report_dir=tmp_path / "report")
    assert tiny["frames"] == 1 and tiny["ssim"] is None and tiny["compared"] == {}


MEMORY = """
import resource, sys
from standin import JpegCodec
from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.problems import Problems
from gaussvae_ros.replay import replay
with MemoryBank(sys.argv[2]) as bank:
    replay(sys.argv[1], JpegCodec(), bank, compare=0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_bag(tmp_path):
    """200 raw frames of 1.2 MB: 240 MB would show if images were kept."""
    peak = {}
    for frames in (10, 200):
        maker = BagMaker("db3")
        large = picture(0, 640)
        for i in range(frames):
            maker.image("/cam", START + i * STEP, large)
        path = maker.write(tmp_path, f"bag{frames}")
        command = [sys.executable, "-c", MEMORY, path, tmp_path / f"{frames}.db"]
        environment = {
            "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[1]}",
            "PATH": "/usr/bin:/bin",
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=600, check=True
        )
        peak[frames] = int(done.stdout)
    assert peak[200] - peak[10] < 100, peak  # MB


@pytest.mark.skipif(not BAGS.is_dir(), reason="the shared bags are not here")
@pytest.mark.parametrize("name", ["made_zed_lab_a_4raw_db3", "real_fiducials_aruco_images.bag"])
def test_the_shared_bags(name, tmp_path, bank):
    result = replay(BAGS / name, JpegCodec(), bank, compare=0)
    assert result["frames"] == len(bank) > 0 and result["problems"] == []


def test_what_is_skipped_is_counted_by_kind_and_the_first_are_named(tmp_path, bank):
    maker = drive(frames=4)
    for i in range(4, 24):
        maker.jpeg("/cam", START + i * STEP, b"\xff\xd8 broken")
    path = maker.write(tmp_path)
    (path / "metadata.yaml").write_text("nothing")
    result = replay(path, JpegCodec(), bank, compare=0, report_dir=tmp_path / "report")
    assert (result["frames"], result["skipped"]) == (4, 20)
    assert result["problem_counts"] == {"bag": 1, "frames": 20}
    first, *frames, more = result["problems"]
    assert first.startswith("metadata.yaml is empty or damaged") and "12 more" in more
    assert [text.split()[1] for text in frames] == [str(i) for i in range(4, 4 + SHOWN)]
    page = Path(result["report"]).read_text()
    assert "Problems" in page and "12 more" in page


def test_the_session_has_the_name_of_the_bag_however_it_is_given(tmp_path, bank, monkeypatch):
    path = drive().write(tmp_path, os.fsdecode(b"f\xfcr"))
    monkeypatch.chdir(path)
    for given in (".", path, f"{path}/"):
        result = replay(given, JpegCodec(), bank, compare=0)
        json.dumps(result, ensure_ascii=False).encode()
    assert [s["name"] for s in bank.info()["sessions"]] == ["f\ufffdr"] * 3


def test_problems_are_counted_once_and_bounded():
    problems, others = Problems(), Problems()
    for i in range(1_000):
        others.add("bag", f"chunk {i % 500}\n is damaged")
    problems.add("frames", "one")
    problems.include(others)
    problems.include(others)
    assert problems.counts == {"bag": 500, "frames": 1}
    assert problems.texts()[0] == "one" and len(problems.texts()) == 1 + SHOWN + 1
    assert problems.texts()[-1] == f"and {500 - SHOWN} more like these (bag)"
