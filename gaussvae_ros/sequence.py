"""Which record each frame of a sequence is predicted from, and when a new key record pays.

Every frame decodes from at most three records: a key record, which stands alone and is finer than
the rest; a predicted one from it; and one predicted from that. A frame is predicted from the latest
of the second kind as long as that is near enough, and otherwise from the key. A new key comes when
a frame costs more than the frames since the last key did in the mean, that key included: the
renewal that makes the mean over all time least.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from gaussvae_ros.codec import SURE, FrameCodec
from gaussvae_ros.record import LONGEST_CHAIN
from gaussvae_ros.vae.latent import quality_for, splats_at

T = TypeVar("T")
FIRST, FINEST = 1.5, 2.0  # times the splats of a frame alone: of the first key record, and at most
LONGEST_PAUSE = 4  # frames for which nothing is tried
FAR = 2.0  # times what the second record cost, beyond which a frame is tried from the key, too


@dataclass(frozen=True)
class Coded:
    """A frame's record, and those that it needs before it."""

    data: bytes
    needed: tuple[bytes, ...] = ()
    begins: bool = False  # a group: later frames need this one, or what it needs, or none before

    @property
    def records(self) -> list[bytes]:
        """What `FrameCodec.decode` takes."""
        return [*self.needed, self.data]


@dataclass
class _Group:
    """What is known since the last key record."""

    key: bytes
    size: tuple[int, ...]
    cost: float  # of all its frames so far
    frames: int = 1
    middle: bytes | None = None  # predicted from the key
    middle_cost: float = 0.0
    share: float = 1.0  # sum over its frames of their cost over that of a frame alone


class SequenceEncoder:
    """Encodes the frames of one camera in order. Not for use from several threads at once."""

    def __init__(self, codec: FrameCodec):
        self._codec = codec
        self._group: _Group | None = None
        self._finer = FIRST
        self._failures = 0  # tries in a row, each right after a key record
        self._paused = 0  # frames for which nothing will be tried

    def restart(self) -> None:
        """Let the next frame need none before it."""
        self._group = None

    def encode(
        self,
        image: np.ndarray,
        quality: float = 50,
        effort: str = "fast",
        earlier: Callable[[], bytes | None] = lambda: None,
    ) -> Coded:
        """The next frame. Arguments and errors are those of `FrameCodec.encode`.

        `earlier()` is asked where a group would begin: for a record that stands alone, of an
        earlier visit to the place, from which the frame is then predicted if that costs less.
        """
        if self._paused:
            self._paused -= 1
            return self._alone(image, quality, effort)
        if made := self._predicted(image, quality):
            return made
        if self._group is not None:
            self._adapt(self._group)
        return self._begun(image, quality, effort, earlier())

    def _predicted(self, image: np.ndarray, quality: float) -> Coded | None:
        """The next frame from those before it in its group; None where that is no gain."""
        group = self._group
        if group is None or group.size != image.shape:
            return None
        chain = [group.key] if group.middle is None else [group.key, group.middle]
        made, needed = self._codec.predict(image, quality, chain), chain
        if made is not None and len(chain) > 1 and made.cost > FAR * group.middle_cost:
            other = self._codec.predict(image, quality, [group.key])
            if other is not None and other.cost < made.cost:
                made, needed = other, [group.key]
        if made is None or made.cost > min(group.cost / group.frames, made.alone):
            return None
        group.cost, group.frames = group.cost + made.cost, group.frames + 1
        group.share += made.cost / made.alone
        if len(needed) == 1:
            group.middle, group.middle_cost = made.data, made.cost
        return Coded(made.data, tuple(needed))

    def _begun(
        self, image: np.ndarray, quality: float, effort: str, earlier: bytes | None
    ) -> Coded:
        """A frame with which a group begins: alone, or predicted from an earlier visit's."""
        codec, finer = self._codec, max(quality, quality_for(splats_at(quality) * self._finer))
        made = None if earlier is None else codec.predict(image, finer, earlier)
        if made is None or made.cost >= SURE * made.alone:
            data = codec.encode(image, finer, effort)
            if made is None or made.cost >= codec.cost(image, data, earlier, finer):
                return self._key(image, data, quality)
        cost = made.cost
        self._group = _Group(earlier, image.shape, cost, middle=made.data, middle_cost=cost)
        return Coded(made.data, (earlier,), begins=True)

    def _alone(self, image: np.ndarray, quality: float, effort: str) -> Coded:
        """A frame of a pause; the next one after it may be predicted from the last of them."""
        data = self._codec.encode(image, quality, effort)
        if not self._paused:
            return self._key(image, data, quality)
        self._group = None
        return Coded(data, begins=True)

    def _key(self, image: np.ndarray, data: bytes, quality: float) -> Coded:
        """A key record, with which a group begins."""
        self._group = _Group(data, image.shape, self._codec.cost(image, data, data, quality))
        return Coded(data, begins=True)

    def _adapt(self, group: _Group) -> None:
        """At the end of a group: finer keys the less its frames cost, of what they would cost
        alone; and where nothing was predicted, longer and longer pauses without a try, which takes
        as long as coding the frame."""
        self._finer = min(group.frames / group.share, FINEST)
        self._failures = 0 if group.middle else self._failures + 1
        self._paused = min(max(self._failures - 2, 0), LONGEST_PAUSE)


class StoredAs(Generic[T]):
    """As what the records that later ones may need are stored: under which id, or the like."""

    def __init__(self) -> None:
        self._known: dict[bytes, T] = {}

    def reference(self, coded: Coded) -> T | None:
        """As what the record is stored that a frame's needs, None if it needs none."""
        return self._known[coded.needed[-1]] if coded.needed else None

    def note(self, data: bytes, what: T) -> None:
        """Say as what a record is stored."""
        self._known[data] = what

    def stored(self, coded: Coded, what: T) -> None:
        """Say as what a frame's record is stored."""
        if len(coded.needed) + 1 < LONGEST_CHAIN:  # later ones may need it, and what it needs
            known = {data: self._known[data] for data in coded.needed}
            self._known = known | {coded.data: what}
