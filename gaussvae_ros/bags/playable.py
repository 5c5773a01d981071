"""Bags as `ros2 bag play` reads them, which wants a whole rosbag2 with a true metadata.yaml."""

from collections.abc import Callable, Collection
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from rosbags.convert.converter import generate_message_converter
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from gaussvae_ros.bags.bag import KNOWN, Bag
from gaussvae_ros.bags.decoding import TF_OF_ROS1, types_of_ros1, types_of_ros2, unpacked
from gaussvae_ros.bags.poses import TF_TYPES
from gaussvae_ros.bags.raw import ZSTD_MAGIC
from gaussvae_ros.bags.storage import ROS1, Connection
from gaussvae_ros.errors import BagError

PLAYED = (*KNOWN, "sensor_msgs/msg/CameraInfo")
VERSION = 8  # of metadata.yaml, Jazzy's


def is_playable(bag: Bag, topics: Collection[str]) -> bool:
    """Whether a reader as strict as `ros2 bag play` finds all messages of some topics."""
    try:
        with redirect_stdout(StringIO()), Reader(bag.path) as reader:
            chosen = [c for c in reader.connections if c.topic in topics]
            counts = {
                topic: sum(c.msgcount for c in chosen if c.topic == topic) for topic in topics
            }
            firsts = [next(reader.messages(connections=[c]), None) for c in chosen]
    except Exception:  # whatever it may raise on what it does not read
        return False
    packed = any(first and bytes(first[2][:4]) == ZSTD_MAGIC for first in firsts)
    found = {topic: count for topic, count in bag.topics(PLAYED).items() if topic in topics}
    if packed or counts != found:
        return False
    for _ in bag.raw_messages(topics, PLAYED):  # damage is known when all has been read
        pass
    return not bag.problems


def write_playable(bag: Bag, topics: Collection[str], out: Path) -> int:
    """Write some topics of a bag to a new rosbag2 folder; how many messages could not be converted.

    Raises:
        BagError: the disk is full, or the folder is there already.
    """
    connections, converters, lost = {}, {}, 0
    try:
        with Writer(out, version=VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
            for recorded_ns, connection, data in bag.raw_messages(topics, PLAYED):
                kind = TF_TYPES[0] if connection.type in TF_OF_ROS1 else connection.type
                if (key := (connection.topic, kind)) not in connections:
                    connections[key] = writer.add_connection(*key, typestore=types_of_ros2())
                if connection not in converters:
                    converters[connection] = _converter(connection, kind)
                try:
                    converted = converters[connection](data)
                except Exception:  # whatever foreign bytes may cause
                    lost += 1
                    continue
                writer.write(connections[key], recorded_ns, converted)
    except OSError as error:
        raise BagError(f"{out} cannot be written: {error.strerror}") from None
    return lost


def _converter(connection: Connection, kind: str) -> Callable[[bytes], bytes]:
    """What makes CDR of a connection's messages."""
    if connection.encoding != ROS1:
        return unpacked
    stores = types_of_ros1(), types_of_ros2()
    with redirect_stdout(StringIO()):  # what it says of types
        return generate_message_converter(
            *stores, connection.type, kind, {}, src_is2=False, dst_is2=True
        )
