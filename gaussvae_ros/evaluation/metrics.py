"""How near a picture is to its original: PSNR, SSIM and MS-SSIM of uint8 images.

Colour images: PSNR is over all values, SSIM and MS-SSIM are the mean over the R, G and B channels,
as in scikit-image and pytorch-msssim and as published for learned and Gaussian codecs. Only whole
windows count (no padding).
"""

from collections.abc import Iterator

import cv2
import numpy as np

from gaussvae_ros.errors import ImageError

EQUAL = 100.0  # dB, what pictures without any difference count as, so that means stay finite
WINDOW = 11  # px, Gaussian window of sigma 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first


def check_image(image: np.ndarray) -> None:
    """Raise ImageError unless `image` is uint8 [H, W, 3] or [H, W] and not empty."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ImageError(
            f"image is {getattr(image, 'dtype', type(image).__name__)}, expected a uint8 array"
        )
    if image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] != 3 or not image.size:
        raise ImageError(f"image has shape {list(image.shape)}, expected [H, W, 3] or [H, W]")


def psnr(original: np.ndarray, image: np.ndarray) -> float:
    """Peak signal-to-noise ratio, dB: 10 log10(255^2 / MSE); infinite for equal images.

    Args:
        original, image: uint8 [H, W, 3] or [H, W].

    Raises:
        ImageError: not such images, or shapes that differ.
    """
    _check_pair(original, image)
    squared_error = cv2.norm(original, image, cv2.NORM_L2SQR)
    return (
        float(10 * np.log10(255**2 * original.size / squared_error))
        if squared_error
        else float("inf")
    )


def ssim(original: np.ndarray, image: np.ndarray) -> float:
    """Structural similarity, at most 1, with a Gaussian window of 11 px.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861.

    Args:
        original, image: uint8 [H, W, 3] or [H, W], at least 11 px a side.

    Raises:
        ImageError: not such images, or shapes that differ.
    """
    _check_pair(original, image, WINDOW)
    return float(np.mean([_similarity(a, b)[0] for a, b in _planes(original, image)]))


def ms_ssim(original: np.ndarray, image: np.ndarray) -> float:
    """Multi-scale SSIM, 0 to 1, of five scales.

    Wang, Simoncelli and Bovik 2003, doi:10.1109/ACSSC.2003.1292216. Images under 176 px a side get
    as many scales as keep the coarsest at 11 px or more, their weights made to sum to 1; such
    values compare only with those of images of the same size. Negative factors count as 0.

    Args:
        original, image: uint8 [H, W, 3] or [H, W], at least 11 px a side.

    Raises:
        ImageError: not such images, or shapes that differ.
    """
    _check_pair(original, image, WINDOW)
    scales = min(len(SCALE_WEIGHTS), int(np.log2(min(original.shape[:2]) // WINDOW)) + 1)
    weights = np.array(SCALE_WEIGHTS[:scales]) / sum(SCALE_WEIGHTS[:scales])
    return float(np.mean([_ms_ssim(a, b, weights) for a, b in _planes(original, image)]))


def _check_pair(original: np.ndarray, image: np.ndarray, least: int = 1) -> None:
    check_image(original)
    check_image(image)
    if original.shape != image.shape:
        raise ImageError(
            "images to compare have different shapes, "
            f"{list(original.shape)} and {list(image.shape)}"
        )
    if min(original.shape[:2]) < least:
        height, width = original.shape[:2]
        raise ImageError(
            f"image of {width}x{height} px is too small for SSIM, which needs {least} px a side"
        )


def _planes(*images: np.ndarray) -> Iterator[list[np.ndarray]]:
    """The images channel by channel, float32 [H, W]: three times as fast as all at once."""
    for channel in range(3 if images[0].ndim == 3 else 1):
        yield [np.float32(image if image.ndim == 2 else image[..., channel]) for image in images]


def _ms_ssim(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    product = 1.0
    for weight in weights[:-1]:
        product *= max(_similarity(a, b)[1], 0) ** weight
        a, b = _halve(a), _halve(b)
    return product * max(_similarity(a, b)[0], 0) ** weights[-1]


def _similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean SSIM and mean contrast-structure term of two planes, float32 [H, W]."""
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    mean_ab, power = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _window_mean(a * b) - mean_ab
    variances = _window_mean(a * a + b * b) - power
    structure = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_ab + C1) / (power + C1)
    return float(np.mean(luminance * structure)), float(np.mean(structure))


def _window_mean(values: np.ndarray) -> np.ndarray:
    edge = WINDOW // 2
    return cv2.GaussianBlur(values, (WINDOW, WINDOW), 1.5)[edge:-edge, edge:-edge]


def _halve(values: np.ndarray) -> np.ndarray:
    """Mean over 2x2 px; an odd last row or column is left out."""
    height, width = (n // 2 for n in values.shape[:2])
    return cv2.resize(
        values[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
    )
