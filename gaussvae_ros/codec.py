"""Camera frames to bytes and back: the one door to fit, model, entropy coder and renderer.

    from gaussvae_ros.codec import FrameCodec
    codec = FrameCodec()
    data = codec.encode(image)                              # uint8 [H, W, 3] or [H, W] -> about 0.5 KB
    image = codec.decode(data)                              # the frame's own size
    small = codec.decode(data, size=(160, 120))             # any other
    part = codec.decode(data, roi=(100, 50, 64, 64))        # or a part of it
    more = codec.encode(image, tier="splats")               # about 2 KB, for more detail
"""

import os
import threading
from collections.abc import Iterable
from functools import lru_cache, partial
from numbers import Integral, Real

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
from gaussvae_ros.splats import Splats

DEVICES = ("auto", "cpu", "cuda")
SMALL = 4  # times fewer pixels than the frame: then anchors are drawn unsplit, which is faster and differs by 42 dB
PIXELS_A_SPLAT = 4  # at least: beyond, a splat takes more than the pixels that it stands for


class FrameCodec:
    """Encodes and decodes frames. One may be shared by any number of threads.

    Single frames and records are worked on by the CPU, all cores at once. A GPU fits the batches of `encode_many`:
    "auto" looks for one then, "cuda" insists on it now, and "cpu" leaves it alone. `model` is the name or the path of
    the model file that the latent tier needs; it loads on first use, so the splats tier does without it and torch.
    The splats of the last `remember` records stay in memory, some 16 KB each, so that these only take drawing again.
    """

    def __init__(self, device: str = "auto", model: str | os.PathLike = "anchors", remember: int = 0):
        """Raises GaussVaeError for a device that is unknown or not there."""
        if device not in DEVICES:
            raise GaussVaeError(f"device is one of {', '.join(DEVICES)}, not {device!r}")
        if device == "cuda" and (problem := why_no_gpu()):
            raise GaussVaeError(f"device cuda cannot be used: {problem}; use device cpu")
        if not isinstance(model, (str, os.PathLike)):
            raise GaussVaeError(f"model is the name or path of a model file, not {model!r}")
        self._gpu = {"auto": None, "cpu": False, "cuda": True}[device]  # None: not known yet
        self._model, self._latent_codec, self._loading = model, None, threading.Lock()
        self._read = lru_cache(remember)(self._read)

    def encode(
        self,
        image: np.ndarray,  # uint8 [H, W, 3] RGB or [H, W] mono
        tier: str = "latent",
        quality: float = 50,
        effort: str = "fast",
        refine: int = 0,
    ) -> bytes:
        """A frame as a self-contained record; the same arguments give the same bytes.

        Args:
            tier: "latent", the smallest records, which the model turns back into splats, or "splats", the quantised
                fit itself.
            quality: 0 to 100. In the latent tier the number of anchors doubles with each 25, and 50 is 128 of them, about
                0.5 KB; in the splats tier that of splats doubles with each 12.5, and 50 is 512 of them, about 2 KB. Small
                frames get at most one for each PIXELS_A_SPLAT pixels.
            effort: "fast" for a camera's rate (tens of milliseconds), "best" for the highest PSNR (seconds).
            refine: steps of descent through the model's decoder, some milliseconds each; only in the latent tier.

        Raises:
            ImageError: not such an image, or one that could not be decoded: more than 65535 px a side or 2^26 in all.
            ModelError: the latent tier's model is not there, or damaged.
            GaussVaeError: another argument is out of range.
        """
        _check(image, tier, quality, effort, refine)
        image = np.ascontiguousarray(image)
        if tier == "latent":
            return _record(tier, image, self._latent().encode(image, quality, effort, refine))
        return _record(tier, image, encode_splats(image, _splats_for(image, quality), effort))

    def encode_many(
        self,
        images: Iterable[np.ndarray],
        tier: str = "latent",
        quality: float = 50,
        effort: str = "fast",
        refine: int = 0,
    ) -> list[bytes]:
        """`encode` for each of several frames, which may differ in size.

        A GPU adds in another order, so its records differ from those of `encode`, as those of two seeds would.
        """
        images = list(images)
        for image in images:
            _check(image, tier, quality, effort, refine)
        if len(images) < 2 or not self._uses_gpu():
            return [self.encode(image, tier, quality, effort, refine) for image in images]
        from gaussvae_ros.fit.cuda import fit_many

        if tier == "latent":
            from gaussvae_ros.vae.latent import PLANS as plans, anchors_at

            counts = [anchors_at(quality, image.shape[1::-1]) for image in images]
            code = partial(self._latent().encode_fit, refine=refine)
        else:
            plans, counts, code = EFFORTS, [_splats_for(image, quality) for image in images], encode_fit
        images = [np.ascontiguousarray(image) for image in images]
        datas = [b""] * len(images)
        for n in set(counts):
            places = [k for k, count in enumerate(counts) if count == n]
            for k, splats in zip(places, fit_many([images[k] for k in places], n, effort, plans=plans), strict=True):
                datas[k] = _record(tier, images[k], code(images[k], Descent(*split(splats.params)), effort))
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
            RecordError: not a record, truncated, altered, of a version or tier that this release does not know, or of
                another model than this codec's.
            ModelError: the latent tier's model is not there, or damaged.
            GaussVaeError: `roi` is not inside the frame, or the picture would be empty or have more than 2^26 px.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise RecordError(f"a record is bytes, not {type(data).__name__}")
        record = unpack(bytes(data))
        _, _, *part = checked_roi(roi, record.size)
        width, height = checked_size(part if size is None else size)  # before the work
        return render(self._read(record, SMALL * width * height <= part[0] * part[1]), size, roi)

    def _read(self, record: Record, small: bool) -> Splats:
        """What to draw of a record, for a small picture or for any."""
        if record.tier == "splats":
            return stream.read(record.payload, record.size)
        latent = self._latent()
        return (latent.anchors if small else latent.decode)(record.payload, record.size)

    def _latent(self):
        """The model's codec, which brings torch along."""
        with self._loading:
            if self._latent_codec is None:
                from gaussvae_ros.vae.latent import LatentCodec

                self._latent_codec = LatentCodec(self._model)
        return self._latent_codec

    def _uses_gpu(self) -> bool:
        if self._gpu is None:
            self._gpu = why_no_gpu() is None
        return self._gpu


def splats_at(quality: float) -> int:
    """How many splats a quality of 0 to 100 stands for in the splats tier: 32 to 8192."""
    return min(max(round(512 * 2 ** ((float(quality) - 50) / 12.5)), MIN_SPLATS), MAX_SPLATS)


def _splats_for(image: np.ndarray, quality: float) -> int:
    return min(splats_at(quality), max(image.shape[0] * image.shape[1] // PIXELS_A_SPLAT, MIN_SPLATS))


def _check(image: np.ndarray, tier: str, quality: float, effort: str, refine: int) -> None:
    """Raise GaussVaeError unless `encode` can do all that."""
    if isinstance(quality, bool) or not isinstance(quality, Real) or not 0 <= quality <= 100:
        raise GaussVaeError(f"quality is a number from 0 to 100, not {quality!r}")
    if tier not in TIERS:
        raise GaussVaeError(f"tier is one of {', '.join(TIERS)}, not {tier!r}")
    if effort not in EFFORTS:
        raise GaussVaeError(f"effort is one of {', '.join(EFFORTS)}, not {effort!r}")
    if isinstance(refine, bool) or not isinstance(refine, Integral) or refine < 0:
        raise GaussVaeError(f"refine is a whole number of steps from 0 on, not {refine!r}")
    if refine and tier != "latent":
        raise GaussVaeError(f"refine is for the latent tier: it works through the model, which tier {tier} does without")
    check_image(image)
    height, width = image.shape[:2]
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"image of {width}x{height} px is too large: a side has at most {MAX_SIDE} px, all of it {MAX_PIXELS}"
        )


def _record(tier: str, image: np.ndarray, payload: bytes) -> bytes:
    return pack(Record(tier, (image.shape[1], image.shape[0]), payload))
