"""The codecs to compare with: JPEG, WebP and AVIF at a byte budget, and the floor "keep N DCT coefficients".

A peer is given every advantage that a user could take: the best of native, half and quarter size (the small file is
decoded and enlarged), its slow encoder settings, and the highest quality that fits. Whole files are counted.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image, features

from gaussvae_ros.evaluation.metrics import check_image, psnr

CODECS = tuple(c for c in ("jpeg", "webp", "avif") if c == "jpeg" or features.check(c))  # old Pillow has no AVIF
SCALES = (1.0, 0.5, 0.25)
LOWEST, HIGHEST = 0, 95  # quality; Pillow advises against JPEG above 95


@dataclass(frozen=True)
class PeerResult:
    """A peer's file for one image: its size and what a reader sees."""

    bytes: int  # whole file
    image: np.ndarray  # uint8 [H, W, 3] or [H, W], decoded and enlarged to the size of the original
    scale: float  # size of the picture in the file over the size of the original: 1, 0.5 or 0.25
    quality: int  # 0..95, the codec's own scale


def at_bytes(image: np.ndarray, codec: str, max_bytes: int) -> PeerResult | None:
    """The best PSNR that `codec` reaches for `image` in a file of at most `max_bytes`; None when no file fits.

    `image` is uint8 [H, W, 3] RGB or [H, W] mono; `codec` is one of CODECS.

    Raises:
        ImageError: not such an image.
    """
    return curve(image, codec, [max_bytes])[0]


def curve(image: np.ndarray, codec: str, budgets: Sequence[int]) -> list[PeerResult | None]:
    """`at_bytes` for each of `budgets` (bytes); files are shared between the budgets, so this is faster than one by one."""
    check_image(image)
    encode = _ENCODERS[codec]

    @cache
    def file(scale: float, quality: int) -> bytes:
        return encode(Image.fromarray(_shrink(image, scale)), quality)

    @cache
    def result(scale: float, quality: int) -> tuple[float, PeerResult]:
        data = file(scale, quality)
        seen = _enlarge(_decode(data, image.ndim), image.shape)
        return psnr(image, seen), PeerResult(len(data), seen, scale, quality)

    def best(budget: int) -> PeerResult | None:
        found = [(s, _highest_fit(lambda q: len(file(s, q)), budget)) for s in SCALES]
        candidates = [result(s, q) for s, q in found if q is not None]
        return max(candidates, key=lambda c: c[0])[1] if candidates else None

    return [best(budget) for budget in budgets]


def dct_floor(image: np.ndarray, numbers: int = 512) -> np.ndarray:
    """What `numbers` numbers can do without any learning: the image from its largest DCT coefficients.

    The orthonormal DCT-II runs over height, width and colour; which coefficients are kept is not counted.
    By Parseval these are the `numbers` coefficients with the least squared error.

    Returns:
        uint8 image of the same shape.
    """
    check_image(image)
    values = np.float64(image)
    transforms = [_dct_matrix(n) for n in values.shape]
    for axis, matrix in enumerate(transforms):
        values = _along(values, matrix, axis)
    if numbers < values.size:
        threshold = np.partition(np.abs(values), -numbers, axis=None)[-numbers]
        values = np.where(np.abs(values) >= threshold, values, 0)
    for axis, matrix in enumerate(transforms):
        values = _along(values, matrix.T, axis)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _highest_fit(size_at, budget: int) -> int | None:
    """The highest quality whose file fits, by bisection: a file grows with quality, near enough."""
    if size_at(LOWEST) > budget:
        return None
    low, high = LOWEST, HIGHEST + 1  # low fits, high counts as too large
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size_at(middle) <= budget else (low, middle)
    return low


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    baseline, progressive = (
        _file(picture, "JPEG", quality=quality, subsampling="4:2:0", optimize=True, progressive=p) for p in (False, True)
    )
    return min(baseline, progressive, key=len)


def _webp(picture: Image.Image, quality: int) -> bytes:
    return _file(picture, "WEBP", quality=quality, method=6)


def _avif(picture: Image.Image, quality: int) -> bytes:
    """Speed 4 is within 0.05 dB of speed 2 at a third of its time; tuned for PSNR, since we compare by it."""
    chroma = "4:0:0" if picture.mode == "L" else "4:2:0"
    tune = {"tune": "psnr"}
    return _file(picture, "AVIF", quality=quality, speed=4, subsampling=chroma, autotiling=False, advanced=tune)


_ENCODERS = {"jpeg": _jpeg, "webp": _webp, "avif": _avif}


def _file(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _decode(data: bytes, ndim: int) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB" if ndim == 3 else "L"))


def _shrink(image: np.ndarray, scale: float) -> np.ndarray:
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else image


def _enlarge(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Lanczos measured 0.01 dB above cubic and 0.1 above linear."""
    if image.shape == shape:
        return image
    return cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_LANCZOS4)


def _dct_matrix(n: int) -> np.ndarray:
    """Orthonormal DCT-II, [n, n]: row k is the k-th cosine."""
    k, x = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.sqrt(2 / n) * np.cos(np.pi * k * (x + 0.5) / n)
    matrix[0] /= np.sqrt(2)
    return matrix


def _along(values: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
