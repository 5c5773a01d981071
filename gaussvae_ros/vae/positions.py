"""What the networks of positions read: of a node of cells, its neighbours' counts; of a splat, the lines around it.

As in contexts.py, features are + - * / and square roots on float64 in a fixed order, the same on every machine.
"""

import numpy as np

from gaussvae_ros.entropy.cells import coordinates
from gaussvae_ros.entropy.contexts import NEAR
from gaussvae_ros.kernels import inline, kernel
from gaussvae_ros.vae.contexts import BASE, MOST, ONE

SPLIT_FEATURES = 14
ALL = 2 * NEAR  # neighbours: those whose positions are known exactly, then the nearest of all
OWN = 9  # features of the splat itself
PER_NEIGHBOUR = 13
SHIFT_FEATURES = BASE + OWN + ALL * PER_NEIGHBOUR
CONCENTRATION = 16.0  # of a beta-binomial distribution whose network says 0
LEAST, LARGEST = 0.02, 64.0  # bounds of its parameters: with 8192 splats no term overflows


@kernel()
def split_features(nodes, counts, level, wide, tall, share, expected):
    """Features [nodes, SPLIT_FEATURES] of the halving of `nodes`, sorted Z-order codes less `level` + 1 low bits.

    `counts` splats lie in each node. The image is `wide` by `tall` cells; `share` [nodes] of the node's area is in its
    first half, and an even spread puts `expected` [nodes] splats into it.
    """
    x, y = coordinates(nodes << level + 1)
    across, down = 1 << (level + 2) // 2, 1 << (level + 1) // 2  # of a node, in cells
    out = np.zeros((len(nodes), SPLIT_FEATURES))
    for i in range(len(nodes)):
        row, usual = out[i], expected[i] + 0.5
        row[0], row[1] = level % 2, share[i]
        row[2], row[3] = expected[i] / (expected[i] + 4), counts[i] / (counts[i] + 4.0)
        row[4] = counts[i] / (counts[i] + usual)
        row[5], row[6] = (x[i] + 0.5 * across) / wide, (y[i] + 0.5 * down) / tall
        if level % 2:  # halves above each other
            first = _count_at(nodes, counts, level, x[i], y[i] - down)
            second = _count_at(nodes, counts, level, x[i], y[i] + down)
            before = _count_at(nodes, counts, level, x[i] - across, y[i])
            after = _count_at(nodes, counts, level, x[i] + across, y[i])
        else:
            first = _count_at(nodes, counts, level, x[i] - across, y[i])
            second = _count_at(nodes, counts, level, x[i] + across, y[i])
            before = _count_at(nodes, counts, level, x[i], y[i] - down)
            after = _count_at(nodes, counts, level, x[i], y[i] + down)
        row[7] = (first - second) / (first + second + 1.0)
        row[8] = first / (first + usual)
        row[9] = second / (second + usual)
        row[10] = (before + after) / (before + after + 2 * usual)
        row[11] = (first - second) / (counts[i] + usual)
        row[12], row[13] = first / (first + 1.0), second / (second + 1.0)
    return out


@inline
def _count_at(nodes, counts, level, x, y):
    """Splats in the node at the level that holds the cell (x, y); none outside."""
    if x < 0 or y < 0:
        return 0.0
    code = 0
    for bit in range(16):
        code |= (x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1
    code >>= level + 1
    low, high = 0, len(nodes)
    while low < high:
        middle = (low + high) // 2
        if nodes[middle] < code:
            low = middle + 1
        else:
            high = middle
    return float(counts[low]) if low < len(nodes) and nodes[low] == code else 0.0


@kernel()
def beta_parameters(outputs, share, powers):
    """alpha and beta [rows] of beta-binomial distributions, from a network's first two outputs and the halves' areas."""
    alpha, beta = np.empty(len(outputs)), np.empty(len(outputs))
    for r in range(len(outputs)):
        first = share[r] * powers[outputs[r, 0] + MOST]
        second = (1 - share[r]) * powers[MOST - outputs[r, 0]]
        total = CONCENTRATION * powers[outputs[r, 1] + MOST] / (first + second)
        alpha[r] = min(max(first * total, LEAST), LARGEST)
        beta[r] = min(max(second * total, LEAST), LARGEST)
    return alpha, beta


@kernel()
def shift_features(kind, rows, values, base, spacing, known, around, x, y, off, parts):
    """Features [rows, SHIFT_FEATURES] of where in its cell a splat lies: y (kind 0), then x (kind 1).

    `values` [n, VALUES] are all numbers of all splats but their positions. `off` [n, 2], in cells, says how far (x, y)
    from the middles of their cells splats lie: of y, what earlier passes hold, or (kind 1) all; of x, for kind 1, what
    earlier passes hold. The rest is not read. `parts` [n, 2] (x, y) says into how many places a side of the cell is cut.
    """
    out = np.zeros((len(rows), SHIFT_FEATURES))
    for r in range(len(rows)):
        i = rows[r]
        row = out[r]
        for k in range(BASE):
            row[k] = base[i, k]
        place = BASE
        for q in range(7):
            row[place + q] = values[i, q]
        row[place + 7] = 1.0 / parts[i, 1 - kind]
        own = y[i] + off[i, 1] if kind == 1 else float(y[i])
        row[place + 8] = own - y[i]
        place += OWN
        room = max(spacing[i], 0.5)
        own_x, own_y = _direction(values[i, 5], values[i, 6])
        for set_ in range(2):
            for k in range(NEAR):
                j = known[i, k] if set_ == 0 else around[i, k]
                if j >= 0:
                    dx, dy = float(x[j] - x[i]), y[j] - own
                    if kind == 1 or set_ == 0:
                        dy += off[j, 1]
                    if kind == 1 and set_ == 0:
                        dx += off[j, 0]
                    d = np.sqrt(dx * dx + dy * dy + 0.1)
                    row[place], row[place + 1], row[place + 2] = dx / d, dy / d, d / (d + room)
                    row[place + 3], row[place + 4] = dx, dy
                    thin = values[j, 5] * values[j, 5] + values[j, 6] * values[j, 6]
                    jx, jy = _direction(values[j, 5], values[j, 6])
                    away = (
                        jx * dy - jy * dx
                    )  # how far the splat must go to lie on the neighbour's line
                    row[place + 5], row[place + 6] = -away * jy, away * jx
                    row[place + 7] = thin / (thin + 1.0)
                    away = own_x * dy - own_y * dx  # how far, to have the neighbour on its own line
                    row[place + 8], row[place + 9] = -away * own_y, away * own_x
                    change = 0.0
                    for c in range(1, 4):
                        step = values[j, c] - values[i, c]
                        change += step * step
                    row[place + 10] = change / (change + 0.01)
                    row[place + 11] = values[j, 0]
                    row[place + 12] = values[j, 4]
                else:
                    row[place + 2] = 1.0
                place += PER_NEIGHBOUR
    return out


@inline
def _direction(a, b):
    """The unit vector along an axis whose double-angle vector is (a, b), of any length; (1, 0) for none."""
    length = np.sqrt(a * a + b * b)
    if length < 1e-9:
        return 1.0, 0.0
    c = np.sqrt(max((1.0 + a / length) / 2, 0.0))
    s = np.sqrt(max((1.0 - a / length) / 2, 0.0))
    return c, s if b >= 0 else -s
