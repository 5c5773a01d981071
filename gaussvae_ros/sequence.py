"""Which record each frame of a sequence is predicted from, and when a new key record pays.

Every frame decodes from at most three records: a key record, which stands alone and is finer than
the rest; a predicted one from it; and one predicted from that. A frame is predicted from the latest
of the second kind as long as that is near enough, and otherwise from the key. A new key comes when
a frame costs more than the frames since the last key did in the mean, that key included: the
renewal that makes the mean over all time least.
"""

from dataclasses import dataclass, field

import numpy as np

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.record import LONGEST_CHAIN
from gaussvae_ros.vae.latent import quality_of, splats_at

FIRST, FINEST = 1.5, 3.0  # times the splats of a frame alone: of the first key record, and at most
FAR = 1.2  # times what the second record cost, beyond which a frame is tried from the key, too


@dataclass(frozen=True)
class Coded:
    """A frame's record, and those that it needs before it."""

    data: bytes
    needed: tuple[bytes, ...] = ()

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
    predicted: list[float] = field(default_factory=list)  # costs, over those of frames alone


class SequenceEncoder:
    """Encodes the frames of one camera in order. Not for use from several threads at once."""

    def __init__(self, codec: FrameCodec):
        self._codec = codec
        self._group: _Group | None = None
        self._finer = FIRST

    def restart(self) -> None:
        """Let the next frame need none before it."""
        self._group = None

    def encode(self, image: np.ndarray, quality: float = 50, effort: str = "fast") -> Coded:
        """The next frame. Arguments and errors are those of `FrameCodec.encode`."""
        group = self._group
        if group is None or group.size != image.shape:
            return self._key(image, quality, effort)
        chain = [group.key] if group.middle is None else [group.key, group.middle]
        made, needed = self._codec.predict(image, quality, chain), chain
        if made is None:
            return self._key(image, quality, effort)
        if group.middle is not None and made.cost > FAR * group.middle_cost:
            other = self._codec.predict(image, quality, [group.key])
            if other.cost < made.cost:
                made, needed = other, [group.key]
        if made.cost > min(group.cost / group.frames, made.alone):
            return self._key(image, quality, effort)
        group.cost, group.frames = group.cost + made.cost, group.frames + 1
        group.predicted.append(made.cost / made.alone)
        if len(needed) == 1:
            group.middle, group.middle_cost = made.data, made.cost
        return Coded(made.data, tuple(needed))

    def _key(self, image: np.ndarray, quality: float, effort: str) -> Coded:
        """A record alone, with which a group begins."""
        if self._group is not None:
            self._adapt(self._group)
        count = splats_at(quality) * self._finer
        data = self._codec.encode(image, max(quality, quality_of(count)), effort)
        cost = self._codec.cost(image, data, data, quality)
        self._group = _Group(data, image.shape, cost)
        return Coded(data)

    def _adapt(self, group: _Group) -> None:
        """Finer keys the less the frames since the last one cost, of what they would cost alone."""
        self._finer = min(1 / float(np.mean([1.0, *group.predicted])), FINEST)


class StoredAs:
    """Under which ids the records that later ones may need were stored."""

    def __init__(self) -> None:
        self._ids: dict[bytes, int] = {}

    def reference(self, coded: Coded) -> int | None:
        """The id of the record that a frame's needs, None if it needs none."""
        return self._ids[coded.needed[-1]] if coded.needed else None

    def note(self, coded: Coded, id: int) -> None:
        """Say that a frame's record was stored."""
        if not coded.needed:
            self._ids.clear()  # no later frame needs one before a key record
        if len(coded.needed) + 1 < LONGEST_CHAIN:
            self._ids[coded.data] = id
