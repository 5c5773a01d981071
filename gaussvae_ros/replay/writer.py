"""Images of a bag into the memory, each recalled at once and measured."""

import time
from dataclasses import dataclass

from gaussvae_ros.bags import BagImage
from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import ImageError
from gaussvae_ros.evaluation.recalls import Recalls
from gaussvae_ros.looking.looks import Looker
from gaussvae_ros.recognition.places import describe
from gaussvae_ros.sequence import Coded, SequenceEncoder
from gaussvae_ros.sequence.revisits import earlier_view, records_by_id
from gaussvae_ros.sequence.stored_records import StoredRecords

PERIOD_NS = 1_000_000_000  # between two frames that are looked at, at least


@dataclass
class _Frame:
    """An image on its way into the bank."""

    session: int  # its number in the replay, see sessions.py
    number: int
    image: BagImage
    pose: Pose | None
    descriptor: bytes
    is_due: bool  # to be looked at


class Writer:
    """Stores the images of a topic, recalls each and measures what came back."""

    def __init__(
        self,
        recalls: Recalls,
        bank: MemoryBank,
        topic: str,
        about: dict[str, str],
        sequence: SequenceEncoder | None,  # None: each frame alone
        looker: Looker | None = None,  # None: frames are not looked at
    ) -> None:
        self._recalls, self._bank, self._topic, self._about = recalls, bank, topic, about
        self._ids: dict[int, int] = {}  # of sessions, in the bank
        self._sequence, self._session = sequence, 0
        self._stored: StoredRecords[int] = StoredRecords(sequence.ahead if sequence else 0)
        self._looker, self.looked_at = looker, 0  # frames
        self._looked: tuple[int, int] | None = None  # session and stamp (ns) of the last one
        self._spent_s = 0.0  # on frames that are not stored yet

    def remember(self, session: int, number: int, image: BagImage, pose: Pose | None) -> None:
        """Take an image; it may be stored with later ones."""
        if image.pixels is None:
            raise ImageError(image.problem)
        if self._sequence and session != self._session:
            self.finish()
            self._session = session
            self._sequence.restart()
        begun = time.perf_counter()
        descriptor = describe(image.pixels).tobytes()
        due = self._is_due(session, image.stamp_ns)
        coded = self._encode(_Frame(session, number, image, pose, descriptor, due))
        self._spent_s += time.perf_counter() - begun
        self._recalls.begin(session, image.stamp_ns)
        if session not in self._ids:
            self._ids[session] = self._bank.begin_session(start_ns=image.stamp_ns, **self._about)
        self._store(coded)

    def finish(self) -> None:
        """Store what waits for later images."""
        begun = time.perf_counter()
        coded = self._sequence.flush() if self._sequence else []
        self._spent_s += time.perf_counter() - begun
        self._store(coded)

    def _encode(self, frame: _Frame) -> list[Coded]:
        how, pixels = self._recalls.setting, frame.image.pixels
        if self._sequence is None:
            data = self._recalls.codec.encode(pixels, quality=how.quality, effort=how.effort)
            return [Coded(data, tag=frame)]

        def earlier() -> list[bytes]:
            found = earlier_view(
                self._bank,
                self._topic,
                pixels.shape[1::-1],
                frame.image.stamp_ns,
                frame.pose,
                frame.descriptor,
                self._about["map_id"],
            )
            if found is None:
                return []
            for frame_id, data in records_by_id(found).items():
                self._stored.note(data, frame_id)
            return found.records

        return self._sequence.encode(pixels, how.quality, how.effort, earlier, tag=frame)

    def _store(self, coded: list[Coded]) -> None:
        """Store frames, each of which took its share of the time spent, and measure them."""
        encode_ms = 1e3 * self._spent_s / max(len(coded), 1)
        if coded:
            self._spent_s = 0.0
        for one in coded:
            self._store_one(one, one.tag, encode_ms)

    def _store_one(self, coded: Coded, frame: _Frame, encode_ms: float) -> None:
        bank, image = self._bank, frame.image
        frame_id = bank.add(
            coded.data,
            stamp_ns=image.stamp_ns,
            camera=self._topic,
            pose=frame.pose,
            session=self._ids[frame.session],
            descriptor=frame.descriptor,
            reference=self._reference(coded),
        )
        self._stored.stored(coded, frame_id)
        if frame.is_due:
            self._looker.look(image.pixels).keep(bank, frame_id)
            self.looked_at += 1
        begun = time.perf_counter()
        recalled = self._recalls.codec.decode(bank.get(frame_id).records)
        recall_ms = 1e3 * (time.perf_counter() - begun)
        self._recalls.take(
            frame.number,
            image,
            recalled,
            session=frame.session,
            frame_id=frame_id,
            size=len(coded.data),
            is_key=not coded.needed,
            has_pose=frame.pose is not None,
            encode_ms=encode_ms,
            recall_ms=recall_ms,
        )

    def _is_due(self, session: int, stamp_ns: int) -> bool:
        """Whether an image is to be looked at: the last one is a second away."""
        if self._looker is None:
            return False
        last = self._looked
        if last and last[0] == session and abs(stamp_ns - last[1]) < PERIOD_NS:
            return False
        self._looked = session, stamp_ns
        return True

    def _reference(self, coded: Coded) -> int | tuple[bytes, ...] | None:
        """Which frame has the record that another needs, or, where that was forgotten, the
        records."""
        frame_id = self._stored.reference(coded)
        return frame_id if frame_id is None or frame_id in self._bank else coded.needed
