"""Training of the prior: records get shorter, also of images not seen, and the file says how."""

import hashlib
import json
import time

import numpy as np
import pytest
from PIL import Image

from gaussvae_ros.cli import main
from gaussvae_ros.entropy import prior, stream
from gaussvae_ros.entropy.coder import Writer
from gaussvae_ros.entropy.prior import Prior
from gaussvae_ros.errors import ImageError
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.quantise import quantise
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where
from gaussvae_ros.training import splats_prior


@pytest.fixture(scope="module")
def frames():
    """Six frames of the simulated drive, at a quarter of their size to save time."""
    world, sensor = build(0), Sensor(SIZE, FOCAL, 0)
    poses = where(np.arange(6) * 2.0, 30.0)
    return [np.ascontiguousarray(photograph(world, sensor, *pose, 0.0)[::4, ::4]) for pose in poses]


@pytest.fixture(scope="module")
def grids(frames):
    return [quantise(frame, descend(frame, 128, EFFORTS["fast"]), 128, "fast") for frame in frames]


@pytest.fixture
def folder(tmp_path, frames):
    (tmp_path / "frames").mkdir()
    for number, frame in enumerate(frames[:3]):
        Image.fromarray(frame).save(tmp_path / "frames" / f"{number}.png")
    return tmp_path / "frames"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(splats_prior, "STEPS", 60)
    monkeypatch.setattr(splats_prior, "SPLATS", (96, 64))


def length(grids, law) -> int:
    """Bytes of records."""
    total = 0
    for g in grids:
        writer = Writer()
        stream.code(writer, g.size, len(g.cell), g.precision, g.colour.shape[1], g, law)
        total += len(writer.finish())
    return total


def test_records_of_other_frames_get_shorter(grids, quick):
    start = splats_prior.plain_guess()
    weights = splats_prior.train(grids[::2], start)
    assert length(grids[1::2], Prior(weights)) < 0.99 * length(grids[1::2], start)
    assert weights == splats_prior.train(grids[::2], start)
    assert weights != splats_prior.train(grids[::2], start, seed=1)


def test_the_shipped_prior_is_better_than_a_plain_guess(grids):
    assert length(grids, prior.load()) < 0.97 * length(grids, splats_prior.plain_guess())


def test_bits_per_splat_are_those_of_records(grids):
    bits = splats_prior.bits_per_splat(grids, prior.load())
    assert bits["all"] == pytest.approx(sum(bits.values()) - bits["all"], abs=0.01)
    assert 8 * length(grids, prior.load()) == pytest.approx(
        bits["all"] * sum(len(g.cell) for g in grids), rel=0.02
    )


def test_the_command_writes_what_the_codec_can_load(folder, tmp_path, quick, capsys):
    out = tmp_path / "prior.json"
    begun = time.time()
    assert main(["train", "prior", str(folder), "--out", str(out), "--json"]) == 0
    card, made = json.loads(capsys.readouterr().out), json.loads(out.read_text())
    assert made["card"] == card and made.keys() == {"card", "weights"}
    lines = [
        f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n"
        for f in sorted(folder.iterdir())
    ]
    assert card["images_sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert (card["images"], card["seed"], card["splats"]) == (3, 0, 96 + 64)
    assert card["bits_per_splat"]["images"] == 1 and 0 < card["seconds"] < time.time() - begun + 1
    law, shipped = Prior(made["weights"]), prior.load()
    shapes = {kind: [np.shape(w) for w in sets] for kind, sets in law.weights.items()}
    assert shapes == {kind: [np.shape(w) for w in sets] for kind, sets in shipped.weights.items()}

    main(["train", "prior", str(folder), "--out", str(out)])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["bits", "per", "splat", "before", "after"] and [
        rows[-2][0],
        len(rows[-2]),
    ] == ["all", 3]
    assert json.loads(out.read_text())["weights"] == made["weights"]


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["{folder}/0.png", "--out", "{tmp}/prior.json"], "at least two images"),
        (["{tmp}/none", "--out", "{tmp}/prior.json"], "no such file or folder"),
        (["{folder}", "--out", "{tmp}/none/prior.json"], "folder does not exist"),
        (["{folder}", "--out", "{tmp}/prior.json", "--seed", "-1"], "--seed"),
        (["{folder}", "--out", "{tmp}/prior.json", "--seed", "some"], "--seed"),
    ],
)
def test_bad_input_gets_one_line(arguments, text, folder, tmp_path, capsys):
    try:
        code = main(["train", "prior", *(a.format(folder=folder, tmp=tmp_path) for a in arguments)])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and text in error and error.count("\n") == 1


def test_grey_images_alone_are_refused(folder, tmp_path, quick):
    for file in folder.iterdir():
        Image.open(file).convert("L").save(file)
    with pytest.raises(ImageError, match="colour"):
        splats_prior.train_prior([folder], tmp_path / "prior.json")
    assert not (tmp_path / "prior.json").exists()
