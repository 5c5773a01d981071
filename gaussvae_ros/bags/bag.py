"""A bag as a stream of stamped images, and the camera's poses beside it, without ROS."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gaussvae_ros.bags.db3 import Db3File
from gaussvae_ros.bags.decoding import Decoder
from gaussvae_ros.bags.folder import PACKED, find_files, kind_of
from gaussvae_ros.bags.mcap import McapFile
from gaussvae_ros.bags.pose_topics import POSE_TYPES
from gaussvae_ros.bags.poses import TF_TYPES, choose_poses
from gaussvae_ros.bags.raw import unpack_file
from gaussvae_ros.bags.rosbag1 import Rosbag1File
from gaussvae_ros.bags.storage import Connection, Message, Part, Storage, in_order
from gaussvae_ros.errors import BagError, GaussVaeError, ImageError
from gaussvae_ros.files import printable
from gaussvae_ros.images.messages import ImageDecoder, stamp_of
from gaussvae_ros.poses.source import PoseSource
from gaussvae_ros.problems import Problems

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
KNOWN = IMAGE_TYPES + TF_TYPES + POSE_TYPES  # the types that are decoded
OPENERS = {".mcap": McapFile, ".db3": Db3File, ".bag": Rosbag1File}
OPEN = 4  # files of a bag that are read at a time where their times overlap
LISTED = 8  # topics, of many, that an error names


@dataclass(frozen=True)
class BagImage:
    """One image message: the picture, and one line on what it lacks or why there is none."""

    stamp_ns: int  # of the header; the record time where the header's is zero
    recorded_ns: int
    frame_id: str
    pixels: np.ndarray | None  # uint8 [H, W, 3] RGB or [H, W]
    problem: str = ""


class Bag:
    """An open bag; a context manager.

    Only the messages that are asked for are decoded, so a broken or unknown type elsewhere costs
    nothing. What is damaged, missing or left out is in `problems`, in full when all has been read.

    Raises:
        BagError: no such bag, a format that is none of the three, or nothing in it can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.faults, self._decoder = Path(path), Problems(), Decoder()
        self._folder: tempfile.TemporaryDirectory | None = None  # of unpacked files
        self._storages: list[Storage] = []
        try:
            with _bag_errors(self.path):
                self.files, hint = find_files(self.path, self._say)
                self._open()
        except BaseException:
            self.close()
            raise
        self._report_unread()
        for topic, found in self.topics(KNOWN).items():
            if found < hint.counts.get(topic, 0):
                promised = f"metadata.yaml promises {hint.counts[topic]:,} messages on {topic}"
                self._say(f"{promised}, {found:,} are there")

    def __enter__(self) -> "Bag":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for storage in self._storages:
            storage.close()
        if self._folder:
            self._folder.cleanup()

    @property
    def problems(self) -> list[str]:
        """Sentences on what was damaged, missing, left out or guessed so far."""
        return self.faults.texts()

    def topics(self, types: tuple[str, ...]) -> dict[str, int]:
        """Topics of some types that hold messages: name to message count, sorted by name."""
        counts: dict[str, int] = {}
        for c in sorted(self._connections(), key=lambda c: c.topic):
            if c.type in types and c.count and self._decoder.reads(c.encoding):
                counts[c.topic] = counts.get(c.topic, 0) + c.count
        return counts

    def image_topic(self, topic: str | None = None) -> str:
        """The topic to replay: `topic`, checked, or the only one that there is.

        Raises:
            BagError: no such topic, no images, or several topics to choose from, which it lists.
        """
        found, path = self.topics(IMAGE_TYPES), printable(self.path)
        listed = ", ".join(f"{name} ({count})" for name, count in found.items())
        if not found:
            raise BagError(
                f"{path} holds no images (no Image or CompressedImage messages){self._instead()}"
            )
        if topic is None and len(found) > 1:
            raise BagError(f"{path} has several image topics, choose one with --topic: {listed}")
        if topic is not None and topic not in found:
            raise BagError(f"{path} has no images on {topic}; image topics: {listed}")
        return topic or next(iter(found))

    def images(self, topic: str) -> Iterator[BagImage]:
        """The images of one topic in the order of their recording, one in memory at a time.

        Those of 16 bits are read twice, so that all have one brightness.
        """
        decoder = ImageDecoder(topic)
        with suppress(BagError):
            decoder.learn(message for _, _, message in self.messages([topic]))
        for _, recorded_ns, message in self.messages([topic]):
            if isinstance(message, Exception):
                yield BagImage(recorded_ns, recorded_ns, "", None, str(message))
                continue
            stamp_ns, frame_id = stamp_of(message.header) or recorded_ns, message.header.frame_id
            try:
                pixels = decoder.image(message)
                yield BagImage(stamp_ns, recorded_ns, frame_id, pixels, decoder.problem)
            except ImageError as error:
                yield BagImage(stamp_ns, recorded_ns, frame_id, None, str(error))

    def frame_id(self, topic: str) -> str:
        """The coordinate frame of a topic's images, by the first that decodes, or ""."""
        return next(
            (
                m.header.frame_id
                for _, _, m in self.messages([topic])
                if not isinstance(m, Exception)
            ),
            "",
        )

    def poses(self, frame_id: str, topic: str | None = None, image_topic: str = "") -> PoseSource:
        """The poses of the camera whose images carry `frame_id`, see `choose_poses`."""
        return choose_poses(self, frame_id, topic, image_topic)

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, object]]:
        """(topic, record time ns, message) of some topics; an error where one does not decode."""
        for recorded_ns, connection, data in self.raw_messages(topics):
            try:
                message = self._decoder.decode(connection, data)
            except BagError as error:
                message = error
            yield connection.topic, recorded_ns, message

    def raw_messages(
        self, topics: Collection[str], types: tuple[str, ...] = KNOWN
    ) -> Iterator[Message]:
        """(record time ns, connection, bytes) of topics and types, by record time, each once."""
        parts, doubles = [], 0
        for place, storage in enumerate(self._storages):
            chosen = {
                c for c in storage.connections if c.topic in topics and c.type in types and c.count
            }
            chosen = {c for c in chosen if self._decoder.reads(c.encoding)}
            if chosen:
                parts.append(Part(storage.start_ns, 1, partial(self._from, place, chosen)))
        now_ns, seen = None, {}
        with _bag_errors(self.path):
            for recorded_ns, (place, connection), data in in_order(parts, OPEN):
                if len(parts) > 1:  # the same recording may lie there twice, say converted
                    seen, now_ns = seen if recorded_ns == now_ns else {}, recorded_ns
                    if seen.setdefault((connection.topic, hash(bytes(data))), place) != place:
                        doubles += 1
                        continue
                yield recorded_ns, connection, data
        if doubles:
            self._say(f"{doubles:,} messages lie in two files, and count once")

    def _from(self, place: int, chosen: set[Connection]) -> Iterator[tuple]:
        """The messages of one file, with its place beside their connection."""
        try:
            for recorded_ns, connection, data in self._storages[place].messages(chosen):
                yield recorded_ns, (place, connection), data
        except (OSError, BagError) as error:
            why = getattr(error, "strerror", None) or error
            self._say(f"{self._names[place]} cannot be read further: {why}")
        finally:
            self._storages[place].rest()

    def _open(self) -> None:
        """Open every file; those that cannot be read count as problems as long as another can."""
        self._names, failed = [], []
        for path in self.files:
            try:
                with _bag_errors(path):
                    storage = self._open_file(path)
            except BagError as error:
                failed.append(error)
                continue
            storage.rest()
            self._storages.append(storage)
            self._names.append(printable(path.name))
        if not self._storages:
            raise failed[0]
        for error in failed:
            self._say(f"{error}; the other files are read")

    def _open_file(self, path: Path) -> Storage:
        kind, whole, name = kind_of(path), True, printable(path.name)
        if kind in PACKED:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(
                    prefix="gaussvae_", ignore_cleanup_errors=True
                )
            inside = Path(self._folder.name, path.stem)
            try:
                whole, path = unpack_file(path, inside), inside
            except OSError as error:
                raise BagError(
                    f"{inside.parent} takes no unpacked file: {error.strerror}"
                ) from None
            kind = kind_of(path)
        if kind not in OPENERS:
            raise BagError("it holds none of the formats of bags")
        storage = OPENERS[kind](path, lambda sentence: self._say(f"{name}: {sentence}"))
        if not whole:
            self._say(f"{name} is packed, and cut short or damaged: its rest is left out")
        return storage

    def _report_unread(self) -> None:
        for c in self._connections():
            if c.type in KNOWN and c.count and not self._decoder.reads(c.encoding):
                encoding = c.encoding[:20] or "unnamed"
                what = f"{c.count:,} messages of {c.type} in the encoding {encoding}"
                self._say(f"{c.topic}: {what} are not read")

    def _connections(self) -> list[Connection]:
        return [connection for storage in self._storages for connection in storage.connections]

    def _instead(self) -> str:
        """What a bag without images holds, for an error."""
        counts = {}
        for c in self._connections():
            counts[c.topic, c.type] = counts.get((c.topic, c.type), 0) + c.count
        topics = [
            f"{topic} ({count} of {kind or 'a type without a name'})"
            for (topic, kind), count in sorted(counts.items())[:LISTED]
        ]
        more = [f"{len(counts) - LISTED} more"] if len(counts) > LISTED else []
        said = [
            *self.problems[:1],
            f"it holds {', '.join(topics + more)}" if topics else "it is empty",
        ]
        return "; " + "; ".join(said)

    def _say(self, sentence: str) -> None:
        self.faults.add("bag", sentence)


@contextmanager
def _bag_errors(path: Path) -> Iterator[None]:
    """Turn whatever reading a file that is damaged, or no bag, may raise into one line."""
    try:
        yield
    except BagError as error:
        text, name = str(error), printable(path)
        raise BagError(
            text if name in text else f"{name} is damaged or not a bag: {text}"
        ) from None
    except GaussVaeError:
        raise
    except OSError as error:
        raise BagError(f"{printable(path)} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # whatever foreign bytes may cause
        raise BagError(
            f"{printable(path)} is damaged or not a bag ({type(error).__name__})"
        ) from None
