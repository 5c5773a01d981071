"""PSNR, SSIM and MS-SSIM against scikit-image, a plain second writing, and hand-made cases."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation.metrics import SCALE_WEIGHTS, ms_ssim, psnr, ssim

reference = pytest.importorskip("skimage.metrics")
METRICS = (psnr, ssim, ms_ssim)


def pair(shape: tuple[int, ...], seed: int = 0, noise: float = 12) -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture with edges, and the same blurred and with noise."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, shape), (0, 0), 3)
    picture = np.clip((picture - picture.mean()) * 8 + 127, 0, 255).astype(np.uint8)
    other = cv2.GaussianBlur(picture, (5, 5), 1.2) + rng.normal(0, noise, shape)
    return picture, np.clip(other, 0, 255).astype(np.uint8)


def skimage_ssim(a: np.ndarray, b: np.ndarray, **options):
    options.update(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    return reference.structural_similarity(
        a, b, channel_axis=-1 if a.ndim == 3 else None, **options
    )


def plain_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """One plane, five scales, by the paper: contrast times structure, luminance at the last."""
    a, b = np.float64(a), np.float64(b)
    tap = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(tap, tap) / tap.sum() ** 2
    value = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        va, vb = (np.lib.stride_tricks.sliding_window_view(v, (11, 11)) for v in (a, b))
        ma, mb, aa, bb, ab = (
            np.einsum("ijkl,kl->ij", v, window, optimize=True)
            for v in (va, vb, va**2, vb**2, va * vb)
        )
        factor = (2 * (ab - ma * mb) + 58.5225) / (aa - ma**2 + bb - mb**2 + 58.5225)
        if scale == 4:
            factor = factor * (2 * ma * mb + 6.5025) / (ma**2 + mb**2 + 6.5025)
        value *= factor.mean() ** weight
        a, b = ((v[0::2, 0::2] + v[1::2, 0::2] + v[0::2, 1::2] + v[1::2, 1::2]) / 4 for v in (a, b))
    return value


@settings(max_examples=40, deadline=None)
@given(
    st.integers(11, 90), st.integers(11, 90), st.booleans(), st.integers(0, 99), st.floats(0.5, 60)
)
def test_psnr_and_ssim_are_scikit_images(height, width, colour, seed, noise):
    a, b = pair((height, width, 3) if colour else (height, width), seed, noise)
    assert psnr(a, b) == pytest.approx(
        reference.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9
    )
    assert ssim(a, b) == pytest.approx(skimage_ssim(a, b), abs=1e-5)


def test_ssim_of_nearly_flat_pictures_keeps_its_precision():
    a = np.full((64, 64), 250, np.uint8)
    b = a + np.random.default_rng(0).integers(0, 3, a.shape).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(skimage_ssim(a, b), abs=1e-4)


@pytest.mark.parametrize("noise", [2, 12, 50])
def test_ms_ssim_is_the_papers(noise):
    a, b = pair((192, 224, 3), noise=noise)
    expected = np.mean([plain_ms_ssim(a[..., c], b[..., c]) for c in range(3)])
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-4)
    assert ms_ssim(a[..., 1], b[..., 1]) == pytest.approx(
        plain_ms_ssim(a[..., 1], b[..., 1]), abs=1e-4
    )


def test_small_images_get_fewer_scales():
    a, b = pair((21, 300))
    assert ms_ssim(a, b) == pytest.approx(ssim(a, b), abs=1e-6)  # one scale is SSIM itself
    a, b = pair((175, 175))
    assert 0 < ms_ssim(a, b) < 1


def test_equal_and_opposite_pictures():
    a, _ = pair((64, 80, 3))
    assert psnr(a, a) == float("inf")
    assert ssim(a, a) == ms_ssim(a, a) == 1
    assert psnr(np.zeros((11, 11), np.uint8), np.full((11, 11), 255, np.uint8)) == 0
    assert ssim(a, 255 - a) < 0
    assert ms_ssim(a, 255 - a) == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "original, image, line",
    [
        (np.zeros((20, 20), np.uint8), np.zeros((20, 21), np.uint8), "different shapes"),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8), "different shapes"),
        (
            np.zeros((20, 20), np.float32),
            np.zeros((20, 20), np.float32),
            "float32, expected a uint8",
        ),
        (np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 4), np.uint8), r"shape \[20, 20, 4\]"),
        (np.zeros((0, 20), np.uint8), np.zeros((0, 20), np.uint8), r"shape \[0, 20\]"),
        (None, np.zeros((20, 20), np.uint8), "NoneType"),
    ],
)
def test_what_is_not_two_alike_images_is_refused(metric, original, image, line):
    with pytest.raises(ImageError, match=line):
        metric(original, image)


@pytest.mark.parametrize("metric", [ssim, ms_ssim])
def test_under_eleven_pixels_is_refused(metric):
    tiny = np.zeros((10, 99), np.uint8)
    with pytest.raises(ImageError, match="99x10 px is too small"):
        metric(tiny, tiny)


def test_ssim_of_a_camera_frame_is_fast():
    a, b = pair((480, 640, 3))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        ssim(a, b)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.030
