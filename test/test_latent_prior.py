"""The learned prior of latents: what is written is read, exactly and everywhere, and is short."""

import hashlib
import json

import numpy as np
import pytest
import torch
from grids import random_grid
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import write_samples

from gaussvae_ros.cli import main
from gaussvae_ros.entropy import grid, prior
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.training.splats_prior import bits_per_splat
from gaussvae_ros.errors import ModelError, RecordError
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.quantise import quantise
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor, render
from gaussvae_ros.sim.drive import FOCAL, MOUNT, where
from gaussvae_ros.training import models
from gaussvae_ros.vae import contexts
from gaussvae_ros.vae import models as files
from gaussvae_ros.training import latent_prior
from gaussvae_ros.training import prior_networks as learning
from gaussvae_ros.training.anchors import Anchors
from gaussvae_ros.vae.contexts import ANGLE, KINDS, MOST, ONE, OUTPUTS, SHIFT
from gaussvae_ros.training.conv1d import Conv1D
from gaussvae_ros.vae.prior import GAIN, RANGES, Prior

SIZE, FOCAL = (160, 120), FOCAL / 4  # px, of the frames here
FROZEN = "dc30b2891247353c5eac0d81867df89b54e4b040542a237849e9d3e19616361e"  # SHA-256 of `some_grid(7)`'s stream


def random_prior(seed: int, hidden: int = 24) -> Prior:
    """Networks that say something else of every splat."""
    rng, networks = np.random.default_rng(seed), {}
    for k, kind in enumerate(KINDS):
        widths = [contexts.feature_count(k), hidden, hidden, OUTPUTS]
        made = {
            "mean": rng.integers(-500, 500, widths[0]),
            "gain": rng.integers(0, 3000, widths[0]),
        }
        for layer, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
            made[f"weight{layer}"] = rng.integers(-200, 201, (fan_in, fan_out))
            made[f"bias{layer}"] = rng.integers(-20000, 20001, fan_out)
        networks[kind] = made
    return Prior(networks)


def some_grid(seed: int, size=(640, 480), n=40, precision=130, channels=3) -> Grid:
    return random_grid(np.random.default_rng(seed), size, n, precision, channels)


def read(law: Prior, data: bytes, g: Grid) -> Grid:
    return law.read(data, g.size, len(g.cell), g.precision, g.colour.shape[1])


def fields(g: Grid) -> list:
    return [
        g.size,
        g.precision,
        *(a.tolist() for a in (g.cell, g.scale, g.aspect, g.angle, g.shift, g.colour)),
    ]


@pytest.fixture(scope="module")
def law():
    return random_prior(0)


@pytest.fixture(scope="module")
def fits():
    """Fits of frames of the simulated drive, small ones to save time."""
    world, sensor = build(0), Sensor(SIZE, FOCAL, 0)
    views = [
        render(world, x, y, MOUNT[2], yaw, SIZE, FOCAL)
        for x, y, yaw in where(np.arange(10) * 1.7, 30.0)
    ]
    frames = [sensor.expose(view, 0.0) for view in views]
    return [quantise(frame, descend(frame, 96, EFFORTS["fast"]), 131, "fast") for frame in frames]


# Round trips


COLOURS = st.sampled_from([1, 3])
SIDES = st.one_of(st.integers(1, 1000), st.sampled_from([1, 2, 640, 65535]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(SIDES, SIDES),
    st.integers(1, 200),
    st.integers(0, 255),
    COLOURS,
)
def test_what_is_written_is_read(seed, size, n, precision, channels):
    law, g = random_prior(seed % 5), some_grid(seed, size, n, precision, channels)
    data = law.write(g)
    assert fields(read(law, data, g)) == fields(g)
    assert 8 * len(data) == pytest.approx(sum(law.bits(g).values()), rel=0.01, abs=40)


def test_fits_are_read_and_weighed(law, fits):
    for g in fits[:3]:
        data = law.write(g)
        assert fields(read(law, data, g)) == fields(g)
        bits = law.bits(g)
        assert 8 * len(data) == pytest.approx(sum(bits.values()), rel=0.01)
        assert list(bits) == ["cells", *KINDS, "shifts"]


def test_tensors_bring_the_prior_back(law):
    tensors = law.tensors()
    assert {a.dtype.name for a in tensors.values()} == {"int16", "int32"} and len(
        tensors
    ) == 8 * len(KINDS)
    again, g = Prior.from_tensors(tensors), some_grid(1)
    assert again.write(g) == law.write(g)
    assert all((again.tensors()[name] == array).all() for name, array in tensors.items())


def test_the_format_is_frozen():
    law, g = random_prior(7), some_grid(7)
    assert hashlib.sha256(law.write(g)).hexdigest() == FROZEN


# Exactness


def by_matmul(law: Prior, kind: int, rows: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """The network of a kind again, by torch's products of matrices of `dtype`."""
    arrays = {
        name.partition("_")[2]: a
        for name, a in law.tensors().items()
        if name.startswith(KINDS[kind])
    }
    z = (rows - arrays["mean"] / GAIN) * (arrays["gain"] / GAIN)
    x = torch.from_numpy(np.floor(z / (1 + np.abs(z) / 8) * ONE + 0.5)).to(dtype)
    for layer in range(3):
        weight, bias = (
            torch.from_numpy(arrays[f"{what}{layer}"]).to(dtype) for what in ("weight", "bias")
        )
        x = torch.clamp(
            torch.floor((x @ weight + bias) / 2**SHIFT + 0.5), 0 if layer < 2 else -MOST, MOST
        )
    return x.numpy().astype(np.int32)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_networks_are_exact_in_any_type_thread_count_and_batch(kind, law):
    rows = np.random.default_rng(kind).standard_cauchy((96, contexts.feature_count(kind)))
    outputs = law.outputs(kind, rows)
    assert outputs.std(0).min() > 5 and (np.abs(outputs) < MOST).mean() > 0.5
    threads = torch.get_num_threads()
    for dtype in (torch.float32, torch.float64):
        for number in (1, 2):
            torch.set_num_threads(number)
            for batch in (1, 32, 96):
                parts = [
                    by_matmul(law, kind, rows[i : i + batch], dtype)
                    for i in range(0, len(rows), batch)
                ]
                assert (np.concatenate(parts) == outputs).all()
    torch.set_num_threads(threads)
    assert (
        np.concatenate([law.outputs(kind, rows[i : i + 1]) for i in range(len(rows))]) == outputs
    ).all()


def test_a_splat_at_a_time_gives_the_same_bytes(law, fits, monkeypatch):
    data, plain = law.write(fits[0]), Prior.outputs

    def singly(self, kind, rows):
        return np.concatenate([plain(self, kind, rows[i : i + 1]) for i in range(len(rows))])

    monkeypatch.setattr(Prior, "outputs", singly)
    assert law.write(fits[0]) == data
    assert fields(read(law, data, fits[0])) == fields(fits[0])


# Damage


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damage_is_named_or_gives_splats(law, data):
    g = some_grid(data.draw(st.integers(0, 3)), n=data.draw(st.sampled_from([1, 17, 64])))
    stream = bytearray(law.write(g))
    if data.draw(st.booleans()):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    stream = bytes(stream[: data.draw(st.integers(0, len(stream)))])
    precision = data.draw(st.sampled_from([g.precision, 0, 255]))
    try:
        made = law.read(stream, g.size, len(g.cell), precision, 3)
    except RecordError as error:
        assert "damaged" in str(error)
    else:
        assert np.isfinite(grid.to_splats(made).params).all()


def test_a_prior_of_another_shape_or_with_large_sums_is_refused(law):
    tensors = law.tensors()
    with pytest.raises(ModelError, match="angle"):
        Prior.from_tensors({name: a for name, a in tensors.items() if name != "angle_bias2"})
    for name, array in (
        ("scale_weight1", tensors["scale_weight1"][:, :-1]),
        ("scale_weight0", np.full_like(tensors["scale_weight0"], -(2**15))),
        ("scale_weight0", tensors["scale_weight0"].astype(float)),
    ):
        with pytest.raises(ModelError, match="scale"):
            Prior.from_tensors({**tensors, name: array})


# Learning


def bits_of(kind: int, outputs: torch.Tensor, asked: list) -> torch.Tensor:
    return (
        learning.angle_bits(outputs, *asked)
        if kind == ANGLE
        else learning.ValueBits.apply(outputs, kind, *asked)
    )


def test_bits_in_training_are_those_of_records_and_their_slopes_are_right(fits):
    torch.manual_seed(0)
    for kind in (0, 1, 4, ANGLE):
        _, *asked = learning.heard(fits[:1], kind)
        asked = [torch.from_numpy(a) for a in asked]
        whole = torch.randint(-100, 100, (len(asked[0]), OUTPUTS), dtype=torch.int32)
        outputs = (whole / ONE).float().requires_grad_()
        if kind == ANGLE:
            p = contexts.wheels(
                whole.numpy(), asked[0].numpy(), *prior.axes(), grid.SECTORS, contexts.POWERS
            )
        else:
            unit = contexts.UNITS[kind]
            p = contexts.mixtures(
                whole.numpy(),
                asked[0].numpy(),
                unit,
                asked[1].numpy(),
                *RANGES[kind],
                contexts.POWERS,
            )
        bits = bits_of(kind, outputs, asked)
        true = -np.log2(p[np.arange(len(p)), asked[-1].numpy()] / p.sum(1))
        assert bits.detach().numpy() == pytest.approx(true, rel=2e-3, abs=2e-3)
        bits.sum().backward()
        for column in range(OUTPUTS):
            h = torch.zeros_like(outputs)
            h[:, column] = 0.02
            up, down = (bits_of(kind, outputs + sign * h, asked) for sign in (1, -1))
            slope = ((up - down) / 0.04).detach()
            assert outputs.grad[:, column].numpy() == pytest.approx(
                slope.numpy(), abs=0.03, rel=0.03
            )


def test_learning_makes_other_fits_shorter_and_integers_cost_nothing(fits, monkeypatch):
    monkeypatch.setattr(learning, "BATCH", 256)
    monkeypatch.setattr(learning, "WARMUP", 20)
    networks, lost = {}, 0.0
    for kind, name in enumerate(KINDS):
        features, *asked = learning.heard(fits[:7], kind)
        made = learning.fitted(kind, features, *asked, seed=0, steps=120)
        networks[name] = made.arrays()
        features, *asked = learning.heard(fits[7:], kind)
        with torch.no_grad():
            outputs = made(torch.from_numpy(made.rounded(features)).float() / ONE)
            asked = [torch.from_numpy(a) for a in asked]
        lost -= float(bits_of(kind, outputs, asked).mean())
    law = Prior(networks)
    after, plain = (
        latent_prior.mean_bits(fits[7:], law),
        latent_prior.mean_bits(fits[7:], random_prior(0)),
    )
    fine = np.mean([np.log2(grid.angles(g.scale, g.aspect, g.precision)[1]) for g in fits[7:]])
    assert after["all"] < plain["all"] - 5
    assert abs(sum(after[name] for name in KINDS) - fine + lost) < 0.02
    again = learning.learn(fits[:7], 0, seed=0, steps=120)
    assert all((again[name] == networks["scale"][name]).all() for name in again)


def test_the_prior_that_ships_beats_that_of_the_splats_tier(fits):
    try:
        law = models.load("anchors").prior
    except ModelError as error:
        pytest.skip(str(error))
    assert latent_prior.mean_bits(fits, law)["all"] < bits_per_splat(fits, prior.load())["all"] - 1


def test_the_command_gives_a_model_a_prior(tmp_path, monkeypatch, capsys):
    write_samples(tmp_path)
    models.save(Anchors(width=8, layers=1), tmp_path / "plain.safetensors", {"about": "a test"})
    monkeypatch.setattr(latent_prior, "CHUNKS", 1)
    monkeypatch.setattr(latent_prior, "STEPS", 20)
    out = tmp_path / "made.safetensors"
    command = [
        "train",
        "latents",
        "--data",
        str(tmp_path),
        "--model",
        str(tmp_path / "plain.safetensors"),
    ]
    assert main([*command, "--out", str(out), "--json"]) == 0
    card, made = json.loads(capsys.readouterr().out), models.load(out)
    assert files.describe(out)["card"] == {"about": "a test", "prior": card}
    assert (card["grids"], card["steps"], card["seed"], card["bits_per_splat"]["grids"]) == (
        32,
        20,
        0,
        4,
    )
    g = some_grid(0)
    assert fields(read(made.prior, made.prior.write(g), g)) == fields(g)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"--data": "none"}, "no training data"),
        ({"--model": "none.safetensors"}, "no such model"),
        ({"--seed": "-1"}, "--seed"),
    ],
)
def test_bad_input_gets_one_line(changes, text, tmp_path, capsys):
    models.save(Anchors(width=8, layers=1), tmp_path / "m.safetensors", {})
    options = {"--data": ".", "--model": "m.safetensors", "--out": "o.safetensors", **changes}
    paths = [w for k, v in options.items() for w in (k, v if k == "--seed" else str(tmp_path / v))]
    assert main(["train", "latents", *paths]) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1


def test_models_without_records_are_refused(tmp_path):
    models.save(Conv1D(), tmp_path / "m.safetensors", {})
    with pytest.raises(ModelError, match="no records"):
        latent_prior.train_latents(tmp_path, tmp_path / "m.safetensors", tmp_path / "o.safetensors")
