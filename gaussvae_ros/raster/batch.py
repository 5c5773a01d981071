"""Many small pictures at once on the CPU: cpu.py's kernels, one thread to a picture, for training.

The forward pass keeps the picture and one number a pixel, the inverse of its weights' sum, and that
is all that the backward pass needs: nothing is drawn twice. A splat's sums never depend on how the
work is shared out, so neither does any bit of the result.
"""

import math

import numpy as np

from gaussvae_ros.kernels import inline, parallel, prange, threads
from gaussvae_ros.kernels.simd import LANES
from gaussvae_ros.raster import BACKGROUND, EPS
from gaussvae_ros.raster._simd import MOMENTS
from gaussvae_ros.raster.cpu import BAND, GEOMETRY, draw_band, gather_splat

# Largest |log size| that is drawn: squares of e^40 px still are numbers, and no splat is so large.
LIMIT = 40.0


def forward(
    params: np.ndarray,  # [B, N, 8] float32 as in gaussvae_ros.splats
    size: tuple[int, int],  # (w, h) px
) -> tuple[np.ndarray, np.ndarray]:  # [B, 3, h, w], [B, h, w] float32
    """The pictures, and for `backward` the inverse of each pixel's sum of weights."""
    batch, (w, h) = len(params), size
    images, inverse = np.empty((batch, 3, h, w), np.float32), np.empty((batch, h, w), np.float32)
    _draw(params, images, inverse)
    return images, inverse


def backward(
    params: np.ndarray,  # [B, N, 8] float32
    images: np.ndarray,  # [B, 3, h, w] as `forward` gave it
    inverse: np.ndarray,  # [B, h, w] as `forward` gave it
    slope: np.ndarray,  # [B, 3, h, w] float32, gradient of a loss by the pictures
) -> np.ndarray:  # [B, N, 8] float32
    """Gradient of that loss by the splats' parameters."""
    grad = np.empty(params.shape, np.float32)
    if grad.size:
        _differentiate(params, images, inverse, slope, -(-threads() // len(params)), grad)
    return grad


@inline
def _geometry(p, g):
    """As `cpu.split`, one splat."""
    c, s = math.cos(p[4]), math.sin(p[4])
    log_s1 = min(max(np.float64(p[2]), -LIMIT), LIMIT)
    log_s2 = min(max(np.float64(p[3]), -LIMIT), LIMIT)
    v1, v2 = math.exp(2 * log_s1), math.exp(2 * log_s2)
    yy = s * s * v1 + c * c * v2
    g[0], g[1] = p[0], p[1]
    g[4] = math.sqrt(yy)
    g[2] = math.exp(log_s1 + log_s2) / g[4]
    g[3] = c * s * (v1 - v2) / yy


@inline
def _chain(p, g, m, out):
    """As `cpu._chain`, one splat."""
    c, s = math.cos(p[4]), math.sin(p[4])
    s1 = math.exp(min(max(np.float64(p[2]), -LIMIT), LIMIT))
    s2 = math.exp(min(max(np.float64(p[3]), -LIMIT), LIMIT))
    a, b = c / s1, (c * g[3] + s) / s1
    d, f = -s / s2, (c - s * g[3]) / s2
    v1, v2 = a * m[0] + b * m[1], d * m[0] + f * m[1]
    out[0], out[1] = c * v1 / s1 - s * v2 / s2, s * v1 / s1 + c * v2 / s2
    out[2] = a * a * m[2] + 2 * a * b * m[3] + b * b * m[4]
    out[3] = d * d * m[2] + 2 * d * f * m[3] + f * f * m[4]
    out[4] = (s1 / s2 - s2 / s1) * (a * d * m[2] + (a * f + b * d) * m[3] + b * f * m[4])
    for k in range(3):
        out[5 + k] = m[5 + k]


# error_model: Python's own would test each divisor for zero, and loops with tests in
# them are not vectorised
@parallel(error_model="numpy", fastmath={"contract"})
def _draw(params, images, inverse):
    """A band of rows at a time, which stays in the cache until it is divided and written."""
    batch, height, width = inverse.shape
    geometry = np.empty((batch, params.shape[1], GEOMETRY))
    for b in prange(batch):
        for i in range(params.shape[1]):
            _geometry(params[b, i], geometry[b, i])
    bands = (height + BAND - 1) // BAND
    for job in prange(batch * bands):
        b, r0 = job // bands, job % bands * BAND
        r1 = min(height, r0 + BAND)
        canvas = np.empty((BAND, 4, width + LANES), np.float32)
        draw_band(geometry[b], params[b, :, 5:], canvas, width, r0, r1, r0)
        for y in range(r0, r1):
            row, scale = canvas[y - r0], inverse[b, y]
            for x in range(width):
                scale[x] = np.float32(1) / (row[0, x] + np.float32(EPS))
            for k in range(3):
                mixed, out = row[1 + k], images[b, k, y]
                for x in range(width):
                    out[x] = (mixed[x] + np.float32(EPS * BACKGROUND)) * scale[x]


@parallel(error_model="numpy", fastmath={"contract"})
def _differentiate(params, images, inverse, slope, parts, grad):
    """One picture at a time, or, with more threads than pictures, `parts` shares of its splats."""
    batch, height, width = inverse.shape
    n = params.shape[1]
    for job in prange(batch * parts):
        b, part = job // parts, job % parts
        canvas = np.empty((height, 4, width + LANES), np.float32)
        for y in range(height):
            row, scale = canvas[y], inverse[b, y]
            row[:, width:] = 0
            total = row[0]
            total[:] = 0
            for k in range(3):
                g, image, by = row[1 + k], images[b, k, y], slope[b, k, y]
                for x in range(width):
                    g[x] = by[x] * scale[x]
                    total[x] += g[x] * image[x]
        geometry, moments = np.empty(GEOMETRY), np.empty(MOMENTS, np.float32)
        for i in range(part * n // parts, (part + 1) * n // parts):
            _geometry(params[b, i], geometry)
            gather_splat(geometry, params[b, i, 5:], canvas, width, moments)
            _chain(params[b, i], geometry, moments, grad[b, i])
