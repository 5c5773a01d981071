"""The payload of a latent record: a model's name, a header of 3 bytes, then one range-coded stream.

    bytes 0-2   the first of the SHA-256 of the model's file
    byte 3      precision (step factor, see entropy/grid.py)
    bytes 4, 5  number of anchors, little endian; the top bit is set for mono
    rest        the anchors as integers, under the model's learned prior
"""

import numpy as np

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.stream import MONO
from gaussvae_ros.errors import ModelError, RecordError
from gaussvae_ros.fit import EFFORTS, Plan, descend, follow, scaled
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.reseeding import reseed
from gaussvae_ros.quantise import best_precision, quantise
from gaussvae_ros.raster.cpu import split
from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import Splats
from gaussvae_ros.vae import models
from gaussvae_ros.vae.anchors import Anchors, refined
from gaussvae_ros.vae.models import HASH_BYTES

HEADER = HASH_BYTES + 3  # bytes
FEWEST, MOST = 32, 1024  # anchors
PLANS = {  # of fits to a frame: few splats are cheap, so they get more steps than 512 do
    "fast": Plan(((37.5, 50), (150, 80)), share=0.1, every=10, until=0.6, last=0.15),
    "best": EFFORTS["best"],
}
FROM_SPLATS = Plan(((37.5, 10), (150, 40)), share=0.1, every=10, until=0.6, last=0.2)  # from the encoder's answer
REFINED = 150  # pixels an anchor, of the picture that refinement looks at
COARSER = 4  # than a record of the splats tier: where few splats carry a frame, more of them beat finer ones


class LatentCodec:
    """Frames or fitted splats to payloads and back, with one model."""

    def __init__(self, model: str = "anchors"):
        """Load a model by name or path. Raises ModelError if there is none, or one that makes no records."""
        path = models.find(model)
        self._model = models.load(path, "cpu").double()
        if not isinstance(self._model, Anchors) or self._model.prior is None:
            raise ModelError(f"{path} makes no records: it is no anchors model with a trained prior")
        self.name, self.hash = path.stem, models.model_hash(path)

    def encode(self, image: np.ndarray, quality: float, effort: str, refine: int = 0) -> bytes:
        """A checked frame, uint8 [H, W, 3] or [H, W]: anchors fitted to it, refined through the decoder, and coded."""
        state = descend(image, anchors_at(quality, image.shape[1::-1]), PLANS[effort])
        return self.encode_fit(image, state, effort, refine)

    def encode_splats(self, splats: Splats, quality: float, effort: str = "fast", refine: int = 0) -> bytes:
        """Fitted splats: merged by the encoder, improved on the picture that they draw, refined and coded."""
        image = render(splats, splats.size)
        count = min(anchors_at(quality, splats.size), len(splats))
        state = Descent(*split(self._model.encode(splats, count).params))
        follow(FROM_SPLATS, state, splats.size, lambda pixels: scaled(image, count * pixels), reseed)
        return self.encode_fit(image, state, effort, refine)

    def decode(self, payload: bytes, size: tuple[int, int]) -> Splats:
        """The splats of a frame of `size` (w, h) px. Raises RecordError on another model's payload or a malformed one."""
        return self._model.decode(self.anchors(payload, size))

    def anchors(self, payload: bytes, size: tuple[int, int]) -> Splats:
        """As `decode`, before the decoder splits them: enough for a small picture."""
        if len(payload) < HEADER:
            raise RecordError("record is damaged: its payload has no header")
        if payload[:HASH_BYTES] != self.hash:
            made, have = payload[:HASH_BYTES].hex(), self.hash.hex()
            raise RecordError(f"record was made with model {made}, this codec has {self.name} ({have})")
        packed = int.from_bytes(payload[HASH_BYTES + 1 : HEADER], "little")
        count, channels = packed & ~MONO, 1 if packed & MONO else 3
        if not FEWEST <= count <= MOST:
            raise RecordError(f"record is damaged: it claims {count} anchors")
        read = self._model.prior.read(payload[HEADER:], size, count, payload[HASH_BYTES], channels)
        return grid.to_splats(read)

    def encode_fit(self, image: np.ndarray, state: Descent, effort: str, refine: int = 0) -> bytes:
        """A frame whose fit by anchors is there already, in px of the frame. Refinement that makes it worse is dropped."""
        plain = self._coded(image, state, effort)
        if not refine:
            return plain
        size, small = image.shape[1::-1], scaled(image, len(state.geometry) * REFINED)
        sx, sy = small.shape[1] / size[0], small.shape[0] / size[1]
        state.rescale(sx, sy)
        state = refined(self._model, state, small, refine)
        state.rescale(1 / sx, 1 / sy)
        again = self._coded(image, state, effort)
        return min(plain, again, key=lambda payload: self._error(payload, image))

    def _error(self, payload: bytes, image: np.ndarray) -> float:
        """Mean squared error of what a payload decodes to."""
        shown = render(self.decode(payload, image.shape[1::-1]))
        return float(np.square(shown.astype(np.float32) - image).mean())

    def _coded(self, image: np.ndarray, state: Descent, effort: str) -> bytes:
        """The payload of a fit."""
        made = quantise(image, state, best_precision(image, state) + COARSER, effort)
        count = len(made.cell) | (MONO if image.ndim == 2 else 0)
        return self.hash + bytes([made.precision]) + count.to_bytes(2, "little") + self._model.prior.write(made)


def anchors_at(quality: float, size: tuple[int, int]) -> int:
    """How many anchors a quality of 0 to 100 gives a frame of `size` (w, h) px: 128 at 50, twice as many each 25 on."""
    count = round(64 * 2 ** ((float(quality) - 25) / 25))
    return max(min(count, MOST, size[0] * size[1] // 4), FEWEST)
