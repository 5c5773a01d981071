"""The gradient of a splat's bits by its shape and colour, in the frame of a descent.

A number v whose probability density is p(v) costs -log2(p(v) step(v)) bits. The densities are
mixtures of Student's t (sizes, colours, aspects) and of axial densities (angles), as the learned
prior gives them (vae/rate.py). The steps shrink with a splat's size as entropy/grid.py has them, so
a smaller splat is cheaper in all numbers but its position.

With covariance L L' and a move to L exp(M) L' (fit/adam.py): d log sqrt(s1 s2) = tr M / 4, d
log(s1 / s2) = (q1' M q1 - q2' M q2) / 2 and d theta = q1' M q2 / (s1 / s2 - s2 / s1), where
q_k = L' e_k / s_k for the axes e_k.
"""

import math

import numpy as np

from gaussvae_ros.entropy.grid import LARGE, POWER, TYPICAL
from gaussvae_ros.kernels import inline
from gaussvae_ros.raster import BACKGROUND

PARTS = 3  # of a mixture
KINDS = 6  # size, three colours, aspect, angle
# Numbers a splat: place, 1 / width and weight / width of each part; of angles two
# components and weight.
ROW = KINDS * PARTS * 3
NONE = np.zeros((1, ROW), np.float32)
FINE_COLOUR = 1.7  # relative size from which on colour steps shrink no more
BIT = 1 / math.log(2)
ROUND = 0.05  # a splat whose sinh(log(s1 / s2)) times relative size is less has one angle
# Bound of the slope of an angle's bits by log(s1 / s2), which is endless for round splats.
STEEPEST = 3.0
LIGHT, RED_BLUE, GREEN = 1 / math.sqrt(3), 1 / math.sqrt(2), 1 / math.sqrt(6)  # of grid.OPPONENT


@inline
def add_rate(g, colour, table, price, unit, grad):
    """Add `price` times the gradient of one splat's bits to `grad` [8] (delta, M, colour).

    `g` [5] is its geometry and `colour` [3] its colour, `table` [ROW] its mixtures, `unit` the log
    of the mean distance of splats, px.
    """
    lxx, shear, lyy = g[2], g[3], g[4]
    yy = lyy * lyy
    xx, xy = lxx * lxx + shear * shear * yy, shear * yy
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    spread = math.sqrt(half * half + xy * xy)
    ratio = math.log((mean + spread) / (lxx * lyy))
    u = math.exp(POWER * (0.5 * math.log(lxx * lyy) - unit)) / TYPICAL
    c2, s2 = 1.0, 0.0  # of the double angle
    if spread > 1e-9 * mean:
        c2, s2 = half / spread, xy / spread
    c, s = math.sqrt(max((1 + c2) / 2, 0.0)), math.sqrt(max((1 - c2) / 2, 0.0))
    if s2 < 0:
        s = -s
    a, b = lxx * c, lyy * (shear * c + s)
    length = math.sqrt(a * a + b * b) + 1e-12
    a, b = a / length, b / length  # q1 = (a, b), q2 = (-b, a)

    by_size = _slope(table, 0, u) * POWER * u - 2 * BIT  # the second: places in the cell
    if u < LARGE:
        by_size += BIT * POWER * (4 + 6 * (u < FINE_COLOUR))  # aspect, angle, places, colours
    by_ratio, by_theta = _slope(table, 12 * PARTS, ratio), 0.0
    wide = math.exp(ratio)
    sinh = (wide - 1 / wide) / 2
    if sinh * u > ROUND:
        by_ratio += BIT * min((wide + 1 / wide) / 2 / sinh, STEEPEST)
        by_theta = _axial_slope(table, 15 * PARTS, c2, s2) / (2 * sinh + 1e-6)
    straight = by_ratio / 2 * (a * a - b * b) - by_theta * a * b
    grad[2] += price * (by_size / 4 + straight)
    grad[3] += price * (by_ratio * 2 * a * b + by_theta * (a * a - b * b))
    grad[4] += price * (by_size / 4 - straight)

    red, green, blue = colour[0] - BACKGROUND, colour[1] - BACKGROUND, colour[2] - BACKGROUND
    light = price * LIGHT * _slope(table, 3 * PARTS, (red + green + blue) * LIGHT)
    across = price * RED_BLUE * _slope(table, 6 * PARTS, (red - blue) * RED_BLUE)
    third = price * GREEN * _slope(table, 9 * PARTS, (red - 2 * green + blue) * GREEN)
    grad[5] += light + across + third
    grad[6] += light - 2 * third
    grad[7] += light - across + third


@inline
def _slope(table, at, v):
    """Derivative of -log2 p by v, for the mixture of Student's t with 3 degrees of
    freedom in table[at:]."""
    p, slope = 1e-9, 0.0
    for k in range(PARTS):
        inverse, weight = table[at + 3 * k + 1], table[at + 3 * k + 2]
        z = (v - table[at + 3 * k]) * inverse
        q = 1.0 / (1.0 + z * z)
        p += weight * q * q
        slope += 4 * weight * q * q * q * z * inverse
    return slope / p * BIT


@inline
def _axial_slope(table, at, c2, s2):
    """Derivative of -log2 p by theta, for the mixture of l (l - v . e)^-2, l = 1 + |v|."""
    p, slope = 1e-9, 0.0
    for k in range(PARTS):
        a, b, weight = table[at + 3 * k], table[at + 3 * k + 1], table[at + 3 * k + 2]
        length = 1.0 + math.sqrt(a * a + b * b)
        q = 1.0 / (length - a * c2 - b * s2)
        p += weight * length * q * q
        slope += 4 * weight * length * q * q * q * (a * s2 - b * c2)
    return slope / p * BIT
