"""The files to compare with, JPEG and WebP within a byte budget; the floor of N DCT coefficients.

A file gets every advantage that a user could take: the best of six sizes (the small picture is
decoded and enlarged), its slow encoder settings, and the highest quality that fits. Whole files are
counted. Streams without a container are in `streams`, whole curves of all codecs in `fronts`.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from PIL import Image

from gaussvae_ros.evaluation.metrics import check_image, psnr

CODECS = ("jpeg", "webp")
SCALES = (1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 8)
LOWEST, HIGHEST = 0, 95  # quality; Pillow advises against JPEG above 95


@dataclass(frozen=True)
class PeerResult:
    """A peer's file for one image: its size and what a reader sees."""

    bytes: int  # whole file
    image: np.ndarray  # uint8 [H, W, 3] or [H, W], decoded and enlarged to the size of the original
    scale: float  # size of the picture in the file over the size of the original, one of SCALES
    quality: int  # 0..95, the codec's own scale


def at_bytes(image: np.ndarray, codec: str, max_bytes: int) -> PeerResult | None:
    """The best PSNR that `codec` reaches in a file of at most `max_bytes`; None when no file fits.

    `image` is uint8 [H, W, 3] RGB or [H, W] mono; `codec` is one of CODECS.

    Raises:
        ImageError: not such an image.
    """
    return curve(image, codec, [max_bytes])[0]


def curve(image: np.ndarray, codec: str, budgets: Sequence[int]) -> list[PeerResult | None]:
    """`at_bytes` for each of `budgets` (bytes), faster than one by one: they share files."""
    check_image(image)
    files = {scale: _Files(partial(encode, shrink(image, scale), codec)) for scale in SCALES}

    def best(budget: int) -> PeerResult | None:
        found = []
        for scale, made in files.items():
            if (quality := made.highest_fit(budget)) is not None:
                picture = enlarge(decode(made[quality], image.ndim), image.shape)
                result = PeerResult(len(made[quality]), picture, scale, quality)
                found.append((psnr(image, picture), result))
        return max(found, key=lambda f: f[0])[1] if found else None

    return [best(budget) for budget in budgets]


def encode(picture: np.ndarray, codec: str, quality: int) -> bytes:
    """The file of a picture, uint8 [H, W, 3] or [H, W], with the codec's slow settings.

    JPEG: optimised Huffman tables, 4:2:0, baseline or progressive, whichever is smaller. WebP:
    method 6. AVIF: speed 8.
    """
    image = Image.fromarray(picture)
    if codec == "avif":
        return _file(image, "AVIF", quality=quality, speed=8)
    if codec == "webp":
        return _file(image, "WEBP", quality=quality, method=6)
    options = {"quality": quality, "subsampling": "4:2:0", "optimize": True}
    return min((_file(image, "JPEG", progressive=p, **options) for p in (False, True)), key=len)


def decode(data: bytes, ndim: int) -> np.ndarray:
    """The picture of a file: uint8 [H, W, 3] RGB, or [H, W] where `ndim` is 2."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB" if ndim == 3 else "L"))


def shrink(image: np.ndarray, scale: float) -> np.ndarray:
    """The image at `scale` of its size, by Lanczos: on four Kodak images 0.05 dB above area."""
    if scale == 1:
        return image
    height, width = (max(1, round(n * scale)) for n in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def enlarge(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The image at the height and width of `shape`, bicubic: Lanczos measured the same."""
    if image.shape == shape:
        return image
    return cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def dct_floor(image: np.ndarray, numbers: int = 512) -> np.ndarray:
    """What `numbers` numbers can do without learning: the image from its largest DCT coefficients.

    The orthonormal DCT-II runs over height, width and colour; which coefficients are kept is not
    counted. By Parseval these are the `numbers` coefficients with the least squared error.

    Returns:
        uint8 image of the same shape.
    """
    check_image(image)
    values = np.float32(image)
    transforms = [np.float32(_dct_matrix(n)) for n in values.shape]
    for axis, matrix in enumerate(transforms):
        values = _along(values, matrix, axis)
    if numbers < values.size:
        threshold = np.partition(np.abs(values), -numbers, axis=None)[-numbers]
        values = np.where(np.abs(values) >= threshold, values, 0)
    for axis, matrix in enumerate(transforms):
        values = _along(values, matrix.T, axis)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


class _Files(dict):
    """The files of one picture by quality, encoded when asked for."""

    def __init__(self, make: Callable[[int], bytes]):
        self._make = make

    def __missing__(self, quality: int) -> bytes:
        self[quality] = self._make(quality)
        return self[quality]

    def highest_fit(self, budget: int) -> int | None:
        """The highest quality whose file has at most `budget` bytes, if files grow with quality.

        It climbs in growing steps before it bisects, since a file far above the budget costs the
        most time.
        """
        low = max((q for q, data in self.items() if len(data) <= budget), default=LOWEST - 1)
        high = min((q for q, data in self.items() if len(data) > budget), default=HIGHEST + 1)
        step, quality = 1, LOWEST
        while high - low > 1:
            quality = min(max(quality, low + 1), high - 1)
            if len(self[quality]) <= budget:
                low = quality
                quality = min(low + step, (low + high) // 2)
            else:
                high = quality
                quality = (low + high) // 2
            step *= 2
        return low if low >= LOWEST else None


def _file(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _dct_matrix(n: int) -> np.ndarray:
    """Orthonormal DCT-II, [n, n]: row k is the k-th cosine."""
    k, x = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.sqrt(2 / n) * np.cos(np.pi * k * (x + 0.5) / n)
    matrix[0] /= np.sqrt(2)
    return matrix


def _along(values: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
