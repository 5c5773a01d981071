"""What the networks of predicted records read: of a splat, and of the splats around it.

Splats are where the field has moved them, in whole pixels. As in contexts.py all arithmetic is
+ - * / and square roots on float64 in a fixed order.
"""

import numpy as np

from gaussvae_ros.entropy.contexts import NEAR, pass_of
from gaussvae_ros.kernels import kernel

# In the order in which they are coded: whether a splat is kept, its moves, shapes and colours.
KINDS = (
    "change",
    "move_y",
    "move_x",
    "shape11",
    "shape12",
    "shape22",
    "shade0",
    "shade1",
    "shade2",
)
CHANGE, MOVE_Y, MOVE_X, SHAPE, SHADE = 0, 1, 2, 3, 6
# Typical size of each, in which components are placed.
UNITS = np.array([0.5, 1.0, 1.0, 0.3, 0.3, 0.3, 0.1, 0.04, 0.04])
ABOUT = 9  # features of a splat that ask no neighbour

# Of new splats.
NEW_KINDS = "new_scale", "new_colour0", "new_colour1", "new_colour2", "new_aspect"
NEW_UNITS = np.array([0.3, 0.2, 0.07, 0.035, 0.7])
NEW_ABOUT = 5


def feature_count(kind: int) -> int:
    """How many features the network of a kind reads."""
    return ABOUT + 4 * NEAR + 3 + (len(KINDS) - 1 if kind else 0) + (NEAR if kind else 0)


def new_feature_count(kind: int) -> int:
    """How many features the network of a kind of new splats reads."""
    return NEW_ABOUT + 2 * NEAR + 2 + len(NEW_KINDS)


@kernel()
def about(x, y, u, lean, colour, speed, spacing, around, width, height, precision, share):
    """Features [n, ABOUT] of splats at pixels x, y [n] that ask for no change of another.

    `lean` [n] is how thin a splat is, `speed` how far the field moves it, `colour` [n] its light,
    `share` that of all splats which change.
    """
    n = len(x)
    out = np.empty((n, ABOUT))
    usual = np.sqrt(width * height / n)
    for i in range(n):
        contrast = 0.0
        for j in around[i]:
            if j >= 0:
                contrast += abs(colour[j] - colour[i]) / NEAR
        out[i, 0] = u[i]
        out[i, 1] = lean[i]
        out[i, 2] = spacing[i] / usual
        out[i, 3] = contrast
        out[i, 4] = speed[i]
        out[i, 5] = precision - 128
        out[i, 6] = share
        # how near the border: what comes into view comes there
        out[i, 7] = min(min(x[i], width - 1 - x[i]), min(y[i], height - 1 - y[i])) / usual
        out[i, 8] = pass_of(i)
    return out


@kernel()
def features(kind, rows, values, about, spacing, known, around, x, y):
    """What is known of the splats `rows`: (features [rows, F], mean [rows] of the neighbours'
    values).

    `values` [n, KINDS] holds what was coded so far: all columns below `kind`, and of the kind's own
    the known rows. A splat that did not change has zeros there.
    """
    count = len(KINDS)
    width = ABOUT + 4 * NEAR + 3
    if kind:
        width += count - 1 + NEAR
    out, middle = np.zeros((len(rows), width)), np.zeros(len(rows))
    for r in range(len(rows)):
        i = rows[r]
        row = out[r]
        row[:ABOUT] = about[i]
        at = ABOUT
        room = max(spacing[i], 1.0)
        total, mean, changing = 0.0, 0.0, 0.0
        for k in range(NEAR):
            j = known[i, k]
            row[at + k] = 1.0
            if j >= 0:
                dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
                d = np.sqrt(dx * dx + dy * dy)
                w = room / (d + room)
                row[at + k] = 1.0 - w
                row[at + NEAR + k] = values[j, 0] + 1.0
                changing += w * (values[j, 0] + 1.0)
                if kind == 0 or values[j, 0] == 1.0:
                    total += w
                    mean += w * values[j, kind]
            j = around[i, k]
            row[at + 2 * NEAR + k] = 1.0
            if j >= 0:
                dx, dy = float(x[j] - x[i]), float(y[j] - y[i])
                d = np.sqrt(dx * dx + dy * dy)
                row[at + 2 * NEAR + k] = 1.0 - room / (d + room)
                if kind:
                    row[at + 3 * NEAR + k] = values[j, 0] + 1.0
        at += 4 * NEAR
        if total > 0:
            mean /= total
        spread = 0.0
        for k in range(NEAR):
            j = known[i, k]
            if j >= 0 and (kind == 0 or values[j, 0] == 1.0):
                spread += abs(values[j, kind] - mean) / NEAR
        row[at], row[at + 1], row[at + 2] = mean, spread, total + 0.1 * changing
        if kind:
            at += 3
            for q in range(1, kind):
                row[at + q - 1] = values[i, q]
            at += count - 1
            for k in range(NEAR):
                j = known[i, k]
                if j >= 0 and values[j, 0] == 1.0:
                    row[at + k] = values[j, kind] - mean
            middle[r] = mean
    return out, middle


@kernel()
def nearest(x, y, others_x, others_y):
    """The NEAR splats [n, NEAR] of others nearest to each place, -1 where there are fewer."""
    out = np.full((len(x), NEAR), -1)
    distances = np.empty(NEAR, np.int64)
    for i in range(len(x)):
        distances[:] = 1 << 60
        for j in range(len(others_x)):
            dx, dy = x[i] - others_x[j], y[i] - others_y[j]
            d = dx * dx + dy * dy
            if d < distances[NEAR - 1]:
                k = NEAR - 1
                while k > 0 and distances[k - 1] > d:
                    distances[k], out[i, k] = distances[k - 1], out[i, k - 1]
                    k -= 1
                distances[k], out[i, k] = d, j
    return out


@kernel()
def new_features(kind, values, near, x, y, others, others_x, others_y, usual, precision, size):
    """What is known of new splats at pixels x, y [n]: (features [n, F], mean [n] of the neighbours'
    values).

    `values` [n, NEW_KINDS] holds what was coded so far, `others` [m, NEW_KINDS] the numbers of the
    splats that stay, of which `near` [n, NEAR] are the nearest.
    """
    n, kinds = len(x), len(NEW_KINDS)
    out, middle = np.zeros((n, NEW_ABOUT + 2 * NEAR + 2 + kinds)), np.zeros(n)
    for i in range(n):
        row = out[i]
        border = min(min(x[i], size[0] - 1 - x[i]), min(y[i], size[1] - 1 - y[i]))
        row[0], row[1] = border / usual, precision - 128
        row[2], row[3] = np.sqrt(float(n)), np.sqrt(float(len(others_x)))
        row[4] = y[i] / size[1]
        at, total, mean, spread = NEW_ABOUT, 0.0, 0.0, 0.0
        for k in range(NEAR):
            j = near[i, k]
            row[at + k] = 1.0
            if j >= 0:
                dx, dy = float(others_x[j] - x[i]), float(others_y[j] - y[i])
                d = np.sqrt(dx * dx + dy * dy) / usual
                w = 1.0 / (d * d + 0.1)
                row[at + k] = d / (d + 1)
                total += w
                mean += w * others[j, kind]
        if total > 0:
            mean /= total
        for k in range(NEAR):
            j = near[i, k]
            if j >= 0:
                row[at + NEAR + k] = others[j, kind] - mean
                spread += abs(others[j, kind] - mean) / NEAR
        at += 2 * NEAR
        row[at], row[at + 1] = mean, spread
        at += 2
        for q in range(kind):
            row[at + q] = values[i, q]
        middle[i] = mean
    return out, middle
