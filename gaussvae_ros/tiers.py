"""What the tiers of the first releases mean on the one scale of quality that took their place."""

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.record import TIERS

NOTE = "tier is no longer used: quality alone says how large a record is"


def quality_of(tier: str, quality: float) -> float:
    """The quality, 0 to 100, with as many splats as a tier of the first releases had at `quality`.

    The number of splats of the tier "splats" doubled with each 12.5, from 32 at 0 to 8192 at 100.
    The numbers of the tier "latent" are those of the scale as it is.

    Raises:
        GaussVaeError: there was no such tier.
    """
    if tier not in TIERS:
        raise GaussVaeError(f"tier is one of {', '.join(TIERS)}, not {tier!r}")
    # the scale doubles with each 25 up to 75, and with each 5 above
    return min(2 * quality, 60 + 0.4 * quality) if tier == "splats" else quality
