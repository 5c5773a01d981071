"""Camera frames to bytes and back: the one door to fit, entropy coder and renderer.

    from gaussvae_ros.codec import FrameCodec
    codec = FrameCodec()
    data = codec.encode(image)                              # uint8 [H, W, 3] or [H, W] -> about 2 KB
    image = codec.decode(data)                              # the frame's own size
    small = codec.decode(data, size=(160, 120))             # any other
    part = codec.decode(data, roi=(100, 50, 64, 64))        # or a part of it
"""

from collections.abc import Iterable
from numbers import Real

import numpy as np

from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.entropy import stream
from gaussvae_ros.errors import GaussVaeError, ImageError, RecordError
from gaussvae_ros.fit import EFFORTS, MAX_SPLATS, MIN_SPLATS, check_image
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.quantise import encode_fit, encode_splats
from gaussvae_ros.raster.cpu import split
from gaussvae_ros.raster.view import MAX_PIXELS, checked_roi, checked_size, render
from gaussvae_ros.record import MAX_SIDE, TIERS, Record, pack, unpack

DEVICES = ("auto", "cpu", "cuda")
PIXELS_A_SPLAT = 4  # at least: beyond, a splat takes more than the pixels that it stands for


class FrameCodec:
    """Encodes and decodes frames. One may be shared by any number of threads.

    Single frames and records are worked on by the CPU, all cores at once. A GPU fits the batches of `encode_many`:
    "auto" looks for one then, "cuda" insists on it now, and "cpu" leaves it alone.
    """

    def __init__(self, device: str = "auto"):
        """Raises GaussVaeError for a device that is unknown or not there."""
        if device not in DEVICES:
            raise GaussVaeError(f"device is one of {', '.join(DEVICES)}, not {device!r}")
        if device == "cuda" and (problem := why_no_gpu()):
            raise GaussVaeError(f"device cuda cannot be used: {problem}; use device cpu")
        self._gpu = {"auto": None, "cpu": False, "cuda": True}[device]  # None: not known yet

    def encode(
        self,
        image: np.ndarray,  # uint8 [H, W, 3] RGB or [H, W] mono
        tier: str = "splats",
        quality: float = 50,
        effort: str = "fast",
    ) -> bytes:
        """A frame as a self-contained record; the same arguments give the same bytes.

        Args:
            tier: "splats", the quantised fit itself ("latent" is not part of this release).
            quality: 0 to 100; the number of splats doubles with each 12.5, and 50 is 512 of them, about 2 KB. Small
                frames get at most one splat for each PIXELS_A_SPLAT pixels.
            effort: "fast" for a camera's rate (tens of milliseconds), "best" for the highest PSNR (seconds).

        Raises:
            ImageError: not such an image, or one that could not be decoded: more than 65535 px a side or 2^26 in all.
            GaussVaeError: another argument is out of range.
        """
        n = _checked(image, tier, quality, effort)
        return _record(image, encode_splats(np.ascontiguousarray(image), n, effort))

    def encode_many(
        self, images: Iterable[np.ndarray], tier: str = "splats", quality: float = 50, effort: str = "fast"
    ) -> list[bytes]:
        """`encode` for each of several frames, which may differ in size.

        A GPU adds in another order, so its records differ from those of `encode`, as those of two seeds would.
        """
        images = list(images)
        counts = [_checked(image, tier, quality, effort) for image in images]
        if len(images) < 2 or not self._uses_gpu():
            return [self.encode(image, tier, quality, effort) for image in images]
        from gaussvae_ros.fit.cuda import fit_many

        images = [np.ascontiguousarray(image) for image in images]
        datas = [b""] * len(images)
        for n in set(counts):
            places = [k for k, count in enumerate(counts) if count == n]
            for k, splats in zip(places, fit_many([images[k] for k in places], n, effort), strict=True):
                datas[k] = _record(images[k], encode_fit(images[k], Descent(*split(splats.params)), effort))
        return datas

    def decode(
        self,
        data: bytes,
        size: tuple[int, int] | None = None,  # (w, h) px
        roi: tuple[int, int, int, int] | None = None,  # (x, y, w, h) px
    ) -> np.ndarray:  # uint8 [h, w, 3] RGB, or [h, w] if the frame was mono
        """A record as a picture, or a part of it; `size` and `roi` are those of `gaussvae_ros.raster.view.render`.

        Any bytes give a picture or an error in bounded time and memory.

        Raises:
            RecordError: not a record, truncated, altered, or of a version or tier that this release does not know.
            GaussVaeError: `roi` is not inside the frame, or the picture would be empty or have more than 2^26 px.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise RecordError(f"a record is bytes, not {type(data).__name__}")
        record = unpack(bytes(data))
        if record.tier == "latent":
            raise RecordError("record has tier latent, which this release cannot decode")
        part = checked_roi(roi, record.size)
        if size is None:
            checked_size(part[2:])  # before the work
        return render(stream.read(record.payload, record.size), size, roi)

    def _uses_gpu(self) -> bool:
        if self._gpu is None:
            self._gpu = why_no_gpu() is None
        return self._gpu


def splats_at(quality: float) -> int:
    """How many splats a quality of 0 to 100 stands for: 32 to 8192 (GaussVaeError if it is no such number)."""
    if isinstance(quality, bool) or not isinstance(quality, Real) or not 0 <= quality <= 100:
        raise GaussVaeError(f"quality is a number from 0 to 100, not {quality!r}")
    return min(max(round(512 * 2 ** ((float(quality) - 50) / 12.5)), MIN_SPLATS), MAX_SPLATS)


def _checked(image: np.ndarray, tier: str, quality: float, effort: str) -> int:
    """How many splats the image gets, if `encode` can do all that (GaussVaeError if not)."""
    wanted = splats_at(quality)
    if tier not in TIERS:
        raise GaussVaeError(f"tier is one of {', '.join(TIERS)}, not {tier!r}")
    if effort not in EFFORTS:
        raise GaussVaeError(f"effort is one of {', '.join(EFFORTS)}, not {effort!r}")
    if tier == "latent":
        raise GaussVaeError("tier latent needs a trained model, which this release does not have: use tier splats")
    check_image(image)
    height, width = image.shape[:2]
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"image of {width}x{height} px is too large: a side has at most {MAX_SIDE} px, all of it {MAX_PIXELS}"
        )
    return min(wanted, max(width * height // PIXELS_A_SPLAT, MIN_SPLATS))


def _record(image: np.ndarray, payload: bytes) -> bytes:
    return pack(Record("splats", (image.shape[1], image.shape[0]), payload))
