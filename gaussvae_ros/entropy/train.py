"""Training of the prior: the weights that make a set of grids shortest, by gradient descent on their code length."""

import numpy as np
import torch

from gaussvae_ros.entropy import prior, stream
from gaussvae_ros.entropy.coder import Meter
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.prior import Prior

BATCH, STEPS, RATE = 4096, 400, 0.03


def train(grids: list[Grid], start: Prior, seed: int = 0) -> dict:
    """Weights for `Prior`, trained on `grids` from those of `start`."""
    heard = _listen(grids, start)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for kind in (*prior.LINEAR, "angle"):
        weights[kind] = []
        for later in (False, True):
            data = heard[kind, later]
            fit = _fit_angle if kind == "angle" else _fit_linear
            weights[kind].append(fit(data, start.weights[kind][later], generator))
    return weights


class _Listener(Prior):
    """Keeps what it is asked, by kind and pass."""

    def __init__(self, base: Prior):
        self.weights, self.asked = base.weights, []

    def linear(self, kind, later, features, steps, low, count):
        self.asked.append((kind, later, [features, steps, np.full(len(steps), low), np.full(len(steps), count)]))
        return super().linear(kind, later, features, steps, low, count)

    def angle(self, later, guesses, counts):
        self.asked.append(("angle", later, [guesses, counts]))
        return super().angle(later, guesses, counts)


class _Scribe(Meter):
    """Keeps the symbols it weighs."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def symbols(self, values, probabilities):
        if self.part != "cells":
            self.kept.append(values)
        return super().symbols(values, probabilities)


def _listen(grids, start):
    heard = {}
    for g in grids:
        law, scribe = _Listener(start), _Scribe()
        stream.code(scribe, g.size, len(g.cell), g.precision, g.colour.shape[1], g, law)
        for (kind, later, inputs), values in zip(law.asked, scribe.kept, strict=True):
            heard.setdefault((kind, bool(later)), []).append([*inputs, values])
    return {k: [torch.tensor(np.concatenate(column)) for column in zip(*v)] for k, v in heard.items()}


def _fit_linear(data, start, generator):
    features, steps, low, count, values = data
    k = torch.arange(int(count[0]))

    def bits(weights, rows):
        centre, width = weights
        s = torch.clamp(features[rows] @ width / steps[rows], min=0.33)[:, None]
        z = (low[rows, None] + k - (features[rows] @ centre / steps[rows])[:, None]) / s
        p = (1 + z * z) ** -2 + 1e-6
        return torch.log2(p.sum(1) / p[torch.arange(len(rows)), values[rows]]).mean()

    centre, width = _descend(bits, start, len(values), generator)
    return {"centre": centre, "width": width}


def _fit_angle(data, start, generator):
    guesses, counts, values = data
    cosine, sine = (torch.tensor(t) for t in prior.axes())

    def bits(weights, rows):
        a, b = (weights[0][0] * guesses[rows, i] + weights[0][1] * guesses[rows, i + 2] for i in (0, 1))
        away = 1 - a[:, None] * cosine[counts[rows]] - b[:, None] * sine[counts[rows]]
        p = (torch.clamp(weights[0][2] + away, min=1e-3)) ** -2
        p = p * (torch.arange(p.shape[1]) < counts[rows, None])
        return torch.log2(p.sum(1) / p[torch.arange(len(rows)), values[rows]]).mean()

    return _descend(bits, (start,), len(values), generator)[0]


def _descend(bits, start, total, generator):
    """Adam with a falling rate on float64 weights; returns lists of numbers rounded to 5 digits."""
    weights = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in start]
    adam = torch.optim.Adam(weights, RATE)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    for _ in range(STEPS):
        loss = bits(weights, torch.randint(total, (min(BATCH, total),), generator=generator))
        adam.zero_grad()
        loss.backward()
        adam.step()
        fall.step()
    return [[round(float(x), 5) for x in w.detach()] for w in weights]
