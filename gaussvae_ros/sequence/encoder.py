"""Which record each frame of a sequence is predicted from, and when a new key record pays.

Every frame decodes from at most three records: a key record, which stands alone and is finer than
the rest; a predicted one from it; and one predicted from that. A frame is predicted from the latest
of the second kind as long as that is near enough, and otherwise from the key. A new key comes when
a frame costs more than the frames of the last key did in the mean, that key included: the renewal
that makes the mean over all time least.

The key is then not made of that frame, but of one or two later: those between are predicted from it
backwards, so that each key serves frames on both sides of it. They wait for it meanwhile.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gaussvae_ros.codec import FrameCodec, Prediction
from gaussvae_ros.encodable import checked
from gaussvae_ros.record import LONGEST_CHAIN
from gaussvae_ros.tiles import Layout
from gaussvae_ros.vae.latent import quality_for, splats_at

AHEAD = 2  # frames that wait at most
FIRST, FINEST = 1.5, 2.0  # times the splats of a frame alone: of the first key record, and at most
# Share of what a frame costs alone, below which an earlier visit's serves it, if that is no more
# than frames of the last group cost in the mean.
REVISITED = 0.85
LONGEST_PAUSE = 4  # frames for which nothing is tried
FAR = 2.0  # times what the second record cost, beyond which a frame is tried from the key, too


@dataclass(frozen=True)
class Coded:
    """A frame's record, and those that it needs before it."""

    data: bytes
    needed: tuple[bytes, ...] = ()
    tag: object = None  # of the frame, as its caller gave it

    @property
    def records(self) -> list[bytes]:
        """What `FrameCodec.decode` takes."""
        return [*self.needed, self.data]


@dataclass(frozen=True)
class _Frame:
    image: np.ndarray
    quality: float
    effort: str
    earlier: Callable[[], Sequence[bytes]]
    tag: object

    def coded(self, data: bytes, *needed: bytes) -> Coded:
        return Coded(data, needed, self.tag)


@dataclass
class _Side:
    """The frames after a key record, or those before it."""

    middle: bytes | None = None  # the latest that is predicted from the key
    middle_cost: float = 0.0


@dataclass
class _Group:
    """A key record and what is predicted from it."""

    key: bytes
    size: tuple[int, ...]
    cost: float  # of all its frames so far
    frames: int = 1
    share: float = 1.0  # sum over its frames of their cost over that of a frame alone
    later: int = 0  # of them, that came after the key
    before: _Side = field(default_factory=_Side)
    after: _Side = field(default_factory=_Side)

    def count(self, cost: float, share: float) -> None:
        """Another frame."""
        self.cost, self.share, self.frames = self.cost + cost, self.share + share, self.frames + 1


@dataclass(frozen=True)
class _Try:
    """A prediction, and what it is from."""

    made: Prediction
    chain: list[bytes]

    @property
    def share(self) -> float:
        return self.made.cost / self.made.alone


class SequenceEncoder:
    """Encodes the frames of one camera in order. Not for use from several threads at once."""

    def __init__(self, codec: FrameCodec, ahead: int = AHEAD):
        """`ahead`: how many frames may wait for later ones; 0 lets every frame be coded at once."""
        self._codec = codec
        self.ahead = ahead
        self._waiting: list[_Frame] = []
        self._group: _Group | None = None
        self._refused: _Try | None = None  # of the first that waits, from the group before
        self._due = True  # a new group
        self._asked = False  # for an earlier visit, since that is due
        self._before = min(ahead, 1)  # frames that its key record comes after
        self._share = 1.0  # of what frames alone cost, that those of the last group did
        self._finer = FIRST
        self._failures = 0  # tries in a row, each right after a key record
        self._paused = 0  # frames for which nothing will be tried

    def restart(self) -> None:
        """Let later frames need none before them; those that wait are forgotten, see `flush`."""
        self._waiting.clear()
        self._group, self._refused, self._due, self._asked = None, None, True, False

    def encode(
        self,
        image: np.ndarray,
        quality: float = 50,
        effort: str = "fast",
        earlier: Callable[[], Sequence[bytes]] = tuple,
        tag: object = None,
    ) -> list[Coded]:
        """The next frame: gives those that are coded now, each behind what it needs.

        Arguments and errors are those of `FrameCodec.encode`. An error that is not of the arguments
        costs all frames that wait. The image must not change while its frame waits.

        Args:
            earlier: asked where a group begins: for the record of an earlier visit to the place,
                behind the one that it needs, if any; the frame is predicted from it if that costs
                less.
            tag: by which the caller knows the frame again.
        """
        checked(image, quality, effort)
        frame = _Frame(image, quality, effort, earlier, tag)
        if len(Layout.of(image.shape[1::-1])) > 1:  # nothing is predicted from tiles, nor they
            return [*self.flush(), frame.coded(self._codec.encode(image, quality, effort))]
        self._waiting.append(frame)
        return self._coded(wait=True)

    def flush(self) -> list[Coded]:
        """The frames that wait."""
        return self._coded(wait=False)

    def _coded(self, wait: bool) -> list[Coded]:
        """Code what can be; a new group may `wait` for its key record."""
        made: list[Coded] = []
        try:
            while self._waiting:
                tried = self._after if not self._due else None if self._asked else self._visited
                if tried:
                    if one := tried(self._waiting[0]):
                        made.append(one)
                        del self._waiting[0]
                elif self._paused:
                    made.append(self._alone(self._waiting.pop(0)))
                elif not wait or len(self._waiting) > self._before:
                    count = min(self._before + 1, len(self._waiting))
                    made += self._begun(self._waiting[:count])
                    del self._waiting[:count]
                else:
                    break
        except BaseException:
            self.restart()
            raise
        return made

    def _after(self, frame: _Frame) -> Coded | None:
        """The next frame from those before it in its group; None, and a new one is due: no gain."""
        group = self._group
        found = self._tried(frame, group, group.after)
        if found and found.made.cost <= min(group.cost / group.frames, found.made.alone):
            group.later += 1
            return self._taken(frame, group, group.after, found)
        self._refused, self._due, self._asked = found, True, False
        self._adapt(group)
        return None

    def _tried(self, frame: _Frame, group: _Group, side: _Side) -> _Try | None:
        """A frame predicted from its group's records on one side."""
        if group.size != frame.image.shape:
            return None
        chain = [group.key] if side.middle is None else [group.key, side.middle]
        made = self._codec.predict(frame.image, frame.quality, chain)
        if made is not None and len(chain) > 1 and made.cost > FAR * side.middle_cost:
            other = self._codec.predict(frame.image, frame.quality, [group.key])
            if other is not None and other.cost < made.cost:
                made, chain = other, [group.key]
        return made and _Try(made, chain)

    def _taken(self, frame: _Frame, group: _Group, side: _Side, found: _Try) -> Coded:
        """A frame predicted so, as one of the group."""
        group.count(found.made.cost, found.share)
        if len(found.chain) == 1:
            side.middle, side.middle_cost = found.made.data, found.made.cost
        return frame.coded(found.made.data, *found.chain)

    def _begun(self, frames: list[_Frame]) -> list[Coded]:
        """The frames with which a group begins: the last as its key record, then those before."""
        *others, frame = frames
        visited = self._visited(frame) if others else None  # the first has been asked for
        made = [visited or self._key(frame, self._finer_than(frame))]
        for other in reversed(others):
            refused = self._refused if other is frames[0] else None
            made.append(self._before_key(other, self._group, refused))
        return made

    def _before_key(self, frame: _Frame, group: _Group, refused: _Try | None) -> Coded:
        """A frame from a key record after it, or as it was refused after the last, or alone."""
        codec, found = self._codec, self._tried(frame, group, group.before)
        if found and found.made.cost > found.made.alone:
            found = None
        if refused and refused.made.cost <= refused.made.alone:
            data, chain = refused.made.data, refused.chain
            cost = codec.cost(frame.image, [*chain, data], group.key, frame.quality)
            if found is None or cost < found.made.cost:
                group.count(cost, refused.share)
                return frame.coded(data, *chain)
        if found:
            return self._taken(frame, group, group.before, found)
        data = codec.encode(frame.image, frame.quality, frame.effort)
        group.count(codec.cost(frame.image, data, group.key, frame.quality), 1.0)
        return frame.coded(data)

    def _visited(self, frame: _Frame) -> Coded | None:
        """A frame with which a group begins, from an earlier visit's; None: that is no gain."""
        self._asked, chain = True, frame.earlier()
        if not chain:
            return None
        is_last = len(chain) == LONGEST_CHAIN - 1  # none may need this frame
        quality = frame.quality if is_last else self._finer_than(frame)
        found = self._codec.predict(frame.image, quality, chain)
        if found is None or found.cost > min(REVISITED, self._share) * found.alone:
            return None
        middle = chain[-1] if is_last else found.data
        sides = (_Side(middle, found.cost) for _ in range(2))
        self._group = _Group(chain[0], frame.image.shape, found.cost, 1, 1.0, 0, *sides)
        self._due, self._paused = False, 0
        return frame.coded(found.data, *chain)

    def _finer_than(self, frame: _Frame) -> float:
        """The quality of a record that others need."""
        return max(frame.quality, quality_for(splats_at(frame.quality) * self._finer))

    def _alone(self, frame: _Frame) -> Coded:
        """A frame of a pause; the next one after it may be predicted from the last of them."""
        self._paused, self._asked = self._paused - 1, False
        if not self._paused:
            return self._key(frame, frame.quality)
        return frame.coded(self._codec.encode(frame.image, frame.quality, frame.effort))

    def _key(self, frame: _Frame, quality: float) -> Coded:
        """A key record, with which a group begins."""
        data = self._codec.encode(frame.image, quality, frame.effort)
        cost = self._codec.cost(frame.image, data, data, frame.quality)
        self._group, self._due = _Group(data, frame.image.shape, cost), False
        return frame.coded(data)

    def _adapt(self, group: _Group) -> None:
        """At the end of a group: finer keys the less its frames cost, of what they would cost
        alone; as many frames before the next key as came after this one; and where nothing was
        predicted, longer and longer pauses without a try."""
        self._share = group.share / group.frames
        self._finer = min(1 / self._share, FINEST)
        self._before = min(self.ahead, max(group.later, 1))
        self._failures = 0 if group.before.middle or group.after.middle else self._failures + 1
        self._paused = min(max(self._failures - 2, 0), LONGEST_PAUSE)


def encode_sequence(
    codec: FrameCodec, images: Iterable[np.ndarray], quality: float = 50, ahead: int = AHEAD
) -> list[Coded]:
    """The frames of one camera, in their order. Raises as `FrameCodec.encode`."""
    encoder, made = SequenceEncoder(codec, ahead), []
    for number, image in enumerate(images):
        made += encoder.encode(image, quality, tag=number)
    return sorted([*made, *encoder.flush()], key=lambda one: one.tag)
