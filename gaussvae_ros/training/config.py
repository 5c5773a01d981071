"""The config of a training: one YAML file with the keys model, losses, training, data and search.

`model` and `losses` are read by models.py and losses.py; the rest is here, with its
defaults and its ranges.
"""

import io
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gaussvae_ros.errors import ConfigError


def _key(default, least=None, below=None, choices=()):
    return field(default=default, metadata={"least": least, "below": below, "choices": choices})


@dataclass(frozen=True)
class Training:
    """How long, how fast and on what a model learns."""

    steps: int = _key(20000, least=1)
    batch: int = _key(32, least=1)  # samples a step, over all processes together
    learning_rate: float = _key(1e-3, least=0)  # the highest
    warmup: int = _key(500, least=0)  # steps in which the learning rate rises from 0
    # Of the learning rate after that; cosine ends at 0.
    schedule: str = _key("cosine", choices=("cosine", "constant"))
    weight_decay: float = _key(0.01, least=0)  # of matrices and filters; biases and norms have none
    clip: float = _key(1.0, least=0)  # the gradient's greatest length; 0 cuts nothing
    ema: float = _key(0.999, least=0, below=1)  # what an averaged weight keeps of itself in a step
    seed: int = _key(0, least=0)
    validate_every: int = _key(500, least=1)  # steps; checkpoints are written then, too
    # Validations without a better one that end the training; 0: none do.
    patience: int = _key(0, least=0)
    # Of the network; losses are float32.
    precision: str = _key("float32", choices=("float32", "bfloat16"))
    # (w, h) px of the pictures that losses and figures are about.
    picture: tuple[int, int] = _key((160, 120), least=11)
    # A model, by name or file, whose weights training begins with; "": new ones.
    init_from: str = _key("")


@dataclass(frozen=True)
class Data:
    """How samples are read."""

    augment: bool = _key(True)  # flips and the like, in training only


@dataclass(frozen=True)
class Config:
    """All of a config file."""

    model: dict
    losses: dict
    training: Training
    data: Data
    search: dict  # dotted key -> [low, high, "log" or "linear"], or a list of choices (search.py)

    def as_dict(self) -> dict:
        """What `config_of` takes back, with every default written out.

        No tuples: plain YAML and JSON values.
        """
        plain = {
            **asdict(self),
            "training": {**asdict(self.training), "picture": list(self.training.picture)},
        }
        return {key: value for key, value in plain.items() if value or key != "search"}


def load_config(path: str | Path) -> Config:
    """Read a config file.

    Raises:
        ConfigError: not YAML, a key that nobody knows, or a value of the
            wrong type or out of range.
        OSError: the file cannot be read.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(Path(path).read_bytes())
    except (YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or "not text"
        raise ConfigError(f"{path}: {f'line {where.line + 1}: ' if where else ''}{why}") from error
    try:
        return config_of(raw)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def config_of(raw: object) -> Config:
    """A config from the values of its YAML (ConfigError as `load_config`)."""
    if not isinstance(raw, dict):
        raise ConfigError(
            "a config is a mapping with the key model,"
            " and losses, training, data and search as needed"
        )
    _known(raw, [f.name for f in fields(Config)])
    parts = {}
    for name in (f.name for f in fields(Config)):
        part = raw.get(name)
        parts[name] = {} if part is None else part
        if not isinstance(parts[name], dict):
            raise ConfigError(f"{name} is a mapping of keys to values, not {part!r}")
    if not isinstance(parts["model"].get("architecture"), str):
        raise ConfigError("model.architecture is missing: the name of what to train")
    for name, kind in (("training", Training), ("data", Data)):
        parts[name] = _section(kind, parts[name], name)
    return Config(**parts)


def dump_config(values: dict) -> str:
    """Values as YAML text."""
    yaml, out = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # keys stay in their order
    yaml.dump(values, out)
    return out.getvalue()


def _section(kind, raw, name):
    known = {f.name: f for f in fields(kind)}
    _known(raw, list(known), name)
    return kind(**{key: _value(known[key], value, f"{name}.{key}") for key, value in raw.items()})


def _known(raw, names, inside=""):
    for key in raw:
        if key not in names:
            raise ConfigError(
                f"unknown key {inside and inside + '.'}{key}; known are {', '.join(names)}"
            )


def _value(about, value, key):
    """`value` as the type of its default, if it is one and in range."""
    rules, default = about.metadata, about.default
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(default):
            raise ConfigError(
                f"{key} is {len(default)} numbers, such as {list(default)}, not {value!r}"
            )
        return tuple(_number(v, type(d), rules, key) for v, d in zip(value, default))
    if isinstance(default, (bool, str)):
        if type(value) is not type(default):
            kind = "true or false" if isinstance(default, bool) else "text"
            raise ConfigError(f"{key} is {kind}, not {value!r}")
        if rules["choices"] and value not in rules["choices"]:
            raise ConfigError(f"{key} is {' or '.join(rules['choices'])}, not {value!r}")
        return value
    return _number(value, type(default), rules, key)


def _number(value, kind, rules, key):
    if isinstance(value, bool) or not isinstance(value, (int, kind)):
        raise ConfigError(f"{key} is a {'whole ' if kind is int else ''}number, not {value!r}")
    least, below = rules["least"], rules["below"]
    if not value >= least or value == float("inf") or below is not None and value >= below:
        raise ConfigError(
            f"{key} is at least {least}{f' and below {below}' if below else ''}, not {value}"
        )
    return kind(value)
