"""The payload of a latent record: a model's name, a header of 3 bytes, then one range-coded stream.

    bytes 0-2   the model's hash, see models.py
    byte 3      precision (step factor, see entropy/grid.py)
    bytes 4, 5  number of splats, little endian; the top bit is set for mono
    rest        the splats as integers, under the model's learned prior

The latent is a small set of splats. The encoder is descent on the picture and a quantiser that refits what it rounds; the
decoder is closed form: integers -> splats -> rasteriser. Networks that split or moved the splats after decoding changed
the PSNR by -0.02 to +0.02 dB (docs/vae.md), so that there is none.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.stream import MONO
from gaussvae_ros.errors import RecordError
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.quantise import best_precision, quantise
from gaussvae_ros.raster.view import render
from gaussvae_ros.splats import Splats
from gaussvae_ros.vae.models import HASH_BYTES, Models

HEADER = HASH_BYTES + 3  # bytes
FEWEST, MOST = 32, 1024  # splats
COARSER = 4  # than a record of the splats tier: where few splats carry a frame, more of them beat finer ones


class LatentCodec:
    """Frames or fitted splats to payloads with one model, and payloads of every model at hand back to splats."""

    def __init__(self, model: str | Path = "anchors", folders: Iterable[str | Path] = ()):
        """Load the model to encode with, by name or path; `folders` may hold more to decode with.

        Raises:
            ModelError: there is none, or one that makes no records.
        """
        self.models = Models(folders)
        self.model = self.models.load(model)

    def encode(self, image: np.ndarray, quality: float, effort: str) -> bytes:
        """A checked frame, uint8 [H, W, 3] or [H, W]: splats fitted to it, and coded."""
        return self.encode_fit(
            image, descend(image, splats_at(quality, image.shape[1::-1]), EFFORTS[effort]), effort
        )

    def encode_splats(self, splats: Splats, quality: float, effort: str = "fast") -> bytes:
        """Fitted splats: what they draw is encoded, since a fresh fit of it beats what merging them begins with."""
        return self.encode(render(splats, splats.size), quality, effort)

    def encode_fit(self, image: np.ndarray, state: Descent, effort: str) -> bytes:
        """A frame whose fit is there already, in px of the frame."""
        made = quantise(image, state, best_precision(image, state) + COARSER, effort)
        count = len(made.cell) | (MONO if image.ndim == 2 else 0)
        head = self.model.hash + bytes([made.precision]) + count.to_bytes(2, "little")
        return head + self.model.prior.write(made)

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
        return grid.to_splats(
            prior.read(payload[HEADER:], size, count, payload[HASH_BYTES], channels)
        )


def splats_at(quality: float, size: tuple[int, int]) -> int:
    """How many splats a quality of 0 to 100 gives a frame of `size` (w, h) px: 128 at 50, twice as many each 25 on."""
    count = round(64 * 2 ** ((float(quality) - 25) / 25))
    return max(min(count, MOST, size[0] * size[1] // 4), FEWEST)
