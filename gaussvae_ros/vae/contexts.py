"""What a small network reads off a splat's neighbours, and the probabilities that its outputs
stand for.

Features are + - * / and square roots on float64 in a fixed order, rounded to integers (layers.py).
The probabilities are again + - * / on float64, from tables made by multiplication alone: the same
on every machine.
"""

import numpy as np

from gaussvae_ros.entropy.contexts import NEAR, pass_of
from gaussvae_ros.kernels import inline, kernel

# In the order in which they are coded.
KINDS = "scale", "colour0", "colour1", "colour2", "aspect", "angle"
ANGLE = 5
# Numbers known of a splat: u, three colours, log(s1 / s2), its axis as a double-angle vector.
VALUES = 7
BASE = 8  # features of a splat that ask no neighbour
ONE = 64  # the integer that stands for 1 in features, activations and outputs
MOST = 8 * ONE - 1  # largest activation
SHIFT = 9  # weights are in units of 2^-9
PARTS = 3  # components of a mixture
# Of a network: place, width and weight of each component; or two numbers and weight of each axis.
OUTPUTS = 3 * PARTS
# Typical error of a neighbours' mean, in which components are placed.
UNITS = np.array([0.3, 0.4, 0.07, 0.035, 0.7])
NARROWEST = 0.1  # least square of a component's width, in steps
LARGEST = 1 << 24  # what no sum in a network reaches: float32 holds every integer up to it
THIN = 3.0  # log(s1 / s2) beyond which an axis counts no more
FLOOR = 1e-6  # probability density that no index goes below
ROOT = 1.0108892860517005  # 2^(1 / 64)


@kernel()
def feature_count(kind: int) -> int:
    """How many features the network of a kind reads."""
    return BASE + 6 * NEAR + kind * (1 + 2 * NEAR) + (4 + 5 * NEAR if kind == ANGLE else 2 + NEAR)


def _powers() -> np.ndarray:  # [2 MOST + 1]: 2^(k / ONE) for k in -MOST..MOST
    table = np.ones(2 * MOST + 1)
    for k in range(MOST):
        table[MOST + k + 1] = table[MOST + k] * ROOT
        table[MOST - k - 1] = table[MOST - k] / ROOT
    return table


POWERS = _powers()


@kernel()
def base(x, y, spacing, wide, tall, precision):
    """Features [n, BASE] that ask no neighbour. The image is `wide` by `tall` cells."""
    n = len(x)
    out, usual = np.empty((n, BASE)), np.sqrt(wide * tall / n)
    for i in range(n):
        out[i, 0] = spacing[i]
        out[i, 1] = spacing[i] / usual
        out[i, 2] = usual
        out[i, 3] = precision - 128
        out[i, 4] = pass_of(i)
        out[i, 5] = (x[i] + 0.5) / wide
        out[i, 6] = (y[i] + 0.5) / tall
        out[i, 7] = np.sqrt(float(n))
    return out


@kernel()
def features(kind, rows, values, base, spacing, known, around, x, y):
    """What is known of the splats `rows`: ([rows, feature_count(kind)], mean [rows] of
    the neighbours' values).

    `values` [n, VALUES] holds what was coded so far: all columns below `kind`, and of the
    kind's own the known rows.
    """
    out, middle = np.zeros((len(rows), feature_count(kind))), np.zeros(len(rows))
    for r in range(len(rows)):
        i = rows[r]
        row = out[r]
        for at in range(BASE):
            row[at] = base[i, at]
        at = BASE
        room = max(spacing[i], 0.5)
        for near in (known, around):
            for j in near[i]:
                if j >= 0:
                    dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
                    d = np.sqrt(dx * dx + dy * dy + 0.1)
                    row[at], row[at + 1], row[at + 2] = dx / d, dy / d, d / (d + room)
                else:
                    row[at + 2] = 1.0
                at += 3
        for q in range(kind):
            row[at] = values[i, q]
            at += 1
            for near in (known, around):
                for j in near[i]:
                    if j >= 0:
                        row[at] = values[j, q] - values[i, q]
                    at += 1
        if kind == ANGLE:
            _axes_around(i, values, known, around, x, y, row, at)
        else:
            middle[r] = _values_around(i, kind, values, known, x, y, row, at)
    return out, middle


@inline
def _values_around(i, kind, values, known, x, y, row, at):
    """The mean of the known neighbours' values, their spread, and the values beside the mean."""
    total, mean, spread = 0.0, 0.0, 0.0
    for j in known[i]:
        if j >= 0:
            dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
            w = 1.0 / (dx * dx + dy * dy + 0.5)
            total += w
            mean += w * values[j, kind]
    if total > 0:
        mean /= total
    for k in range(NEAR):
        j = known[i, k]
        if j >= 0:
            dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
            away = values[j, kind] - mean
            spread += abs(away) / (dx * dx + dy * dy + 0.5) / total
            row[at + 2 + k] = away
    row[at], row[at + 1] = mean, spread
    return mean


@inline
def _axes_around(i, values, known, around, x, y, row, at):
    """The known neighbours' axes and their mean; the lines along which colour changes least, to
    each neighbour and in all."""
    total, a, b = 1e-9, 0.0, 0.0
    for k in range(NEAR):
        j = known[i, k]
        if j >= 0:
            dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
            w = 1.0 / (dx * dx + dy * dy + 0.5)
            total += w * values[j, 4]
            a += w * values[j, 5]
            b += w * values[j, 6]
            row[at + 4 + 2 * k], row[at + 5 + 2 * k] = values[j, 5], values[j, 6]
    row[at], row[at + 1] = a / total, b / total
    total, a, b = 1e-9, 0.0, 0.0
    for k in range(NEAR):
        j = around[i, k]
        if j >= 0:
            dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
            d2 = dx * dx + dy * dy
            if d2 > 0:
                change = 0.0
                for c in range(1, 4):
                    away = values[j, c] - values[i, c]
                    change += away * away
                along, across = (dx * dx - dy * dy) / d2, 2 * dx * dy / d2
                total += change / d2
                a -= change / d2 * along
                b -= change / d2 * across
                place = at + 4 + 2 * NEAR + 3 * k
                row[place], row[place + 1] = along, across
                row[place + 2] = change / (change + 0.01)
    row[at + 2], row[at + 3] = a / total, b / total


# error_model: tests for zero divisors keep loops from being vectorised; quotients are the same
@kernel(error_model="numpy")
def mixtures(outputs, middle, unit, steps, low, count, powers):
    """Unnormalised probabilities [rows, count] of the indices low, low + 1, ... whose
    values are index * step.

    A mixture of Student's t with 3 degrees of freedom, each placed `unit` times its first
    output from `middle` [rows].
    """
    out = np.empty((len(outputs), count))
    for r in range(len(outputs)):
        out[r, :] = FLOOR
        total = 0.0
        for c in range(PARTS):
            total += powers[outputs[r, 3 * c + 2] + MOST]
        for c in range(PARTS):
            s = unit * powers[outputs[r, 3 * c + 1] + MOST] / steps[r]
            s = np.sqrt(s * s + NARROWEST)
            weight = powers[outputs[r, 3 * c + 2] + MOST] / (total * s)
            m = (middle[r] + unit * outputs[r, 3 * c] / ONE) / steps[r] - low
            inverse = 1.0 / s
            for k in range(count):
                z = (k - m) * inverse
                q = 1.0 + z * z
                out[r, k] += weight / (q * q)
    return out


@kernel(error_model="numpy")
def axial_mixtures(outputs, counts, cosine, sine, most, powers):
    """Unnormalised probabilities [rows, most] of the angles (k + 1 / 2)
    pi / count, k < count; the rest 0.

    A mixture of (1 + |v| - v . e_k)^-2 with e_k the angle's double-angle vector: the longer v, the
    surer. `cosine`, `sine` [most + 1, most] hold e_k by count.
    """
    out = np.zeros((len(outputs), most))
    for r in range(len(outputs)):
        total = 0.0
        for c in range(PARTS):
            total += powers[outputs[r, 3 * c + 2] + MOST]
        for c in range(PARTS):
            a, b = outputs[r, 3 * c] * (4.0 / ONE), outputs[r, 3 * c + 1] * (4.0 / ONE)
            length = 1.0 + np.sqrt(a * a + b * b)
            weight = powers[outputs[r, 3 * c + 2] + MOST] / total * length
            for k in range(counts[r]):
                q = length - a * cosine[counts[r], k] - b * sine[counts[r], k]
                out[r, k] += weight / (q * q)
    return out
