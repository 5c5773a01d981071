"""What frames show, told from their splats by a trained graph network, without torch.

from gaussvae_ros.recognition.network import Classifier
classifier = Classifier("OUT/graph.safetensors")     # of gaussvae train classify
scores = classifier.scores([codec.splats(record)])   # [1, classes], probabilities

training/graph_network.py is the same network while it learns.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gaussvae_ros.errors import ModelError
from gaussvae_ros.model_files import read
from gaussvae_ros.recognition import convolution
from gaussvae_ros.recognition.graph import FEWEST, Graph, graph
from gaussvae_ros.splats import Splats

ARCHITECTURE = "graph"
STEEPEST = 5.0  # bound of the attention's logarithms
TINY = 1e-5  # beside a variance, as torch's BatchNorm1d has it


class Classifier:
    """A trained graph network. `classes` are their names, `card` is what its training says."""

    def __init__(self, path: str | Path):
        """Raises ModelError where the file is missing, damaged, or of another kind."""
        about, self._tensors = read(Path(path))
        if about.get("architecture") != ARCHITECTURE:
            raise ModelError(f"{path}: is no graph network, but {about.get('architecture')}")
        self.card = about["card"]
        self.classes, self._several = tuple(self.card["classes"]), self.card["several"]
        self._depths = about["config"]["depths"]

    def scores(self, frames: Sequence[Splats]) -> np.ndarray:  # float32 [B, C]
        """Probabilities of the classes for each frame; where a frame may show several, of each on
        its own.

        Raises:
            ModelError: a frame has too few splats; records have 32 at least.
        """
        if any(len(splats) < FEWEST for splats in frames):
            raise ModelError(f"a frame to classify has at least {FEWEST} splats")
        said = self._said(graph(frames))
        if self._several:
            return 1 / (1 + np.exp(-said))
        shares = np.exp(said - said.max(1, keepdims=True))
        return shares / shares.sum(1, keepdims=True)

    def _said(self, g: Graph) -> np.ndarray:  # [B, C]
        x = self._linear("node", g.nodes)
        for number, level in enumerate(g.levels):
            if level.members is not None:
                some = x[level.members]  # [groups, GROUP, W]
                x = self._linear("group", np.concatenate([some.mean(1), some.max(1)], 1))
            edges = np.maximum(self._linear(f"edges.{number}", level.edges), 0)
            counts = np.diff(level.starts)
            frame, share = np.repeat(np.arange(len(counts)), counts), (1 / counts)[:, None]
            share = share.astype(np.float32)
            for k in range(self._depths[number]):
                name = f"levels.{number}.{k}."
                h = np.maximum(self._normed(name + "norm", x), 0)
                near = convolution.gather(h, self._linear(name + "edge", edges), level.neighbours)
                mean = _sums(h, level.starts) * share
                x = x + self._linear(name + "near", near.reshape(len(h), -1))
                x = x + self._linear(name + "self", h)
                x = x + (mean @ self._tensors[name + "all.weight"].T)[frame]
        x = np.maximum(self._normed("norm", x), 0)
        steep = np.exp(STEEPEST * np.tanh(self._linear("heads", x) / STEEPEST))
        steep /= _sums(steep, level.starts)[frame]
        pooled = [_sums(x, level.starts) * share]
        pooled += [_sums(x * column[:, None], level.starts) for column in steep.T]
        return self._linear("last", np.concatenate(pooled, 1))

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self._tensors[name + ".weight"].T + self._tensors[name + ".bias"]

    def _normed(self, name: str, x: np.ndarray) -> np.ndarray:
        names = ("weight", "bias", "running_mean", "running_var")
        weight, bias, mean, variance = (self._tensors[f"{name}.{kind}"] for kind in names)
        return (x - mean) * (weight / np.sqrt(variance + np.float32(TINY))) + bias


def _sums(x: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Of the rows of each frame."""
    return np.add.reduceat(x, starts[:-1], axis=0)
