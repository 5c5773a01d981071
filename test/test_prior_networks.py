"""Learning of the prior: its bits are those of records, its slopes are right, and it learns."""

import numpy as np
import pytest
import torch
from grids import random_grid
from priors import random_prior

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor, render
from gaussvae_ros.sim.drive import FOCAL, MOUNT, where
from gaussvae_ros.training import prior_networks as learning
from gaussvae_ros.training.prior import mean_bits
from gaussvae_ros.training.prior_networks import asked_of, bits_of
from gaussvae_ros.vae.contexts import KINDS, ONE, OUTPUTS, feature_count
from gaussvae_ros.vae.prior import Prior
from gaussvae_ros.vae.quantise import quantise

SIZE, FOCAL = (160, 120), FOCAL / 4  # px, of the frames here


@pytest.fixture(scope="module")
def fits() -> list[Grid]:
    """Fits of frames of the simulated drive, small ones to save time."""
    world, sensor = build(0), Sensor(SIZE, FOCAL, 0)
    views = [
        render(world, x, y, MOUNT[2], yaw, SIZE, FOCAL)
        for x, y, yaw in where(np.arange(10) * 1.7, 30.0)
    ]
    frames = [sensor.expose(view, 0.0) for view in views]
    seen = [Levels(frame, 96) for frame in frames]
    return [quantise(one, descend(one, EFFORTS["fast"]), 131, "fast") for one in seen]


def saying(whole: np.ndarray) -> Prior:
    """A prior whose networks put out `whole`, whatever they read."""
    made = Prior.__new__(Prior)
    made.outputs = lambda kind, features: whole
    return made


def bits_of_records(kind: str, whole: np.ndarray, asked: list[np.ndarray]) -> np.ndarray:
    """By the integer side: what the coder is told of each number."""
    model = saying(whole)
    if kind == "angle":
        sectors, index = asked
        p = model.angles(None, sectors)
    else:
        middle, steps, index = asked
        p = model.values(kind, None, middle, steps)
    return -np.log2(p[np.arange(len(p)), index.astype(int)] / p.sum(1))


@pytest.mark.parametrize("kind", KINDS)
def test_bits_in_training_are_those_of_records_and_their_slopes_are_right(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    grids = [random_grid(rng, n=150), random_grid(rng, (300, 40), 80, 136)]
    features, *asked = asked_of(grids, kind)
    assert features.shape[1] == feature_count(KINDS.index(kind)) and {len(a) for a in asked} == {
        len(features)
    }
    whole = rng.integers(-100, 100, (len(features), OUTPUTS)).astype(np.int32)
    outputs = torch.from_numpy(whole / ONE).float().requires_grad_()
    given = [torch.from_numpy(a) for a in asked]
    bits = bits_of(kind, outputs, *given)
    true = bits_of_records(kind, whole, asked)
    assert bits.detach().numpy() == pytest.approx(true, rel=2e-3, abs=2e-3)
    bits.sum().backward()
    for column in range(OUTPUTS):
        h = torch.zeros_like(outputs)
        h[:, column] = 0.02
        up, down = (bits_of(kind, outputs + sign * h, *given) for sign in (1, -1))
        slope = ((up - down) / 0.04).detach().numpy()
        got = outputs.grad[:, column].numpy()
        np.testing.assert_allclose(got, slope, atol=0.03, rtol=0.03)


def test_what_is_asked_in_training_is_what_coding_asks():
    """Features and questions of every network, as a prior gets them while it weighs the grid."""
    g = random_grid(np.random.default_rng(5), n=60)
    prior, seen = random_prior(0), {}
    outputs = Prior.outputs

    def noted(self, kind, features):
        seen.setdefault(kind, []).append(features)
        return outputs(self, kind, features)

    Prior.outputs, total = noted, 0.0
    try:
        bits = prior.bits(g)
    finally:
        Prior.outputs = outputs
    for kind in KINDS:
        features, *asked = asked_of([g], kind)
        mine = {row.tobytes() for row in np.concatenate(seen[kind]).astype(np.float32)}
        assert {row.tobytes() for row in features} <= mine
        total += bits_of_records(kind, outputs(prior, kind, features), asked).sum()
    fine = np.log2(grid.angles(g.scale, g.aspect, g.precision)[1]).sum()
    plain = bits["cells"] + bits["shifts"]  # which no network knows
    assert total + fine + plain == pytest.approx(sum(bits.values()), rel=1e-3)


def test_of_a_large_grid_some_rows_are_learned_from_and_grey_ones_lack_two_colours():
    rng = np.random.default_rng(1)
    large, grey = random_grid(rng, n=2000), random_grid(rng, n=50, channels=1)
    assert len(asked_of([large], "scale")[0]) == learning.KEPT
    assert len(asked_of([grey, large], "scale")[0]) == 50 + learning.KEPT
    assert len(asked_of([grey, large], "colour1")[0]) == learning.KEPT


def test_networks_with_any_weights_become_integers_that_a_prior_takes():
    """Else a training of hours could end with a model that nothing reads."""
    rng, arrays = np.random.default_rng(3), {}
    for k, kind in enumerate(KINDS):
        network = learning.Network(rng.normal(0, 1, (50, feature_count(k))))
        kept = [parameter.clone() for parameter in network.parameters()]
        network.bound()
        assert all(torch.equal(*pair) for pair in zip(kept, network.parameters(), strict=True))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter *= 10.0 ** rng.uniform(0, 4)
        network.bound()
        arrays[kind] = network.arrays()
    assert Prior(arrays).write(random_grid(rng, n=40))


def test_learning_makes_other_fits_shorter_and_integers_cost_nothing(fits, monkeypatch):
    monkeypatch.setattr(learning, "BATCH", 256)
    monkeypatch.setattr(learning, "WARMUP", 20)
    networks, lost = {}, 0.0
    for kind in KINDS:
        features, *asked = asked_of(fits[:7], kind)
        made = learning.fitted(kind, features, *asked, seed=0, steps=80)
        networks[kind] = made.arrays()
        features, *asked = asked_of(fits[7:], kind)
        with torch.no_grad():
            outputs = made(torch.from_numpy(made.rounded(features)).float() / ONE)
            bits = bits_of(kind, outputs, *(torch.from_numpy(a) for a in asked))
        lost += float(bits.sum())
    prior = Prior(networks)
    after, plain = mean_bits(fits[7:], prior), mean_bits(fits[7:], random_prior(0))
    assert after["all"] < plain["all"] - 5
    fine = sum(np.log2(grid.angles(g.scale, g.aspect, g.precision)[1]).sum() for g in fits[7:])
    bits = [prior.bits(g) for g in fits[7:]]
    total = sum(b[name] for b in bits for name in KINDS)
    assert total == pytest.approx(lost + fine, rel=2e-3)
    again = learning.learn(fits[:7], "scale", seed=0, steps=80)
    assert all((again[name] == networks["scale"][name]).all() for name in again)
