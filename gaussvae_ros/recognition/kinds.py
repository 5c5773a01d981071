"""The kinds of descriptors that memory files have, told apart by their length, and what likeness
between two of a kind means.

New frames get `PLACES`. Files of earlier releases have `GRADIENTS`, and go on being searched by
them until `gaussvae bank describe` makes new ones of their records. What has another length was
made by somebody else, and is judged as `GRADIENTS` are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gaussvae_ros import likeness
from gaussvae_ros.recognition import places


@dataclass(frozen=True)
class Kind:
    """Descriptors that are made in one way; docs/bank.md and docs/recognition.md have the figures
    behind the numbers.
    """

    length: int  # numbers, a byte each where they are given
    describe: Callable[[np.ndarray], np.ndarray]  # of a picture, as `places.describe`
    alike: float  # likeness of two views of which one may be predicted from the other, at least
    unlike: float  # 1 - likeness of unrelated pictures
    # Of the logistic function of likeness that says how probably two frames are of one place.
    offset: float
    slope: float


class Described(Protocol):
    """What holds descriptors, such as a `MemoryBank`."""

    def descriptor_length(self) -> int | None:
        """Of the descriptor stored last."""


GRADIENTS = Kind(likeness.LENGTH, likeness.describe, 0.8, 0.4, -9.75, 16.02)
PLACES = Kind(places.LENGTH, places.describe, 0.55, 0.95, -3.74, 10.63)
KINDS = {kind.length: kind for kind in (GRADIENTS, PLACES)}


def kind_of(length: int) -> Kind:
    """The kind of descriptors of so many bytes."""
    return KINDS.get(length, GRADIENTS)


def describe_for(bank: Described, image: np.ndarray) -> bytes:
    """What a picture, uint8 [H, W, 3] or [H, W], is looked for by in a memory file: a descriptor of
    the kind that was stored there last. Raises ImageError: not such a picture.
    """
    length = bank.descriptor_length()
    kind = PLACES if length is None else kind_of(length)
    return kind.describe(image).tobytes()
