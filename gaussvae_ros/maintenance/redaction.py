"""What a memory is not to know any more: parts of pictures, or frames, gone for good."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError
from gaussvae_ros.maintenance.reencoding import make_whole
from gaussvae_ros.recognition.kinds import describe_for

Box = tuple[int, int, int, int]  # (x, y, w, h) px of the frame


@dataclass
class Redaction:
    """How records are encoded anew, for the frames of a file. `progress` is called with each count
    of those. `unreadable` are ids of frames that were predicted from what is gone and could not be
    read, so that they went, too.
    """

    bank: MemoryBank
    codec: FrameCodec
    quality: float = 50
    effort: str = "fast"
    progress: Callable[[int], None] | None = None
    unreadable: list[int] = field(default_factory=list)

    def blank(self, frame_id: int, boxes: Sequence[Box]) -> list[int]:
        """Fill boxes of a frame with their mean colour, and make its record and descriptor of what
        is left. Texts that reach into a box go, and so do all vectors of encoders. Frames that were
        predicted from it get records of their own; they show what they showed.

        Returns:
            The ids of those frames.

        Raises:
            GaussVaeError: a box that is not in the frame, or a frame that cannot be decoded or
                stored. Frames before it are whole by themselves.
        """
        frame = self.bank.get(frame_id)
        image = blanked(self.codec.decode(frame.records), boxes)
        same = [frame_id, *self.bank.kept(frame.data)]
        needing = self._made_whole(self.bank.needing(same))
        data = self.codec.encode(image, quality=self.quality, effort=self.effort)
        self.bank.replace({frame_id: (data, None)})
        if self._has_descriptor(frame_id):
            self.bank.set_descriptor(frame_id, describe_for(self.bank, image))
        left = [t for t in self.bank.texts(frame_id) if not any(_meet(t.box, b) for b in boxes)]
        self.bank.set_texts(frame_id, left)
        self.bank.drop_vectors(frame_id)
        self.bank.scrub()
        return needing

    def remove(self, ids: Sequence[int], volumes: Sequence[int] = ()) -> list[int]:
        """Remove frames, and volumes. Others that were predicted from them get records of their
        own, and so do those that need the record of a frame that was removed before: nothing says
        any more when and where that was.

        Returns:
            The ids of those frames.

        Raises:
            GaussVaeError: one of them cannot be decoded or stored. Not all frames are removed.
        """
        leaving, gone = set(ids), [*ids, *self.bank.kept()]
        needing = [i for i in self.bank.needing(gone) if i not in leaving]
        # These need records that are replaced.
        first = leaving.intersection(self.bank.needing(needing))
        self.bank.remove(first)
        needing = self._made_whole(needing)
        self.bank.remove(leaving - first)
        self.bank.remove_volumes(volumes)
        self.bank.scrub()
        return needing

    def _made_whole(self, needing: list[int]) -> list[int]:
        """Those of these frames that need no others any more; the rest is gone."""
        make_whole(self.bank, self.codec, self.quality, self.effort, self.progress, needing)
        whole = {frame.id for frame in self.bank.frames(needing)}
        left = [frame_id for frame_id in needing if frame_id not in whole]
        self.bank.remove(left)
        self.unreadable += left
        return [frame_id for frame_id in needing if frame_id in whole]

    def _has_descriptor(self, frame_id: int) -> bool:
        try:
            return self.bank.descriptor(frame_id) is not None
        except BankError:  # a damaged one
            return True


def _meet(one: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    return all(
        one[k] < other[k] + other[k + 2] and other[k] < one[k] + one[k + 2] for k in range(2)
    )


def blanked(image: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """A copy of a picture, uint8 [H, W, 3] or [H, W], with boxes filled with their mean colour.

    Raises:
        BankError: a box that has no pixel in it.
    """
    image = image.copy()
    height, width = image.shape[:2]
    for x, y, w, h in boxes:
        part = image[y : y + h, x : x + w]
        if not part.size:
            raise BankError(f"the box {x},{y},{w},{h} has no pixel of a frame of {width}x{height}")
        part[:] = np.rint(part.reshape(-1, *image.shape[2:]).mean(axis=0))
    return image
