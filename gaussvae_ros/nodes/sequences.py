"""The frames of each camera as sequences, in which records may be predicted from earlier ones."""

from __future__ import annotations

from dataclasses import replace

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.revisits import earlier_view
from gaussvae_ros.sequence import SequenceEncoder, StoredAs


class Sequences:
    """Encodes frames, those of a camera in their order, or from the bank's frame of an earlier
    visit to the same pose. For one thread."""

    def __init__(self, codec: FrameCodec, bank: MemoryBank) -> None:
        self._codec, self._bank = codec, bank
        self._cameras: dict[str, _Camera] = {}

    def encode(self, frame: PendingFrame, quality: float, effort: str, predict: bool) -> None:
        """Give a frame its record. Raises what `FrameCodec.encode` does."""
        if not predict:
            self._cameras.pop(frame.camera, None)
            frame.data = self._codec.encode(frame.image, quality, effort)
            return
        camera, kind = self._cameras.get(frame.camera), (frame.session, quality)
        if camera is None or camera.kind != kind:
            camera = self._cameras[frame.camera] = _Camera(self._codec, kind)

        def earlier() -> bytes | None:
            if (found := self._earlier(frame)) is None:
                return None
            camera.frames.note(found.data, found)
            return found.data

        [coded] = camera.encoder.encode(frame.image, quality, effort, earlier)
        frame.data, frame.needed = coded.data, coded.needed
        frame.before = camera.frames.reference(coded)
        camera.frames.stored(coded, frame)

    def _earlier(self, frame: PendingFrame) -> PendingFrame | None:
        """A stored frame of an earlier visit to a frame's pose."""
        if frame.pose is None:
            return None
        size = frame.image.shape[1::-1]
        try:
            found = earlier_view(
                self._bank, frame.camera, size, frame.stamp_ns, frame.pose, None, frame.map_id
            )
        except BankError:
            return None  # a memory that cannot be read now takes frames all the same
        return found and replace(
            frame, stamp_ns=found.stamp_ns, image=None, data=found.data, id=found.id
        )


class _Camera:
    """A session of a camera at one quality, and the frames whose records later ones may need."""

    def __init__(self, codec: FrameCodec, kind: tuple[int, float]) -> None:
        self.kind, self.encoder = kind, SequenceEncoder(codec, ahead=0)
        self.frames: StoredAs[PendingFrame] = StoredAs()
