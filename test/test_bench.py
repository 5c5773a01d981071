"""The bench: its rows, its parts, its documentation; figures are for the machine they are about."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaussvae_ros.bench import parts as bench
from gaussvae_ros.bench.frames import drive_frames, read_frames
from gaussvae_ros.bench.rows import in_fresh_process, median_ms
from gaussvae_ros.errors import GaussVaeError, ImageError

DOCS = (Path(__file__).parents[1] / "docs" / "bench.md").read_text()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for k in range(2):
        soft = Image.fromarray(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)).resize(
            (192, 176), Image.BICUBIC
        )
        soft.save(folder / f"{k}.png")
    return folder


@pytest.mark.parametrize("part", ["fit", "codec", "decode"])
def test_parts_on_images_measure_and_compare(part, images):
    rows = bench.run([part], [images])
    assert all(set(row) == {"name", "value", "unit", "target", "reference"} for row in rows)
    assert all(row["name"].startswith(f"{part}") for row in rows)
    for row in rows:
        if "skipped" in row["name"]:
            assert row["value"] is None and "GPU" in row["name"]
        elif "the 0 of 2" in row["name"]:
            assert row["value"] is None and row["reference"] is None
        else:
            assert row["value"] > 0 and row["unit"] in ("ms", "dB", "bytes", "1/s", "")
    named = {row["name"].split(" (")[0]: row for row in rows}
    if part == "fit":
        fast, best = named["fit, fast: PSNR"], named["fit, best: PSNR"]
        assert fast["reference"] == best["reference"] and best["value"] > fast["value"]
    if part == "codec":
        sizes = [named[f"codec, {quality}: size"]["value"] for quality in (25, 50, 75, 85)]
        assert sizes == sorted(sizes) and sizes[3] > 3 * sizes[2]
        assert any("WebP" in name and row["reference"] for name, row in named.items())
        given = named["codec, 50: 512 splats to record, PSNR beside that of the splats"]
        assert given["reference"] > given["value"] > 15
    if part == "decode":
        assert (
            named["decode: of which drawing"]["value"]
            < named["decode: record to 640x480, beside a JPEG"]["value"]
        )


def test_ablation_measures_the_whole_without_each_part(images):
    rows = bench.run(["ablation"], [images])
    parts = [row["name"].removeprefix("ablation, ").split(":")[0] for row in rows]
    assert len(rows) == 8 and parts[::2] == parts[1::2] and len(set(parts)) == 4
    assert [row["unit"] for row in rows] == ["%", "dB"] * 4
    for rate, gain in zip(rows[::2], rows[1::2], strict=True):
        assert -50 < rate["value"] < 100 and -5 < gain["value"] < 3


def test_start_is_measured_in_fresh_processes():
    imported, first, recalled, memory = bench.run(["start"])
    assert imported["value"] > imported["reference"] > 0
    assert first["value"] > 0 and recalled["value"] > recalled["reference"] > 0
    assert 50 < memory["value"] < 1000 and memory["unit"] == "MB"


def test_a_reader_of_a_memory_holds_nothing_else_of_the_bench():
    code = """if True:
        import json, sys, gaussvae_ros.bench.bank_questions
        print(json.dumps(sorted({"cv2", "numba", "gaussvae_ros.codec"} & set(sys.modules))))
    """
    assert in_fresh_process(code) == []


def test_every_part_is_documented():
    assert re.findall(r"^## (\w+)$", DOCS, re.MULTILINE) == list(bench.PARTS)


def test_an_unknown_part_or_image_gets_one_line(tmp_path):
    with pytest.raises(GaussVaeError, match="fit, codec, ablation, decode"):
        bench.run(["fit", "speed"])
    with pytest.raises(ImageError, match="no such file"):
        bench.run(["decode"], [tmp_path / "none.png"])


def test_frames_of_the_drive_are_pictures_and_always_the_same():
    frames, again = drive_frames(), drive_frames()
    assert len(frames) == 12 and all(
        f.shape == (480, 640, 3) and f.dtype == np.uint8 for f in frames
    )
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    assert all(f.std() > 20 for f in frames) and not np.array_equal(frames[0], frames[1])


def test_images_are_read_as_they_are(images):
    assert [f.shape for f in read_frames([images])] == [(176, 192, 3)] * 2


def test_median_and_process():
    assert median_ms(lambda k: sum(range(k)), [10, 1_000_000, 20]) < 5
    assert in_fresh_process("import json, sys; print(json.dumps(sys.argv[1:]))", 5, "x") == [
        "5",
        "x",
    ]
    with pytest.raises(GaussVaeError, match="ValueError: no luck$"):
        in_fresh_process("raise ValueError('no luck')")
