"""The frames of each camera as sequences, in which records may be predicted from others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.encodable import checked
from gaussvae_ros.errors import BankError, GaussVaeError
from gaussvae_ros.nodes.pending import PendingFrame
from gaussvae_ros.sequence import Coded, SequenceEncoder
from gaussvae_ros.sequence.revisits import earlier_view, records_by_id
from gaussvae_ros.sequence.stored_records import StoredRecords


class Sequences:
    """Encodes frames, those of a camera in their order, or from the bank's frame of an earlier
    visit to the same pose. For one thread.

    Frames may wait for later ones of their camera, from which they are predicted backwards; `flush`
    ends that. `coded(frames)` takes those that have their records, in the order to be stored, and
    lets go of their images; `failed(frame, error)` is told of each that gets none.
    """

    def __init__(
        self,
        codec: FrameCodec,
        bank: MemoryBank,
        coded: Callable[[list[PendingFrame]], None],
        failed: Callable[[PendingFrame, Exception], None],
    ) -> None:
        self._codec, self._bank, self._give, self._failed = codec, bank, coded, failed
        self._cameras: dict[str, _Camera] = {}

    @property
    def waiting(self) -> list[PendingFrame]:
        """Frames that wait."""
        return [frame for camera in self._cameras.values() for frame in camera.waiting]

    def encode(self, frame: PendingFrame, quality: float, effort: str, predict: bool) -> None:
        """Take a frame."""
        try:
            checked(frame.image, quality, effort)  # before others wait with it
        except GaussVaeError as error:
            self._lose([frame], error)
            return
        kind = (frame.session, frame.map_id, quality, predict)
        try:
            self._end_others(frame, kind)
        except Exception as error:
            self._lose([frame], error)
            raise
        camera = self._cameras.get(frame.camera)
        if camera is None or camera.kind != kind:
            camera = self._cameras[frame.camera] = _Camera(kind, SequenceEncoder(self._codec))
        camera.waiting.append(frame)
        image = frame.image
        if not predict:
            data = partial(self._codec.encode, image, quality, effort)
            self._code(camera, lambda: [Coded(data(), tag=frame)])
            return

        def earlier() -> list[bytes]:
            found = self._earlier(frame)
            for one in found:
                camera.frames.note(one.data, one)
            return [one.data for one in found]

        self._code(camera, lambda: camera.encoder.encode(image, quality, effort, earlier, frame))

    def flush(self) -> None:
        """Let none wait any longer."""
        for camera in self._cameras.values():
            if camera.waiting:
                self._code(camera, camera.encoder.flush)

    def _end_others(self, frame: PendingFrame, kind: tuple) -> None:
        """Let none wait that a frame does not go on from, in its camera, or whose map is over."""
        for name, camera in self._cameras.items():
            session, map_id, *_ = camera.kind
            is_over = session == frame.session and map_id != frame.map_id
            if camera.waiting and (is_over or (name == frame.camera and camera.kind != kind)):
                self._code(camera, camera.encoder.flush)

    def _code(self, camera: _Camera, encode: Callable[[], list[Coded]]) -> None:
        """Give those on that this codes, each of which took its share of the time spent."""
        begun = time.perf_counter()
        try:
            coded = encode()
        except Exception as error:  # the encoder has let go of all that waited
            lost, camera.waiting = camera.waiting, []
            self._lose(lost, error)
            if isinstance(error, GaussVaeError):
                return
            raise
        camera.spent_s += time.perf_counter() - begun
        for one in coded:
            frame = one.tag
            frame.data, frame.needed = one.data, one.needed
            frame.encode_s = camera.spent_s / len(coded)
            frame.before = camera.frames.reference(one)
            camera.frames.stored(one, frame)
            camera.waiting.remove(frame)
        if coded:
            camera.spent_s = 0.0
            self._give([one.tag for one in coded])

    def _lose(self, frames: list[PendingFrame], error: Exception) -> None:
        for frame in frames:
            frame.image = None
            self._failed(frame, error)

    def _earlier(self, frame: PendingFrame) -> list[PendingFrame]:
        """A stored frame of an earlier visit to a frame's pose, behind the one that it needs."""
        if frame.pose is None:
            return []
        size = frame.image.shape[1::-1]
        try:
            found = earlier_view(
                self._bank, frame.camera, size, frame.stamp_ns, frame.pose, None, frame.map_id
            )
        except BankError:
            return []  # a memory that cannot be read now takes frames all the same
        records = {} if found is None else records_by_id(found)
        return [replace(frame, image=None, data=data, id=at) for at, data in records.items()]


@dataclass
class _Camera:
    """A session of a camera at one quality, and the frames whose records later ones may need."""

    kind: tuple
    encoder: SequenceEncoder
    waiting: list[PendingFrame] = field(default_factory=list)  # without a record yet
    spent_s: float = 0.0  # on them
    frames: StoredRecords[PendingFrame] = field(default_factory=StoredRecords)
