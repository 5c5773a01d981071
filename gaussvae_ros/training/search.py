"""Search for the best values of a config by short trainings, with Optuna (arXiv:1907.10902).

Any number of processes on any number of machines can work on one study: they share
its storage and its name. Each says every minute that its trial is alive; that of a process that
was killed fails when another begins one, two minutes later at least (not in a file's journal).
"""

import copy
import json
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gaussvae_ros.errors import ConfigError, TrainingError
from gaussvae_ros.extras import install
from gaussvae_ros.training.config import Config, config_of
from gaussvae_ros.training.loop import DivergedError, train

try:
    import optuna
except ImportError as error:
    raise TrainingError(f"Optuna is missing: {install('train')}") from error

SCALES = ("log", "linear")
# Number, and s between: of processes that make the tables of a database at once all but one fail.
ATTEMPTS, PAUSE = 4, 0.5
ALIVE = 60  # s between two signs of life of a trial; after twice that without one it has failed
DRIVERS = ("postgresql://", "postgres://"), "postgresql+psycopg://"  # psycopg 3, as in the fleet


class _Stopped(Exception):
    """A signal ended the trial under way."""


def search(
    config: Config,
    data: str | Path,
    storage: str,
    study: str,
    trials: int,
    progress: Callable = iter,
) -> dict:
    """Run `trials` trainings of `config` with other values for the keys under `search`.

    A trial is as good as its lowest loss in validation; where weights of the losses are searched,
    losses do not compare, and its highest PSNR counts. A trial that is worse than the median of the
    others at the same step is given up. SIGINT and SIGTERM end the trial under way, and the search.

    Args:
        storage: URL of a database (sqlite:///file.db, postgresql://user@host/database), or the path
            of a file for Optuna's journal, which works on network drives too.
        study: its name in the storage, where it is made if there is none.
        progress: wraps the iterable of trials.

    Returns:
        `study`, `figure` ("loss" or "psnr"), `trials` (of all processes: state to number), and of
        the best of them `number`, `value` and `values` (dotted key to value), which are None as
        long as no trial is complete.

    Raises:
        ConfigError: `config` has nothing to search, or describes it in another
            way than config.py says.
        TrainingError: the storage cannot be used, or its study is of another config;
            and as `training.train`.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise TrainingError(
            "a search is no work for torchrun: start it several times with one storage"
        )
    space, optuna_says = _space(config), optuna.logging.get_verbosity()
    figure = "psnr" if any(key.startswith("losses.") for key in space) else "loss"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        shared = _open(storage, study, figure, json.dumps(config.as_dict(), sort_keys=True))
        with suppress(_Stopped):
            for _ in progress(range(trials)):
                shared.optimize(
                    lambda trial: _objective(trial, config, space, data, figure),
                    n_trials=1,
                    catch=DivergedError,
                )
        done = shared.get_trials(deepcopy=False)
    except optuna.exceptions.StorageInternalError as error:
        raise TrainingError(f"{_shown(storage)}: lost during the search: {_why(error)}") from error
    finally:
        optuna.logging.set_verbosity(optuna_says)
    states = {
        state.name.lower(): sum(t.state == state for t in done) for state in optuna.trial.TrialState
    }
    best = shared.best_trial if states["complete"] else None
    return {
        "study": study,
        "figure": figure,
        "trials": {name: n for name, n in states.items() if n},
        "number": best and best.number,
        "value": best and best.value,
        "values": best and best.params,
    }


def _space(config: Config) -> dict[str, list]:
    """The section `search`, checked."""
    if not config.search:
        raise ConfigError("nothing to search: the config has no key search")
    for key, what in config.search.items():
        part, _, rest = str(key).partition(".")
        if part not in ("model", "losses", "training", "data") or not rest:
            raise ConfigError(
                f"search.{key}: a key to search is one of the config,"
                " such as training.learning_rate"
            )
        if (
            not isinstance(what, list)
            or not what
            or any(isinstance(choice, (list, dict)) for choice in what)
        ):
            raise ConfigError(
                f"search.{key} is [low, high, log or linear] or a list of choices, not {what!r}"
            )
        if _is_range(what):
            low, high, scale = what
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in (low, high)):
                raise ConfigError(f"search.{key}: {low!r} to {high!r} is no range of numbers")
            if not low < high or scale == "log" and low <= 0:
                raise ConfigError(
                    f"search.{key}: {low} to {high} is no {scale} range;"
                    " low is first, and log above 0"
                )
    return config.search


def _is_range(what: list) -> bool:
    return len(what) == 3 and what[2] in SCALES


def _open(storage: str, study: str, figure: str, config: str) -> optuna.Study:
    for left in reversed(range(ATTEMPTS)):
        try:
            shared = _create(storage, study, figure)
            if "config" not in shared.user_attrs:
                shared.set_user_attr("config", config)
            same = shared.user_attrs["config"] == config
            break
        except Exception as error:  # each database has its own
            if not left:
                where, why = _shown(storage), _why(error)
                raise TrainingError(f"{where}: cannot be used for a search: {why}") from error
            time.sleep(PAUSE)
    if not same:
        raise TrainingError(f"{_shown(storage)}: the study {study} was begun with another config")
    return shared


def _create(storage: str, study: str, figure: str) -> optuna.Study:
    return optuna.create_study(
        study_name=study,
        storage=_connect(storage),
        direction="maximize" if figure == "psnr" else "minimize",
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=1),  # step 0 says nothing of a training
        load_if_exists=True,
    )


def _connect(storage: str) -> optuna.storages.BaseStorage:
    if "://" not in storage:
        journal = optuna.storages.journal
        return optuna.storages.JournalStorage(journal.JournalFileBackend(storage))
    plain, driver = DRIVERS
    for scheme in plain:
        if storage.startswith(scheme):
            storage = driver + storage.removeprefix(scheme)
    with warnings.catch_warnings():  # signs of life are called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            storage, engine_kwargs={"pool_pre_ping": True}, heartbeat_interval=ALIVE
        )


def _shown(storage: str) -> str:
    """The storage without its password."""
    return re.sub(r"(?<=://)([^/@]*:)[^/@]+@", r"\1***@", storage)


def _why(error: Exception) -> str:
    """An error in one line, that of the driver where the database has one below."""
    while error.__cause__ is not None:
        error = error.__cause__
    missing = isinstance(error, ModuleNotFoundError) and error.name == "psycopg"
    hint = f"; {install('fleet')}" if missing else ""
    return f"{(str(error).splitlines() or [repr(error)])[0]}{hint}"


def _objective(
    trial: optuna.Trial, config: Config, space: dict, data: str | Path, figure: str
) -> float:
    """Train once: how good it was."""
    found = []
    trial.set_user_attr("worker", f"{platform.node()}:{os.getpid()}")

    def watch(step: int, figures: dict[str, float]) -> None:
        found.append(figures[figure])
        trial.report(figures[figure], step)
        if trial.should_prune():
            raise optuna.TrialPruned

    chosen = _with(config, {key: _suggest(trial, key, what) for key, what in space.items()})
    with tempfile.TemporaryDirectory(prefix="gaussvae_search_") as folder:
        if train(chosen, data, folder, watch=watch)["stopped"] == "signal":
            raise _Stopped
    return max(found) if figure == "psnr" else min(found)


def _suggest(trial: optuna.Trial, key: str, what: list) -> float | int | str | bool | None:
    if not _is_range(what):
        return trial.suggest_categorical(key, what)
    low, high, scale = what
    suggest = (
        trial.suggest_int if isinstance(low, int) and isinstance(high, int) else trial.suggest_float
    )
    return suggest(key, low, high, log=scale == "log")


def _with(config: Config, values: dict[str, object]) -> Config:
    """The config with other values for dotted keys."""
    raw = copy.deepcopy(config.as_dict())
    for key, value in values.items():
        *path, last = key.split(".")
        inner = raw
        for name in path:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"search.{key}: {name} holds no keys")
        inner[last] = value
    return config_of(raw)
