"""The codecs to compare with: JPEG, WebP and AVIF at a byte budget, and the floor "keep N DCT coefficients".

A peer is given every advantage that a user could take: the best of native, half and quarter size (the small file is
decoded and enlarged), its slow encoder settings, and the highest quality that fits. Whole files are counted.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from PIL import Image, features

from gaussvae_ros.evaluation.metrics import check_image, psnr

CODECS = tuple(
    c for c in ("jpeg", "webp", "avif") if c == "jpeg" or features.check(c)
)  # old Pillow has no AVIF
SCALES = (1.0, 0.5, 0.25)
LOWEST, HIGHEST = 0, 95  # quality; Pillow advises against JPEG above 95
DRAFT_ERROR = 0.3  # dB, by how much a scale may look worse in the draft and still be tried


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
    """`at_bytes` for each of `budgets` (bytes); it shares files between them, so it is faster than one by one."""
    check_image(image)
    pictures = {scale: Image.fromarray(_shrink(image, scale)) for scale in SCALES}
    drafts = {
        scale: _Files(partial(_DRAFTS[codec], picture)) for scale, picture in pictures.items()
    }
    files = {
        scale: _Files(partial(_ENCODERS[codec], picture)) for scale, picture in pictures.items()
    }

    def seen(data: bytes) -> np.ndarray:
        return _enlarge(_decode(data, image.ndim), image.shape)

    def best(budget: int) -> PeerResult | None:
        likely = {
            scale: quality
            for scale in SCALES
            if (quality := drafts[scale].highest_fit(budget)) is not None
        }
        score = {
            scale: psnr(image, seen(drafts[scale][quality])) for scale, quality in likely.items()
        }
        found = []
        for scale, quality in likely.items():
            if score[scale] < max(score.values()) - DRAFT_ERROR:
                continue
            if (quality := files[scale].highest_fit(budget, quality)) is not None:
                picture = seen(files[scale][quality])
                result = PeerResult(len(files[scale][quality]), picture, scale, quality)
                found.append((psnr(image, picture), result))
        return max(found, key=lambda f: f[0])[1] if found else None

    return [best(budget) for budget in budgets]


def dct_floor(image: np.ndarray, numbers: int = 512) -> np.ndarray:
    """What `numbers` numbers can do without any learning: the image from its largest DCT coefficients.

    The orthonormal DCT-II runs over height, width and colour; which coefficients are kept is not counted.
    By Parseval these are the `numbers` coefficients with the least squared error.

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

    def __init__(self, encode: Callable[[int], bytes]):
        self._encode = encode

    def __missing__(self, quality: int) -> bytes:
        self[quality] = self._encode(quality)
        return self[quality]

    def highest_fit(self, budget: int, guess: int = LOWEST) -> int | None:
        """The highest quality whose file has at most `budget` bytes, taking it that files grow with quality.

        It leaves `guess` in growing steps before it bisects, since a file far above the budget costs the most time.
        """
        low = max((q for q, data in self.items() if len(data) <= budget), default=LOWEST - 1)
        high = min((q for q, data in self.items() if len(data) > budget), default=HIGHEST + 1)
        step, quality = 1, guess
        while high - low > 1:
            quality = min(max(quality, low + 1), high - 1)
            if len(self[quality]) <= budget:
                low = quality
                quality = min(low + step, (low + high) // 2)
            else:
                high = quality
                quality = max(high - step, (low + high) // 2)
            step *= 2
        return low if low >= LOWEST else None


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    options = {"quality": quality, "subsampling": "4:2:0", "optimize": True}
    return min((_file(picture, "JPEG", progressive=p, **options) for p in (False, True)), key=len)


def _webp(picture: Image.Image, quality: int) -> bytes:
    return _file(picture, "WEBP", quality=quality, method=6)


def _avif(picture: Image.Image, quality: int, speed: int = 4) -> bytes:
    """Speed 4 is within 0.05 dB of speed 2 at a third of its time; tuned for PSNR, since we compare by it.

    One thread, because the file depends on their number.
    """
    options = {"autotiling": False, "max_threads": 1, "advanced": {"tune": "psnr"}}
    chroma = "4:0:0" if picture.mode == "L" else "4:2:0"
    return _file(picture, "AVIF", quality=quality, speed=speed, subsampling=chroma, **options)


_ENCODERS = {"jpeg": _jpeg, "webp": _webp, "avif": _avif}
_DRAFTS = {
    **_ENCODERS,
    "avif": partial(_avif, speed=6),
}  # to find the scale and about the quality, 8 times as fast


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
