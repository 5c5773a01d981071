"""Moving splats that do little to where the picture is worst: the topology changes that gradients cannot make."""

import math

import cv2
import numpy as np

from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.kernels import parallel, prange
from gaussvae_ros.raster import BACKGROUND, CUT, CUT_WEIGHT, EPS
from gaussvae_ros.raster.cpu import draw, planes

SIGMA = 0.1  # size of a new splat, relative to the mean distance between splats
APART = 2  # sigmas between two new splats


def reseed(
    state: Descent,
    target: np.ndarray,  # [h, w, 3] float32, 0 to 1
    share: float,  # of the splats
) -> None:
    """Move the `share` of splats whose loss would hurt the picture least to where a new splat would help it most.

    What a splat is worth is exact: the squared error of the picture without it, less the error with it. What a new one
    would be worth is estimated by correlating the residual r with its footprint g: |<r, g>|^2 / |g|^2.
    """
    height, width = target.shape[:2]
    n = len(state.geometry)
    canvas, worth = planes((width, height)), np.empty(n)
    draw(state.geometry, state.colour, canvas, width)
    _worth(state.geometry, state.colour, canvas, target, worth)
    weight = canvas[:, :1, :width] + np.float32(EPS)
    image = ((canvas[:, 1:, :width] + np.float32(EPS * BACKGROUND)) / weight).transpose(0, 2, 1)
    sigma = SIGMA * math.sqrt(height * width / n)
    gain = np.square(cv2.GaussianBlur(target - image, (0, 0), sigma)).sum(2)
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


@parallel(fastmath={"contract"})
def _worth(geometry, colour, canvas, target, worth):
    """Squared error [N] that each splat alone spares the picture; `canvas` holds the sums (weight, r, g, b)."""
    height, width = target.shape[:2]
    for i in prange(len(geometry)):
        mx, my, lxx, shear, lyy = geometry[i]
        total = 0.0
        for y in range(
            max(0, int(my - CUT * lyy)), min(height, int(max(my + CUT * lyy, -1.0)) + 1)
        ):
            dy = y + 0.5 - my
            q2 = (dy / lyy) ** 2
            if q2 >= CUT * CUT:
                continue
            half, middle = lxx * math.sqrt(CUT * CUT - q2), mx + shear * dy
            for x in range(
                max(0, int(middle - half)), min(width, int(max(middle + half, -1.0)) + 1)
            ):
                q = ((x + 0.5 - middle) / lxx) ** 2 + q2
                if q >= CUT * CUT:
                    continue
                w = np.float32(math.exp(-q / 2) - CUT_WEIGHT)
                with_it = canvas[y, 0, x] + np.float32(EPS)
                without = max(with_it - w, np.float32(EPS))
                for k in range(3):
                    c = canvas[y, 1 + k, x] + np.float32(EPS * BACKGROUND)
                    before = c / with_it - target[y, x, k]
                    after = (c - w * colour[i, k]) / without - target[y, x, k]
                    total += after * after - before * before
        worth[i] = total
