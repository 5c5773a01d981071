"""Models by name, and their files: there and back, the same bytes, damage and mistakes named."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_vae_losses import SIZE, fits

from gaussvae_ros.errors import ModelError
from gaussvae_ros.training import models
from gaussvae_ros.training.model import Batch
from gaussvae_ros.vae import models as files

SMALL = {"architecture": "vector", "latent": 4, "hidden": [8], "splats": 12}
CARD = {"data": "none", "scores": {"psnr": 12.5}}


def small(seed: int = 0):
    torch.manual_seed(seed)
    model = models.build(SMALL)
    model.adapt(Batch(fits(), SIZE, torch.zeros(3, 3, 24, 32)))
    return model


@pytest.fixture
def file(tmp_path):
    models.save(small(), tmp_path / "small.safetensors", CARD)
    return tmp_path / "small.safetensors"


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_every_architecture_can_be_built_saved_and_loaded(name, tmp_path):
    if name == "resnet1d":
        model = models.build({"architecture": name, "latent": 4, "splats": 16})
    else:
        model = models.build({"architecture": name})
    models.save(model, tmp_path / "m.safetensors", {})
    again = models.load(tmp_path / "m.safetensors")
    assert type(again) is type(model) and again.config == model.config and not again.training
    assert not any(p.requires_grad for p in again.parameters())
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    json.dumps(model.config)


def test_a_loaded_model_gives_the_same_numbers(file):
    batch = Batch(fits(), SIZE, torch.zeros(3, 3, 24, 32))
    assert torch.equal(models.load(file)(batch).splats, small().eval()(batch).splats)


def test_a_file_says_what_it_is(file):
    config = {key: value for key, value in SMALL.items() if key != "architecture"} | {
        "parameters": "raw"
    }
    assert files.describe(file) == {"architecture": "vector", "config": config, "card": CARD}
    card = {"name": "größer", "curve": [0.1, 1e-30, None], "limits": "\n"}
    models.save(small(), file, card)
    assert files.describe(file)["card"] == card


def test_the_same_model_is_the_same_bytes_and_another_is_not(file, tmp_path):
    for other, card, same in ((small(), CARD, True), (small(1), CARD, False), (small(), {}, False)):
        models.save(other, tmp_path / "other.safetensors", card)
        assert (file.read_bytes() == (tmp_path / "other.safetensors").read_bytes()) is same


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused(data, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "damaged.safetensors"
    models.save(small(), path, CARD)
    whole = path.read_bytes()
    if data.draw(st.booleans(), label="cut"):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    else:
        broken = bytearray(whole)
        at = data.draw(st.integers(0, len(whole) - 1))
        broken[at] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(broken)
    with pytest.raises(ModelError, match="damaged.safetensors"):
        models.load(path)


def test_other_safetensors_files_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="not a model of gaussvae_ros"):
        models.load(tmp_path / "a.safetensors")


def test_weights_of_another_shape_are_refused(file, monkeypatch):
    about, tensors = files.read(file)
    about["config"]["latent"] = 5
    monkeypatch.setattr(models, "read", lambda path: (about, tensors))
    with pytest.raises(ModelError, match="not those of a vector model"):
        models.load(file)


def test_models_are_found_by_name_where_things_are_installed(file, tmp_path, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'nothing'}:{tmp_path / 'ws'}")
    place = tmp_path / "ws" / "share" / "gaussvae_ros" / "models"
    assert place in files.model_folders()
    place.mkdir(parents=True)
    file.rename(place / "small_one.safetensors")
    assert models.load("small_one").config["latent"] == 4
    with pytest.raises(ModelError, match="there is no model 'small_two'; there is .*small_one"):
        models.load("small_two")
    assert files.find(place / "small_one.safetensors") == place / "small_one.safetensors"


@pytest.mark.parametrize("path", ["nowhere.safetensors", "no/such/model"])
def test_a_missing_file_is_refused(path):
    with pytest.raises(ModelError, match="no such model file"):
        models.load(path)


@pytest.mark.parametrize(
    "config, message",
    [
        ({}, "architecture None is unknown; there is .*conv1d"),
        ({"architecture": "transformer"}, "'transformer' is unknown"),
        ({"architecture": ["vector"]}, "is unknown"),
        (
            {"architecture": "vector", "latnet": 3},
            "vector has no setting 'latnet'; it has latent, hidden",
        ),
        ({"architecture": "vector", "latent": "many"}, "cannot be built with"),
        ({"architecture": "vector", "latent": -3}, "cannot be built with"),
        ({"architecture": "vector", "parameters": "polar"}, "canonical or raw"),
        ({"architecture": "conv1d", "splats": 30}, "multiple of 4"),
    ],
)
def test_a_wrong_config_is_refused(config, message):
    with pytest.raises(ModelError, match=message):
        models.build(config)


def test_a_model_of_no_architecture_is_not_saved(tmp_path):
    class Mine(type(small())):
        pass

    with pytest.raises(ModelError, match="not one of the architectures"):
        models.save(Mine(), tmp_path / "m.safetensors", {})
    assert not list(tmp_path.iterdir())
