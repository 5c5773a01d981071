"""Camera frames to bytes and back: the one door to fit, model, entropy coder and renderer.

from gaussvae_ros.codec import FrameCodec
codec = FrameCodec()
data = codec.encode(image)                        # uint8 [H, W, 3] or [H, W] -> about 0.5 KB
image = codec.decode(data)                        # the frame's own size
small = codec.decode(data, size=(160, 120))       # any other
part = codec.decode(data, roi=(100, 50, 64, 64))  # or a part of it
more = codec.encode(image, quality=90)            # about 8 KB, for more detail
"""

import os
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.entropy import grid, stream
from gaussvae_ros.entropy.changes import Decoded
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import GaussVaeError, ImageError, RecordError
from gaussvae_ros.fit import EFFORTS, check_image, to_splats
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.raster.cpu import split
from gaussvae_ros.raster.view import MAX_PIXELS, checked_roi, checked_size, render
from gaussvae_ros.record import (
    LONGEST_CHAIN,
    MAX_SIDE,
    PREDICTED,
    Record,
    checksum,
    pack,
    unpack_chain,
)
from gaussvae_ros.remembered import Remembered
from gaussvae_ros.splats import Splats
from gaussvae_ros.tiers import NOTE, quality_of
from gaussvae_ros.vae.latent import FEWEST, LatentCodec, splats_at
from gaussvae_ros.vae.models import Carrier, Models
from gaussvae_ros.vae.prediction import cost_alone, error_of, price_of

DEVICES = ("auto", "cpu", "cuda")
DEFAULT_MODEL = "open"
REFERENCES = 1 << 20  # bytes of decoded records that stay in memory for those that need them
SURE = 0.6  # share of what a record alone costs below which none is made to compare
PIXELS_A_SPLAT = 4  # at least: beyond, a splat takes more than the pixels that it stands for


@dataclass(frozen=True)
class Prediction:
    """A predicted record and what it costs: its mean squared error, plus what its bits are worth
    at its quality; `alone` is about what a record alone costs there."""

    data: bytes
    cost: float
    alone: float


class FrameCodec:
    """Encodes and decodes frames. One may be shared by any number of threads.

    Single frames and records are worked on by the CPU, in one thread (`kernels.use_threads` gives
    more). A GPU fits the batches of `encode_many`: "auto" looks for one then, "cuda" insists on it
    now, and "cpu" leaves it alone. `model` is the name or the path of the model file to encode
    with; records of any model decode that lies where the package was installed, in one of the
    folders `models`, or in a memory file among them, such as a `MemoryBank`. They load on first
    use. The splats of the records decoded last stay in memory, up to `remember` bytes of them, so
    that these only take drawing again: some 18 KB a record at quality 50, and 300 KB at 100.
    """

    def __init__(
        self,
        device: str = "auto",
        model: str | os.PathLike = DEFAULT_MODEL,
        remember: int = 0,
        models: Iterable[str | os.PathLike | Carrier] = (),
    ):
        """Raises GaussVaeError for a device that is unknown or not there."""
        if device not in DEVICES:
            raise GaussVaeError(f"device is one of {', '.join(DEVICES)}, not {device!r}")
        if device == "cuda" and (problem := why_no_gpu()):
            raise GaussVaeError(f"device cuda cannot be used: {problem}; use device cpu")
        if not isinstance(model, (str, os.PathLike)):
            raise GaussVaeError(f"model is the name or path of a model file, not {model!r}")
        self._gpu = {"auto": None, "cpu": False, "cuda": True}[device]  # None: not known yet
        self._model, self._places = model, list(models)
        self._codec, self._loading = None, threading.Lock()
        self._remembered: Remembered[Splats] = Remembered(remember)
        self._references: Remembered[Decoded] = Remembered(max(remember, REFERENCES))

    @property
    def models(self) -> Models:
        """The models at hand, with which records decode. Raises ModelError as `encode`."""
        return self._latent().models

    def encode(
        self,
        image: np.ndarray,  # uint8 [H, W, 3] RGB or [H, W] mono
        quality: float = 50,
        effort: str = "fast",
        tier: str | None = None,
        reference: bytes | Sequence[bytes] | None = None,
    ) -> bytes:
        """A frame as a record; the same arguments give the same bytes.

        Args:
            quality: 0 to 100, about 0.1 to 36 KB. 50 is 128 splats and about 0.5 KB; their number
                doubles with each 25 up to 75, and with each 5 above. Small frames get at most one
                for each PIXELS_A_SPLAT pixels.
            effort: "fast" for a camera's rate (tens of milliseconds), "best" for the highest PSNR
                (seconds).
            tier: no longer used: "splats" stands for the quality with as many splats as that tier
                had.
            reference: an earlier record, with those before it that it needs, of a frame that shows
                much of the same. The record may then be predicted from that one, and decodes only
                with it; it is one alone where that is no gain.

        Raises:
            ImageError: not such an image, or one that could not be decoded: more than 65535 px a
                side or 2^26 in all.
            RecordError: the reference does not decode, or needs two others already.
            ModelError: the model is not there, or damaged.
            GaussVaeError: another argument is out of range.
        """
        n = checked(image, quality, effort, tier)
        image = np.ascontiguousarray(image)
        made = None if reference is None else self.predict(image, quality, reference)
        if made is not None and made.cost < SURE * made.alone:
            return made.data
        data = _record(image, self._latent().encode(image, n, effort))
        if made is None or self.cost(image, data, reference, quality) <= made.cost:
            return data
        return made.data

    def predict(
        self, image: np.ndarray, quality: float, reference: bytes | Sequence[bytes]
    ) -> Prediction | None:
        """A frame as a record that needs `reference`, whether or not that is a gain; None where it
        has another size or other channels, or shows something else. Raises as `encode`."""
        n = checked(image, quality, "fast")
        chain = unpack_chain(reference)
        if len(chain) >= LONGEST_CHAIN:
            raise RecordError(f"a record may need {LONGEST_CHAIN - 1} others, no more")
        last = reference[-1] if isinstance(reference, (list, tuple)) else reference
        before = self._decoded(chain)
        if before.size != image.shape[1::-1] or before.channels != (3 if image.ndim == 3 else 1):
            return None
        made = self._latent().predict(np.ascontiguousarray(image), before, n)
        if made is None:
            return None
        data = pack(Record(PREDICTED, before.size, made.payload, checksum(bytes(last))))
        price, _ = price_of(before, n)
        return Prediction(data, made.error + price * 8 * len(data), cost_alone(before, n))

    def cost(
        self,
        image: np.ndarray,
        data: bytes | Sequence[bytes],
        reference: bytes | Sequence[bytes],
        quality: float,
    ) -> float:
        """What a record of a frame costs, as a `Prediction` from `reference` has it."""
        price, _ = price_of(self._decoded(unpack_chain(reference)), splats_at(quality))
        size = len(data if isinstance(data, bytes) else data[-1])
        return error_of(image, self._decoded(unpack_chain(data))) + price * 8 * size

    def encode_many(
        self,
        images: Iterable[np.ndarray],
        quality: float = 50,
        effort: str = "fast",
        tier: str | None = None,
    ) -> list[bytes]:
        """`encode` for each of several frames, which may differ in size.

        A GPU adds in another order, and fits by distortion alone, so its records differ from those
        of `encode`, as those of two seeds would.
        """
        counts, images = [], list(images)
        for image in images:  # no comprehension: a warning is about the caller, two frames up
            counts.append(checked(image, quality, effort, tier))
        images = [np.ascontiguousarray(image) for image in images]
        codec = self._latent()
        if len(images) < 2 or not self._uses_gpu():
            payloads = map(codec.encode, images, counts, [effort] * len(images))
            return [_record(*pair) for pair in zip(images, payloads)]
        from gaussvae_ros.fit.cuda import fit_many

        datas = [b""] * len(images)
        for n in set(counts):
            places = [k for k, count in enumerate(counts) if count == n]
            for k, splats in zip(places, fit_many([images[k] for k in places], n, effort)):
                state = Descent(*split(splats.params))
                datas[k] = _record(images[k], codec.encode_fit(images[k], state, effort))
        return datas

    def encode_splats(self, splats: Splats, quality: float = 50, effort: str = "fast") -> bytes:
        """Fitted splats as a record: of what they draw, in as many splats as the quality has.

        A fresh fit of their picture beats one that begins with them (docs/vae.md).
        """
        return self.encode(render(splats, splats.size), quality, effort)

    def splats(self, data: bytes | Sequence[bytes]) -> Splats:
        """The splats that a record holds, in canonical form. Takes what `decode`
        takes, and raises as it does."""
        chain = unpack_chain(data)
        return self._remembered.get(
            chain,
            lambda: self._drawn(chain),
            lambda made: made.params.nbytes + len(chain[-1].payload),
        )

    def decode(
        self,
        data: bytes | Sequence[bytes],
        size: tuple[int, int] | None = None,  # (w, h) px
        roi: tuple[int, int, int, int] | None = None,  # (x, y, w, h) px
    ) -> np.ndarray:  # uint8 [h, w, 3] RGB, or [h, w] if the frame was mono
        """A record as a picture, or a part of it; `size` and `roi` are
        those of `gaussvae_ros.raster.view.render`.

        A predicted record comes last in a list, behind those that it needs. Any bytes give a
        picture or an error in bounded time and memory.

        Raises:
            RecordError: not a record, truncated, altered, or of a version or kind that
                this release does not know; or not all that it needs, in order.
            ModelError: the model that it was made with is not at hand.
            GaussVaeError: `roi` is not inside the frame, or the picture would be empty
                or have more than 2^26 px.
        """
        record = unpack_chain(data)[-1]
        _, _, *part = checked_roi(roi, record.size)
        checked_size(part if size is None else size)  # before the work
        return render(self.splats(data), size, roi)

    def _drawn(self, chain: tuple[Record, ...]) -> Splats:
        """What to draw of a record."""
        if len(chain) == 1:
            return grid.to_splats(self._grid(*chain))
        made = self._decoded(chain)
        return to_splats(Descent(made.geometry, made.colour), made.size, made.channels)

    def _grid(self, record: Record) -> Grid:
        if record.tier == "splats":
            return stream.read(record.payload, record.size)
        return self._latent().decode(record.payload, record.size)

    def _decoded(self, chain: tuple[Record, ...]) -> Decoded:
        """The splats of a record in its order."""
        *before, record = chain

        def make() -> Decoded:
            if before:
                return self._latent().apply(record.payload, self._decoded(tuple(before)))
            return Decoded.of(self._grid(record))

        return self._references.get(
            chain, make, lambda made: made.geometry.nbytes + made.colour.nbytes
        )

    def _latent(self) -> LatentCodec:
        with self._loading:
            if self._codec is None:
                self._codec = LatentCodec(self._model, places=self._places)
        return self._codec

    def _uses_gpu(self) -> bool:
        if self._gpu is None:
            self._gpu = why_no_gpu() is None
        return self._gpu


def checked(image: np.ndarray, quality: float, effort: str, tier: str | None = None) -> int:
    """How many splats a frame gets. Raises as `FrameCodec.encode`, which takes these."""
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


def _record(image: np.ndarray, payload: bytes) -> bytes:
    return pack(Record("latent", (image.shape[1], image.shape[0]), payload))
