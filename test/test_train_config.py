"""Config files: defaults, and one line that names the key for whatever is wrong."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gaussvae_ros.errors import ConfigError
from gaussvae_ros.training.config import Data, Training, config_of, dump_config, load_config

ROOT = Path(__file__).parents[1]
MODEL = {"architecture": "vector"}


def test_defaults_and_what_is_given():
    config = config_of(
        {"model": MODEL, "training": {"learning_rate": 1, "picture": [80, 60]}, "losses": None}
    )
    assert (
        config.training == Training(learning_rate=1.0, picture=(80, 60)) and config.data == Data()
    )
    assert isinstance(config.training.learning_rate, float) and config.losses == config.search == {}


def test_a_config_written_out_reads_as_itself(tmp_path):
    search = {"training.learning_rate": [1e-5, 0.1, "log"], "model.latent": [16, 32]}
    config = config_of({"model": MODEL, "losses": {"kl": {"weight": 1e-6}}, "search": search})
    (tmp_path / "c.yaml").write_text(dump_config(config.as_dict()))
    assert load_config(tmp_path / "c.yaml") == config


def test_numbers_are_numbers_however_they_are_written(tmp_path):
    text = (
        "model: {architecture: vector}\n"
        "training: {learning_rate: 1e-4, weight_decay: 2.5E-3, clip: 3}"
    )
    (tmp_path / "c.yaml").write_text(text)
    training = load_config(tmp_path / "c.yaml").training
    assert (training.learning_rate, training.weight_decay, training.clip) == (1e-4, 2.5e-3, 3.0)


# That one is for the nodes.
MODELS = sorted(set((ROOT / "config").glob("*.yaml")) - {ROOT / "config" / "memory.yaml"})


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_configs_that_ship_are_configs(path):
    assert load_config(path).model["architecture"]


def test_the_documentation_has_every_key_with_its_default():
    table = re.findall(
        r"^\| `(\w+)` \| ([^|]*?) ?\| ", (ROOT / "docs" / "training.md").read_text(), re.MULTILINE
    )
    assert {key: text for key, text in table} == {
        f.name: str(list(f.default)) if isinstance(f.default, tuple) else str(f.default)
        for f in fields(Training)
    }


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "a mapping with the key model"),
        ("- 1", "a mapping with the key model"),
        ("model: {", "line 1"),
        ("model: {}\nmodel: {}", "duplicate key"),
        ("losses: {}", "model.architecture is missing"),
        ("model: 3", "model is a mapping"),
        ("model: {architecture: vector}\ntrainig: {}", "unknown key trainig"),
        (
            "model: {architecture: vector}\ntraining: {step: 3}",
            "unknown key training.step; known are steps,",
        ),
        ("model: {architecture: vector}\ndata: {mirror: true}", "unknown key data.mirror"),
        (
            "model: {architecture: vector}\ndata: {augment: 1}",
            "data.augment is true or false, not 1",
        ),
        (
            "model: {architecture: vector}\ntraining: {steps: 2.5}",
            "training.steps is a whole number, not 2.5",
        ),
        (
            "model: {architecture: vector}\ntraining: {steps: true}",
            "training.steps is a whole number",
        ),
        (
            "model: {architecture: vector}\ntraining: {steps: 0}",
            "training.steps is at least 1, not 0",
        ),
        (
            "model: {architecture: vector}\ntraining: {ema: 1.0}",
            "training.ema is at least 0 and below 1",
        ),
        (
            "model: {architecture: vector}\ntraining: {learning_rate: .nan}",
            "training.learning_rate is at least 0",
        ),
        ("model: {architecture: vector}\ntraining: {clip: .inf}", "training.clip is at least 0"),
        (
            "model: {architecture: vector}\ntraining: {clip: low}",
            "training.clip is a number, not 'low'",
        ),
        ("model: {architecture: vector}\ntraining: {precision: float16}", "float32 or bfloat16"),
        (
            "model: {architecture: vector}\ntraining: {picture: 160}",
            "training.picture is 2 numbers",
        ),
        (
            "model: {architecture: vector}\ntraining: {picture: [160, 1]}",
            "training.picture is at least 11",
        ),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text, says, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "c.yaml")
    said = str(caught.value)
    assert says in said and said.startswith(f"{tmp_path}/c.yaml: ") and "\n" not in said


def test_bytes_that_are_no_text_are_no_config(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError):
        load_config(tmp_path / "c.yaml")
