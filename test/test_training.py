"""The training loop: exact resume after a kill or a signal, and the files that it leaves."""

import json
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import CONFIG, SIZE, one_thread, start, write_samples  # noqa: F401 (a fixture)
from trainings import NOISY, kept, noisy, rows, same, wait_for, weights, without_time

from gaussvae_ros.errors import GaussVaeError, TrainingError
from gaussvae_ros.training import checkpoints, models
from gaussvae_ros.training.config import config_of
from gaussvae_ros.training.loop import train
from gaussvae_ros.training.losses import Objective
from gaussvae_ros.training.shards import Shards
from gaussvae_ros.training.validation import validate
from gaussvae_ros.vae import models as files


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """20 steps of NOISY at once: the folder."""
    out = tmp_path_factory.mktemp("straight") / "out"
    train(config_of(NOISY), data, out)
    return out


def test_killed_and_resumed_is_bit_for_bit_what_one_run_gives(data, straight, tmp_path):
    process = start(tmp_path, "run", NOISY, "--data", data, "--out", tmp_path / "out")
    wait_for(10, tmp_path / "out", process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and kept(tmp_path / "out")["progress"]["step"] in (
        5,
        10,
        15,
    )
    assert train(config_of(NOISY), data, tmp_path / "out", resume=True)["step"] == 20
    for part in ("model", "average"):
        assert same(weights(tmp_path / "out", part), weights(straight, part))
    assert without_time(rows(tmp_path / "out")) == without_time(rows(straight))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_checkpoint_between_validations(number, data, straight, tmp_path):
    config, out, sent = config_of(noisy(validate_every=20)), tmp_path / "out", []

    def send(step, figures):
        if not sent:
            signal.raise_signal(number)  # during the first validation
        sent.append(step)

    before = signal.getsignal(number)
    assert (
        train(config, data, out, watch=send)["stopped"] == "signal"
        and signal.getsignal(number) is before
    )
    assert kept(out)["progress"]["step"] == 0
    result = train(config, data, out, resume=True)
    assert result["stopped"] == "steps" and same(weights(out), weights(straight))


def test_a_file_that_cannot_grow_leaves_the_checkpoint_before(data, straight, tmp_path):
    out, limits = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)

    def shrink(step, figures):
        if step == 10:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))

    try:
        with pytest.raises(OSError) as caught:
            train(config_of(NOISY), data, out, watch=shrink)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Path(caught.value.filename).parent == out and caught.value.strerror
    assert kept(out)["progress"]["step"] == 10 and not list(out.glob(".*"))
    train(config_of(NOISY), data, out, resume=True)
    assert same(weights(out), weights(straight))


def test_the_model_that_is_kept_scores_what_its_card_says(data, straight):
    card = json.loads((straight / checkpoints.CARD).read_text())
    model = models.load(straight / checkpoints.BEST)
    assert files.describe(straight / checkpoints.BEST)["card"] == card
    assert card["step"] == int(
        min(rows(straight), key=lambda row: float(row["valid/loss"]))["step"]
    )
    batch = Shards(data, "valid").batch(np.arange(4), SIZE)
    found = validate(model, Objective(NOISY["losses"], model), [batch], 20).figures
    assert found["psnr"] == pytest.approx(card["validation"]["valid/psnr"], abs=1e-4)
    assert found["loss"] == pytest.approx(card["validation"]["valid/loss"], rel=1e-5)
    assert card["config"] == config_of(NOISY).as_dict() and card["config"]["training"]["seed"] == 0
    assert card["data"]["sources"] == [
        {"name": "made", "kind": "folder", "licence": "ours", "pictures": 2, "crops": 2}
    ]
    assert (
        card["machine"]["cores"] >= 1
        and card["versions"]["torch"] == torch.__version__
        and card["seconds"] > 0
    )
    assert [point["step"] for point in card["curve"]] == [0, 5, 10, 15, 20][: len(card["curve"])]
    assert (straight / checkpoints.MANIFEST).read_text() == (data / "manifest.json").read_text()


def test_tensorboard_reads_the_curves_and_pictures(straight):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(
        str(straight), size_guidance={"images": 0, "scalars": 0, "histograms": 0}
    ).Reload()
    scalars = events.Tags()["scalars"]
    for part, name in (
        ("train", "learning_rate"),
        ("train", "parameters/rotation"),
        ("valid", "kl"),
        ("valid", "active"),
    ):
        assert f"{part}/{name}" in scalars
    points = {e.step: e.value for e in events.Scalars("valid/psnr")}
    assert points == pytest.approx(
        {int(r["step"]): float(r["valid/psnr"]) for r in rows(straight)}, rel=1e-4
    )
    assert events.Images("originals, fits, reconstructions")[0].width == 4 * SIZE[0]
    assert sum(events.Histograms("bits per latent dimension")[-1].histogram_value.bucket) == 8


def test_a_training_can_begin_with_the_weights_of_another(data, straight, tmp_path):
    best = straight / checkpoints.BEST
    config = noisy(steps=1, learning_rate=0, init_from=str(best))
    train(config_of(config), data, tmp_path / "a")
    loaded = models.load(best).state_dict()
    got = weights(tmp_path / "a")
    assert all(
        torch.equal(got[key], loaded[key])
        for key in loaded
        if "running" not in key and "batches" not in key
    )
    with pytest.raises(TrainingError, match="init_from .* its weights are of another shape"):
        train(
            config_of({**config, "model": {"architecture": "conv1d", "latent": 9}}),
            data,
            tmp_path / "b",
        )


def test_what_cannot_begin_or_go_on_says_why(data, straight, tmp_path):
    def says(text, config=CONFIG, data=data, out=tmp_path / "new", resume=False):
        with pytest.raises((GaussVaeError, OSError)) as caught:
            train(config_of(config), data, out, resume)
        assert text in str(caught.value) and "\n" not in str(caught.value)
        assert not (tmp_path / "new").exists()

    says("go on with --resume", out=straight)
    says("nothing to resume", resume=True)
    says("training.steps: 20, the config has 30", noisy(steps=30), out=straight, resume=True)
    (tmp_path / "other").mkdir()
    says("began with other data", NOISY, write_samples(tmp_path / "other", seed=1), straight, True)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "checkpoint.pt").write_bytes(
        (straight / "checkpoint.pt").read_bytes()[:1000]
    )
    says("damaged", NOISY, out=tmp_path / "damaged", resume=True)
    (tmp_path / "empty").mkdir()
    says("holds no training data", data=tmp_path / "empty")
    says("is unknown", {**CONFIG, "model": {"architecture": "magic"}})
    says("losses", {**CONFIG, "losses": {"magic": {}}})
    says("no setting", {**CONFIG, "model": {"architecture": "vector", "depth": 3}})
