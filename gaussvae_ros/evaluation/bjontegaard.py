"""Bjontegaard differences: how far apart two rate-distortion curves are, as one number.

G. Bjontegaard, VCEG-M33 (2001), with the monotone piecewise cubic (PCHIP) through log10 rate that
JVET's common test conditions use in place of the first paper's cubic polynomial, which overshoots
between distant points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Difference:
    """Test against anchor; a number is None where they have nothing in common: see `reason`."""

    # BD-rate, %: bytes that the test needs more (+) or less (-) than the anchor for equal quality.
    rate: float | None
    # BD-PSNR, dB: quality that the test has more (+) or less (-) for equal bytes.
    psnr: float | None
    reason: str = ""


def bjontegaard(anchor: np.ndarray, test: np.ndarray) -> Difference:
    """Mean difference of two curves over the range that both cover.

    Args:
        anchor, test: [N, 2] of rate (any unit, the same in both, > 0) and quality (dB), in any
            order. Points that cost more than another without being better are left out, as are
            those that are not finite.
    """
    curves = [_front(anchor), _front(test)]
    if min(map(len, curves)) < 2:
        return Difference(None, None, "a curve has fewer than two points")
    by_quality = _mean_gap(*((c[:, 1], c[:, 0]) for c in curves))
    by_rate = _mean_gap(*((c[:, 0], c[:, 1]) for c in curves))
    missing = [what for what, gap in (("quality", by_quality), ("rate", by_rate)) if gap is None]
    return Difference(
        rate=None if by_quality is None else float(100 * (10**by_quality - 1)),
        psnr=by_rate,
        reason=f"the curves have no {' and no '.join(missing)} in common" if missing else "",
    )


def _front(points: np.ndarray) -> np.ndarray:
    """Points [N, 2] of log10 rate and quality, both strictly rising."""
    points = np.asarray(points, np.float64).reshape(-1, 2)
    points = points[np.isfinite(points).all(1) & (points[:, 0] > 0)]
    points = points[np.lexsort((-points[:, 1], points[:, 0]))]
    best = np.maximum.accumulate(np.concatenate(([-np.inf], points[:, 1])))
    points = points[points[:, 1] > best[:-1]]
    return np.column_stack((np.log10(points[:, 0]), points[:, 1]))


def _mean_gap(
    anchor: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> float | None:
    """Mean of test minus anchor, each (x, y) with x rising, over the x that both cover."""
    low, high = max(anchor[0][0], test[0][0]), min(anchor[0][-1], test[0][-1])
    if not low < high:
        return None
    return float(_integral(*test, low, high) - _integral(*anchor, low, high)) / float(high - low)


def _integral(x: np.ndarray, y: np.ndarray, low: float, high: float) -> float:
    curve = pchip(x, y)
    knots = np.concatenate(([low], x[(x > low) & (x < high)], [high]))
    a, b = knots[:-1], knots[1:]
    return np.sum(
        (b - a) / 6 * (curve(a) + 4 * curve((a + b) / 2) + curve(b))
    )  # Simpson, exact for a cubic


def pchip(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The monotone piecewise cubic through points [N] with rising x, N >= 2.

    Fritsch and Butland (1984), with Moler's end slopes, as scipy.interpolate.PchipInterpolator.
    """
    h, rise = np.diff(x), np.diff(y) / np.diff(x)
    if len(x) == 2:
        return lambda at: y[0] + rise[0] * (at - x[0])
    slope = np.zeros(len(x))
    before, after = rise[:-1], rise[1:]
    same = before * after > 0
    w1, w2 = (2 * h[1:] + h[:-1])[same], (h[1:] + 2 * h[:-1])[same]
    slope[1:-1][same] = (w1 + w2) / (w1 / before[same] + w2 / after[same])
    slope[0] = _end_slope(h[0], h[1], rise[0], rise[1])
    slope[-1] = _end_slope(h[-1], h[-2], rise[-1], rise[-2])

    def curve(at: np.ndarray) -> np.ndarray:
        k = np.clip(np.searchsorted(x, at, "right") - 1, 0, len(h) - 1)
        t, step = (at - x[k]) / h[k], h[k]
        hermite = (1 + 2 * t) * (1 - t) ** 2 * y[k] + t**2 * (3 - 2 * t) * y[k + 1]
        return hermite + step * (t * (1 - t) ** 2 * slope[k] - t**2 * (1 - t) * slope[k + 1])

    return curve


def _end_slope(h0: float, h1: float, rise0: float, rise1: float) -> float:
    slope = ((2 * h0 + h1) * rise0 - h0 * rise1) / (h0 + h1)
    if slope * rise0 <= 0:
        return 0.0
    return 3 * rise0 if rise0 * rise1 < 0 and abs(slope) > 3 * abs(rise0) else slope
