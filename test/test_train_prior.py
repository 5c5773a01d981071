"""Training of the prior from pictures: a model that the codec takes, and a card that says how."""

import json
import time

import numpy as np
import pytest
from grids import fields
from PIL import Image
from samples import picture

from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import DataError
from gaussvae_ros.training.prior import MEASURED, SIZES, Settings, make_grids, train_prior
from gaussvae_ros.vae import models
from gaussvae_ros.vae.contexts import KINDS

TINY = ["--grids", "2", "--held-out", "1", "--steps", "3"]


@pytest.fixture
def folder(tmp_path):
    """Ten pictures, one of them twice, and a file that is none."""
    (tmp_path / "frames").mkdir()
    for number in range(10):
        Image.fromarray(picture(number)).save(tmp_path / "frames" / f"{number}.png")
    Image.fromarray(picture(3)).save(tmp_path / "frames" / "again.png")
    (tmp_path / "frames" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "frames" / "LICENSE").write_text("Licence: anyone, for anything\n")
    return tmp_path / "frames"


def test_the_command_writes_a_model_that_the_codec_takes(folder, tmp_path, capsys):
    out, begun = tmp_path / "made.safetensors", time.time()
    command = ["train", "prior", str(folder), "--out", str(out), *TINY, "--model", "anchors"]
    assert main([*command, "--json"]) == 0
    card = json.loads(capsys.readouterr().out)
    assert models.describe(out) == {"architecture": "splats", "config": {}, "card": card}
    settings = {"grids": 2, "held_out": 1, "steps": 3, "seed": 0, "model": "anchors"}
    assert card["settings"] == settings and 0 < card["seconds"] < time.time() - begun + 1
    pictures = card["pictures"]
    assert pictures["skipped"] == 2 and pictures["valid"] >= 1 and pictures["train"] >= 5
    source = {"given": str(folder), "licence": "LICENSE: anyone, for anything"}
    assert card["sources"] == [source] and card["splats"] >= 64
    bits = card["bits_per_splat"]
    assert bits["all"] == pytest.approx(sum(bits.values()) - bits["all"], abs=0.01)
    prior = models.Models().load(out).prior
    assert set(prior.networks) == set(KINDS)
    codec = FrameCodec(device="cpu", model=out)
    assert codec.decode(codec.encode(picture(99), quality=0)).shape == (72, 96, 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frames", "made.safetensors"]

    assert main(command) == 0  # again: the same numbers, and a table
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[1:-1]] == list(bits) and rows[-2][-1] == f"{bits['all']}"
    again = models.Models().load(out).prior.tensors()
    assert all(np.array_equal(again[name], array) for name, array in prior.tensors().items())


def test_grids_depend_on_their_places_alone(folder):
    files = sorted(folder.glob("?.png"))
    both = make_grids(files, "train", range(3, 5), 0, None)
    alone = [g for at in (3, 4) for g in make_grids(files, "train", range(at, at + 1), 0, None)]
    assert list(map(fields, both)) == list(map(fields, alone))
    assert [g.size for g in both] == [SIZES[3], SIZES[4]]
    other = make_grids(files, "train", range(3, 4), 1, None)
    assert fields(other[0]) != fields(both[0])
    (held_out,) = make_grids(files[:1], "valid", range(1), 0, None)
    assert held_out.size == (640, 480) and len(held_out.cell) == MEASURED[0]


def test_bits_count_in_the_fits_where_a_model_says_them(folder):
    files = sorted(folder.glob("?.png"))
    prior = models.Models().load("anchors").prior
    (plain,), (priced,) = (make_grids(files, "valid", range(1), 0, m) for m in (None, "anchors"))
    bits = [sum(prior.bits(g).values()) for g in (plain, priced)]
    assert bits[1] < 0.97 * bits[0]


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["{folder}/0.png", "--out", "{tmp}/m.safetensors"], "at least 8 pictures, there are 1"),
        (["{tmp}/none", "--out", "{tmp}/m.safetensors"], "no such file or folder"),
        (["{folder}", "--out", "{tmp}/none/m.safetensors"], "folder does not exist"),
        (["{folder}", "--out", "{tmp}/m.safetensors", "--seed", "-1"], "seed must be at least 0"),
        (["{folder}", "--out", "{tmp}/m.safetensors", "--grids", "0"], "grids must be at least 1"),
        (["{folder}", "--out", "{tmp}/m.safetensors", "--steps", "0"], "steps must be at least 1"),
        (["{folder}", "--out", "{tmp}/m.safetensors", "--held-out", "0"], "must be at least 1"),
        (["{folder}", "--out", "{tmp}/m.safetensors", "--seed", "some"], "--seed"),
        (["{folder}", "--out", "{tmp}/m.safetensors", "--model", "nobody"], "no model 'nobody'"),
        (["--out", "{tmp}/m.safetensors"], "SOURCE"),
    ],
)
def test_bad_input_gets_one_line(arguments, text, folder, tmp_path, capsys):
    try:
        code = main(["train", "prior", *(a.format(folder=folder, tmp=tmp_path) for a in arguments)])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and text in error and error.count("\n") == 1
    assert not (tmp_path / "m.safetensors").exists()


def test_grey_pictures_alone_are_refused(folder, tmp_path):
    for file in folder.glob("?.png"):
        Image.open(file).convert("L").save(file)
    (folder / "again.png").unlink()
    with pytest.raises(DataError, match="colour"):
        train_prior([folder], tmp_path / "m.safetensors", Settings(2, 1, 3))
    assert not (tmp_path / "m.safetensors").exists()
