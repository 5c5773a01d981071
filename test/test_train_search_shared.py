"""A search over a PostgreSQL server: processes that share it, one that is killed, lost links."""

import json
import os
import platform
import signal
import time

import optuna
import pytest
from samples import (  # noqa: F401 (a fixture)
    changed,
    one_thread,
    start,
    trained_once,
    write_samples,
)

from gaussvae_ros.errors import TrainingError
from gaussvae_ros.training.config import config_of
from gaussvae_ros.training.search import search

psycopg = pytest.importorskip("psycopg")
SEARCH = {
    **changed(training={"steps": 60, "validate_every": 10}),
    "search": {"training.learning_rate": [1e-4, 1e-1, "log"], "model.latent": [4, 8]},
}
State = optuna.trial.TrialState


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return trained_once(write_samples(tmp_path_factory.mktemp("data")))


def trials(database: str) -> list[optuna.trial.FrozenTrial]:
    url = database.replace("postgresql://", "postgresql+psycopg://")
    try:
        return optuna.load_study(study_name="config", storage=url).trials
    except (KeyError, optuna.exceptions.OptunaError):  # it is being made
        return []


def stop_in_a_trial(process, database: str) -> int:
    """SIGSTOP when a trial of it is under way: the trial's number."""
    worker, deadline = f"{platform.node()}:{process.pid}", time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if running(database, worker):
            os.kill(process.pid, signal.SIGSTOP)
            if found := running(database, worker):
                return found[0]
            os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("no trial began")


def running(database: str, worker: str) -> list[int]:
    return [
        t.number
        for t in trials(database)
        if t.state == State.RUNNING and t.user_attrs.get("worker") == worker
    ]


def test_two_processes_share_a_study_and_one_is_killed(data, database, tmp_path, monkeypatch):
    options = ("--data", data, "--storage", database, "--trials")
    killed = start(tmp_path, "search", SEARCH, *options, 100)
    other = start(tmp_path, "search", SEARCH, *options, 2)
    lost = stop_in_a_trial(killed, database)
    killed.kill()
    killed.communicate()
    out, err = other.communicate(timeout=600)
    assert other.returncode == 0, err
    done = [t for t in trials(database) if t.number != lost]
    assert sum(t.user_attrs["worker"].endswith(f":{other.pid}") for t in done) == 2
    assert {t.state for t in done} <= {State.COMPLETE, State.PRUNED}
    assert json.loads(out)["trials"]["running"] == 1  # for two minutes it may be alive

    monkeypatch.setattr("gaussvae_ros.training.search.ALIVE", 1)
    deadline = time.monotonic() + 60
    while trials(database)[lost].state == State.RUNNING:
        assert time.monotonic() < deadline
        result = search(config_of(SEARCH), data, database, "config", 1)
    assert result["trials"]["fail"] == 1 and "running" not in result["trials"]


def test_a_search_goes_on_after_the_server_dropped_its_connections(data, database):
    def drop_connections(numbers):
        for number in numbers:
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            yield number

    result = search(config_of(SEARCH), data, database, "config", 2, drop_connections)
    assert sum(result["trials"].values()) == 2


def test_a_database_that_is_lost_ends_the_search_in_one_line(data, postgres):
    database, servers = postgres("lost"), postgres("servers")

    def drop_database(numbers):
        for number in numbers:
            with psycopg.connect(servers, autocommit=True) as connection:
                connection.execute("DROP DATABASE lost WITH (FORCE)")
            yield number

    with pytest.raises(TrainingError, match="lost during the search: .* does not exist") as caught:
        search(config_of(SEARCH), data, database, "config", 2, drop_database)
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password(data, tmp_path, monkeypatch):
    monkeypatch.setattr("gaussvae_ros.training.search.PAUSE", 0)
    url = f"postgresql://robot:hidden@/studies?host={tmp_path}"
    with pytest.raises(TrainingError, match="cannot be used for a search") as caught:
        search(config_of(SEARCH), data, url, "config", 1)
    said = str(caught.value)
    assert said.startswith("postgresql://robot:***@/studies") and "hidden" not in said
    assert "\n" not in said and str(tmp_path) in said.split(": ", 1)[1]
