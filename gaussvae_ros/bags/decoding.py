"""Messages from their bytes, by the types that every ROS has, not by what a file says of them."""

from functools import cache

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from gaussvae_ros.bags.raw import ZSTD_MAGIC, unpack
from gaussvae_ros.bags.storage import CDR, ROS1, Connection
from gaussvae_ros.errors import BagError

TF_OF_ROS1 = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")  # not in the library's set of ROS 1


class Decoder:
    """Decodes CDR, packed message by message or not, and the serialisation of ROS 1."""

    def reads(self, encoding: str) -> bool:
        return encoding in (CDR, ROS1)

    def decode(self, connection: Connection, data: bytes) -> object:
        """A message. Raises BagError if the bytes are none of its type."""
        try:
            if connection.encoding == ROS1:
                return types_of_ros1().deserialize_ros1(data, connection.type)
            return types_of_ros2().deserialize_cdr(unpacked(data), connection.type)
        except Exception:  # whatever a parser may raise on foreign bytes
            raise BagError(
                f"message does not decode: its {len(data):,} bytes are no {connection.type}"
            ) from None


def unpacked(data: bytes) -> bytes:
    """A message as it was before `ros2 bag record --compression-mode message` packed it.

    Raises:
        BagError: it does not unpack.
    """
    if data[:4] != ZSTD_MAGIC:  # CDR never begins so
        return data
    found, fault = unpack(data, "zstd")
    if fault:
        raise BagError(fault)
    return found


@cache
def types_of_ros2() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


@cache
def types_of_ros1() -> Typestore:
    types = get_typestore(Stores.ROS1_NOETIC)
    for name in TF_OF_ROS1:
        types.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", name))
    return types
