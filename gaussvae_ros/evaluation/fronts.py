"""Rate-distortion fronts: what a peer reaches at each size, the best of several scales.

A peer codes an image, or a video, at native size and reduced (Lanczos down, bicubic up) with many
quantisers; the points that none of fewer bytes beats are its front.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL

from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.evaluation import peers, streams
from gaussvae_ros.evaluation.bjontegaard import pchip
from gaussvae_ros.evaluation.encoders import STILLS, VIDEOS
from gaussvae_ros.evaluation.metrics import EQUAL, check_image, ms_ssim, psnr, ssim
from gaussvae_ros.files import write_file

STREAMS = {**STILLS, **VIDEOS}
STEP = 3  # of the codec's own numbers, between points
STRIDE = 2  # points at a time while a stream is less than half the smallest size
BEHIND = 0.3  # dB below what larger scales reach at a size: a smaller one only falls further behind
VIDEO_SCALES = (1.0, 1 / 2, 1 / 3)


@dataclass(frozen=True)
class Coded:
    """What a peer, or ours, made of one image or video, beside it; means over its frames."""

    bytes: float  # a frame
    psnr: float  # dB, at the size of the frames, as ssim and ms_ssim
    ssim: float
    ms_ssim: float | None  # of images only: of a video it would take longer than all else
    quality: float  # the codec's own number: quantiser or quality
    scale: float = 1.0  # of the coded pictures over the frames


def score(
    frames: Sequence[np.ndarray],
    pictures: Sequence[np.ndarray],
    size: float,
    quality: float,
    scale: float = 1.0,
) -> Coded:
    """Compare what came back, `pictures`, with `frames`, both uint8 [H, W, 3] or [H, W].

    Raises:
        ImageError: shapes differ, or are too small for SSIM.
    """
    similar = float(np.mean([ssim(*pair) for pair in zip(frames, pictures, strict=True)]))
    multi = ms_ssim(frames[0], pictures[0]) if len(frames) == 1 else None
    return Coded(size, mean_psnr(frames, pictures), similar, multi, quality, scale)


def mean_psnr(frames: Sequence[np.ndarray], pictures: Iterable[np.ndarray]) -> float:
    """dB, the mean of the frames' own. Raises ImageError where shapes differ."""
    return float(np.mean([min(psnr(*p), EQUAL) for p in zip(frames, pictures, strict=True)]))


def front(frames: Sequence[np.ndarray], codec: str, smallest: int, largest: int) -> list[Coded]:
    """A peer's front from below `smallest` bytes a frame, where the codec can, to beyond `largest`.

    Args:
        frames: one image, or those of a video for the codecs of VIDEOS: uint8 [H, W, 3] RGB or
            [H, W], all of one shape.
        codec: one of `peers.CODECS`, STILLS or VIDEOS.

    Raises:
        ImageError: not such frames, or too small for SSIM.
        GaussVaeError: the codec is missing.
    """
    for frame in frames:
        check_image(frame)
    if codec in STREAMS and (missing := streams.missing({codec: STREAMS[codec]})):
        raise GaussVaeError(f"{codec}: {missing[codec]}")
    made: list[_Made] = []
    for scale in VIDEO_SCALES if codec in VIDEOS else peers.SCALES:
        made += _walk(frames, codec, scale, smallest, largest, tuple(made))
    return [
        score(frames, list(_pictures(frames, codec, m.data, m.scale)), m.bytes, m.quality, m.scale)
        for m in best_of(made)
    ]


def coded_again(frames: Sequence[np.ndarray], codec: str, point: Coded) -> list[np.ndarray]:
    """What the frames look like at one point of a peer's front."""
    _, data = _code(_shrunk(frames, point.scale), codec, int(point.quality))
    return list(_pictures(frames, codec, data, point.scale))


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


def nearest(coded: Sequence[Coded], size: float) -> Coded:
    """That whose bytes are nearest to `size`, by their ratio."""
    return min(coded, key=lambda c: abs(np.log(c.bytes / size)))


class Fronts:
    """Fronts of peers, kept in a file: each takes a minute and depends on nothing of ours."""

    def __init__(self, path: str | Path, smallest: int, largest: int):
        self._path, self._range = Path(path), (smallest, largest)
        try:
            self._kept = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._kept = {}

    def of(self, frames: Sequence[np.ndarray], codec: str) -> list[Coded]:
        """As `front`, from the file where it has been made with the same settings before."""
        key = hashlib.sha256(repr((frames[0].shape, *self._range, _settings(codec))).encode())
        for frame in frames:
            key.update(np.ascontiguousarray(frame))
        name = f"{codec} {key.hexdigest()}"
        if name not in self._kept:
            self._kept[name] = [asdict(c) for c in front(frames, codec, *self._range)]
            write_file(self._path, json.dumps(self._kept).encode())
        return [Coded(**c) for c in self._kept[name]]


def _settings(codec: str) -> tuple:
    """All that a front depends on besides the frames."""
    walk = VIDEO_SCALES if codec in VIDEOS else peers.SCALES, STEP, STRIDE, BEHIND
    if codec in STREAMS:
        return STREAMS[codec], streams.version(), *walk
    return PIL.__version__, *walk


def _rungs(codec: str) -> Sequence[int]:
    """The codec's own numbers, fewest bytes first."""
    if codec in STREAMS:
        return range(STREAMS[codec].coarsest, 0, -STEP)
    return range(peers.LOWEST, peers.HIGHEST + 1, STEP)


def _code(frames: Sequence[np.ndarray], codec: str, quality: int) -> tuple[int, bytes]:
    """Bytes that count, and the file or stream."""
    if codec in STREAMS:
        data = streams.encode(frames, STREAMS[codec], quality)
        return streams.payload_bytes(data, STREAMS[codec].muxer), data
    data = peers.encode(frames[0], codec, quality)
    return len(data), data


def _pictures(
    frames: Sequence[np.ndarray], codec: str, data: bytes, scale: float
) -> Iterator[np.ndarray]:
    """What a file or stream holds, enlarged to the frames' size."""
    shape = frames[0].shape
    if codec in STREAMS:
        small = _shrunk(frames[:1], scale)[0].shape
        decoded = streams.decode(data, STREAMS[codec], small)
    else:
        decoded = [peers.decode(data, len(shape))]
    return (peers.enlarge(picture, shape) for picture in decoded)


def _shrunk(frames: Sequence[np.ndarray], scale: float) -> list[np.ndarray]:
    return [peers.shrink(frame, scale) for frame in frames]


@dataclass(frozen=True)
class _Made:
    bytes: float  # a frame
    psnr: float
    data: bytes  # file or stream
    quality: int
    scale: float


def _walk(
    frames: Sequence[np.ndarray],
    codec: str,
    scale: float,
    smallest: int,
    largest: int,
    rivals: Sequence[_Made],  # at larger scales
) -> Iterator[_Made]:
    """What is made at one scale, fewest bytes first, to one beyond `largest` or to no use."""
    small, rungs, place = _shrunk(frames, scale), _rungs(codec), 0
    while place < len(rungs):
        try:
            total, data = _code(small, codec, rungs[place])
        except GaussVaeError:
            return  # too small a picture, or too fine a quantiser, for its encoder
        size = total / len(frames) if len(frames) > 1 else total  # of an image a whole number
        quality = mean_psnr(frames, _pictures(frames, codec, data, scale))
        yield _Made(size, quality, data, rungs[place], scale)
        rival = max((r.psnr for r in rivals if r.bytes <= size), default=-np.inf)
        if size > largest or size > smallest and quality < rival - BEHIND:
            return
        place += STRIDE if size < smallest / 2 else 1
