"""What a splat's neighbours say of it: probabilities for its numbers.

Splats are coded in PASSES rounds, each filling the gaps of the rounds before along the Z-order
curve, so that most splats have close neighbours that the decoder knows already, and a round's
symbols are still coded in one call.

All arithmetic is + - * / and square root on float64 in a fixed order: the
same bits on every machine.
"""

import numpy as np

from gaussvae_ros.kernels import inline, kernel

PASSES = 5
NEAR = 4  # neighbours that a prediction is drawn from


def rounds(n: int) -> list[np.ndarray]:
    """Rows of each pass: every 16th, then those between, down to the odd ones."""
    return [np.arange(0, n, 16)] + [np.arange(step // 2, n, step) for step in (16, 8, 4, 2)]


@kernel()
def neighbours(x, y):
    """Nearest splats of each, by cell: (known [n, NEAR], all [n, NEAR]), -1 where there are fewer.

    `known` holds those of earlier passes only. `x`, `y` [n] are cell coordinates.
    """
    n = len(x)
    known, around, distance = np.full((n, NEAR), -1), np.full((n, NEAR), -1), np.empty(n, np.int64)
    for i in range(n):
        when = pass_of(i)
        near_known, near_all = np.full(NEAR, 1 << 60), np.full(NEAR, 1 << 60)
        for j in range(n):  # a loop of its own, which vectorises
            distance[j] = _square(x[i] - x[j]) + _square(y[i] - y[j])
        distance[i] = 1 << 60
        for j in range(n):
            d = distance[j]
            if (
                d < near_known[NEAR - 1]
            ):  # the nearest of all are never farther than the nearest known
                if d < near_all[NEAR - 1]:
                    _insert(near_all, around[i], d, j)
                if pass_of(j) < when:
                    _insert(near_known, known[i], d, j)
    return known, around


@inline
def _square(v):
    return v * v


@inline
def pass_of(i):
    if i % 2:
        return 4
    if i % 4:
        return 3
    if i % 8:
        return 2
    return 1 if i % 16 else 0


@inline
def _insert(distances, rows, d, j):
    k = NEAR - 1
    while k > 0 and distances[k - 1] > d:
        distances[k], rows[k] = distances[k - 1], rows[k - 1]
        k -= 1
    distances[k], rows[k] = d, j


@kernel()
def spacing(x, y, around):
    """Mean distance [n], in cells, to the nearest splats."""
    out = np.zeros(len(x))
    for i in range(len(x)):
        for j in around[i]:
            if j >= 0:
                out[i] += np.sqrt(float(_square(x[i] - x[j]) + _square(y[i] - y[j]))) / NEAR
    return out


@kernel()
def features(rows, values, extra, known, x, y):
    """What a value is predicted from, [rows, 3 + E]: 1, the neighbours' weighted mean and
    spread, and `extra` [n, E]."""
    out = np.zeros((len(rows), 3 + extra.shape[1]))
    for r in range(len(rows)):
        i = rows[r]
        total, mean, spread = 0.0, 0.0, 0.0
        for j in known[i]:
            if j >= 0:
                w = 1.0 / (_square(x[i] - x[j]) + _square(y[i] - y[j]) + 0.5)
                total += w
                mean += w * values[j]
        if total > 0:
            mean /= total
            for j in known[i]:
                if j >= 0:
                    w = 1.0 / (_square(x[i] - x[j]) + _square(y[i] - y[j]) + 0.5)
                    spread += w * abs(values[j] - mean)
            spread /= total
        out[r, 0], out[r, 1], out[r, 2] = 1.0, mean, spread
        for k in range(extra.shape[1]):
            out[r, 3 + k] = extra[i, k]
    return out


# error_model: tests for zero divisors keep loops from being vectorised; quotients are the same
@kernel(error_model="numpy")
def student(features, centre, width, step, low, count):
    """Unnormalised probabilities [rows, count] of the indices low, low + 1, ...

    A value v = index * step has p ~ (1 + ((v - m) / s)^2)^-2, Student's t with 3 degrees of
    freedom, where m and s are linear in the features with weights `centre` and `width`, s at
    least a third of a step.
    """
    out = np.empty((len(features), count))
    for r in range(len(features)):
        m, s = 0.0, 0.0
        for k in range(len(centre)):
            m += features[r, k] * centre[k]
            s += features[r, k] * width[k]
        s = max(s / step[r], 0.33)
        m /= step[r]
        for k in range(count):
            z = (low + k - m) / s
            p = 1.0 / (1.0 + z * z)
            out[r, k] = p * p + 1e-6
    return out


@kernel()
def directions(rows, cosine, sine, strength, colour, known, around, x, y):
    """Two guesses [rows, 4] at a splat's axis, as double-angle vectors no longer than 1.

    First the mean axis of known neighbours, weighted by how thin they are (`strength`). Then
    the axis along which the colours of all neighbours change least: minus the double-angle form
    of their structure tensor.
    """
    out = np.zeros((len(rows), 4))
    for r in range(len(rows)):
        i = rows[r]
        total, a, b = 1e-9, 0.0, 0.0
        for j in known[i]:
            if j >= 0:
                w = strength[j] / (_square(x[i] - x[j]) + _square(y[i] - y[j]) + 0.5)
                total += w
                a += w * cosine[j]
                b += w * sine[j]
        out[r, 0], out[r, 1] = a / total, b / total
        total, a, b = 1e-9, 0.0, 0.0
        for j in around[i]:
            if j >= 0:
                dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
                d2 = dx * dx + dy * dy
                if d2 > 0:
                    change = 0.0
                    for k in range(colour.shape[1]):
                        change += (colour[j, k] - colour[i, k]) ** 2
                    change /= d2
                    total += change
                    a -= change * (dx * dx - dy * dy) / d2
                    b -= change * 2 * dx * dy / d2
        out[r, 2], out[r, 3] = a / total, b / total
    return out


# error_model: tests for zero divisors keep loops from being vectorised; quotients are the same
@kernel(error_model="numpy")
def axial(guesses, counts, weights, cosine, sine, most):
    """Unnormalised probabilities [rows, most] of the angles k pi / count, k < count; the rest 0.

    p ~ (s + 1 - v . e_k)^-2 with e_k the angle's double-angle vector, v = weights[0] guess
    1 + weights[1] guess 2 and s = weights[2]: flat where the guesses are short. `cosine`, `sine`
    [most + 1, most] hold e_k by count.
    """
    out = np.zeros((len(guesses), most))
    for r in range(len(guesses)):
        a = weights[0] * guesses[r, 0] + weights[1] * guesses[r, 2]
        b = weights[0] * guesses[r, 1] + weights[1] * guesses[r, 3]
        for k in range(counts[r]):
            p = 1.0 / max(
                weights[2] + 1.0 - a * cosine[counts[r], k] - b * sine[counts[r], k], 1e-3
            )
            out[r, k] = p * p
    return out
