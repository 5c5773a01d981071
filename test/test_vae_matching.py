"""Matching of splat sets: the least possible cost, and error ratios that mean what they say."""

import itertools
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from raster_cases import splats

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.splats import Splats
from gaussvae_ros.training.matching import group_errors, match
from gaussvae_ros.training.parameters import to_features

SIZE = (160, 120)
GROUPS = {"position", "scale", "rotation", "colour", "angle"}


def fits(batch: int, n: int, seed: int = 0) -> torch.Tensor:  # [B, N, 8]
    sets = [
        Splats(splats(n, SIZE, sigma=(2, 20), seed=seed + b), SIZE).canonical().params
        for b in range(batch)
    ]
    return torch.tensor(np.stack(sets))


def cost(decoded: torch.Tensor, fitted: torch.Tensor, partners, rows) -> float:
    features = to_features(fitted.double(), SIZE, len(fitted))
    others = to_features(decoded.double(), SIZE, len(fitted))
    return float((((others[partners] - features[rows]) / features.std(0)) ** 2).sum())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_no_other_matching_costs_less(seed, m):
    fitted, decoded = fits(1, 5, seed)[0], fits(1, m, seed + 1)[0]
    partners, rows = match(decoded, fitted, SIZE)
    assert len(set(partners)) == len(partners) == len(set(rows)) == min(m, 5)
    if m <= 5:
        every = (
            cost(decoded, fitted, np.arange(m), list(rows))
            for rows in itertools.permutations(range(5), m)
        )
    else:
        every = (
            cost(decoded, fitted, list(p), np.arange(5))
            for p in itertools.permutations(range(m), 5)
        )
    assert cost(decoded, fitted, partners, rows) == pytest.approx(min(every))


def test_a_shuffled_set_finds_itself():
    fitted = fits(1, 300)[0]
    order = np.random.default_rng(0).permutation(300)
    partners, rows = match(fitted[order], fitted, SIZE)
    np.testing.assert_array_equal(order[partners], rows)


def test_a_perfect_set_has_no_error_in_any_order():
    fitted = fits(3, 60)
    errors = group_errors(fitted.flip(1), fitted, SIZE)
    assert errors.keys() == GROUPS and max(errors.values()) < 1e-9


def test_the_mean_predictor_is_one():
    fitted = fits(4, 50)
    features = to_features(fitted.double(), SIZE, 50)
    mean = fitted.double().clone()
    mean[..., :2], mean[..., 5:] = (
        fitted[..., :2].double().mean((0, 1)),
        fitted[..., 5:].double().mean((0, 1)),
    )
    mean[..., 2:4] = fitted[..., 2:4].double().mean((0, 1))
    mean[..., 4] = fitted[..., 4].double().mean()
    errors = group_errors(mean, fitted, SIZE)
    for name in ("position", "scale", "colour", "angle"):
        assert errors[name] == pytest.approx(1)
    vector = to_features(mean, SIZE, 50)[..., 3:5]
    rotation = features[..., 3:5]
    blind = ((rotation - rotation.mean((0, 1))) ** 2).mean((0, 1))
    assert errors["rotation"] == pytest.approx(
        float((((vector - rotation) ** 2).mean((0, 1)) / blind).mean())
    )


def test_each_error_is_its_own_group_s():
    fitted = fits(2, 80)
    for name, columns in {
        "position": [0],
        "scale": [2, 3],
        "colour": [5, 6, 7],
        "rotation": [4],
    }.items():
        moved = fitted.clone()
        moved[..., columns] += 0.05
        errors = group_errors(moved, fitted, SIZE)
        untouched = GROUPS - {name} - ({"angle"} if name == "rotation" else set())
        assert errors[name] > 1e-7 and all(errors[other] < 1e-9 for other in untouched), (
            name,
            errors,
        )


def test_the_angle_of_round_splats_counts_only_as_the_published_attempts_measured_it():
    fitted = fits(2, 40)
    fitted[:, ::2, 3] = fitted[:, ::2, 2]
    turned = fitted.clone()
    turned[:, ::2, 4] = 3.0 - turned[:, ::2, 4]
    errors = group_errors(turned, fitted, SIZE)
    assert errors["rotation"] < 1e-9 < 0.1 < errors["angle"]


def test_splats_too_many_do_not_count_and_missing_ones_count_as_the_mean_predictor():
    fitted = fits(2, 40)
    more = torch.cat([fits(2, 20, seed=9), fitted], 1)
    assert max(group_errors(more, fitted, SIZE).values()) < 1e-9
    errors = group_errors(fitted[:, :10], fitted, SIZE)
    blind = (fitted[..., 5:].double() - fitted[..., 5:].double().mean((0, 1))) ** 2
    expected = (blind[:, 10:].sum((0, 1)) / blind.sum((0, 1))).mean()
    assert errors["colour"] == pytest.approx(float(expected))


def test_numbers_that_are_not_finite_are_refused():
    fitted = fits(1, 5)[0]
    broken = fitted.clone()
    broken[2, 3] = torch.nan
    with pytest.raises(GaussVaeError, match="not finite"):
        match(broken, fitted, SIZE)


def test_without_scipy_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(GaussVaeError, match=r"needs scipy: .*install 'gaussvae_ros\[train\]'"):
        match(fits(1, 5)[0], fits(1, 5)[0], SIZE)
