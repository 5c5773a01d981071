"""The rate-distortion front of one image: what a peer reaches at each size, the best of six scales.

A peer codes the image at native, 1/2, 1/3, 1/4, 1/6 and 1/8 size (Lanczos down, bicubic up) with
many quantisers; the points that none of fewer bytes beats are its front.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation import peers, stills
from gaussvae_ros.evaluation.bjontegaard import pchip
from gaussvae_ros.evaluation.metrics import EQUAL, check_image, ms_ssim, psnr, ssim
from gaussvae_ros.files import write_file

STEP = 3  # of the codec's own numbers, between points
STRIDE = 2  # points at a time while a still is less than half the smallest size
BEHIND = 0.3  # dB below what larger scales reach at a size: a smaller one only falls further behind


@dataclass(frozen=True)
class Coded:
    """One still of a peer, or one record of ours, beside its image."""

    bytes: int
    psnr: float  # dB, at the size of the image, as ssim and ms_ssim
    ssim: float
    ms_ssim: float
    quality: float  # the codec's own number: quantiser or quality
    scale: float = 1.0  # of the coded picture over the image


def score(
    image: np.ndarray, picture: np.ndarray, size: int, quality: float, scale: float = 1.0
) -> Coded:
    """Compare what came back, `picture`, with `image`, both uint8 [H, W, 3] or [H, W].

    Raises:
        ImageError: shapes differ, or are too small for SSIM.
    """
    decibels = min(psnr(image, picture), EQUAL)
    return Coded(size, decibels, ssim(image, picture), ms_ssim(image, picture), quality, scale)


def front(image: np.ndarray, codec: str, smallest: int, largest: int) -> list[Coded]:
    """A peer's front from below `smallest` bytes, where the codec can, to beyond `largest`.

    Args:
        image: uint8 [H, W, 3] RGB or [H, W].
        codec: one of `peers.CODECS` or `stills.ENCODERS`.

    Raises:
        ImageError: not such an image, or too small for SSIM.
        GaussVaeError: the codec is missing.
    """
    check_image(image)
    if codec in stills.ENCODERS and codec in stills.missing():
        raise GaussVaeError(f"{codec}: {stills.missing()[codec]}")
    made: list[_Still] = []
    for scale in peers.SCALES:
        made += _walk(image, codec, scale, smallest, largest, tuple(made))
    return [score(image, s.picture, s.bytes, s.quality, s.scale) for s in best_of(made)]


def best_of(coded: Sequence) -> list:
    """Those that are better than all of fewer bytes, by rising bytes."""
    kept = []
    for one in sorted(coded, key=lambda c: (c.bytes, -c.psnr)):
        if not kept or one.psnr > kept[-1].psnr:
            kept.append(one)
    return kept


def at_size(coded: Sequence[Coded], size: float, measure: str = "psnr") -> float | None:
    """A measure of a front at `size` bytes, a cubic through log bytes; None beyond its ends."""
    coded = best_of(coded)
    if len(coded) < 2 or not coded[0].bytes <= size <= coded[-1].bytes:
        return None
    values = np.array([getattr(c, measure) for c in coded])
    return float(pchip(np.log([c.bytes for c in coded]), values)(np.log(size)))


class Fronts:
    """Fronts of peers, kept in a file: each takes a minute and depends on nothing of ours."""

    def __init__(self, path: str | Path, smallest: int, largest: int):
        self._path, self._range = Path(path), (smallest, largest)
        try:
            self._kept = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._kept = {}

    def of(self, image: np.ndarray, codec: str) -> list[Coded]:
        """As `front`, from the file where it has been made with the same settings before."""
        key = hashlib.sha256(repr((image.shape, *self._range, _settings(codec))).encode())
        key.update(np.ascontiguousarray(image))
        name = f"{codec} {key.hexdigest()}"
        if name not in self._kept:
            self._kept[name] = [asdict(c) for c in front(image, codec, *self._range)]
            write_file(self._path, json.dumps(self._kept).encode())
        return [Coded(**c) for c in self._kept[name]]


def _settings(codec: str) -> tuple:
    """All that a front depends on besides the image."""
    walk = peers.SCALES, STEP, STRIDE, BEHIND
    if codec in stills.ENCODERS:
        return stills.ENCODERS[codec], stills.version(), *walk
    return PIL.__version__, *walk


def _rungs(codec: str) -> Sequence[int]:
    """The codec's own numbers, fewest bytes first."""
    if codec in stills.ENCODERS:
        return range(stills.ENCODERS[codec].coarsest, 0, -STEP)
    return range(peers.LOWEST, peers.HIGHEST + 1, STEP)


def _code(picture: np.ndarray, codec: str, quality: int) -> tuple[int, np.ndarray]:
    if codec in stills.ENCODERS:
        return stills.code(picture, codec, quality)
    data = peers.encode(picture, codec, quality)
    return len(data), peers.decode(data, picture.ndim)


@dataclass(frozen=True)
class _Still:
    bytes: int
    psnr: float
    picture: np.ndarray  # enlarged
    quality: int
    scale: float


def _walk(
    image: np.ndarray,
    codec: str,
    scale: float,
    smallest: int,
    largest: int,
    rivals: Sequence[_Still],  # at larger scales
) -> Iterator[_Still]:
    """The stills at one scale, fewest bytes first, to one beyond `largest` or to no use."""
    small, rungs, place = peers.shrink(image, scale), _rungs(codec), 0
    while place < len(rungs):
        try:
            size, decoded = _code(small, codec, rungs[place])
        except GaussVaeError:
            return  # too small a picture, or too fine a quantiser, for its encoder
        picture = peers.enlarge(decoded, image.shape)
        still = _Still(size, psnr(image, picture), picture, rungs[place], scale)
        yield still
        rival = max((r.psnr for r in rivals if r.bytes <= size), default=-np.inf)
        if size > largest or size > smallest and still.psnr < rival - BEHIND:
            return
        place += STRIDE if size < smallest / 2 else 1
