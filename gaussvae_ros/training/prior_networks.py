"""The networks of the latent prior while they learn: floats that behave as the
integers that they become."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from gaussvae_ros.entropy import grid, prior
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import DataError
from gaussvae_ros.kernels import inline, kernel
from gaussvae_ros.vae import change_prior, layers
from gaussvae_ros.vae.contexts import (
    FLOOR,
    KINDS,
    LARGEST,
    MOST,
    NARROWEST,
    ONE,
    OUTPUTS,
    PARTS,
    SHIFT,
    UNITS,
)
from gaussvae_ros.vae.networks import GAIN
from gaussvae_ros.vae.prior import RANGES, code

HIDDEN = 64
BATCH, RATE, WARMUP = 2048, 3e-3, 100
SAMPLE = 200_000  # splats that features are normalised by
KEPT = 384  # rows of a grid, so that grids of many splats do not outweigh the rest
SHARE = 1e-3  # spread below which a feature is taken to be constant


class Network(nn.Module):
    """One kind's network. Its inputs and outputs are those of contexts.network, over ONE."""

    def __init__(self, features: np.ndarray) -> None:  # [rows, F] a sample
        super().__init__()
        self.mean = np.round(features.mean(0) * GAIN).astype(np.int32)
        spread = features.std(0)
        self.gain = np.where(spread > SHARE, np.round(GAIN / np.maximum(spread, SHARE)), 0).astype(
            np.int32
        )
        sizes = (features.shape[1], HIDDEN, HIDDEN, OUTPUTS)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        last = self.layers[-1]
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        with torch.no_grad():  # components of different widths to begin with
            last.bias[1::3] = torch.linspace(-1, 1, PARTS)

    def rounded(self, features: np.ndarray) -> np.ndarray:  # int32 [rows, F]
        """Features as the network takes them, times ONE."""
        return layers.rounded(features, self.mean / GAIN, self.gain / GAIN)

    def forward(self, inputs: Tensor) -> Tensor:  # [rows, F] -> [rows, OUTPUTS]
        first, second, last = self.layers
        inner = torch.clamp(second(torch.clamp(first(inputs), 0, MOST / ONE)), 0, MOST / ONE)
        return torch.clamp(last(inner), -MOST / ONE, MOST / ONE)

    @torch.no_grad()
    def bound(self) -> None:
        """Shrink what would let a sum in the network of integers reach LARGEST."""
        most = 0.98 * LARGEST / (ONE * 2**SHIFT)  # the rest is for rounding
        for layer in self.layers:
            sums = layer.weight.abs().sum(1) * ((MOST + 1) / ONE) + layer.bias.abs()
            shrink = torch.clamp(most / sums, max=1)
            layer.weight *= shrink[:, None]
            layer.bias *= shrink

    @torch.no_grad()
    def arrays(self) -> dict[str, np.ndarray]:
        """The network in integers, as `Prior` takes it."""
        made = {"mean": self.mean, "gain": self.gain}
        for k, layer in enumerate(self.layers):
            weight = (layer.weight.T * 2**SHIFT).round().clamp(-(2**15) + 1, 2**15 - 1)
            made[f"weight{k}"] = weight.numpy().astype(np.int16)
            made[f"bias{k}"] = (layer.bias * (ONE * 2**SHIFT)).round().numpy().astype(np.int32)
        return made


class ValueBits(torch.autograd.Function):
    """Bits [rows] of indices under contexts.mixtures, from a network's outputs
    [rows, OUTPUTS] over ONE.

    `unit`, `low` and `most` are those of the kind; middles, steps, indices from the lowest on, and
    how many indices there are (at most `most`) come by row.
    """

    @staticmethod
    def forward(ctx, outputs, unit, low, count, middle, steps, indices):
        arrays = (a.numpy() for a in (middle, steps, indices))
        bits, slopes = _value_bits(outputs.detach().numpy(), unit, low, count, *arrays)
        ctx.save_for_backward(torch.from_numpy(slopes))
        return torch.from_numpy(bits)

    @staticmethod
    def backward(ctx, grad):
        (slopes,) = ctx.saved_tensors
        return slopes * grad[:, None], None, None, None, None, None, None


def angle_bits(outputs: Tensor, sectors: Tensor, indices: Tensor) -> Tensor:  # [rows]
    """Bits of sector indices [rows] of `sectors` [rows], under contexts.axial_mixtures."""
    cosine, sine = (torch.tensor(t, dtype=outputs.dtype) for t in prior.axes())
    a, b, weight = outputs.view(-1, PARTS, 3).unbind(2)
    a, b, weight = 4 * a, 4 * b, torch.softmax(weight * np.log(2), 1)
    length = 1 + torch.sqrt(a * a + b * b + 1e-12)
    away = (
        length[..., None]
        - a[..., None] * cosine[sectors, None]
        - b[..., None] * sine[sectors, None]
    )
    p = ((weight * length)[..., None] / (away * away)).sum(1) * (
        torch.arange(grid.SECTORS) < sectors[:, None]
    )
    return torch.log2(p.sum(1) / p.gather(1, indices[:, None])[:, 0])


@kernel(fastmath=True, error_model="numpy")
def _value_bits(outputs, unit, low, count, middle, steps, indices):
    """Bits [rows] and their slopes [rows, OUTPUTS].

    The sum over all indices is S, the share of the one at hand P.
    """
    rows, one = len(outputs), np.float32(1)
    bits, slopes = np.empty(rows, np.float32), np.empty((rows, OUTPUTS), np.float32)
    share, parts, here = np.empty(PARTS, np.float32), np.empty((PARTS, 4)), np.empty((PARTS, 4))
    for r in range(rows):
        top, total = outputs[r, 2::3].max(), 0.0
        for c in range(PARTS):
            share[c] = 2.0 ** (outputs[r, 3 * c + 2] - top)
            total += share[c]
        all_, one_ = FLOOR * count, FLOOR
        for c in range(PARTS):
            plain = unit * 2.0 ** outputs[r, 3 * c + 1] / steps[r]
            s = np.sqrt(plain * plain + NARROWEST)
            m, inverse = (
                np.float32((middle[r] + unit * outputs[r, 3 * c]) / steps[r] - low),
                np.float32(1 / s),
            )
            squares, cubes, leaning = np.float32(0), np.float32(0), np.float32(0)
            for k in range(count):
                z = (np.float32(k) - m) * inverse
                q = one / (one + z * z)
                squares += q * q
                cubes += q * q * q
                leaning += z * q * q * q
            z = (indices[r] - m) / s
            q = 1 / (1 + z * z)
            share[c] /= total
            _derive(parts[c], share[c], s, plain, squares, cubes, leaning)
            _derive(here[c], share[c], s, plain, q * q, q * q * q, z * q * q * q)
            all_ += parts[c, 0]
            one_ += here[c, 0]
        bits[r] = np.log2(all_ / one_)
        for c in range(PARTS):
            slopes[r, 3 * c] = (
                (parts[c, 1] / all_ - here[c, 1] / one_) * unit / steps[r] / np.log(2)
            )
            slopes[r, 3 * c + 1] = parts[c, 2] / all_ - here[c, 2] / one_
            slopes[r, 3 * c + 2] = (parts[c, 0] - share[c] * (all_ - FLOOR * count)) / all_
            slopes[r, 3 * c + 2] -= (here[c, 0] - share[c] * (one_ - FLOOR)) / one_
    return bits, slopes


@inline
def _derive(out, share, s, plain, squares, cubes, leaning):
    """A component's mass and its derivatives by place (steps) and log width, from sums of
    1 / q^2, 1 / q^3 and z / q^3."""
    out[0] = share / s * squares
    out[1] = 4 * share / (s * s) * leaning
    out[2] = share / (s * s) * (3 * squares - 4 * cubes) * plain * plain / s


def bits_of(kind: str, outputs: Tensor, *asked: Tensor) -> Tensor:  # [rows]
    """Bits of what `asked_of` a kind, under a network's outputs [rows, OUTPUTS] over ONE."""
    if kind == "angle":
        return angle_bits(outputs, *asked)
    return ValueBits.apply(outputs, *_scale(kind), *asked)


def _scale(kind: str) -> tuple[float, int, int]:
    """Unit, lowest index and count of a kind's values."""
    if kind in KINDS:
        return UNITS[KINDS.index(kind)], *RANGES[KINDS.index(kind)]
    return change_prior.UNITS[kind], *change_prior.RANGES[kind]


def learn(grids: list[Grid], kind: str, seed: int, steps: int) -> dict[str, np.ndarray]:
    """The network of a kind, in integers, that makes `grids` short after so many steps of AdamW."""
    return fitted(kind, *asked_of(grids, kind, seed), seed=seed, steps=steps).arrays()


def fitted(kind: str, features: np.ndarray, *asked: np.ndarray, seed: int, steps: int) -> Network:
    """A network trained on what was `asked_of` it."""
    torch.manual_seed(seed)
    network = Network(features[:SAMPLE])
    inputs = torch.from_numpy(network.rounded(features).astype(np.int16))
    asked = [torch.from_numpy(a) for a in asked]
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(1.0, (k + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * k / steps))
    )
    order, at = torch.randperm(len(inputs)), 0
    for _ in range(steps):
        if at and at + BATCH > len(order):
            order, at = torch.randperm(len(inputs)), 0
        rows = order[at : at + BATCH]
        at += BATCH
        bits = bits_of(kind, network(inputs[rows].float() / ONE), *(a[rows] for a in asked))
        optimizer.zero_grad()
        bits.mean().backward()
        optimizer.step()
        network.bound()
        rates.step()
    return network


def asked_of(grids: list[Grid], kind: str, seed: int = 0) -> list[np.ndarray]:
    """What the coding of grids asks of a kind's network: features [rows, F], then the
    arguments of `bits_of` [rows].

    At most KEPT rows of a grid, drawn at random.
    """

    def ask(questions: Questions, g: Grid) -> None:
        code(questions, questions, g.size, len(g.cell), g.precision, g.colour.shape[1], g)

    return rows_asked(grids, kind, ask, seed)


def rows_asked(coded: list, kind: str, ask: Callable, seed: int) -> list[np.ndarray]:
    """What `ask(questions, one of coded)` asks of a kind, at most KEPT rows of each.

    Raises:
        DataError: nothing.
    """
    rng, rows = np.random.default_rng(seed), []
    for one in coded:
        questions = Questions(kind)
        ask(questions, one)
        if questions.kept:  # some lack a kind, as grey grids do two colours
            columns = [np.concatenate(column) for column in zip(*questions.kept)]
            some = rng.permutation(len(columns[0]))[:KEPT]
            rows.append([column[some] for column in columns])
    if not rows:
        raise DataError(f"nothing to learn {kind} from: training needs more pictures, in colour")
    return [np.concatenate(column) for column in zip(*rows)]


class Questions:
    """Coder and model in one, for writing: it keeps what the model is asked of one
    kind, and the answers."""

    reads, part = False, ""

    def __init__(self, kind: str) -> None:
        self.kind, self.kept = kind, []

    def values(self, kind, features, middle, steps):
        if kind == self.kind and len(features):
            self.kept.append([features.astype(np.float32), middle, steps, None])

    def angles(self, features, sectors):
        if self.kind == "angle":
            self.kept.append([features.astype(np.float32), sectors, None])

    def symbols(self, values, probabilities):
        if self.kept and any(column is None for column in self.kept[-1]):
            self.kept[-1] = [values if column is None else column for column in self.kept[-1]]
        return values

    def uniform(self, values, sizes):
        return values
