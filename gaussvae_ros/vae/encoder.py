"""A frame to the latent's integers: descent on distortion plus rate under the learned prior, then the quantiser."""

import numpy as np

from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.quantise import best_precision, quantise
from gaussvae_ros.vae.prior import Prior
from gaussvae_ros.vae.rate import rate_tables


def encode(
    image: np.ndarray,  # uint8 [H, W, 3] or [H, W], checked
    n: int,  # splats
    effort: str,
    prior: Prior | None,  # None: distortion alone counts
    coarser: int = 0,  # precision indices, beside the best
) -> Grid:
    """The latent of a frame."""
    size = image.shape[1::-1]

    def rate(state: Descent) -> np.ndarray:
        return rate_tables(state, size, best_precision(state), prior)

    state = descend(image, n, EFFORTS[effort], rate=rate if prior else None)
    return quantise(image, state, best_precision(state) + coarser, effort)
