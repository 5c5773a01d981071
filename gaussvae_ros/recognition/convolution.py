"""What a node gathers from its neighbours, and the slopes of that: the kernels of graph networks.

out[n, b, c] = mean over k of weights[n, k, b] * values[neighbours[n, k], c]

It is a convolution whose filters are functions of an edge's geometry: B weights an edge, each for a
copy of the neighbours' values, which one matrix then mixes.
"""

import numpy as np

from gaussvae_ros.kernels import kernel

FAST = {"fastmath": {"contract", "reassoc", "nsz"}, "error_model": "numpy"}


def gather(values: np.ndarray, weights: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """out [N, B, C] float32 from values [N, C], weights [N, K, B] and rows [N, K]."""
    out = np.zeros((len(values), weights.shape[2], values.shape[1]), np.float32)
    _gather(values, weights, neighbours, out)
    return out


def slopes(
    values: np.ndarray, weights: np.ndarray, neighbours: np.ndarray, out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes by values and by weights, from those by what `gather` gave [N, B, C]."""
    by_values, by_weights = np.zeros_like(values), np.empty_like(weights)
    _slopes(values, weights, neighbours, out, by_values, by_weights)
    return by_values, by_weights


@kernel(**FAST)
def _gather(values, weights, neighbours, out):
    n, k, bases = weights.shape
    share = np.float32(1 / k)
    for i in range(n):
        for e in range(k):
            row = values[neighbours[i, e]]
            for b in range(bases):
                weight, here = share * weights[i, e, b], out[i, b]
                for c in range(len(row)):
                    here[c] += weight * row[c]


@kernel(**FAST)
def _slopes(values, weights, neighbours, out, by_values, by_weights):
    n, k, bases = weights.shape
    share = np.float32(1 / k)
    for i in range(n):
        for e in range(k):
            row, by_row = values[neighbours[i, e]], by_values[neighbours[i, e]]
            for b in range(bases):
                weight, here, total = share * weights[i, e, b], out[i, b], np.float32(0)
                for c in range(len(row)):
                    by_row[c] += weight * here[c]
                    total += row[c] * here[c]
                by_weights[i, e, b] = share * total
