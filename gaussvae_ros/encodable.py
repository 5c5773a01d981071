"""What may be encoded: frames and how, checked."""

import warnings
from collections.abc import Iterable
from numbers import Real

import numpy as np

from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.fit import EFFORTS, check_image
from gaussvae_ros.raster.view import MAX_PIXELS
from gaussvae_ros.record import MAX_SIDE
from gaussvae_ros.tiers import NOTE, quality_of
from gaussvae_ros.vae.latent import FEWEST, splats_at

PIXELS_A_SPLAT = 4  # at least: beyond, a splat takes more than the pixels that it stands for


def listed(images: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Several images. Raises ImageError for one alone, whose rows are no images."""
    if isinstance(images, np.ndarray) and images.ndim == 3 and images.shape[2] == 3:
        raise ImageError("encode_many takes several images, such as a list, not one alone")
    return list(images)


def checked(image: np.ndarray, quality: float, effort: str, tier: str | None = None) -> int:
    """How many splats a frame gets, or each tile of one. Raises as `FrameCodec.encode`, which takes
    these."""
    if isinstance(quality, bool) or not isinstance(quality, Real) or not 0 <= quality <= 100:
        raise GaussVaeError(f"quality is a number from 0 to 100, not {quality!r}")
    if effort not in EFFORTS:
        raise GaussVaeError(f"effort is one of {', '.join(EFFORTS)}, not {effort!r}")
    check_image(image)
    height, width = image.shape[:2]
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"image of {width}x{height} px is too large: a side has at most {MAX_SIDE} px, all of "
            f"it {MAX_PIXELS}"
        )
    if tier is not None:
        quality = quality_of(tier, quality)
        warnings.warn(NOTE, DeprecationWarning, stacklevel=3)
    count = splats_at(quality)
    return max(min(count, width * height // PIXELS_A_SPLAT), FEWEST)
