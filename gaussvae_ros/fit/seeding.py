"""Where splats start: many where the picture is busy, few where it is flat,
stretched along its edges."""

import cv2
import numpy as np

from gaussvae_ros.kernels import kernel

BLUR = 1.1  # px, scale at which structure is measured
FLOOR = 0.2  # share of density that flat regions get, relative to the mean gradient
SPREAD = 0.53  # sigma over the distance to the next splat
# A perfect edge leaves sqrt(ROUNDNESS / (1 + ROUNDNESS)) of a splat's extent across it.
ROUNDNESS = 0.06


def seed_splats(
    image: np.ndarray,  # [h, w, 3] float32, 0 to 1
    n: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # geometry [n, 5] (see raster.cpu), colour [n, 3]
    """Initial splats: centres by dithering the gradient magnitude, shapes from
    the structure tensor there.

    Error diffusion (Floyd and Steinberg 1976) of the density spaces the centres evenly (blue
    noise) where random sampling would clump. A splat's size is the local spacing; its axes
    are those of the inverse structure tensor (Bigun and Granlund 1987), so that it lies
    along the edge it sits on.
    """
    gx, gy = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    over_channels = np.ones((1, 3), np.float32)  # cv2 sums them ten times as fast as numpy
    xx, xy, yy = (
        cv2.GaussianBlur(cv2.transform(a * b, over_channels), (0, 0), BLUR)
        for a, b in ((gx, gx), (gx, gy), (gy, gy))
    )
    density = np.sqrt(xx + yy)
    density = density + FLOOR * density.mean() + 1e-6
    density *= n / density.sum()  # splats per px
    ix, iy = place(density, n, rng).T
    spacing = SPREAD / np.sqrt(cv2.GaussianBlur(density, (0, 0), 2.0)[iy, ix])
    geometry = np.empty((n, 5))
    geometry[:, 0], geometry[:, 1] = ix + 0.5, iy + 0.5
    trace = (xx + yy)[iy, ix] + 1e-9
    a, b, c = (t[iy, ix] / trace for t in (xx, xy, yy))
    a, c = a + ROUNDNESS, c + ROUNDNESS
    root_det = np.sqrt(a * c - b * b)
    # covariance = spacing^2 * inverse structure tensor of unit determinant: [[c,
    # -b], [-b, a]] / root_det
    geometry[:, 4] = spacing * np.sqrt(a / root_det)
    geometry[:, 3] = -b / a
    geometry[:, 2] = spacing * np.sqrt(root_det / a)
    return geometry, cv2.GaussianBlur(image, (0, 0), 1.0)[iy, ix].astype(np.float32)


def place(density: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels [n, 2] (x, y), spread evenly in proportion to `density` [h, w] >= 0 (any scale)."""
    density = density.astype(np.float64) + 1e-12
    density *= n / density.sum()
    points = _dither(density.copy())
    if len(points) >= n:  # dithering hits n only nearly
        return points[np.sort(rng.permutation(len(points))[:n])]
    extra = rng.choice(density.size, n - len(points), p=density.ravel() / n)
    return np.concatenate(
        [points, np.stack([extra % density.shape[1], extra // density.shape[1]], 1)]
    )


@kernel()
def _dither(density):
    """Pixels [M, 2] (x, y) where error diffusion of `density` [h, w], serpentine, puts a point."""
    height, width = density.shape
    points = []
    for y in range(height):
        ahead = 1 if y % 2 == 0 else -1
        for i in range(width):
            x = i if ahead > 0 else width - 1 - i
            put = 1.0 if density[y, x] > 0.5 else 0.0
            if put:
                points.append((x, y))
            error = density[y, x] - put
            if 0 <= x + ahead < width:
                density[y, x + ahead] += error * 7 / 16
            if y + 1 < height:
                density[y + 1, x] += error * 5 / 16
                if 0 <= x - ahead < width:
                    density[y + 1, x - ahead] += error * 3 / 16
                if 0 <= x + ahead < width:
                    density[y + 1, x + ahead] += error * 1 / 16
    out = np.empty((len(points), 2), np.int64)
    for i in range(len(points)):
        out[i, 0], out[i, 1] = points[i]
    return out
