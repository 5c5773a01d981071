"""The payload of a record: a model's name, a header of 3 bytes, then one range-coded stream.

    bytes 0-2   the model's hash, see models.py
    byte 3      precision (step factor, see entropy/grid.py)
    bytes 4, 5  number of splats, little endian; the top bit is set for mono
    rest        the splats as integers, under the model's learned prior

The latent is a set of splats. What makes it is in encoder.py; the decoder is closed form:
integers -> splats -> rasteriser. Networks that split or moved the splats after decoding changed the
PSNR by -0.02 to +0.02 dB (docs/vae.md), so that there is none.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.stream import MONO
from gaussvae_ros.errors import RecordError
from gaussvae_ros.fit import EFFORTS, scaled
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.splats import Splats
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.models import HASH_BYTES, Carrier, Models

HEADER = HASH_BYTES + 3  # bytes
FEWEST, MOST = 32, 8192  # splats
BEND = 75  # quality up to which the number of splats doubles with each 25, and above with each 5


class LatentCodec:
    """Frames to payloads with one model, and payloads of every model at hand back to splats."""

    def __init__(self, model: str | Path, places: Iterable[str | Path | Carrier] = ()):
        """Load the model to encode with, by name or path; `places` may hold more to decode with.

        Raises:
            ModelError: there is none, or one that makes no records.
        """
        self.models = Models(places)
        self.model = self.models.load(model)

    def encode(self, image: np.ndarray, n: int, effort: str) -> bytes:
        """A checked frame, uint8 [H, W, 3] or [H, W], in `n` splats."""
        return self._payload(encoder.encode(image, n, effort, self.model.prior))

    def encode_fit(self, image: np.ndarray, state: Descent, effort: str) -> bytes:
        """A frame whose fit is there already, in px of the frame."""
        last = EFFORTS[effort].levels[-1]
        target = scaled(image, len(state.geometry), last.pixels, last.stride)
        with state.seen_at(image.shape[1::-1], target):
            state.run(target, np.zeros(1))  # measures the error, which says how finely to round
        return self._payload(encoder.finish(image, state, effort, self.model.prior))

    def decode(self, payload: bytes, size: tuple[int, int]) -> Splats:
        """The splats of a frame of `size` (w, h) px.

        Raises:
            RecordError: a malformed payload.
            ModelError: the model that it was made with is not at hand.
        """
        if len(payload) < HEADER:
            raise RecordError("record is damaged: its payload has no header")
        packed = int.from_bytes(payload[HASH_BYTES + 1 : HEADER], "little")
        count, channels = packed & ~MONO, 1 if packed & MONO else 3
        if not FEWEST <= count <= MOST:
            raise RecordError(f"record is damaged: it claims {count} splats")
        prior = self.models.get(payload[:HASH_BYTES]).prior
        made = prior.read(payload[HEADER:], size, count, payload[HASH_BYTES], channels)
        return grid.to_splats(made)

    def _payload(self, made: Grid) -> bytes:
        count = len(made.cell) | (MONO if made.colour.shape[1] == 1 else 0)
        head = self.model.hash + bytes([made.precision]) + count.to_bytes(2, "little")
        return head + self.model.prior.write(made)


def splats_at(quality: float) -> int:
    """How many splats a quality of 0 to 100 stands for: 32 at 0, 128 at 50,
    256 at 75, 8192 at 100."""
    doublings = min(quality, BEND) / 25 + max(quality - BEND, 0) / 5
    return round(FEWEST * 2**doublings)
