"""Frames of a memory file whose records need those of others, made whole by themselves."""

import logging
from collections.abc import Callable, Iterable

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError

log = logging.getLogger(__name__)


def make_whole(
    bank: MemoryBank,
    codec: FrameCodec,
    quality: float = 50,
    effort: str = "fast",
    progress: Callable[[int], None] | None = None,
    ids: Iterable[int] | None = None,
) -> int:
    """Encode what predicted records show as records that need no others, in their place: of all
    frames, or of those with these ids, in an order in which none needs one before it.

    Each loses a little, as any picture that is encoded twice. Damaged frames stay as they are, and
    so do, where there are no `ids`, those that they need.
    `progress` is called with each count of frames. Returns how many records were replaced.

    Raises:
        GaussVaeError: a frame cannot be decoded or stored. Those before it are replaced.
    """
    everything = ids is None
    if everything:
        depths = {frame.id: len(frame.needed) for frame in bank if frame.needed}
        ids = sorted(depths, key=depths.get, reverse=True)  # those first that no others need
    count = 0
    for frame in bank.frames(ids):
        data = codec.encode(codec.decode(frame.records), quality=quality, effort=effort)
        try:
            bank.replace({frame.id: (data, None)})
        except BankError:
            if not (everything and (damaged := bank.needing([frame.id]))):
                raise
            log.warning("frame %d stays: the damaged frame %d needs it", frame.id, damaged[-1])
            continue
        count += 1
        if progress is not None:
            progress(1)
    bank.flush()
    return count
