"""`evaluate`: files and figures for a set of images, measured with a small real codec in place of ours."""

import csv
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from test_peers import scene

from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation import plots
from gaussvae_ros.evaluation.evaluate import evaluate
from gaussvae_ros.evaluation.images import find_images, read_image
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import CODECS, at_bytes
from gaussvae_ros.evaluation.rate_distortion import EQUAL, Setting, as_curve, means, measure
from gaussvae_ros.record import Record, pack, unpack

SETTINGS = [Setting(effort, quality) for effort in ("fast", "best") for quality in (20, 60)]


class JpegInARecord:
    """A codec to measure: JPEG at half size ("fast") or WebP at half size ("best") as the payload of a record."""

    def encode(self, image, quality=50, effort="fast"):
        size = image.shape[1::-1]
        small = Image.fromarray(
            cv2.resize(image, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA)
        )
        file = io.BytesIO()
        small.save(file, "WEBP" if effort == "best" else "JPEG", quality=quality)
        return pack(Record("splats", size, file.getvalue()))

    def decode(self, data):
        record = unpack(data)
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
    summary = evaluate([folder], out, JpegInARecord(), qualities=(60, 20))
    return out, summary


def test_points_are_what_codec_and_peers_really_give(folder, result):
    """One image by hand: our size and PSNR, and a peer at exactly our size."""
    image, codec = read_image(folder / "1.png"), JpegInARecord()
    rows = [
        r for r in csv.DictReader((result[0] / "points.csv").open()) if r["image"].endswith("1.png")
    ]
    assert len(rows) == len(SETTINGS) * (1 + len(CODECS))
    for setting in SETTINGS:
        data = codec.encode(image, quality=setting.quality, effort=setting.effort)
        at = [
            r
            for r in rows
            if (r["effort"], float(r["quality"])) == (setting.effort, setting.quality)
        ]
        ours, peers = at[0], {r["codec"]: r for r in at[1:]}
        assert ours["codec"] == f"gaussvae, {setting.effort}" and int(ours["bytes"]) == len(data)
        assert float(ours["psnr"]) == pytest.approx(psnr(image, codec.decode(data)))
        assert {int(r["budget"]) for r in at} == {len(data)}
        webp = at_bytes(image, "webp", len(data))
        assert int(peers["webp"]["bytes"]) == webp.bytes
        assert float(peers["webp"]["psnr"]) == pytest.approx(psnr(image, webp.image))


def test_summary_holds_the_means_of_the_points(result):
    out, summary = result
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["images"] == 3
    rows = list(csv.DictReader((out / "points.csv").open()))
    assert len(summary["means"]) == len(SETTINGS) * (1 + len(CODECS))
    for mean in summary["means"]:
        same = [
            r for r in rows if all(str(mean[k]) == r[k] for k in ("effort", "quality", "codec"))
        ]
        assert len(same) == 3
        fitted = [r for r in same if r["bytes"]]
        assert mean["fitted"] == len(fitted)
        for name in ("bytes", "psnr", "ssim", "ms_ssim"):
            expected = np.mean([float(r[name]) for r in fitted]) if len(fitted) == 3 else None
            assert mean[name] == pytest.approx(expected)


def test_bjontegaard_is_signed_for_us(result):
    """The stand-in is plain JPEG at half size: the optimised JPEG with a free choice of size must need fewer bytes."""
    against = {(d["series"], d["anchor"]): d for d in result[1]["bjontegaard"]}
    assert against["gaussvae, fast", "jpeg"]["rate"] > 0 > against["gaussvae, fast", "jpeg"]["psnr"]


def test_report_and_drawings(result):
    out = result[0]
    text = (out / "report.html").read_text()
    assert sorted(p.name for p in out.iterdir()) == [
        "ms_ssim.png", "points.csv", "rate_distortion.png", "report.html", "summary.json",
    ]  # fmt: skip
    assert text.count('class="views"') == 3 and text.count("<table>") == 4
    worst = [float(part.split(" dB")[0].split(", ")[-1]) for part in text.split(".png: ")[1:]]
    assert worst == sorted(worst)
    for drawing in out.glob("*.png"):
        assert min(Image.open(drawing).size) > 400


def test_the_same_run_gives_the_same_files(folder, result, tmp_path):
    evaluate([folder], tmp_path, JpegInARecord(), qualities=(20, 60))
    for path in result[0].iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


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
    summary = evaluate(flat, out, JpegInARecord(), efforts=("fast",), qualities=(20, 60))
    assert summary["floor_psnr"] == EQUAL
    assert "Infinity" not in (out / "summary.json").read_text()


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


def test_finding_images(folder, tmp_path):
    assert [p.name for p in find_images([folder / "2.png", folder])] == ["2.png", "0.png", "1.png"]
    with pytest.raises(ImageError, match="no such file"):
        find_images([tmp_path / "absent"])
    with pytest.raises(ImageError, match="no images"):
        find_images([tmp_path])


def test_reading_images_as_stored(tmp_path):
    colour, grey = scene((20, 30, 3)), scene((20, 30))
    ramp = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    alpha = np.dstack((colour, np.full((20, 30), 9, np.uint8)))
    deep = (ramp >> 8).astype(np.uint8)
    files = {
        "rgb": (colour, colour),
        "grey": (grey, grey),
        "deep": (ramp, deep),
        "alpha": (alpha, colour),
    }
    for name, (stored, expected) in files.items():
        Image.fromarray(stored).save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_image(tmp_path / f"{name}.png"), expected)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(colour).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(colour, -1))


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"hello"])
def test_what_is_not_an_image_gets_one_line(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match="cannot read .*x.png") as error:
        read_image(path)
    assert "\n" not in str(error.value)


def test_missing_and_unknown_files_get_one_line(tmp_path):
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "absent.png")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(ImageError, match="pixels of type F"):
        read_image(tmp_path / "depth.tif")


@pytest.mark.parametrize("sizes", [[1500], [1100, 1900], [200, 90_000]])
def test_drawings_of_few_and_odd_points(sizes):
    line = np.column_stack((sizes, np.linspace(20, 30, len(sizes))))
    for curves in (
        {},
        {"splats": line},
        {"splats": line, "avif": np.empty((0, 2)), "jpeg": line[::-1]},
    ):
        assert plots.rate_distortion(curves, "PSNR (dB)", ("floor", 21.0)).startswith(b"\x89PNG")


def test_drawings_over_time_take_gaps():
    assert plots.over_time(
        [0, 1, 2], {"splats": [20, np.inf, 21], "jpeg": [np.nan] * 3}, "PSNR (dB)"
    )
    assert plots.over_time([], {"splats": []}, "PSNR (dB)")
