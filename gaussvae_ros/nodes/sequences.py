"""The frames of each camera as sequences, in which records may be predicted from earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.record import LONGEST_CHAIN
from gaussvae_ros.sequence import SequenceEncoder

if TYPE_CHECKING:
    from gaussvae_ros.nodes.recorder import PendingFrame


class Sequences:
    """Encodes frames, those of a camera in their order. For one thread."""

    def __init__(self, codec: FrameCodec) -> None:
        self._codec = codec
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
        coded = camera.encoder.encode(frame.image, quality, effort)
        frame.data, frame.needed = coded.data, coded.needed
        if coded.needed:
            frame.before = camera.frames[coded.needed[-1]]
        if len(coded.needed) + 1 < LONGEST_CHAIN:  # later ones may need it, and what it needs
            camera.frames = {data: camera.frames[data] for data in coded.needed}
            camera.frames[coded.data] = frame


class _Camera:
    """A session of a camera at one quality, and the frames whose records later ones may need."""

    def __init__(self, codec: FrameCodec, kind: tuple[int, float]) -> None:
        self.kind, self.encoder = kind, SequenceEncoder(codec)
        self.frames: dict[bytes, PendingFrame] = {}
