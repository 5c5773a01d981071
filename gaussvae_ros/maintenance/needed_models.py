"""Which models the records of a memory file need, and how the file comes to carry them.

Models are imported where they are read only: a verb that looks into a file which carries all that
it needs starts without numba.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import ModelError
from gaussvae_ros.record import KINDS, PREDICTED, TILES, VERSION

if TYPE_CHECKING:
    from gaussvae_ros.vae.models import Models

NAMED = slice(6, 9)  # bytes of a record that are its model's hash, behind the envelope


@dataclass(frozen=True)
class Need:
    """A model that records of a memory file need."""

    hash: bytes  # that records name it by
    records: int  # that name it
    name: str | None  # None: it is nowhere to be found
    bytes: int | None  # that the file carries of it, None: it does not


def model_of(record: bytes) -> bytes | None:
    """The hash of the model that a record needs, None if none; the record's beginning says it."""
    kind = record[1] if len(record) >= NAMED.stop else 0
    has_one = kind & 15 in map(KINDS.index, ("latent", PREDICTED, TILES))
    return record[NAMED] if kind >> 4 == VERSION and has_one else None


def needs(bank: MemoryBank, models: Models | None = None) -> list[Need]:
    """The models that the bank's records need, by hash.

    Those that it does not carry are looked for among `models`, or else where the package is
    installed.
    """
    records: dict[bytes, int] = {}
    for beginning, count in bank.beginnings(NAMED.stop).items():
        if hash_ := model_of(beginning):
            records[hash_] = records.get(hash_, 0) + count
    carried = {hash_: (name, size) for hash_, name, size in bank.models()}
    found = []
    for hash_, count in sorted(records.items()):
        name, size = carried.get(hash_, (None, None))
        if size is None:
            models = models or _installed()
            name = _name(models, hash_)
        found.append(Need(hash_, count, name, size))
    return found


def carry(bank: MemoryBank, models: Models, hash_: bytes) -> bool:
    """Let a bank carry the model that records name by a hash. Returns False if it does already.

    Raises:
        ModelError: there is no such model around.
        BankError: the bank does not take it.
    """
    from gaussvae_ros.vae.models import compact

    if any(hash_ == carried for carried, _, _ in bank.models()):
        return False
    model = models.get(hash_)
    return bank.add_model(hash_, model.name, compact(model, hash_))


def _installed() -> Models:
    from gaussvae_ros.vae.models import Models

    return Models()


def _name(models: Models, hash_: bytes) -> str | None:
    try:
        return models.get(hash_).name
    except ModelError:
        return None
