"""Gradient descent on splats: Adam in each splat's own whitened frame, compiled as one loop.

A step moves a splat's mean by L delta and its covariance from L L' to L exp(M) L', where L is the
root of its covariance, and Adam (Kingma and Ba 2015) runs on delta (2 numbers), M (3) and the
colour (3). This is the natural gradient's coordinate system for a Gaussian (as in CMA-ES and NES,
Glasmachers et al. 2010): one learning rate fits large, small and thin splats alike, none can leave
the positive definite cone, and round splats have no undefined angle.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gaussvae_ros.fit.rate import NONE, add_rate
from gaussvae_ros.kernels import inline, parallel, prange, threads
from gaussvae_ros.raster import BACKGROUND, EPS
from gaussvae_ros.raster.cpu import BAND, draw_band, gather_splat, planes, slopes, stretch

# Short memories: a fit has few steps, and no noise to average out.
BETA1, BETA2 = np.float32(0.7), np.float32(0.86)
# Delta, M (dimensionless), colour.
RATES = np.array([0.2, 0.2, 0.22, 0.22, 0.22, 0.03, 0.03, 0.03], np.float32)
MIN_SIGMA = 0.3  # px; thinner than the pixel grid can show


class Descent:
    """The state of a descent: splats as geometry [N, 5] (see raster.cpu) and colour [N, 3],
    and Adam's two moments."""

    def __init__(self, geometry: np.ndarray, colour: np.ndarray):
        self.geometry = geometry  # [N, 5] float64, px of the level at hand
        self.colour = colour  # [N, 3] float32
        self.first = np.zeros((len(geometry), 8), np.float32)
        self.second = np.zeros((len(geometry), 8), np.float32)
        self.count = 0  # steps taken
        self.error = 1.0  # mean squared, before the last of them

    def rescale(self, sx: float, sy: float) -> None:
        """Go to a level whose pixels are 1 / sx, 1 / sy as large."""
        self.geometry *= stretch(sx, sy)

    @contextmanager
    def seen_at(self, size: tuple[int, int], level) -> Iterator[None]:
        """For a while, be in pixels of a level [S, ..., h, w, 3] of the
        picture of `size` (w, h) px."""
        height, width = level.shape[0] * level.shape[-3], level.shape[-2]
        self.rescale(width / size[0], height / size[1])
        yield
        self.rescale(size[0] / width, size[1] / height)

    def run(
        self,
        target: np.ndarray,  # [S, h, w, 3] float32, 0 to 1: each step sees one of its sets of rows
        rates: np.ndarray,  # [steps] multiples of RATES
        rate: tuple[np.ndarray, float] | None = None,  # tables [N, ROW] and price, see rate.py
        free: np.ndarray | None = None,  # [8] 1 or 0: which of delta, M and colour may move (all)
        keep_size: bool = False,  # hold the area of every splat (the trace of M is zero)
    ) -> None:
        """Take one step towards `target` per entry of `rates`; `error` is then that before the
        last, in the rows seen."""
        canvas = planes((target.shape[2], target.shape[1]))
        target = np.ascontiguousarray(target)
        steps = rates.astype(np.float32)[:, None] * RATES
        if free is not None:
            steps *= free.astype(np.float32)
        moments, (tables, price) = (self.first, self.second), rate or (NONE, 0.0)
        self.error = _descend(
            self.geometry, self.colour, *moments, target, canvas, steps, self.count, threads(),
            keep_size, tables, price,
        )  # fmt: skip
        self.count += len(rates)


@inline
def first_row_of(step, stride):
    """The first of the rows that a step sees: 0, 2, 1, 3 in turn for a stride of 4, so that far
    rows follow each other."""
    if stride % 2:
        return step % stride
    return step * 2 % stride + step * 2 // stride % 2


@parallel(fastmath={"contract"})
def _descend(
    geometry,
    colour,
    first,
    second,
    target,
    canvas,
    rates,
    count,
    workers,
    keep_size,
    tables,
    price,
):
    """Steps with `rates` [steps, 8], after `count` others; returns the last mean squared error.

    `workers` is an argument because numba cannot cache a function that asks
    for the number of threads.
    """
    stride, height, width = target.shape[:3]
    tall = height if workers == 1 else BAND  # rows that a worker takes at a time
    bands = (height + tall - 1) // tall
    errors = np.zeros(height)  # of each row, so that their sum does not depend on the workers
    squeezed = np.empty_like(geometry)
    unit = 0.5 * math.log(stride * height * width / len(geometry))
    per_splat = np.float32(len(geometry) / (height * width))  # makes gradients alike on every level
    for step in range(len(rates)):
        turn = first_row_of(count + step, stride)
        for i in range(len(geometry)):
            squeezed[i, 0] = geometry[i, 0]
            squeezed[i, 1] = (geometry[i, 1] - 0.5 - turn) / stride + 0.5
            squeezed[i, 2] = geometry[i, 2]
            squeezed[i, 3] = geometry[i, 3] * stride
            squeezed[i, 4] = geometry[i, 4] / stride
        for worker in prange(workers):
            for band in range(worker, bands, workers):
                r0, r1 = band * tall, min(height, (band + 1) * tall)
                draw_band(squeezed, colour, canvas, width, r0, r1)
                for y in range(r0, r1):
                    errors[y] = slopes(canvas, y, target[turn, y], EPS * BACKGROUND)
        mean_error = errors.sum() / (height * width * 3)
        unbias1 = np.float32(1 / (1 - BETA1 ** (count + step + 1)))
        unbias2 = np.float32(1 / (1 - BETA2 ** (count + step + 1)))
        for worker in prange(workers):
            moments, grad = np.empty(8, np.float32), np.empty(8, np.float32)
            for i in range(worker, len(geometry), workers):
                gather_splat(squeezed[i], colour[i], canvas, width, moments)
                _whiten(squeezed[i], moments, grad)
                for k in range(8):
                    grad[k] *= per_splat
                if price > 0:
                    add_rate(geometry[i], colour[i], tables[i], price * mean_error, unit, grad)
                for k in range(8):
                    g = grad[k]
                    m = BETA1 * first[i, k] + (np.float32(1) - BETA1) * g
                    v = BETA2 * second[i, k] + (np.float32(1) - BETA2) * g * g
                    first[i, k], second[i, k] = m, v
                    grad[k] = (
                        -rates[step, k] * m * unbias1 / (math.sqrt(v * unbias2) + np.float32(1e-9))
                    )
                if keep_size:
                    grad[2], grad[4] = (grad[2] - grad[4]) / 2, (grad[4] - grad[2]) / 2
                _move(geometry[i], colour[i], grad, width, height * stride)
    return mean_error


@inline
def _whiten(g, moments, grad):
    """Moments of one splat (see _simd.MOMENTS) into the gradient by delta, M and colour.

    q = z'z falls by 2 z' delta when the mean moves by L delta and by z' M z when
    the covariance grows by M.
    """
    a, b = np.float32(1 / g[2]), np.float32(1 / g[4])
    grad[0], grad[1] = moments[0] * a, moments[1] * b
    grad[2] = np.float32(0.5) * moments[2] * a * a
    grad[3] = moments[3] * a * b
    grad[4] = np.float32(0.5) * moments[4] * b * b
    grad[5], grad[6], grad[7] = moments[5], moments[6], moments[7]


@inline
def _move(g, c, step, width, height):
    """Move one splat by `step` = (delta, M, colour), M through the second order of its exponential.

    Centres stay in the picture: there a position has a bounded range to be coded in, and
    no splat is lost outside.
    """
    lxx, shear, lyy = g[2], g[3], g[4]
    g[0] = min(max(g[0] + lxx * step[0] + shear * lyy * step[1], 0.0), float(width))
    g[1] = min(max(g[1] + lyy * step[1], 0.0), float(height))
    m11, m12, m22 = step[2], step[3], step[4]
    e11 = 1 + m11 + (m11 * m11 + m12 * m12) / 2
    e12 = m12 + m12 * (m11 + m22) / 2
    e22 = 1 + m22 + (m22 * m22 + m12 * m12) / 2
    u22 = math.sqrt(e22)  # upper triangular root of exp(M)
    u12 = e12 / u22
    u11 = math.sqrt(max(e11 - u12 * u12, 1e-4))
    g[3] = (lxx * u12 + shear * lyy * u22) / (lyy * u22)
    g[2] = max(lxx * u11, MIN_SIGMA)
    g[4] = max(lyy * u22, MIN_SIGMA)
    for k in range(3):
        c[k] += step[5 + k]
