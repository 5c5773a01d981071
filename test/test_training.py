"""The training loop: exact resume after a kill, early stopping, full disks, losses that are none, two processes, files."""

import csv
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import CONFIG, SIZE, changed, one_thread, start, write_samples  # noqa: F401 (one_thread: a fixture of the whole file)

from gaussvae_ros.cli import main
from gaussvae_ros.errors import GaussVaeError, TrainingError
from gaussvae_ros.training import checkpoints
from gaussvae_ros.training import models
from gaussvae_ros.vae import models as files
from gaussvae_ros.training.config import Training, config_of, dump_config
from gaussvae_ros.training.losses import Objective
from gaussvae_ros.training.shards import Shards
from gaussvae_ros.training.loop import VALIDATION, DivergedError, learning_rate, train
from gaussvae_ros.training.validation import validate


def noisy(**training: object) -> dict:
    """A model with noise and dropout in every step, and statistics in buffers: what a resume could get wrong."""
    losses = {**CONFIG["losses"], "kl": {"weight": 1e-3}}
    return {
        **changed(training=training),
        "model": {"architecture": "conv1d", "latent": 8},
        "losses": losses,
    }


NOISY = noisy()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_samples(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """20 steps of NOISY at once: the folder."""
    out = tmp_path_factory.mktemp("straight") / "out"
    train(config_of(NOISY), data, out)
    return out


def kept(out: Path) -> dict:
    return torch.load(out / checkpoints.CHECKPOINT, weights_only=True)


def weights(out: Path, part: str = "model") -> dict[str, torch.Tensor]:
    return kept(out)["states"][part]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def rows(out: Path) -> list[dict]:
    return (
        list(csv.DictReader((out / checkpoints.CURVE).open()))
        if (out / checkpoints.CURVE).exists()
        else []
    )


def wait_for(step: int, out: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 600
    while not any(int(row["step"]) >= step for row in rows(out)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.005)


def without_time(curve: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in curve]


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


def test_a_stopped_command_says_so(data, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(dump_config(changed(training={"steps": 10**6})))
    command = [
        "train",
        "run",
        str(tmp_path / "c.yaml"),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert main(command) == 0
    said = capsys.readouterr()
    result, progress = json.loads(said.out), kept(tmp_path / "out")["progress"]
    assert said.err == "" and result["stopped"] == "signal"
    assert progress["step"] == result["step"] > 0 and progress["count"] == result["step"] % 5


def test_early_stopping(data, tmp_path):
    config = config_of(changed(training={"learning_rate": 0, "patience": 2, "steps": 1000}))
    result = train(config, data, tmp_path / "out")
    assert (result["stopped"], result["step"], result["best"]["step"]) == ("patience", 10, 0)


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_checkpoint(data, tmp_path, capsys):
    training = {
        "learning_rate": 1e30,
        "warmup": 0,
        "clip": 0,
        "ema": 0,
        "validate_every": 1000,
        "steps": 1000,
    }
    (tmp_path / "c.yaml").write_text(dump_config(changed(training=training)))
    command = [
        "train",
        "run",
        str(tmp_path / "c.yaml"),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert (
        err.count("\n") == 1
        and err.startswith("gaussvae: step 2: the loss is")
        and "checkpoint.pt" in err
    )
    state = kept(tmp_path / "out")
    assert state["progress"]["step"] == 0 and all(
        w.isfinite().all() for w in state["states"]["model"].values()
    )
    with pytest.raises(DivergedError, match="step 2"):
        train(config_of(changed(training=training)), data, tmp_path / "out", resume=True)


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


def test_a_full_disk_leaves_the_checkpoint_before(data, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"needs a small disk of its own: {mount.stderr.strip()}")

    def fill(step, figures):
        if step == 10:
            with pytest.raises(OSError), open(disk / "filler", "wb", 0) as file:
                while True:
                    file.write(bytes(4096))

    try:
        with pytest.raises(OSError, match="No space left"):
            train(config_of(CONFIG), data, disk / "out", watch=fill)
        assert kept(disk / "out")["progress"]["step"] == 10
        (disk / "filler").unlink()
        assert train(config_of(CONFIG), data, disk / "out", resume=True)["step"] == 20
    finally:
        subprocess.run(["umount", disk], check=True)


def test_two_processes_do_what_one_does_with_the_whole_batch(data, tmp_path):
    """As torchrun starts them. Equal weights need averaged gradients, and each process its own half of the batch."""
    config = changed(training={"steps": 6, "validate_every": 3}, data={"augment": False})
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    team = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    both = [
        start(tmp_path, "run", config, "--data", data, "--out", tmp_path / f"out{rank}",
              name=str(rank), RANK=str(rank), LOCAL_RANK=str(rank), **team)
        for rank in range(2)
    ]  # fmt: skip
    train(config_of(config), data, tmp_path / "one")
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert (
        json.loads(said[0][0])["step"] == 6
        and said[1][0] == ""
        and not (tmp_path / "out1").exists()
    )
    one, two = weights(tmp_path / "one"), weights(tmp_path / "out0")
    assert all(torch.allclose(one[key], two[key], atol=1e-4) for key in one)


def test_the_average_follows_the_weights(data, tmp_path):
    config, kept_each = (
        config_of(changed(training={"steps": 3, "validate_every": 1, "ema": 0.15})),
        [],
    )
    train(
        config,
        data,
        tmp_path,
        watch=lambda step, figures: kept_each.append(kept(tmp_path)["states"]),
    )
    for step, (before, after) in enumerate(zip(kept_each, kept_each[1:])):
        keep = min(0.15, (1 + step) / (10 + step))
        for key, new in after["model"].items():
            wanted = keep * before["average"][key] + (1 - keep) * new
            assert torch.allclose(after["average"][key], wanted, atol=1e-6)


def test_learning_rate():
    t = Training(steps=1010, warmup=10, learning_rate=2.0)
    rates = [learning_rate(t, step) for step in range(1010)]
    assert (
        rates[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
        and max(rates) == rates[10] == 2
    )
    assert (
        rates[510] == pytest.approx(1)
        and 0 < rates[-1] < 1e-5
        and rates[10:] == sorted(rates[10:], reverse=True)
    )
    flat = Training(steps=20, warmup=0, learning_rate=2.0, schedule="constant")
    assert {learning_rate(flat, step) for step in range(20)} == {2.0}


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


def test_validation_is_the_mean_over_samples_however_they_are_batched(data):
    model = models.build(NOISY["model"])
    shards = Shards(data, "train")
    model.adapt(shards.batch(np.arange(12), SIZE))
    parts = [shards.batch(np.arange(a, b), SIZE) for a, b in ((0, 5), (5, 6), (6, 12))]
    many = validate(model, Objective(NOISY["losses"], model), parts, 20)
    one = validate(
        model, Objective(NOISY["losses"], model), [shards.batch(np.arange(12), SIZE)], 20
    )
    for name in one.figures.keys() - {"parameters/rotation"}:
        assert many.figures[name] == pytest.approx(one.figures[name], rel=1e-4), name
    assert np.allclose(many.bits, one.bits, atol=1e-6) and many.bits.shape == (8,)
    assert one.pictures.shape == (3 * SIZE[1], 6 * SIZE[0], 3)
    original = np.hstack(np.load(data / "train-00000.npy")["picture"][:6])
    assert np.array_equal(one.pictures[: SIZE[1]], original)
    fit = one.pictures[SIZE[1] : 2 * SIZE[1]].astype(int)
    assert np.abs(fit - original).mean() < 1  # these pictures are what their splats draw


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


def test_a_small_training_learns(data, tmp_path):
    """It ends at 0.57 of the loss of a training whose steps have no length, and at 0.8 at best of that of new data."""
    runs = {}
    for rate in (0.01, 0):
        training = {"steps": 300, "learning_rate": rate, "validate_every": 50}
        train(
            config_of(changed(training=training, data={"augment": False})),
            data,
            tmp_path / str(rate),
        )
        runs[rate] = rows(tmp_path / str(rate))
    learned, control = (float(runs[rate][-1]["train/loss"]) for rate in (0.01, 0))
    assert learned < 0.75 * control
    learned, control = (min(float(row["valid/loss"]) for row in runs[rate]) for rate in (0.01, 0))
    assert learned < 0.9 * control and VALIDATION >= 4


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


def test_without_tensorboard_it_says_what_to_install(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(TrainingError, match=r"pip install gaussvae_ros\[train\]"):
        train(config_of(CONFIG), data, tmp_path / "out")
    assert not (tmp_path / "out" / checkpoints.CHECKPOINT).exists()
