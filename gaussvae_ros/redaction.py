"""What a memory is not to know any more: parts of pictures, or frames, gone for good."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError
from gaussvae_ros.likeness import describe
from gaussvae_ros.reencoding import make_whole

Box = tuple[int, int, int, int]  # (x, y, w, h) px of the frame


@dataclass
class Redaction:
    """How records are encoded anew, for the frames of a file. `progress` is called with each count
    of those.
    """

    bank: MemoryBank
    codec: FrameCodec
    quality: float = 50
    effort: str = "fast"
    progress: Callable[[int], None] | None = None

    def blank(self, frame_id: int, boxes: Sequence[Box]) -> list[int]:
        """Fill boxes of a frame with their mean colour, and make its record and descriptor of what
        is left. Frames that were predicted from it get records of their own; they show what they
        showed.

        Returns:
            The ids of those frames.

        Raises:
            GaussVaeError: a box that is not in the frame, or a frame that cannot be decoded or
                stored. Frames before it are whole by themselves.
        """
        frame = self.bank.get(frame_id)
        image = blanked(self.codec.decode(frame.records), boxes)
        needing = self.bank.needing([frame_id])
        self._make_whole(needing, [frame_id])
        data = self.codec.encode(image, quality=self.quality, effort=self.effort)
        self.bank.replace({frame_id: (data, None)})
        if self.bank.descriptor(frame_id) is not None:
            self.bank.set_descriptor(frame_id, describe(image).tobytes())
        self.bank.scrub()
        return needing

    def remove(self, ids: Sequence[int]) -> list[int]:
        """Remove frames. Others that were predicted from them get records of their own, and so do
        those that need the record of a frame that was removed before: nothing says any more when
        and where that was.

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
        self._make_whole(needing, gone)
        self.bank.remove(leaving - first)
        self.bank.scrub()
        return needing

    def _make_whole(self, needing: list[int], gone: Sequence[int]) -> None:
        """Give these frames records of their own, so that none of them needs one that is gone."""
        make_whole(self.bank, self.codec, self.quality, self.effort, self.progress, needing)
        if left := set(self.bank.needing(gone)) & set(needing):
            raise BankError(
                f"frame {min(left)} was predicted from what is to go and cannot be read, so that it"
                " cannot be made whole: see gaussvae bank verify"
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
