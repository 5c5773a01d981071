"""The search for good values: real studies over SQLite and a file, shared by processes; configs."""

import json
import re

import optuna
import pytest
from samples import (  # noqa: F401 (a fixture)
    changed,
    one_thread,
    start,
    trained_once,
    write_samples,
)
from trainings import terminated_once

from gaussvae_ros.cli import main
from gaussvae_ros.errors import ConfigError, TrainingError
from gaussvae_ros.training.config import config_of, dump_config
from gaussvae_ros.training.search import search

SPACE = {
    "training.learning_rate": [1e-4, 1e-1, "log"],
    "model.latent": [4, 8],
    "training.batch": [2, 4, "linear"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return trained_once(write_samples(tmp_path_factory.mktemp("data")))


def searching(space: dict, **training: object) -> dict:
    return {**changed(training={"steps": 4, "validate_every": 2, **training}), "search": space}


def stored(storage: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="config", storage=storage).trials


def test_three_trials_in_sqlite_and_the_best_as_yaml(data, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(dump_config(searching(SPACE)))
    storage = f"sqlite:///{tmp_path}/study.db"
    command = [
        "train",
        "search",
        str(tmp_path / "config.yaml"),
        "--data",
        str(data),
        "--storage",
        storage,
        "--trials",
    ]
    assert main([*command, "2"]) == 0
    said = capsys.readouterr()
    assert main([*command, "1", "--json"]) == 0  # the same study goes on
    result, trials = json.loads(capsys.readouterr().out), stored(storage)
    assert said.err == "" and len(trials) == 3 == sum(result["trials"].values())
    assert {t.state.name for t in trials} <= {"COMPLETE", "PRUNED"}
    for trial in trials:
        assert list(trial.intermediate_values) == [0, 2, 4] or trial.state.name == "PRUNED"
        assert set(trial.params) == set(SPACE) and trial.params["model.latent"] in (4, 8)
        assert 1e-4 <= trial.params["training.learning_rate"] <= 1e-1 and trial.params[
            "training.batch"
        ] in (2, 3, 4)
    complete = [t for t in trials if t.state.name == "COMPLETE"]
    best = min(complete, key=lambda t: min(t.intermediate_values.values()))
    assert (
        result["value"] == min(best.intermediate_values.values())
        and result["values"] == best.params
    )
    lines = said.out.splitlines()
    assert lines[0].startswith("# config: ") and ", loss " in lines[0]
    assert re.fullmatch(r"training.learning_rate: [\d.e-]+", lines[1]) and len(lines) == 4


def test_two_processes_work_on_one_study(data, tmp_path):
    """At once, from the first moment: both make the study."""
    storage, config = f"sqlite:///{tmp_path}/study.db", searching(SPACE)
    options = ("--data", data, "--storage", storage, "--trials", 2)
    both = [start(tmp_path, "search", config, *options) for _ in range(2)]
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    trials = stored(storage)
    assert sorted(t.number for t in trials) == [0, 1, 2, 3] and all(
        t.state.is_finished() for t in trials
    )
    assert max(sum(json.loads(out)["trials"].values()) for out, _ in said) == 4


def test_weights_of_losses_are_judged_by_psnr_and_a_file_holds_a_study(data, tmp_path):
    config = config_of(searching({"losses.render.weight": [0.1, 100]}))
    result = search(config, data, str(tmp_path / "study.log"), "config", 2)
    file = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    found = [
        max(t.intermediate_values.values()) for t in stored(optuna.storages.JournalStorage(file))
    ]
    assert result["figure"] == "psnr" and result["value"] == max(found) > 5


def test_a_trial_that_diverges_has_failed_and_the_search_goes_on(data, tmp_path):
    config = config_of(searching({"training.learning_rate": [1e30]}, clip=0, warmup=0, ema=0))
    result = search(config, data, f"sqlite:///{tmp_path}/study.db", "config", 2)
    assert result["trials"] == {"fail": 2} and result["values"] is None


@pytest.mark.parametrize(
    "space, says",
    [
        ({}, "nothing to search"),
        ({"learning_rate": [1, 2]}, "a key to search is one of the config"),
        ({"search.x": [1, 2]}, "a key to search is one of the config"),
        ({"training.learning_rate": 0.1}, "or a list of choices"),
        ({"training.picture": [[64, 48], [32, 24]]}, "or a list of choices"),
        ({"training.learning_rate": [0, 1, "log"]}, "no log range"),
        ({"training.learning_rate": [2.0, 1.0, "linear"]}, "no linear range"),
        ({"training.learning_rate": ["a", 1.0, "log"]}, "no range of numbers"),
        ({"training.lr": [0.1, 1]}, "unknown key training.lr"),
        ({"training.seed.x": [0.1, 1]}, "seed holds no keys"),
    ],
)
def test_what_cannot_be_searched_is_named(space, says, data, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(says)) as caught:
        search(config_of(searching(space)), data, f"sqlite:///{tmp_path}/study.db", "config", 1)
    assert "\n" not in str(caught.value)


def test_a_signal_ends_the_search(data, tmp_path):
    config = config_of(searching({"model.latent": [4, 8]}, steps=10**6))
    with terminated_once(lambda: True):
        result = search(config, data, f"sqlite:///{tmp_path}/study.db", "config", 5)
    assert result["trials"] == {"fail": 1}


def test_a_storage_that_cannot_be_used_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr("gaussvae_ros.training.search.PAUSE", 0)
    config = config_of(searching(SPACE))
    for storage in (
        f"sqlite:///{tmp_path}/none/study.db",
        str(tmp_path / "none" / "study.log"),
        "nosuch://place",
    ):
        with pytest.raises(TrainingError, match="cannot be used for a search") as caught:
            search(config, data, storage, "config", 1)
        assert storage in str(caught.value) and "\n" not in str(caught.value)


def test_a_study_belongs_to_one_config(data, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    search(
        config_of(searching({"data.augment": [True, False]}, steps=1)), data, storage, "config", 1
    )
    with pytest.raises(TrainingError, match="the study config was begun with another config"):
        search(
            config_of(searching({"data.augment": [True, False]}, steps=2)),
            data,
            storage,
            "config",
            1,
        )
