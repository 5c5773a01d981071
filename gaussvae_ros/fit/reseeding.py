"""Moving splats that do little to where the picture is worst: the topology changes that
gradients cannot make."""

import math

import cv2
import numpy as np

from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.kernels import parallel, prange
from gaussvae_ros.raster import BACKGROUND, EPS
from gaussvae_ros.raster._simd import splat_worth
from gaussvae_ros.raster.cpu import draw, end_row, first_row, planes

SIGMA = 0.1  # size of a new splat, relative to the mean distance between splats
APART = 2  # sigmas between two new splats


def reseed(
    state: Descent,
    target: np.ndarray,  # [h, w, 3] float32, 0 to 1
    share: float,  # of the splats
) -> None:
    """Move the `share` of splats whose loss would hurt the picture least to where a new
    splat would help it most.

    What a splat is worth is exact: the squared error of the picture without it, less the error with
    it. What a new one would be worth is estimated by correlating the residual r with its footprint
    g: |<r, g>|^2 / |g|^2.
    """
    height, width = target.shape[:2]
    n = len(state.geometry)
    canvas = planes((width, height))
    draw(state.geometry, state.colour, canvas, width)
    canvas[:, 0, width:] = np.inf  # beyond the picture no splat is worth anything
    canvas[:, :1] += np.float32(EPS)
    canvas[:, 1:] = (canvas[:, 1:] + np.float32(EPS * BACKGROUND)) / canvas[:, :1]
    error = np.zeros_like(canvas)
    error[:, 1:, :width] = canvas[:, 1:, :width] - target.transpose(0, 2, 1)
    worth = _worth(state.geometry, state.colour, canvas, error, width)
    residual = np.ascontiguousarray(error[:, 1:, :width].transpose(0, 2, 1))
    sigma = SIGMA * math.sqrt(height * width / n)
    over_channels = np.ones((1, 3), np.float32)  # cv2 sums them ten times as fast as numpy
    gain = cv2.transform(np.square(cv2.GaussianBlur(residual, (0, 0), sigma)), over_channels)
    reach = 2 * math.ceil(APART * sigma) + 1  # px
    peaks = np.flatnonzero(
        (gain == cv2.dilate(gain, np.ones((reach, reach), np.uint8))).ravel() & (gain.ravel() > 0)
    )
    peaks = peaks[np.argsort(-gain.ravel()[peaks], kind="stable")][: round(n * share)]
    moved = np.argsort(worth, kind="stable")[: len(peaks)]
    iy, ix = np.divmod(peaks, width)
    state.geometry[moved] = np.stack(
        [ix + 0.5, iy + 0.5, *np.broadcast_to([[sigma], [0], [sigma]], (3, len(moved)))], 1
    )
    state.colour[moved] = cv2.GaussianBlur(target, (0, 0), max(sigma / 2, 0.5))[iy, ix]
    state.first[moved] = state.second[moved] = 0


@parallel()
def _worth(geometry, colour, canvas, error, width):
    """Squared error [N] that each splat alone spares the picture, see raster/_simd.py.

    `canvas` holds the sums of weights and the picture, `error` the picture less the target.
    """
    worth = np.empty(len(geometry))
    apart = (error.ctypes.data - canvas.ctypes.data) // 4
    address, stride = canvas.ctypes.data, canvas.shape[2]
    for i in prange(len(geometry)):
        g, c = geometry[i], colour[i]
        y0, y1 = first_row(g, 0), end_row(g, canvas.shape[0])
        worth[i] = splat_worth(
            address, stride, width, y0, y1, g[0], g[1], g[2], g[3], g[4], c[0], c[1], c[2], apart
        )
    return worth
