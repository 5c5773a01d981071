"""The CPU rasteriser: forward and backward of reference.py in numba, by one thread or several.

The forward pass shares out bands of rows, the backward pass splats, so neither needs atomics and
the result does not depend on the number of threads.
"""

import numpy as np

from gaussvae_ros.kernels import inline, parallel, prange
from gaussvae_ros.kernels.simd import LANES
from gaussvae_ros.raster import BACKGROUND, CUT, EPS
from gaussvae_ros.raster._pixels import row_slopes
from gaussvae_ros.raster._simd import MOMENTS, add_splat, splat_moments

BAND = 16  # rows of a picture that one thread takes at a time
GEOMETRY = 5  # x, y (px), lxx (px), shear, lyy (px)


def planes(size: tuple[int, int]) -> np.ndarray:
    """Room for a picture of `size` (w, h) px in the kernels' layout, float32 [h, 4, stride]."""
    return np.zeros((size[1], 4, size[0] + LANES), np.float32)


def forward(
    params: np.ndarray,  # [N, 5 + C] as in gaussvae_ros.splats
    size: tuple[int, int],  # (w, h) px
) -> np.ndarray:  # [h, w, C] float32
    """Render splats; the meaning is that of `reference.rasterize`."""
    canvas = planes(size)
    image = np.empty((size[1], size[0], params.shape[1] - 5), np.float32)
    draw(*split(params), canvas, size[0])
    normalise(canvas, image)
    return image


def stretch(sx: float, sy: float) -> np.ndarray:  # [5]
    """What geometry [N, 5] is multiplied by where pixels become 1 / sx, 1 / sy as large."""
    return np.array([sx, sy, sx, sx / sy, sy])


def backward(
    params: np.ndarray,  # [N, 5 + C]
    size: tuple[int, int],  # (w, h) px
    grad: np.ndarray,  # [h, w, C] gradient of a loss by the rendered image
) -> np.ndarray:  # [N, 5 + C] float32
    """Gradient of that loss by the splats' parameters."""
    geometry, colour = split(params)
    canvas, moments = planes(size), np.zeros((len(params), MOMENTS), np.float32)
    upstream = np.ascontiguousarray(np.broadcast_to(grad, (*grad.shape[:2], 3)), np.float32)
    if grad.shape[2] == 1:
        # The three equal channels that stand for one share its gradient.
        upstream = upstream / np.float32(3)
    draw(geometry, colour, canvas, size[0])
    _to_gradient(canvas, upstream)
    _gather(geometry, colour, canvas, size[0], moments)
    return _chain(params, geometry, moments)


def split(params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters [N, 5 + C] as the kernels take them: geometry [N, 5], colours [N, 3]."""
    p = params.astype(np.float64)
    c, s = np.cos(p[:, 4]), np.sin(p[:, 4])
    v1, v2 = np.exp(2 * p[:, 2]), np.exp(2 * p[:, 3])  # px^2
    yy = s * s * v1 + c * c * v2
    geometry = np.empty((len(p), GEOMETRY))
    geometry[:, :2] = p[:, :2]
    geometry[:, 2] = np.exp(p[:, 2] + p[:, 3]) / np.sqrt(yy)
    geometry[:, 3] = c * s * (v1 - v2) / yy
    geometry[:, 4] = np.sqrt(yy)
    return geometry, np.ascontiguousarray(np.broadcast_to(params[:, 5:], (len(p), 3)), np.float32)


def _chain(params: np.ndarray, geometry: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """From moments in the kernels' frame to the gradient by x, y, log s1, log s2, theta and colour.

    With v = D^-1 R' d the splat's own whitened frame, q = v'v and e = -2 dL/dq:
    dL/d log s1 = sum e v1^2, dL/d log s2 = sum e v2^2,
    dL/d theta = (s1 / s2 - s2 / s1) sum e v1 v2.
    """
    p, g, m = params.astype(np.float64), geometry.astype(np.float64), moments.astype(np.float64)
    c, s, s1, s2 = np.cos(p[:, 4]), np.sin(p[:, 4]), np.exp(p[:, 2]), np.exp(p[:, 3])
    # v = [[a, b], [d, f]] (u, dy), from d = (u + shear dy, dy)
    a, b = c / s1, (c * g[:, 3] + s) / s1
    d, f = -s / s2, (c - s * g[:, 3]) / s2
    uu, uy, yy = m[:, 2], m[:, 3], m[:, 4]
    out = np.empty(params.shape, np.float32)
    v1, v2 = a * m[:, 0] + b * m[:, 1], d * m[:, 0] + f * m[:, 1]
    out[:, 0], out[:, 1] = c * v1 / s1 - s * v2 / s2, s * v1 / s1 + c * v2 / s2
    out[:, 2] = a * a * uu + 2 * a * b * uy + b * b * yy
    out[:, 3] = d * d * uu + 2 * d * f * uy + f * f * yy
    out[:, 4] = (s1 / s2 - s2 / s1) * (a * d * uu + (a * f + b * d) * uy + b * f * yy)
    out[:, 5:] = m[:, 5:] if params.shape[1] == 8 else m[:, 5:].sum(1, keepdims=True)
    return out


@inline
def first_row(g, low):
    """The first row, at least `low`, that the splat with geometry `g` can reach."""
    return max(low, int(max(g[1] - 0.5 - CUT * g[4], 0.0)))


@inline
def end_row(g, high):
    """One past the last row, at most `high`, that the splat can reach."""
    return min(high, int(max(g[1] + 0.5 + CUT * g[4], 0.0)) + 1)


@inline
def draw_band(geometry, colour, canvas, width, r0, r1, top=0):
    """Sum all splats into rows r0 to r1 of a canvas that begins with row `top` of the picture."""
    canvas[r0 - top : r1 - top] = 0
    stride = canvas.shape[2]
    address = canvas.ctypes.data - top * stride * 16  # four float32 a pixel
    for i in range(len(geometry)):
        g, c = geometry[i], colour[i]
        y0, y1 = first_row(g, r0), end_row(g, r1)
        if y0 < y1:
            add_splat(
                address, stride, width, y0, y1, g[0], g[1], g[2], g[3], g[4], c[0], c[1], c[2]
            )


@inline
def slopes(canvas, y, target, background):
    """Turn row y of a canvas, sums (weight, r, g, b), into (s, g_r, g_g, g_b) of half the squared
    error to `target` [w, 3] float32, contiguous; return that error.

    All pixels have `background` beside the splats' weighted colours.
    """
    stride = canvas.shape[2]
    row = canvas.ctypes.data + y * stride * 16  # four float32 a pixel
    return row_slopes(row, stride, len(target), target.ctypes.data, np.float32(background))


@inline
def gather_splat(g, c, canvas, width, out):
    """Moments [MOMENTS] of one splat over a canvas that holds (s, g_r, g_g, g_b)."""
    y0, y1 = first_row(g, 0), end_row(g, canvas.shape[0])
    address, stride, to = canvas.ctypes.data, canvas.shape[2], out.ctypes.data
    splat_moments(
        address, stride, width, y0, y1, g[0], g[1], g[2], g[3], g[4], c[0], c[1], c[2], to
    )


@parallel()
def draw(geometry, colour, canvas, width):
    """Sum splats into a canvas (weight, r, g, b)."""
    height = canvas.shape[0]
    for band in prange((height + BAND - 1) // BAND):
        draw_band(geometry, colour, canvas, width, band * BAND, min(height, (band + 1) * BAND))


@parallel(fastmath={"contract"})
def normalise(canvas, image):
    """Turn sums (weight, r, g, b) into a picture, `image` [h, w, C]."""
    height, width, channels = image.shape
    for y in prange(height):
        for x in range(width):
            scale = np.float32(1) / (canvas[y, 0, x] + np.float32(EPS))
            for k in range(channels):
                image[y, x, k] = (canvas[y, 1 + k, x] + np.float32(EPS * BACKGROUND)) * scale


@parallel()
def _gather(geometry, colour, canvas, width, moments):
    for i in prange(len(geometry)):
        gather_splat(geometry[i], colour[i], canvas, width, moments[i])


@parallel(fastmath={"contract"})
def _to_gradient(canvas, grad):
    """Turn sums (weight, r, g, b) into (s, g), g = grad / weight and s = g . colour, in place."""
    height, width = grad.shape[:2]
    for y in prange(height):
        for x in range(width):
            scale = np.float32(1) / (canvas[y, 0, x] + np.float32(EPS))
            s = np.float32(0)
            for k in range(3):
                g = grad[y, x, k] * scale
                s += g * (canvas[y, 1 + k, x] + np.float32(EPS * BACKGROUND)) * scale
                canvas[y, 1 + k, x] = g
            canvas[y, 0, x] = s
        canvas[y, :, width:] = 0
