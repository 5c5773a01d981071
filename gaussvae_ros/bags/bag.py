"""A bag as a stream of stamped images, and the camera's poses beside it: rosbag1, rosbag2 db3 and MCAP, without ROS."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from gaussvae_ros.bags.poses import POSE_TYPES, TF_TYPES, choose_poses
from gaussvae_ros.errors import BagError, GaussVaeError, ImageError
from gaussvae_ros.messages import ImageDecoder, stamp_of
from gaussvae_ros.poses import PoseSource

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
STORAGE = (".mcap", ".db3", ".bag")


@dataclass(frozen=True)
class BagImage:
    """One image message: the picture, and one line on what is missing of it or why there is none."""

    stamp_ns: int  # of the header; the record time where the header's is zero
    recorded_ns: int
    frame_id: str
    pixels: np.ndarray | None  # uint8 [H, W, 3] RGB or [H, W]
    problem: str = ""


class Bag:
    """An open bag; a context manager.

    Only the messages that are asked for are decoded, so a broken or unknown type elsewhere in the bag costs nothing.

    Raises:
        BagError: no such bag, a format that is none of the three, or a damaged file (also while reading).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with _bag_errors(self.path):
            path = _storage(self.path)
            self._ros1 = path.suffix == ".bag"
            self._reader = Reader1(path) if self._ros1 else Reader2(path)
            self._reader.open()
        self._types = get_typestore(Stores.ROS1_NOETIC if self._ros1 else Stores.ROS2_JAZZY)

    def __enter__(self) -> "Bag":
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def topics(self, types: tuple[str, ...]) -> dict[str, int]:
        """Topics of the given message types that hold messages: name to message count, sorted by name."""
        counts: dict[str, int] = {}
        for c in sorted(self._reader.connections, key=lambda c: c.topic):
            if c.msgtype in types and c.msgcount:
                counts[c.topic] = counts.get(c.topic, 0) + c.msgcount
        return counts

    def image_topic(self, topic: str | None = None) -> str:
        """The topic to replay: `topic`, checked, or the only one that there is.

        Raises:
            BagError: no such topic, no images, or several image topics to choose from; the text lists them.
        """
        found = self.topics(IMAGE_TYPES)
        listed = ", ".join(f"{name} ({count})" for name, count in found.items())
        if not found:
            raise BagError(f"{self.path} holds no images (no Image or CompressedImage messages)")
        if topic is None and len(found) > 1:
            raise BagError(f"{self.path} has several image topics, choose one with --topic: {listed}")
        if topic is not None and topic not in found:
            raise BagError(f"{self.path} has no images on {topic}; image topics: {listed}")
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
                yield BagImage(recorded_ns, recorded_ns, "", None, f"message does not decode: {message}")
                continue
            stamp_ns, frame_id = stamp_of(message.header) or recorded_ns, message.header.frame_id
            try:
                pixels = decoder.image(message)
                yield BagImage(stamp_ns, recorded_ns, frame_id, pixels, decoder.problem)
            except ImageError as error:
                yield BagImage(stamp_ns, recorded_ns, frame_id, None, str(error))

    def frame_id(self, topic: str) -> str:
        """The coordinate frame of a topic's images, from the first one that decodes; "" if none does."""
        return next((m.header.frame_id for _, _, m in self.messages([topic]) if not isinstance(m, Exception)), "")

    def poses(self, frame_id: str, topic: str | None = None) -> PoseSource | None:
        """The poses of the camera whose images carry `frame_id`, see `choose_poses`."""
        return choose_poses(self, frame_id, topic)

    def messages(self, topics: list[str]) -> Iterator[tuple[str, int, object]]:
        """(topic, record time ns, message) of some topics; an exception in place of a message that does not decode."""
        known = IMAGE_TYPES + TF_TYPES + POSE_TYPES
        chosen = [c for c in self._reader.connections if c.topic in topics and c.msgtype in known]
        if not chosen:
            return
        for connection in chosen:
            self._learn(connection)
        decode = self._types.deserialize_ros1 if self._ros1 else self._types.deserialize_cdr
        with _bag_errors(self.path):
            for connection, recorded_ns, data in self._reader.messages(connections=chosen):
                try:
                    message = decode(data, connection.msgtype)
                except Exception as error:  # whatever a parser may raise on foreign bytes
                    message = error
                yield connection.topic, recorded_ns, message

    def _learn(self, connection: object) -> None:
        """Take the type's definition from the bag where the standard set lacks it (TF of ROS 1)."""
        if connection.msgtype not in self._types.types:
            with _bag_errors(self.path):
                new = get_types_from_msg(connection.msgdef.data, connection.msgtype)
                self._types.register({name: fields for name, fields in new.items() if name not in self._types.types})


def _storage(path: Path) -> Path:
    """What to open: the path, or the one storage file of a rosbag2 folder that lost its metadata.yaml."""
    if not path.exists():
        raise BagError(f"{path}: no such bag")
    if path.is_dir() and not (path / "metadata.yaml").exists():
        inside = [p for p in sorted(path.iterdir()) if p.suffix in STORAGE]
        if len(inside) != 1:
            raise BagError(f"{path} is not a bag: no metadata.yaml and {len(inside)} bag files inside")
        return inside[0]
    if path.is_file() and path.suffix not in STORAGE:
        raise BagError(f"{path} is not a bag: expected a rosbag2 folder or a file ending in {', '.join(STORAGE)}")
    return path


@contextmanager
def _bag_errors(path: Path) -> Iterator[None]:
    """Turn whatever the bag library raises on a file that is damaged, or no bag, into one line."""
    try:
        yield
    except GaussVaeError:
        raise
    except OSError as error:
        raise BagError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # ReaderError, struct.error, AssertionError, apsw and zstd errors, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BagError(f"{path} is damaged or not a bag: {reason}") from None
