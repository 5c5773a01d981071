"""`evaluate_video`: a simulated drive as a video beside its peers, measured with a stand-in for
ours.
"""

import csv
import json
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from test_evaluate import JpegInARecord

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation import reach, streams, video
from gaussvae_ros.evaluation.encoders import VIDEOS
from gaussvae_ros.evaluation.fronts import at_size, coded_again, mean_psnr
from gaussvae_ros.evaluation.metrics import psnr, ssim
from gaussvae_ros.evaluation.sequences import read_sequence
from gaussvae_ros.evaluation.video import SIZES, evaluate_video, video_tables
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where

ABSENT = streams.missing(VIDEOS) or reach.why_no_seeking()
needs_peers = pytest.mark.skipif(bool(ABSENT), reason=f"no peers: {ABSENT}")
COUNT, COARSE = 22, (2, 20)  # frames; qualities of the stand-in


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """A folder of frames at 10 Hz of the simulated drive, 160x120 px."""
    folder, (world, sensor) = tmp_path_factory.mktemp("drive"), (build(0), Sensor(SIZE, FOCAL, 0))
    for number, pose in enumerate(where(np.arange(COUNT) / 10, 30.0)):
        picture = cv2.resize(photograph(world, sensor, *pose, 0.0), (160, 120), interpolation=3)
        Image.fromarray(picture).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def result(drive, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "new"
    return out, evaluate_video([drive], out, JpegInARecord(), qualities=COARSE, codecs=FAST)


FAST = ("x265-10", "x265", "svt-av1")


@needs_peers
def test_every_codec_is_compared_at_the_same_bytes_a_frame(drive, result):
    out, summary = result
    (found,) = summary["sets"]
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["missing"] == {} and found["set"] == str(drive)
    assert {(a["codec"], a["bytes"]) for a in found["at"]} == {
        (codec, size) for codec in ("gaussvae", *FAST) for size in SIZES
    }
    at = {(a["codec"], a["bytes"]): a["psnr"] for a in found["at"]}
    for codec in FAST:
        line = [at[codec, size] for size in SIZES]
        assert None not in line and line == sorted(line)
    assert at["x265", 300] > at["x265-10", 300]  # a key costs more than what follows from one


@needs_peers
def test_points_are_means_over_frames_that_a_real_stream_gives(drive, result):
    out, summary = result
    frames, codec = read_sequence(drive, 60), JpegInARecord()
    rows = list(csv.DictReader((out / "points.csv").open()))
    ours = [r for r in rows if r["codec"] == "gaussvae"]
    for row, quality in zip(ours, COARSE, strict=True):
        records = video.records_of(codec, frames, quality)
        pictures = [codec.decode(one) for one in records]
        assert float(row["bytes"]) == pytest.approx(np.mean([len(one[-1]) for one in records]))
        assert float(row["psnr"]) == pytest.approx(np.mean(list(map(psnr, frames, pictures))))
        assert float(row["ssim"]) == pytest.approx(np.mean(list(map(ssim, frames, pictures))))
    fronts = video.Fronts(out / "peers.json", SIZES[0], SIZES[-1])
    for name in FAST:
        points = fronts.of(frames, name)
        point = video.nearest(points, 300)
        assert 150 < point.bytes < 600
        assert mean_psnr(frames, coded_again(frames, name, point)) == pytest.approx(point.psnr)
        (at,) = (a for a in summary["sets"][0]["at"] if a["codec"] == name and a["bytes"] == 600)
        assert at["psnr"] == pytest.approx(at_size(points, 600))


@needs_peers
def test_the_report_holds_tables_curves_frames_and_times(drive, result):
    out, summary = result
    assert sorted(p.name for p in out.iterdir()) == [
        "peers.json", "points.csv", "rate_distortion_1.png", "report.html", "summary.json",
    ]  # fmt: skip
    text = (out / "report.html").read_text()
    assert text.count('class="views"') == video.SHOWN
    for name in ("x265, key every 10", "SVT-AV1, one key", "Time to reach a random frame"):
        assert name in text
    times = summary["reach"][str(drive)]
    assert [t["codec"] for t in times] == ["gaussvae", "x265-10", "x265"]
    assert all(0 < t["median_ms"] <= t["p95_ms"] for t in times)
    captions = [t.caption for t in video_tables(summary)]
    assert captions[-1].startswith("Time to reach") and len(captions) == 5


@needs_peers
def test_peers_are_not_coded_twice(drive, result, monkeypatch):
    out, summary = result
    monkeypatch.setattr("gaussvae_ros.evaluation.fronts.front", None)
    again = evaluate_video([drive], out, JpegInARecord(), qualities=COARSE, codecs=FAST)
    assert again["sets"] == summary["sets"]


@needs_peers
@pytest.mark.parametrize("codec", reach.SEEKING)
def test_seeking_reaches_the_very_frame(drive, tmp_path, codec):
    frames, path = read_sequence(drive, 60), str(tmp_path / "v.mp4")
    streams.encode(frames, VIDEOS[codec], 20, mp4=path)
    for number in np.random.default_rng(1).permutation(len(frames)):
        picture = reach.read_frame(path, int(number))
        assert np.argmax([psnr(frame, picture) for frame in frames]) == number
    with pytest.raises(ValueError, match="no frame 22"):
        reach.read_frame(path, len(frames))


def test_a_record_that_others_need_counts_once():
    key, first, second = bytes(300), bytes(20), bytes(10)
    assert video.size_of([[key], [key, first], [key, first, second]]) == 110


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_bits_are_by_the_pixels_of_a_frame(mode, drive, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        with Image.open(drive / f"{number:03d}.png") as picture:
            picture.convert(mode).save(tmp_path / "in" / f"{number}.png")
    how = {"qualities": COARSE, "codecs": ()}
    summary = evaluate_video([tmp_path / "in"], tmp_path / "out", JpegInARecord(), **how)
    for point in summary["sets"][0]["settings"]:
        assert point["bpp"] == pytest.approx(8 * point["bytes"] / (160 * 120))


def test_without_the_extra_ours_is_measured_alone_and_what_lacks_is_named(
    drive, tmp_path, monkeypatch
):
    monkeypatch.setattr(streams, "missing", lambda e: dict.fromkeys(e, streams.MISSING))
    monkeypatch.setattr(video, "why_no_seeking", lambda: streams.MISSING)
    summary = evaluate_video([drive], tmp_path, JpegInARecord(), qualities=COARSE, frames=4)
    assert summary["missing"] == dict.fromkeys(VIDEOS, streams.MISSING)
    assert [t["codec"] for t in summary["reach"][str(drive)]] == ["gaussvae"]
    assert (tmp_path / "report.html").read_text().count("pip install") == len(VIDEOS)


@needs_peers
def test_without_pyav_only_seeking_is_missing(drive, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    how = {"qualities": COARSE, "frames": 3, "codecs": ("x265",)}
    summary = evaluate_video([drive], tmp_path, JpegInARecord(), **how)
    assert summary["missing"] == {"x265 in MP4": streams.MISSING}
    assert [t["codec"] for t in summary["reach"][str(drive)]] == ["gaussvae"]


def test_several_sequences_have_a_mean_and_each_its_tables(drive, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for number in range(3):
        (other / f"{number}.png").write_bytes((drive / f"{5 * number:03d}.png").read_bytes())
    how = {"qualities": COARSE, "frames": 3, "codecs": ()}
    summary = evaluate_video([drive, other, drive], tmp_path / "out", JpegInARecord(), **how)
    assert [s["set"] for s in summary["sets"]] == [str(drive), str(other), "all"]
    captions = [t.caption for t in video_tables(summary)]
    assert any(c.endswith("mean of 2 sequences") for c in captions)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"frames": 1}, "at least 2 frames"),
        ({"every": 0}, "every 2nd or more"),
        ({"qualities": (50, 50)}, "two qualities"),
        ({"codecs": ("hevc",)}, "no peer is named 'hevc': choose of x265-10"),
    ],
)
def test_settings_that_make_no_sense_are_refused(drive, tmp_path, how, message):
    with pytest.raises(GaussVaeError, match=message):
        evaluate_video([drive], tmp_path / "out", JpegInARecord(), **how)
    assert not (tmp_path / "out").exists()


def test_a_bad_sequence_is_named_before_anything_is_coded(drive, tmp_path):
    class Never:
        encode = None

    with pytest.raises(GaussVaeError, match="no such file or folder: .*none"):
        evaluate_video([drive, tmp_path / "none"], tmp_path / "out", Never())
    assert not (tmp_path / "out").exists()
