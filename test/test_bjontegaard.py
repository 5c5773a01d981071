"""Bjontegaard differences: curves of known distance, scipy's PCHIP, curves beyond comparison."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaussvae_ros.evaluation.bjontegaard import bjontegaard, pchip

RATES = np.array([300, 700, 1100, 2300, 4800], float)
CURVE = np.column_stack((RATES, [20.1, 22.7, 23.6, 25.2, 26.4]))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.3, 2.0])
def test_a_curve_at_a_multiple_of_the_rate_has_that_bd_rate(factor):
    assert bjontegaard(CURVE, CURVE * [factor, 1]).rate == pytest.approx(
        100 * (factor - 1), abs=1e-9
    )


@pytest.mark.parametrize("gain", [-1.5, 0.0, 0.25, 3.0])
def test_a_curve_so_many_db_above_has_that_bd_psnr(gain):
    assert bjontegaard(CURVE, CURVE + [0, gain]).psnr == pytest.approx(gain, abs=1e-9)


def test_only_the_common_range_counts():
    """3 dB per octave, the test 1 dB above: 1 dB and 2^(-1/3) of the rate everywhere."""
    rates = 2.0 ** np.arange(8, 14)
    line = np.column_stack((rates, 3 * np.log2(rates)))
    found = bjontegaard(line[:4], line[2:] + [0, 1])
    assert found.psnr == pytest.approx(1)
    assert found.rate == pytest.approx(100 * (2 ** (-1 / 3) - 1))


def test_agrees_with_scipy_on_a_real_pair_of_curves():
    interpolate = pytest.importorskip("scipy.interpolate")
    other = np.column_stack((RATES * [1.1, 0.8, 1.3, 0.9, 1.05], [19.5, 22.9, 24.9, 25.3, 27.4]))
    a, b = (interpolate.PchipInterpolator(c[:, 1], np.log10(c[:, 0])) for c in (CURVE, other))
    low, high = 20.1, 26.4
    expected = 100 * (10 ** ((b.integrate(low, high) - a.integrate(low, high)) / (high - low)) - 1)
    assert bjontegaard(CURVE, other).rate == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(-90, 90)), min_size=2, max_size=8))
def test_pchip_is_scipys(steps):
    interpolate = pytest.importorskip("scipy.interpolate")
    x, y = np.cumsum([s[0] for s in steps]) / 10, np.array([s[1] for s in steps]) / 10
    at = np.linspace(x[0], x[-1], 50)
    np.testing.assert_allclose(pchip(x, y)(at), interpolate.PchipInterpolator(x, y)(at), atol=1e-8)


def test_order_and_useless_points_do_not_matter():
    clutter = np.vstack(
        (CURVE, [[1500, 22.0], [1100, 23.0], [5000, 26.4], [900, np.nan], [0, 30], [9999, np.inf]])
    )
    assert bjontegaard(
        np.random.default_rng(0).permutation(clutter), CURVE * [2, 1]
    ).rate == pytest.approx(100)


@pytest.mark.parametrize(
    "test, rate, psnr, reason",
    [
        (CURVE + [0, 10], False, True, "the curves have no quality in common"),
        (CURVE * [100, 1], True, False, "the curves have no rate in common"),
        (
            CURVE * [100, 1] + [0, 10],
            False,
            False,
            "the curves have no quality and no rate in common",
        ),
        (CURVE[:1], False, False, "a curve has fewer than two points"),
        (np.empty((0, 2)), False, False, "a curve has fewer than two points"),
    ],
)
def test_curves_that_cannot_be_compared_say_why(test, rate, psnr, reason):
    found = bjontegaard(CURVE, test)
    assert (found.rate is not None, found.psnr is not None, found.reason) == (rate, psnr, reason)
