"""`evaluate`: files and figures for a set of images, measured with a small real codec for ours."""

import csv
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from test_evaluation_images import film
from test_peers import scene

from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.evaluation import evaluate as module
from gaussvae_ros.evaluation import plots, streams
from gaussvae_ros.evaluation.bjontegaard import bjontegaard
from gaussvae_ros.evaluation.encoders import STILLS
from gaussvae_ros.evaluation.evaluate import evaluate
from gaussvae_ros.evaluation.fronts import at_size, front
from gaussvae_ros.evaluation.images import read_image
from gaussvae_ros.evaluation.metrics import EQUAL, psnr
from gaussvae_ros.evaluation.rate_distortion import Setting, as_curve, means, measure
from gaussvae_ros.evaluation.summary import SIZES
from gaussvae_ros.record import Record, pack, unpack

FILES = ("jpeg", "webp")  # peers that are there everywhere


class JpegInARecord:
    """A codec to measure: JPEG ("fast") or WebP ("best") at half size in a record."""

    def encode(self, image, quality=50, effort="fast"):
        size = image.shape[1::-1]
        small = Image.fromarray(
            cv2.resize(image, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
        )
        file = io.BytesIO()
        small.save(file, "WEBP" if effort == "best" else "JPEG", quality=int(quality))
        return pack(Record("splats", size, file.getvalue()))

    def predict(self, image, quality, reference):
        return None

    def cost(self, image, data, reference, quality):
        return 0.0

    def decode(self, data):
        record = unpack(data[-1] if isinstance(data, list) else data)
        with Image.open(io.BytesIO(record.payload)) as file:
            picture = np.asarray(file)
        return cv2.resize(picture, record.size, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for i in range(3):
        Image.fromarray(scene((96, 128, 3), seed=i)).save(path / f"{i}.png")
    (path / "notes.txt").write_text("not a picture")
    return path


@pytest.fixture(scope="module")
def result(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "new"
    alone = tmp_path_factory.mktemp("alone") / "alone.png"
    Image.fromarray(scene((96, 128, 3), seed=9)).save(alone)
    summary = evaluate([folder, alone], out, JpegInARecord(), qualities=(60, 5, 25), codecs=FILES)
    return out, summary


def rows_of(result, image: str, codec: str) -> list[dict]:
    rows = csv.DictReader((result[0] / "points.csv").open())
    return [r for r in rows if r["image"].endswith(image) and r["codec"] == codec]


@pytest.mark.parametrize("effort", ["fast", "best"])
def test_points_of_ours_are_what_the_codec_really_gives(folder, result, effort):
    image, codec = read_image(folder / "1.png"), JpegInARecord()
    rows = rows_of(result, "1.png", f"gaussvae, {effort}")
    assert [float(r["quality"]) for r in rows] == [5, 25, 60]
    for row in rows:
        data = codec.encode(image, quality=int(float(row["quality"])), effort=effort)
        assert int(row["bytes"]) == len(data)
        assert float(row["psnr"]) == pytest.approx(psnr(image, codec.decode(data)))


def test_points_of_a_peer_are_its_front(folder, result):
    found = front([read_image(folder / "1.png")], "webp", SIZES[0], SIZES[-1])
    rows = rows_of(result, "1.png", "webp")
    assert [(int(r["bytes"]), float(r["psnr"])) for r in rows] == [(c.bytes, c.psnr) for c in found]


def test_summary_holds_the_means_of_the_points_of_each_set(folder, result):
    out, summary = result
    assert json.loads((out / "summary.json").read_text()) == summary
    assert [(s["set"], s["images"]) for s in summary["sets"]] == [
        (str(folder), 3),
        ("", 1),
        ("all", 4),
    ]
    found = summary["sets"][0]
    for mean in found["settings"]:
        records = [
            r
            for i in range(3)
            for r in rows_of(result, f"{i}.png", mean["series"])
            if float(r["quality"]) == mean["quality"]
        ]
        for name in ("bytes", "psnr", "ssim", "ms_ssim"):
            assert mean[name] == pytest.approx(np.mean([float(r[name]) for r in records]))
        assert mean["bpp"] == pytest.approx(mean["bytes"] * 8 / (96 * 128))
    fronts = [
        front([read_image(folder / f"{i}.png")], "webp", SIZES[0], SIZES[-1]) for i in range(3)
    ]
    for at in (a for a in found["at"] if a["codec"] == "webp"):
        values = [at_size(f, at["bytes"]) for f in fronts]
        known = [v for v in values if v is not None]
        assert at["images"] == len(known)
        assert at["psnr"] == (pytest.approx(np.mean(known)) if len(known) == 3 else None)
    assert {a["bytes"] for a in found["at"]} == set(SIZES)


def test_bjontegaard_is_the_mean_over_images_and_signed_for_us(folder, result):
    """The stand-in is JPEG at half size: JPEG with a free choice of size needs fewer bytes."""
    against = {(d["series"], d["anchor"]): d for d in result[1]["sets"][0]["bjontegaard"]}
    assert len(against) == 4
    found = against["gaussvae, fast", "jpeg"]
    assert found["rate"] > 0 > found["psnr"] and found["images"] == 3
    each = []
    for i in range(3):
        curves = [
            np.array([(int(r["bytes"]), float(r["psnr"])) for r in rows_of(result, f"{i}.png", c)])
            for c in ("jpeg", "gaussvae, fast")
        ]
        each.append(bjontegaard(*curves))
    assert found["rate"] == pytest.approx(np.mean([d.rate for d in each]))
    assert found["psnr"] == pytest.approx(np.mean([d.psnr for d in each]))


def test_report_and_drawings(result):
    out = result[0]
    text = (out / "report.html").read_text()
    assert sorted(p.name for p in out.iterdir()) == [
        "ms_ssim.png", "peers.json", "points.csv", "rate_distortion.png", "report.html",
        "summary.json",
    ]  # fmt: skip
    assert text.count('class="views"') == 4 and text.count("<table>") == 3 * 5
    worst = [float(part.split(" dB")[0].split(", ")[-1]) for part in text.split(".png: ")[1:]]
    assert worst == sorted(worst)
    for drawing in out.glob("*.png"):
        assert drawing.read_bytes().startswith(b"\x89PNG")


def test_the_same_images_give_the_same_figures_and_peers_are_not_coded_twice(
    folder, tmp_path, monkeypatch
):
    how = {"qualities": (20, 60), "efforts": ("fast",), "codecs": ("webp",)}
    first = evaluate([folder], tmp_path, JpegInARecord(), **how)
    files = {name: (tmp_path / name).read_bytes() for name in ("points.csv", "report.html")}
    monkeypatch.setattr("gaussvae_ros.evaluation.fronts.front", None)
    assert evaluate([folder], tmp_path, JpegInARecord(), **how) == first
    assert files == {name: (tmp_path / name).read_bytes() for name in files}


def test_missing_peers_are_left_out_and_named(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        streams, "missing", lambda encoders: dict.fromkeys(encoders, "nowhere to be had")
    )
    summary = evaluate([folder], tmp_path, JpegInARecord(), qualities=(20, 60), codecs=module.PEERS)
    assert summary["missing"] == dict.fromkeys(STILLS, "nowhere to be had")
    assert {d["anchor"] for d in summary["sets"][0]["bjontegaard"]} == set(FILES)
    text = (tmp_path / "report.html").read_text()
    assert "Not compared with" in text and text.count("nowhere to be had") == 3


def test_frames_of_folders_and_videos_are_measured(folder, tmp_path):
    film(tmp_path / "v.mp4")
    how = {"qualities": (20, 60), "efforts": ("fast",), "codecs": ()}
    summary = evaluate(
        [folder, tmp_path / "v.mp4"], tmp_path / "out", JpegInARecord(), frames=2, **how
    )
    assert [s["images"] for s in summary["sets"]] == [2, 2, 4]
    with pytest.raises(ImageError, match="v.mp4 is a video"):
        evaluate([tmp_path / "v.mp4"], tmp_path / "out", JpegInARecord(), **how)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"frames": 0}, "frames must be at least 1"),
        ({"qualities": (50, 50)}, "two qualities"),
        ({"codecs": ("webp", "gif")}, "no peer is named 'gif'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder, tmp_path, how, message):
    with pytest.raises(GaussVaeError, match=message):
        evaluate([folder], tmp_path / "out", JpegInARecord(), **how)
    assert not (tmp_path / "out").exists()


def test_a_peer_without_a_file_is_counted_and_not_averaged():
    class Few(JpegInARecord):
        def encode(self, image, quality=50, effort="fast"):
            return pack(Record("splats", image.shape[1::-1], bytes(int(quality))))

        def decode(self, data):
            return np.full(unpack(data).size[::-1], 127, np.uint8)

    setting = Setting("fast", 30)
    points = [p for i in range(2) for p in measure(Few(), str(i), scene((64, 96), i), [setting])[0]]
    (mean,) = means(points, "jpeg", setting.series)
    assert (mean.fitted, mean.bytes, mean.psnr) == (0, None, None)
    assert as_curve([mean]).shape == (0, 2)
    assert means(points, setting.series, setting.series)[0].bytes == 40


def test_a_flat_image_stays_finite(tmp_path):
    Image.new("L", (64, 48), 90).save(tmp_path / "flat.png")
    out, flat = tmp_path / "out", [tmp_path / "flat.png"]
    how = {"qualities": (20, 60), "efforts": ("fast",), "codecs": ("webp",)}
    summary = evaluate(flat, out, JpegInARecord(), **how)
    assert summary["sets"][0]["floor_psnr"] == EQUAL
    assert not {"Infinity", "NaN"} & set((out / "summary.json").read_text().split())


def test_one_bad_file_is_named_before_anything_is_coded(folder, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes((folder / "0.png").read_bytes()[:2000])

    class Never:
        encode = None

    with pytest.raises(ImageError, match="bad.png"):
        evaluate([folder, bad], tmp_path / "out", Never())
    assert not (tmp_path / "out").exists()


def test_errors_of_the_codec_name_the_image(folder, tmp_path):
    class Refuses:
        def encode(self, *_, **__):
            raise ImageError("too something")

    with pytest.raises(ImageError, match=r"0\.png: too something"):
        evaluate([folder], tmp_path / "out", Refuses())


@pytest.mark.parametrize("sizes", [[1500], [1100, 1900], [200, 90_000]])
def test_drawings_of_few_and_odd_points(sizes):
    line = np.column_stack((sizes, np.linspace(20, 30, len(sizes))))
    for curves in (
        {},
        {"gaussvae, fast": line},
        {"gaussvae, fast": line, "vvc": np.empty((0, 2)), "jpeg": line[::-1]},
    ):
        assert plots.rate_distortion(curves, "PSNR (dB)", ("floor", 21.0)).startswith(b"\x89PNG")


def test_drawings_over_time_take_gaps():
    assert plots.over_time(
        [0, 1, 2], {"gaussvae": [20, np.inf, 21], "jpeg": [np.nan] * 3}, "PSNR (dB)"
    )
    assert plots.over_time([], {"gaussvae": []}, "PSNR (dB)")
