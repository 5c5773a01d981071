"""Priors of random numbers, which say something else of every splat."""

import numpy as np

from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.vae.change_prior import ChangePrior
from gaussvae_ros.vae.contexts import OUTPUTS
from gaussvae_ros.vae.prior import Prior


def random_prior(seed: int, hidden: int = 24) -> Prior:
    """Networks of a record alone."""
    return Prior(_networks(Prior.FEATURES, seed, hidden))


def random_change_prior(seed: int, hidden: int = 24) -> ChangePrior:
    """Networks of predicted records."""
    return ChangePrior(_networks(ChangePrior.FEATURES, seed, hidden))


def _networks(features: dict[str, int], seed: int, hidden: int) -> dict[str, dict]:
    rng, networks = np.random.default_rng(seed), {}
    for kind, count in features.items():
        widths = [count, hidden, hidden, OUTPUTS]
        made = {
            "mean": rng.integers(-500, 500, widths[0]),
            "gain": rng.integers(0, 3000, widths[0]),
        }
        for layer, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
            made[f"weight{layer}"] = rng.integers(-200, 201, (fan_in, fan_out))
            made[f"bias{layer}"] = rng.integers(-20000, 20001, fan_out)
        networks[kind] = made
    return networks


def read(prior: Prior, data: bytes, g: Grid) -> Grid:
    """What a stream says, read by all that a record says beside it."""
    return prior.read(data, g.size, len(g.cell), g.precision, g.colour.shape[1])
