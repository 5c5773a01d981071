"""What the memory node is told by its parameters, as its parts take it."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.bank.forgetting.budget import LIMITS
from gaussvae_ros.errors import ConfigError
from gaussvae_ros.files import make_folder
from gaussvae_ros.gates import Limits
from gaussvae_ros.looking.looks import Looks
from gaussvae_ros.nodes.parameters import BANK
from gaussvae_ros.tiers import quality_of


def encoding(settings: SimpleNamespace) -> dict:
    """Keyword arguments for `Sequences.encode`."""
    quality = quality_of(settings.tier, settings.quality)
    return {"quality": quality, "effort": settings.effort, "predict": settings.predict}


def tier_note(settings: SimpleNamespace) -> str:
    """What to tell who still sets a tier of the first releases; empty for the default."""
    if settings.tier == "latent":
        return ""
    quality = encoding(settings)["quality"]
    return (
        f"parameter tier is no longer used: {settings.tier} at quality {settings.quality:g} counts"
        f" as quality {quality:.4g}"
    )


def commit_period(settings: SimpleNamespace) -> float:
    """Seconds from one commit to the next at least; 0: each frame is committed on its own."""
    return settings.commit_period if settings.durability == "group" else 0.0


def limits(settings: SimpleNamespace) -> Limits:
    """What the gates admit."""
    return Limits(**{limit.name: getattr(settings, limit.name) for limit in fields(Limits)})


def budget(settings: SimpleNamespace) -> Budget:
    """How much the memory may hold."""
    names = (*LIMITS, "protect_before", "protect_after")
    given = {name: getattr(settings, name) for name in names}
    return Budget(policy=settings.budget_policy, **given)


def looks(settings: SimpleNamespace) -> Looks:
    """What pictures are looked at for."""
    return Looks(settings.read_text, settings.encoder)


def open_bank(settings: SimpleNamespace) -> MemoryBank:
    """The memory file, open for writing; the folder of the default one is made.

    Raises:
        ConfigError: it cannot be made.
        BankError: the file cannot be opened.
    """
    mode = int(settings.file_mode, 8)  # of what is made
    try:
        path = Path(settings.bank).expanduser()
        if settings.bank == BANK:
            make_folder(path.parent, mode)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"the memory file {settings.bank} cannot be made: {error}") from error
    return MemoryBank(path, file_mode=mode)
