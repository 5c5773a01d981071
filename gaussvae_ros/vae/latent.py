"""The payload of a record: a model's name, a header of 3 bytes, then one range-coded stream.

    bytes 0-2   the model's hash, see models.py
    byte 3      precision (step factor, see entropy/grid.py)
    bytes 4, 5  number of splats, little endian; the top bit is set for mono
    rest        the splats as integers, under the model's learned prior

That of a predicted record, after the checksum of its reference:

    bytes 0-2   the hash of a model for predicted records
    byte 3      precision of its changes
    rest        the motion and the changes as integers, see change_prior.py

The latent is a set of splats. What makes it is in encoder.py; the decoder is closed form:
integers -> splats -> rasteriser. Networks that split or moved the splats after decoding changed the
PSNR by -0.02 to +0.02 dB (docs/vae.md), so that there is none.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaussvae_ros.entropy.changes import Decoded, applied
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.stream import MONO
from gaussvae_ros.errors import ModelError, RecordError
from gaussvae_ros.fit import EFFORTS
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.vae import encoder, prediction
from gaussvae_ros.vae.change_prior import ChangePrior
from gaussvae_ros.vae.models import HASH_BYTES, Carrier, Model, Models
from gaussvae_ros.vae.prediction import price_of
from gaussvae_ros.vae.prior import Prior

CHANGES = "changes"  # the name of the model that predicted records are made with
HEADER = HASH_BYTES + 3  # bytes
FEWEST, MOST = 32, 8192  # splats
LEAST_BITS = 4  # a splat: a sixth of what those of an even picture take, which take the least
BEND = 75  # quality up to which the number of splats doubles with each 25, and above with each 5


@dataclass(frozen=True)
class Predicted:
    """A predicted payload, and the mean squared error of what it shows."""

    payload: bytes
    error: float


class LatentCodec:
    """Frames to payloads with one model, and payloads of every model at hand back to splats."""

    def __init__(
        self,
        model: str | Path,
        changes: str | Path = CHANGES,
        places: Iterable[str | Path | Carrier] = (),
    ):
        """Load the model to encode with, by name or path; `changes`, that for predicted records,
        loads on first use. `places` may hold more to decode with.

        Raises:
            ModelError: there is none, or one that makes no such records.
        """
        self.models, self._changes = Models(places), changes
        self.model, self._predicting = self._loaded(model, Prior), None

    def _loaded(self, name: str | Path, kind: type) -> Model:
        model = self.models.load(name)
        if not isinstance(model.prior, kind):
            raise ModelError(f"model {model.name} is for other records")
        return model

    def encode(self, image: np.ndarray, n: int, effort: str) -> bytes:
        """A checked frame, uint8 [H, W, 3] or [H, W], in `n` splats."""
        return self._payload(encoder.encode(image, n, effort, self.model.prior))

    def encode_fit(self, image: np.ndarray, state: Descent, effort: str) -> bytes:
        """A frame whose fit is there already, in px of the frame."""
        last = EFFORTS[effort].levels[-1]
        levels = Levels(image, len(state.geometry))
        target = levels.at(last.pixels, last.stride)
        with state.seen_at(levels.size, target):
            state.run(target, np.zeros(1))  # measures the error, which says how finely to round
        return self._payload(encoder.finish(levels, state, effort, self.model.prior))

    def predict(self, image: np.ndarray, reference: Decoded, n: int) -> Predicted | None:
        """A frame from the splats of an earlier one of its size and channels, as good as a record
        alone of `n` splats; None where it shows something else, or is not fine enough."""
        if not prediction.serves(reference, image, n):
            return None
        price, precision = price_of(reference, n)
        hopeless = prediction.HOPELESS * prediction.cost_alone(reference, n)
        if self._predicting is None:
            self._predicting = self._loaded(self._changes, ChangePrior)
        model = self._predicting
        found = prediction.predict(image, reference, price, precision, hopeless)
        if found is None:
            return None
        made, error = found
        head = model.hash + bytes([precision])
        return Predicted(head + model.prior.write(reference, made), error)

    def decode(self, payload: bytes, size: tuple[int, int]) -> Grid:
        """The grid of a frame of `size` (w, h) px.

        Raises:
            RecordError: a malformed payload.
            ModelError: the model that it was made with is not at hand.
        """
        if len(payload) < HEADER:
            raise RecordError("record is damaged: its payload has no header")
        packed = int.from_bytes(payload[HASH_BYTES + 1 : HEADER], "little")
        count, channels = packed & ~MONO, 1 if packed & MONO else 3
        if not FEWEST <= count <= MOST or 8 * (len(payload) - HEADER) < LEAST_BITS * count:
            raise RecordError(
                f"record is damaged: it claims {count} splats in {len(payload) - HEADER} bytes"
            )
        prior = self._prior(payload, Prior)
        return prior.read(payload[HEADER:], size, count, payload[HASH_BYTES], channels)

    def apply(self, payload: bytes, reference: Decoded) -> Decoded:
        """The splats of a predicted frame. Raises as `decode`."""
        if len(payload) <= HASH_BYTES:
            raise RecordError("record is damaged: its payload has no header")
        prior = self._prior(payload, ChangePrior)
        made = prior.read(payload[HASH_BYTES + 1 :], reference, payload[HASH_BYTES])
        return applied(reference, made)

    def _prior(self, payload: bytes, kind: type):
        prior = self.models.get(payload[:HASH_BYTES]).prior
        if not isinstance(prior, kind):
            raise RecordError("record is damaged: it names a model for other records")
        return prior

    def _payload(self, made: Grid) -> bytes:
        count = len(made.cell) | (MONO if made.colour.shape[1] == 1 else 0)
        head = self.model.hash + bytes([made.precision]) + count.to_bytes(2, "little")
        return head + self.model.prior.write(made)


def splats_at(quality: float) -> int:
    """How many splats a quality of 0 to 100 stands for: 32 at 0, 128 at 50,
    256 at 75, 8192 at 100."""
    doublings = min(quality, BEND) / 25 + max(quality - BEND, 0) / 5
    return round(FEWEST * 2**doublings)


def quality_for(count: float) -> float:
    """The quality that stands for so many splats, at most 100."""
    doublings = math.log2(count / FEWEST)
    bend = BEND / 25
    return min(25 * min(doublings, bend) + 5 * max(doublings - bend, 0), 100.0)
