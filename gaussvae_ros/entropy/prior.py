"""The trained weights of the splat stream: which probabilities a symbol gets from its context."""

import json
from functools import lru_cache
from importlib.resources import files

import numpy as np

from gaussvae_ros.entropy import contexts, grid

FILE = "prior.json"
# Kinds of symbols with a value and linear contexts.
LINEAR = "scale", "colour0", "colour1", "colour2", "aspect"


class Prior:
    """`weights[kind]` holds two sets: for a kind's first pass, which has no neighbours,
    and for the later ones."""

    def __init__(self, weights: dict):
        self.weights = {
            kind: [
                np.array(w)
                if kind == "angle"
                else tuple(np.array(w[k]) for k in ("centre", "width"))
                for w in sets
            ]
            for kind, sets in weights.items()
        }

    def linear(self, kind, later, features, steps, low, count) -> np.ndarray:  # [rows, count]
        """Probabilities of the indices low.. of values with the given features and steps."""
        return contexts.student(features, *self.weights[kind][later], steps, low, count)

    def angle(self, later, guesses, counts) -> np.ndarray:  # [rows, SECTORS]
        """Probabilities of sectors below `counts`."""
        return contexts.axial(guesses, counts, self.weights["angle"][later], *axes(), grid.SECTORS)


@lru_cache(1)
def axes() -> tuple[np.ndarray, np.ndarray]:
    """Double-angle vectors of the sectors (k + 1 / 2) pi / count, [count, k], rounded so that they
    are the same on every machine."""
    count = np.maximum(np.arange(grid.SECTORS + 1), 1)[:, None]
    turn = 2 * np.pi * (np.arange(grid.SECTORS) + 0.5) / count
    return np.round(np.cos(turn) * 2**20) / 2**20, np.round(np.sin(turn) * 2**20) / 2**20


@lru_cache(1)
def load() -> Prior:
    """The prior that ships with the package; it is a part of the record format."""
    return Prior(json.loads(files("gaussvae_ros.entropy").joinpath(FILE).read_text())["weights"])
