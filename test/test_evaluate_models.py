"""One table for all models: its figures computed again by hand, its files, bad input."""

import csv
import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image
from priors import random_prior
from skimage.metrics import structural_similarity
from test_peers import scene

from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.evaluation.peers import at_bytes, dct_floor
from gaussvae_ros.fit import fit
from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import Splats
from gaussvae_ros.training import comparison as evaluation
from gaussvae_ros.training import models
from gaussvae_ros.training.anchors import Anchors
from gaussvae_ros.training.comparison import SIZE, compare, framed
from gaussvae_ros.training.matching import group_errors
from gaussvae_ros.training.model import Batch, Output, SplatModel

CONFIGS = {
    "vector": {"architecture": "vector", "latent": 12, "hidden": [16]},
    "conv": {"architecture": "conv1d", "latent": 16, "parameters": "canonical"},
    "grid": {"architecture": "grid", "channels": 8, "width": 16, "layers": 1, "prior": 24},
}


def adapted(name: str, fits: list[Splats]) -> SplatModel:
    torch.manual_seed(0)
    model = models.build(CONFIGS[name])
    params = torch.from_numpy(np.stack([f.params for f in fits]))
    model.adapt(Batch(params, SIZE, torch.zeros(len(fits), 3, 120, 160)))
    return model.eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two small pictures, four models, and the table."""
    folder = tmp_path_factory.mktemp("models")
    pictures = [scene((120, 160, 3), seed=i) for i in range(2)]
    (folder / "pictures").mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / "pictures" / f"{i}.png")
    frames = [framed(picture) for picture in pictures]
    fits = [fit(frame) for frame in frames]
    for name in CONFIGS:
        models.save(adapted(name, fits), folder / f"{name}.safetensors", {})
    (folder / "run").mkdir()
    anchors = Anchors(width=8, layers=1)
    anchors.prior = random_prior(0)
    models.save(anchors, folder / "run" / "best.safetensors", {})
    files = [
        *(folder / f"{name}.safetensors" for name in CONFIGS),
        folder / "run" / "best.safetensors",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "REPEATS", 1)
        patch.setattr(evaluation, "BUDGETS", (2048, 4096))
        result = compare(files, [folder / "pictures"], folder / "out")
    return folder, frames, fits, result


def row(made, name: str) -> dict:
    return next(r for r in made[3]["rows"] if r["name"] == name)


def decoded(made, name: str) -> list[np.ndarray]:
    model = models.load(made[0] / f"{name}.safetensors")
    return [Splats(output(model, f).splats[0].numpy(), SIZE).canonical().params for f in made[2]]


def output(model: SplatModel, splats: Splats) -> Output:
    with torch.no_grad():
        return model(
            Batch(torch.from_numpy(splats.params)[None], SIZE, torch.zeros(1, 3, 120, 160))
        )


def test_a_row_for_each_model_and_for_each_quality_of_records(made):
    records = [f"run, record of quality {q}" for q in (25, 50, 75)]
    references = ["the fit itself", "fit with another seed", "fit of another frame"]
    assert [r["name"] for r in made[3]["rows"]] == [*references, *CONFIGS, "run", *records]
    assert made[3]["images"] == 2


@pytest.mark.parametrize("name", CONFIGS)
def test_pictures_are_scored_as_drawn_at_the_size_of_the_frame(made, name):
    found, (_, frames, _, _) = row(made, name), made
    drawn = [render(Splats(params, SIZE)) for params in decoded(made, name)]
    errors = [np.mean((np.float64(a) - b) ** 2) for a, b in zip(frames, drawn)]
    assert found["psnr"] == pytest.approx(np.mean([10 * np.log10(255**2 / e) for e in errors]))
    how = {
        "channel_axis": 2,
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
    }
    similar = [structural_similarity(a, b, **how) for a, b in zip(frames, drawn)]
    assert found["ssim"] == pytest.approx(
        np.mean(similar), abs=2e-3
    )  # skimage counts windows at the border, too


@pytest.mark.parametrize("name", CONFIGS)
def test_errors_are_those_of_partners(made, name):
    sets, fitted = np.stack(decoded(made, name)), np.stack([f.params for f in made[2]])
    for group, error in group_errors(
        torch.from_numpy(sets), torch.from_numpy(fitted), SIZE
    ).items():
        assert row(made, name)[group] == pytest.approx(error)


def test_calibration_rows(made):
    _, frames, fits, _ = made
    itself = row(made, "the fit itself")
    again, other = (
        row(made, f"fit {which}") for which in ("with another seed", "of another frame")
    )
    assert all(itself[group] == 0 for group in evaluation.ERRORS)
    assert itself["psnr"] == pytest.approx(
        np.mean([psnr(a, render(f)) for a, f in zip(frames, fits)])
    )
    assert other["psnr"] == pytest.approx(
        np.mean([psnr(a, render(f)) for a, f in zip(frames, fits[::-1])])
    )
    assert 0 < again["position"] < other["position"] < 1 and again["psnr"] > other["psnr"] + 3
    assert itself["bytes"] is None and itself["psnr_above_webp"] is None


def test_bytes_say_what_they_are(made):
    vector, conv, grid = (row(made, name) for name in CONFIGS)
    assert (vector["bytes"], vector["counted"]) == (2 * 12, "float16")
    model, fits = models.load(made[0] / "conv.safetensors"), made[2]
    nats = []
    for splats in fits:
        found = output(model, splats)
        posterior = torch.distributions.Normal(found.mean, (found.log_variance / 2).exp())
        nats.append(
            float(
                torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0, 1)).sum()
            )
        )
    assert conv["bytes"] == pytest.approx(np.mean(nats) / np.log(2) / 8, rel=1e-4)
    assert conv["counted"] == "KL divergence"
    model = models.load(made[0] / "grid.safetensors")
    assert grid["bytes"] == pytest.approx(
        np.mean([float(output(model, f).bits.sum()) / 8 for f in fits]), rel=1e-5
    )
    assert grid["counted"] == "bits under its prior"


def test_records_are_whole_and_of_the_frame(made):
    codec, frames = FrameCodec("cpu", made[0] / "run" / "best.safetensors"), made[1]
    records = [codec.encode(frame, 25) for frame in frames]
    found = row(made, "run, record of quality 25")
    assert found["bytes"] == np.mean(list(map(len, records)))
    drawn = [render(codec.splats(record)) for record in records]
    assert found["psnr"] == pytest.approx(np.mean([psnr(a, b) for a, b in zip(frames, drawn)]))
    sizes = [row(made, f"run, record of quality {q}")["bytes"] for q in (25, 50, 75)]
    assert sizes == sorted(sizes) and found["counted"] == "whole record"


def test_peers_get_the_same_bytes_for_every_frame(made):
    name = "run, record of quality 75"
    codec, frames = FrameCodec("cpu", made[0] / "run" / "best.safetensors"), made[1]
    records = [codec.encode(frame, 75) for frame in frames]
    for peer in ("jpeg", "webp"):
        gains = []
        for frame, record in zip(frames, records):
            ours = psnr(frame, render(codec.splats(record)))
            if theirs := at_bytes(frame, peer, len(record)):
                gains.append(ours - psnr(frame, theirs.image))
        assert row(made, name)[f"{peer}_fitted"] == len(gains)
        assert row(made, name)[f"psnr_above_{peer}"] == pytest.approx(
            np.mean(gains) if gains else None
        )
    few = row(made, "vector")  # no WebP in 24 bytes
    assert few["webp_fitted"] == 0 and few["psnr_above_webp"] is None
    results = [at_bytes(frame, "webp", 4096) for frame in frames]
    [found] = [p for p in made[3]["peers"] if (p["codec"], p["bytes"]) == ("webp", 4096)]
    assert found["psnr"] == pytest.approx(
        np.mean([psnr(f, r.image) for f, r in zip(frames, results)])
    )


def test_floor(made):
    floors = [psnr(frame, dct_floor(frame, 512)) for frame in made[1]]
    assert made[3]["floor"]["psnr"] == pytest.approx(np.mean(floors))


def test_files(made):
    out, result = made[0] / "out", made[3]
    assert sorted(p.name for p in out.iterdir()) == ["models.csv", "models.png", "pictures.png"]
    lines = list(csv.DictReader((out / "models.csv").open()))
    assert [line["name"] for line in lines] == [r["name"] for r in result["rows"]]
    assert [float(line["psnr"]) for line in lines] == [r["psnr"] for r in result["rows"]]
    width, height = evaluation.THUMBNAIL
    sheet = np.asarray(Image.open(out / "pictures.png").convert("RGB"))
    assert (
        sheet.shape[0] == pytest.approx(height * (1 + len(result["rows"])), abs=1)
        and sheet.shape[1] > 2 * width
    )
    top = np.asarray(Image.fromarray(made[1][1]).resize((width, height), Image.Resampling.BOX))
    assert np.abs(sheet[2 : height - 2, -width + 2 : -2].astype(int) - top[2:-2, 2:-2]).mean() < 4
    assert min(Image.open(out / "models.png").size) > 400


def test_encoder_and_decoder_are_timed_apart():
    class Sleeper(torch.nn.Module):
        def forward(self, seconds):
            time.sleep(seconds)

    class Slow(SplatModel):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = Sleeper(), Sleeper()

        def forward(self, batch):
            self.encoder(0.03)
            self.decoder(0.01)
            return Output(batch.splats)

    frame = scene((480, 640, 3))
    coded = evaluation._network(Slow())(frame, Splats(np.zeros((1, 8), np.float32), SIZE))
    assert coded.encode_ms >= 30 and 10 <= coded.decode_ms < coded.encode_ms and coded.bytes is None


@pytest.mark.parametrize("shape", [(480, 640, 3), (120, 480), (480, 120, 3), (960, 1280, 3)])
def test_frames_are_the_middle_at_one_size(shape):
    image = np.zeros(shape, np.uint8)
    h, w = shape[:2]
    image[h // 2 - h // 8 : h // 2 + h // 8, w // 2 - w // 8 : w // 2 + w // 8] = 200
    frame = framed(image)
    assert frame.shape == (480, 640, 3) and frame.flags.c_contiguous
    np.testing.assert_array_equal(frame[240, 320], [200] * 3)
    np.testing.assert_allclose(frame, frame[::-1, ::-1], atol=1)
    if shape == (480, 640, 3):
        np.testing.assert_array_equal(frame, image)


def test_the_command_prints_the_table(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluation, "CODECS", ())
    picture, model = str(made[0] / "pictures" / "0.png"), str(made[0] / "vector.safetensors")
    command = ["evaluate", picture, "--models", model, "--out", str(tmp_path / "new")]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    monkeypatch.setattr("gaussvae_ros.evaluation.peers.CODECS", ())
    assert main(command) == 0
    text = capsys.readouterr().out
    assert all(r["name"] in text for r in rows) and "24.00" in text and "float16" in text


def test_bad_input_gets_one_line(made, tmp_path, capsys):
    picture = str(made[0] / "pictures" / "0.png")
    for images, model in (
        (picture, "absent"),
        (picture, picture),
        (str(tmp_path / "none"), "vector"),
    ):
        assert main(["evaluate", images, "--models", model, "--out", str(tmp_path / "out")]) == 2
        error = io.StringIO(capsys.readouterr().err).readlines()
        assert len(error) == 1 and not (tmp_path / "out").exists()
