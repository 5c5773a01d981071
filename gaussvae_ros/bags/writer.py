"""Writing a rosbag2 bag, as MCAP: messages of Jazzy by the names of their types."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

FOREVER = QosTime(9223372036, 854775807)
STATIC = "/tf_static"


class BagWriter:
    """A new bag in a new folder, whole when its `with` ends.

    What is put on /tf_static is kept, up to `kept` messages, for whoever listens later, too:
    otherwise `ros2 bag play` has none that a node would receive.
    """

    def __init__(self, folder: Path, kept: int = 1) -> None:
        self._bag = Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP)
        self._store, self._connections = get_typestore(Stores.ROS2_JAZZY), {}
        self._latched = Qos(
            QosHistory.KEEP_LAST,
            kept,
            QosReliability.RELIABLE,
            QosDurability.TRANSIENT_LOCAL,
            FOREVER,
            FOREVER,
            QosLiveliness.AUTOMATIC,
            FOREVER,
            False,
        )

    def __enter__(self) -> "BagWriter":
        self._bag.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bag.__exit__(*error)

    def make(self, name: str, *fields: object) -> object:
        """A message of a type such as "sensor_msgs/msg/Image", with its fields in their order."""
        return self._store.types[name](*fields)

    def header(self, stamp_ns: int, frame_id: str) -> object:
        """A std_msgs/Header."""
        stamp = self.make("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
        return self.make("std_msgs/msg/Header", stamp, frame_id)

    def vector(self, x: float, y: float, z: float, name: str = "Vector3") -> object:
        """A Vector3 or Point of geometry_msgs."""
        return self.make(f"geometry_msgs/msg/{name}", float(x), float(y), float(z))

    def transforms(
        self,
        stamp_ns: int,
        links: Iterable[tuple[str, str, Sequence[float], Sequence[float]]],
    ) -> object:
        """A TFMessage of (parent, child, position m, quaternion x y z w) each."""
        made = []
        for parent, child, shift, turn in links:
            turn = self.make("geometry_msgs/msg/Quaternion", *map(float, turn))
            moved = self.make("geometry_msgs/msg/Transform", self.vector(*shift), turn)
            header = self.header(stamp_ns, parent)
            made.append(self.make("geometry_msgs/msg/TransformStamped", header, child, moved))
        return self.make("tf2_msgs/msg/TFMessage", made)

    def put(self, topic: str, stamp_ns: int, message: object) -> None:
        """Write a message, recorded at its stamp."""
        name = message.__msgtype__
        if topic not in self._connections:
            profiles = [self._latched] if topic == STATIC else []
            self._connections[topic] = self._bag.add_connection(
                topic, name, typestore=self._store, offered_qos_profiles=profiles
            )
        data = self._store.serialize_cdr(message, name)
        self._bag.write(self._connections[topic], stamp_ns, data)
