"""A model for volumes trained from a file, and volumes measured beside peers."""

import csv
import importlib.util
import json

import numpy as np
import pytest
from test_volume import smooth

from gaussvae_ros.cli import main
from gaussvae_ros.evaluation.volumes import at_error, at_factor, seam
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.files import halves


def test_a_trained_model_codes_and_measures_the_other_half(tmp_path, capsys):
    np.save(tmp_path / "a.npy", smooth((40, 24, 24)))
    np.save(tmp_path / "b.npy", (smooth((24, 24, 40)) > 99).astype(np.uint8))
    sources, out = [str(tmp_path / name) for name in ("a.npy", "b.npy")], str(tmp_path / "m")
    made = ["train", "volumes", *sources, "--steps", "20", "--out", f"{out}.safetensors", "--json"]
    assert main(made) == 0
    card = json.loads(capsys.readouterr().out)
    assert card["volumes"] == ["a.npy", "b.npy"] and card["curve"][0] == [0, 1.0]
    volume = smooth((40, 24, 24), seed=1)
    codec = VolumeCodec(f"{out}.safetensors")
    data = codec.encode(volume, 80)
    assert data != VolumeCodec().encode(volume, 80)
    assert np.abs(codec.decode(data).astype(int) - volume).max() < 20
    assert main(["train", "volumes", str(tmp_path / "none.npy"), "--out", f"{out}2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_volumes_are_measured_beside_peers(tmp_path, capsys):
    np.save(tmp_path / "a.npy", smooth((24, 24, 24)))
    arguments = [str(tmp_path / "a.npy"), "--qualities", "20", "50", "--out", str(tmp_path / "o")]
    assert main(["evaluate", "--volumes", *arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    with open(tmp_path / "o" / "points.csv") as file:
        codecs = {row["codec"] for row in csv.DictReader(file)}
    there = {
        n for n, module in (("SZ3", "pysz"), ("zfp", "zfpy")) if importlib.util.find_spec(module)
    }
    assert codecs == {"gaussvae", "3D DCT", "zstd"} | there
    assert set(result["missing"]) == {"SZ3", "zfp"} - there
    assert (tmp_path / "o" / "a.png").exists() and (tmp_path / "o" / "a_slices.png").exists()
    assert main(["evaluate", *arguments, "--weights", "x"]) == 2
    assert main(["evaluate", "--volumes", "--video", *arguments]) == 2


def test_seams_are_seen():
    rng = np.random.default_rng(0)
    volume = rng.random((32, 32, 32))
    noise = volume + rng.normal(size=volume.shape) * 0.01
    blocks = volume + np.kron(rng.normal(size=(4, 4, 4)), np.ones((8, 8, 8))) * 0.01
    assert seam(volume, noise) == pytest.approx(1, abs=0.05)
    assert seam(volume, blocks) > 100


def test_curves_are_read_between_their_points():
    points = [{"factor": f, "mse": m} for f, m in ((4, 1e-4), (100, 1e-2))]
    assert at_factor(points, 20) == pytest.approx(1e-3)
    assert at_factor(points, 2) == pytest.approx(1e-4)
    assert at_factor(points, 101) is None
    assert at_error(points, 1e-3) == pytest.approx(20)
    assert at_error(points, 1) == pytest.approx(100)


def test_halves_meet_at_an_edge_of_blocks():
    first, second = halves((20, 51, 30))
    assert first[1] == slice(0, 24) and second[1] == slice(24, None)
