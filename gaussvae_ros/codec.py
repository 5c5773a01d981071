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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gaussvae_ros import tiles
from gaussvae_ros.device import why_no_gpu
from gaussvae_ros.encodable import checked, listed
from gaussvae_ros.entropy import grid, stream
from gaussvae_ros.entropy.changes import Decoded
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.errors import GaussVaeError, RecordError
from gaussvae_ros.fit import to_splats
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.raster.cpu import split
from gaussvae_ros.raster.view import checked_roi, checked_size, render
from gaussvae_ros.record import (
    LONGEST_CHAIN,
    PREDICTED,
    TILES,
    Record,
    checksum,
    pack,
    unpack_chain,
)
from gaussvae_ros.remembered import Remembered
from gaussvae_ros.splats import Splats
from gaussvae_ros.vae.latent import LatentCodec
from gaussvae_ros.vae.models import Carrier, Models
from gaussvae_ros.vae.prediction import cost_alone, error_of, price_of

DEVICES = ("auto", "cpu", "cuda")
DEFAULT_MODEL = "open"
REFERENCES = 1 << 20  # bytes of decoded records that stay in memory for those that need them
SURE = 0.6  # share of what a record alone costs below which none is made to compare


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
        """A frame as a record; the same arguments give the same bytes. One of more than 2^21 px is
        coded in tiles of about as many px as 640x480, each as a frame of its size.

        Args:
            quality: 0 to 100, about 0.1 to 36 KB, or as much a tile. 50 is 128 splats and about
                0.5 KB; their number doubles with each 25 up to 75, and with each 5 above. Small
                frames get at most one for each four pixels.
            effort: "fast" for a camera's rate (tens of milliseconds), "best" for the highest PSNR
                (seconds).
            tier: no longer used: "splats" stands for the quality with as many splats as that tier
                had.
            reference: an earlier record, with those before it that it needs, of a frame that shows
                much of the same. The record may then be predicted from that one, and decodes only
                with it; it is one alone where that is no gain, and in tiles.

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
        codec, size = self._latent(), image.shape[1::-1]
        parts = tiles.Layout.of(size).parts(image)
        data = tiles.packed(size, [codec.encode(part, n, effort) for part in parts])
        if made is None or self.cost(image, data, reference, quality) <= made.cost:
            return data
        return made.data

    def predict(
        self, image: np.ndarray, quality: float, reference: bytes | Sequence[bytes]
    ) -> Prediction | None:
        """A frame as a record that needs `reference`, whether or not that is a gain; None where it
        has another size or other channels, is in tiles or coarser, or shows something else. Raises
        as `encode`."""
        n = checked(image, quality, "fast")
        chain = unpack_chain(reference)
        if chain[-1].tier == TILES or len(tiles.Layout.of(image.shape[1::-1])) > 1:
            return None
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
        price, _ = price_of(self._decoded(unpack_chain(reference)), checked(image, quality, "fast"))
        size = len(data if isinstance(data, bytes) else data[-1])
        return error_of(image, self._decoded(unpack_chain(data))) + price * 8 * size

    def encode_many(
        self,
        images: Iterable[np.ndarray],
        quality: float = 50,
        effort: str = "fast",
        tier: str | None = None,
    ) -> list[bytes]:
        """`encode` for each of several frames, which may differ in size. Raises as `encode`.

        A GPU adds in another order, and fits by distortion alone, so its records differ from those
        of `encode`, as those of two seeds would.
        """
        counts, images = [], listed(images)
        for image in images:  # no comprehension: a warning is about the caller, two frames up
            counts.append(checked(image, quality, effort, tier))
        parts = []
        for k, image in enumerate(images):
            parts += ((k, part) for part in tiles.Layout.of(image.shape[1::-1]).parts(image))
        codec, made = self._latent(), [[] for _ in images]
        if len(parts) < 2 or not self._uses_gpu():
            payloads = [codec.encode(part, counts[k], effort) for k, part in parts]
        else:
            from gaussvae_ros.fit.cuda import fit_many

            payloads = [b""] * len(parts)
            for n in set(counts):
                places = [place for place, (k, _) in enumerate(parts) if counts[k] == n]
                fits = fit_many([parts[place][1] for place in places], n, effort)
                for place, splats in zip(places, fits):
                    state = Descent(*split(splats.params))
                    payloads[place] = codec.encode_fit(parts[place][1], state, effort)
        for (k, _), payload in zip(parts, payloads):
            made[k].append(payload)
        return [tiles.packed(image.shape[1::-1], one) for image, one in zip(images, made)]

    def encode_splats(self, splats: Splats, quality: float = 50, effort: str = "fast") -> bytes:
        """Fitted splats as a record: of what they draw, in as many splats as the quality has.

        A fresh fit of their picture beats one that begins with them (docs/vae.md).
        """
        return self.encode(render(splats, splats.size), quality, effort)

    def splats(self, data: bytes | Sequence[bytes]) -> Splats:
        """The splats that a record holds, in canonical form; of one in tiles those of all tiles,
        one tile after the other. Takes what `decode` takes, and raises as it does."""
        chain = unpack_chain(data)
        if chain[-1].tier == TILES:
            tiled = tiles.opened(chain[-1])
            return tiles.together(tiled, self._tile_of(tiled))
        return self._splats(chain)

    def _splats(self, chain: tuple[Record, ...]) -> Splats:
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
        chain = unpack_chain(data)
        _, _, *part = checked_roi(roi, chain[-1].size)
        checked_size(part if size is None else size)  # before the work
        if chain[-1].tier == TILES:
            tiled = tiles.opened(chain[-1])
            return tiles.draw(tiled.layout, self._tile_of(tiled), size, roi)
        return render(self._splats(chain), size, roi)

    def _tile_of(self, tiled: tiles.Tiled) -> Callable[[int], Splats]:
        """What gives the splats of a tile."""
        return lambda tile: self._splats((tiled.record(tile),))

    def _drawn(self, chain: tuple[Record, ...]) -> Splats:
        """What to draw of a record."""
        if len(chain) == 1:
            return grid.to_splats(self._grid(*chain))
        made = self._decoded(chain)
        return to_splats(Descent(made.geometry, made.colour), made.size, made.channels)

    def _grid(self, record: Record) -> Grid:
        if record.tier == "splats":
            return stream.read(record.payload, record.size)
        if record.tier == TILES:
            raise RecordError("no record is predicted from one in tiles")
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
