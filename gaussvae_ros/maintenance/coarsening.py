"""Stored frames encoded again at a coarser quality, from the finer records that they have."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from gaussvae_ros.bank import Frame
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.record import is_predicted
from gaussvae_ros.sequence.encoder import FIRST
from gaussvae_ros.tiles import Layout
from gaussvae_ros.vae.latent import quality_for, splats_at

WORTH = 0.9  # of the bytes that there are, beyond which new records are no gain

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Coarsening:
    """Makes the records of frames coarser, as `MemoryBank.forget` asks for it.

    Records that are not much finer than `quality` stay, so that no picture is encoded again and
    again.
    """

    codec: FrameCodec
    quality: float
    effort: str = "fast"

    def __call__(self, frames: Sequence[Frame]) -> dict[int, tuple[bytes, int | None]]:
        """New records of frames that need each other, by id, each with the frame whose record it
        needs; none where they are coarse, or where one does not decode. The frame that the others
        need comes first.
        """
        try:
            return self.made(frames)
        except GaussVaeError as error:
            log.info("frame %d is not encoded again: %s", frames[0].id, error)
            return {}

    def made(self, frames: Sequence[Frame]) -> dict[int, tuple[bytes, int | None]]:
        """The same, but raises GaussVaeError where a record does not decode."""
        count = len(self.codec.splats(frames[0].records[0]).params)
        if count <= FIRST * splats_at(self.quality) * len(Layout.of(frames[0].size)):
            return {}
        made = self._made(frames)
        before = sum(len(frame.data) for frame in frames)
        return made if sum(len(data) for data, _ in made.values()) <= WORTH * before else {}

    def _made(self, frames: Sequence[Frame]) -> dict[int, tuple[bytes, int | None]]:
        made: dict[int, tuple[bytes, int | None]] = {}
        chains: dict[int, list[bytes]] = {}
        for frame in frames:
            quality, needed = self.quality, chains.get(frame.reference)
            if needed is None and len(frames) > 1:  # others need it, as `SequenceEncoder` has it
                quality = quality_for(FIRST * splats_at(quality))
            image = self.codec.decode(frame.records)
            data = self.codec.encode(image, quality, self.effort, reference=needed)
            alone = needed is None or not is_predicted(data)
            made[frame.id] = data, None if alone else frame.reference
            chains[frame.id] = [data] if alone else [*needed, data]
        return made
