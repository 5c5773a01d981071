"""A picture as a set of 2D Gaussian splats: parameter layout, canonical form, Morton order."""

from dataclasses import dataclass

import numpy as np

# Columns of Splats.params; colours run from COLOUR to the end.
X, Y, LOG_S1, LOG_S2, THETA, COLOUR = range(6)
# An orthonormal basis of colour: light, red against blue, green against both. Errors in it
# add up as they do in RGB.
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


@dataclass(frozen=True)
class Splats:
    """N splats fitted to one image, and that image's size.

    `params` is float32 [N, 5 + C], C = 3 (RGB) or 1 (mono): x, y (px, pixel centres at +0.5), log
    s1, log s2 (natural log of px), theta (rad, direction of the s1 axis, x to the right and y
    down), then C colour values (0 to 1 where the image is 0 to 255; they may lie outside).

    A pixel's colour is the mixture of the splats' colours, normalised by the sum of their
    weights w = exp(-d' Sigma^-1 d / 2), cut at 3 sigma; gaussvae_ros/raster/reference.py has
    the formula to the letter.
    """

    params: np.ndarray  # [N, 5 + C]
    size: tuple[int, int]  # (w, h) px

    def __len__(self) -> int:
        return len(self.params)

    @property
    def channels(self) -> int:
        return self.params.shape[1] - COLOUR

    def canonical(self) -> "Splats":
        """The same picture in its one form: s1 >= s2, theta in [0, pi), rows in Morton order.

        A splat is unchanged by theta + pi and by swapping its axes with theta + pi / 2, so without
        this the parameters of a picture are not unique.
        """
        p = self.params.copy()
        swap = p[:, LOG_S1] < p[:, LOG_S2]
        p[swap, LOG_S1], p[swap, LOG_S2] = p[swap, LOG_S2], p[swap, LOG_S1]
        p[swap, THETA] += np.pi / 2
        p[:, THETA] = wrap_angle(p[:, THETA])
        return Splats(p[morton_order(p[:, :2], self.size)], self.size)


def wrap_angle(theta: np.ndarray) -> np.ndarray:
    """Angles of an axis, rad, into [0, pi)."""
    theta = np.mod(theta, np.float32(np.pi))
    # Mod rounds a tiny negative angle up to pi.
    return np.where(theta >= np.float32(np.pi), np.float32(0), theta)


def morton_order(xy: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Order of points [..., N, 2] px on the Z-order curve of an image of `size` px (Morton 1966).

    Coordinates are taken as 16-bit fractions of the longer side; points outside the image count as
    on its border. Equal codes keep their order.
    """
    unit = np.clip(xy.astype(np.float64) / max(size), 0, 1)
    cell = np.minimum((unit * 65536).astype(np.uint32), 65535)
    return np.argsort(_spread_bits(cell[..., 0]) | _spread_bits(cell[..., 1]) << 1, kind="stable")


def _spread_bits(v: np.ndarray) -> np.ndarray:
    """Put a zero between the bits of 16-bit numbers."""
    v = (v | v << 8) & np.uint32(0x00FF00FF)
    v = (v | v << 4) & np.uint32(0x0F0F0F0F)
    v = (v | v << 2) & np.uint32(0x33333333)
    return (v | v << 1) & np.uint32(0x55555555)
