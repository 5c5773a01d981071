"""Small networks of integers, by the kind of number that they say the probabilities of."""

import numpy as np

from gaussvae_ros.errors import ModelError
from gaussvae_ros.vae import contexts, layers

LAYERS = 3
GAIN = 2.0**10  # unit of stored means and gains: 1 / GAIN
TENSORS = ("mean", "gain") + tuple(
    f"{what}{k}" for k in range(LAYERS) for what in ("weight", "bias")
)
TYPES = {"mean": np.int32, "gain": np.int32, "weight": np.int16, "bias": np.int32}


class Networks:
    """Networks of integers by kind: `mean`, `gain` [F], then `weight` [in, out] and
    `bias` [out] of each layer."""

    # How many features the network of each kind reads.
    FEATURES: dict[str, int]

    def __init__(self, networks: dict[str, dict[str, np.ndarray]]):
        """Check the networks and take them.

        Raises:
            ModelError: a network or tensor is missing, or has another shape or larger numbers
                than such networks have.
        """
        self.networks, self._arrays = {}, {}
        for kind, count in self.FEATURES.items():
            arrays = {name: np.asarray(networks.get(kind, {}).get(name)) for name in TENSORS}
            _check(kind, arrays, count)
            parts = [layers.widened(arrays[name]) for name in TENSORS[2:]]
            self.networks[kind] = (arrays["mean"] / GAIN, arrays["gain"] / GAIN, *parts)
            self._arrays[kind] = arrays

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> "Networks":
        """The networks whose `tensors` these are. Raises ModelError as the class."""
        split: dict[str, dict] = {}
        for name, array in tensors.items():
            kind, _, part = name.rpartition("_")
            split.setdefault(kind, {})[part] = array
        return cls(split)

    def tensors(self) -> dict[str, np.ndarray]:
        """int16 and int32 arrays by name, such as scale_weight0, for a model file."""
        return {
            f"{kind}_{name}": array.astype(TYPES[name.rstrip("012")], order="C")
            for kind, arrays in self._arrays.items()
            for name, array in arrays.items()
        }

    def outputs(self, kind: str, features: np.ndarray) -> np.ndarray:  # int32 [rows, OUTPUTS]
        """What the network of a kind makes of features [rows, F]."""
        return layers.network(features, *self.networks[kind])[:, : contexts.OUTPUTS]


def _check(kind: str, arrays: dict[str, np.ndarray], count: int) -> None:
    """ModelError unless the network reads `count` features and no sum in it can reach 2^24."""
    fits, width, most = True, count, contexts.MOST + 1
    for name, array in arrays.items():
        fits &= array.dtype.kind in "iu" and (array.ndim == (2 if name.startswith("weight") else 1))
    fits = fits and arrays["mean"].shape == arrays["gain"].shape == (count,)
    for layer in range(LAYERS):
        weight, bias = (arrays[f"{what}{layer}"] for what in ("weight", "bias"))
        fits = fits and weight.shape == (width, len(bias))
        if fits:  # as floats, in which no absolute value overflows
            sums = np.abs(weight.astype(float)).sum(0) * most + np.abs(bias.astype(float))
            fits = sums.max() < contexts.LARGEST
        width = len(bias) if fits else 0
    if not fits or width != contexts.OUTPUTS:
        raise ModelError(f"the prior's network for {kind} is missing, or not one of this version")
