"""Preparation of training data: crops, the split, the same bytes always, bad input."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import picture

from gaussvae_ros.cli import main
from gaussvae_ros.errors import DataError
from gaussvae_ros.fit import fit
from gaussvae_ros.splats import Splats
from gaussvae_ros.training import prepare as module
from gaussvae_ros.training.crops import BLOCK, Crop, Picture, make_sample, plan, split
from gaussvae_ros.training.prepare import prepare

ROOT = Path(__file__).parents[1]
SIZE = (64, 48)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """20 good pictures in a folder and one below it, and four that cannot be used."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "below").mkdir()
    for i in range(20):
        kind = "L" if i == 5 else "RGB"
        Image.fromarray(picture(i)).convert(kind).save(
            folder / ("below" if i % 3 == 0 else "") / f"{i:02d}.png"
        )
    (folder / "99_broken.jpg").write_bytes(b"no image")
    (folder / "98_cut.png").write_bytes((folder / "01.png").read_bytes()[:-200])
    Image.fromarray(picture(97, (40, 30))).save(folder / "97_tiny.png")
    Image.fromarray(picture(2)).save(folder / "96_again.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def made(photos, tmp_path_factory):
    """The photos prepared by two processes, in shards of 16."""
    out = tmp_path_factory.mktemp("made") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARD", 16)
        manifest = prepare([photos], out, crops=3, size=SIZE, seed=4, jobs=2)
    return out, manifest


def shards(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.npy"))}


def test_samples_are_fits_of_crops(made, photos):
    out, manifest = made
    assert [np.load(p).shape for p in sorted(out.glob("*.npy"))] == [
        (16,),
        (16,),
        (16,),
        (3,),
        (3,),
    ]
    assert manifest["parts"] == {
        "train": {"pictures": 17, "samples": 51},
        "valid": {"pictures": 1, "samples": 3},
    }
    for sample in np.load(out / "train-00001.npy")[:3]:
        again = fit(sample["picture"], 512, "fast")
        np.testing.assert_array_equal(sample["splats"], again.params)
        np.testing.assert_array_equal(
            sample["splats"], Splats(sample["splats"], SIZE).canonical().params
        )
    grey = [
        s
        for s in np.load(out / "train-00000.npy")
        if np.ptp(s["picture"].astype(int), axis=2).max() == 0
    ]
    for sample in grey:
        assert np.ptp(sample["splats"][:, 5:], axis=1).max() < 1e-6


def test_the_manifest_says_what_was_done(made, photos):
    out, manifest = made
    assert manifest == json.loads((out / "manifest.json").read_text()) and manifest["complete"]
    why = {Path(s["file"]).name: s["why"] for s in manifest["skipped"]}
    assert why.keys() == {"96_again.png", "97_tiny.png", "98_cut.png", "99_broken.jpg"}
    assert "too small: 40x30 px" in why["97_tiny.png"] and "the same as" in why["96_again.png"]
    source = manifest["sources"][0]
    assert (source["kind"], source["pictures"], source["crops"], source["skipped"]) == (
        "folder",
        20,
        54,
        4,
    )
    assert source["licence"] == "not stated" and manifest["asked"]["seed"] == 4
    assert sorted(p.name for p in out.iterdir() if p.suffix != ".npy") == ["manifest.json"]


def test_a_killed_run_goes_on_and_the_result_is_the_same(made, photos, tmp_path):
    """A process of its own with one worker, killed between two shards; its worker ends too."""
    program = (
        "import sys; from gaussvae_ros.training import prepare as m; m.SHARD = 16\n"
        "if __name__ == '__main__':\n    "
        "m.prepare([sys.argv[1]], sys.argv[2], crops=3, size=(64, 48), seed=4, jobs=1)"
    )
    command, out = (
        [sys.executable, "-c", program, str(photos), str(tmp_path / "set")],
        tmp_path / "set",
    )
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not (out / "train-00000.npy").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert children and not json.loads((out / "manifest.json").read_text())["complete"]
    first = (out / "train-00000.npy").stat()
    draft = out / ".train-00001.npy.123"  # as a kill while writing leaves it
    draft.write_bytes(b"half")
    with pytest.raises(DataError, match="crops 3, not 2"):
        prepare([photos], out, crops=2, size=SIZE, seed=4)
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert shards(out) == shards(made[0]) and not draft.exists()
    assert (out / "train-00000.npy").stat().st_mtime_ns == first.st_mtime_ns
    assert json.loads((out / "manifest.json").read_text()) == made[1]
    assert not any(_runs(int(child)) for child in children)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_other_arguments_or_pictures_are_refused_in_the_same_folder(made, photos, tmp_path):
    out, _ = made
    with pytest.raises(DataError, match="prepared with seed 4, not 5: choose another folder"):
        prepare([photos], out, crops=3, size=SIZE, seed=5)
    (tmp_path / "manifest.json").write_text(
        (out / "manifest.json").read_text().replace("true", "false")
    )
    Image.fromarray(picture(50)).save(photos / "50.png")
    try:
        with pytest.raises(DataError, match="other pictures"):
            prepare([photos], tmp_path, crops=3, size=SIZE, seed=4, jobs=1)
    finally:
        (photos / "50.png").unlink()
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="not a manifest"):
        prepare([photos], tmp_path)


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(0, 99))
def test_validation_gets_whole_blocks_with_a_gap_around_them(n, seed):
    part = split(n, seed)
    np.testing.assert_array_equal(part, split(n, seed))
    if n < 8:
        return np.testing.assert_array_equal(part, 0)
    assert not {(0, 1), (1, 0)} & set(zip(part.tolist(), part[1:].tolist()))
    valid = (part == 1).sum()
    assert 1 <= valid and abs(valid - 0.03 * n) <= BLOCK / 2 + 1 and (part == 0).sum() > n / 2


@settings(deadline=None)
@given(st.integers(247, 4000), st.integers(185, 4000), st.integers(0, 99))
def test_crops_have_the_asked_shape_inside_the_picture(width, height, seed):
    found = plan(
        [Picture(Path("p"), (width, height), 0)] * 3,
        np.array([True, False, True]),
        4,
        (320, 240),
        seed,
    )
    largest = min(width / 320, height / 240)
    assert len(found) == 8
    for x, y, w, h in (crop.box for crop in found):
        assert 0 <= x <= width - w and 0 <= y <= height - h
        assert abs(w - h * 4 / 3) <= 1.2 and 320 / w < 1.31
        assert 0.499 * 320 * largest - 1 <= w <= 320 * largest + 1


def test_crops_vary_and_are_shuffled():
    pictures = [Picture(Path(str(i)), (640, 480), 0) for i in range(50)]
    found = plan(pictures, np.ones(50, bool), 8, (320, 240), 0)
    widths = [crop.box[2] for crop in found]
    assert min(widths) < 350 and max(widths) > 610 and len({crop.box for crop in found}) > 390
    first = {crop.path for crop in found[:100]}
    assert len(first) > 35  # of 50: any quarter is a fair mixture
    assert found == plan(pictures, np.ones(50, bool), 8, (320, 240), 0)
    assert found != plan(pictures, np.ones(50, bool), 8, (320, 240), 1)


def test_a_crop_shows_its_box(tmp_path):
    big = picture(0, (640, 480))
    Image.fromarray(big).save(tmp_path / "a.png")
    _, small = make_sample(Crop(tmp_path / "a.png", (100, 60, 320, 240), (160, 120)))
    wanted = big[60:300, 100:420].reshape(120, 2, 160, 2, 3).mean((1, 3))
    assert np.abs(small - wanted).max() <= 0.51


def test_bad_input_gets_one_line(tmp_path, capfd):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video" * 100)
    (tmp_path / "text.bag").write_text("no bag")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "a.jpg").write_text("no image")
    (tmp_path / "file").write_text("")
    for arguments, text in [
        (["none"], "no such file or folder"),
        (["empty"], "no images in"),
        (["text.mp4"], "cannot read"),
        (["text.bag"], "damaged or not a bag"),
        (["dir"], "no usable picture"),
        (["dir", "--crops", "0"], "crops must be at least 1"),
        (["dir", "--every", "0"], "every must be at least 1"),
        (["dir", "--size", "8x8"], "size must be"),
        (["dir", "--seed", "-1"], "seed must be at least 0"),
        (["dir", "--jobs", "0"], "jobs must be at least 1"),
    ]:
        source = str(tmp_path / arguments[0])
        code = main(["train", "prepare", source, *arguments[1:], "--out", str(tmp_path / "out")])
        error = capfd.readouterr().err
        assert code == 2 and text in error and error.count("\n") == 1, error
        assert not list((tmp_path / "out").glob("*.npy"))
    assert main(["train", "prepare", str(tmp_path / "dir"), "--out", str(tmp_path / "file")]) == 2


def test_the_command_reports(made, photos, capsys, tmp_path):
    """On a finished folder it only reports, from the manifest."""
    asked = ["--crops", "3", "--size", "64x48", "--seed", "4"]
    arguments = ["train", "prepare", str(photos), "--out", str(made[0]), *asked]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[-1].endswith("51 samples to train with, 3 to validate with")
        and str(photos) in lines[1]
    )
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == made[1]
