"""Writes small bags of the three formats for tests."""

import io
from pathlib import Path

import numpy as np
from mcap.writer import Writer as McapWriter
from PIL import Image
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

KINDS = ("bag", "db3", "mcap")
START = 1_700_000_000_000_000_000  # ns


class BagMaker:
    """Collects messages, then writes: `BagMaker("mcap").image("/cam", t, image).write(folder)`."""

    def __init__(self, kind: str) -> None:
        self.kind, self.ros1 = kind, kind == "bag"
        self.store = get_typestore(Stores.ROS1_NOETIC if self.ros1 else Stores.ROS2_JAZZY)
        if self.ros1:  # TF is not in the library's ROS 1 set
            fields = "geometry_msgs/TransformStamped[] transforms"
            self.store.register(get_types_from_msg(fields, "tf2_msgs/msg/TFMessage"))
        self.entries: list[tuple[str, object, int]] = []

    def make(self, name: str, *fields: object) -> object:
        return self.store.types[name](*fields)

    def header(self, stamp_ns: int, frame_id: str) -> object:
        stamp = self.make("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
        return self.make("std_msgs/msg/Header", *([0] if self.ros1 else []), stamp, frame_id)

    def put(self, topic: str, message: object, recorded_ns: int) -> "BagMaker":
        self.entries.append((topic, message, recorded_ns))
        return self

    def image(
        self,
        topic: str,
        stamp_ns: int,
        picture: np.ndarray,
        frame_id: str = "camera",
        recorded_ns: int = 0,
        encoding: str = "rgb8",
    ) -> "BagMaker":
        h, w = picture.shape[:2]
        flat = np.ascontiguousarray(picture).view(np.uint8).reshape(-1)
        header = self.header(stamp_ns, frame_id)
        message = self.make(
            "sensor_msgs/msg/Image", header, h, w, encoding, 0, len(flat) // h, flat
        )
        return self.put(topic, message, recorded_ns or stamp_ns)

    def jpeg(
        self, topic: str, stamp_ns: int, picture: np.ndarray | bytes, frame_id: str = "camera"
    ) -> "BagMaker":
        if not isinstance(picture, bytes):
            out = io.BytesIO()
            Image.fromarray(picture).save(out, "jpeg", quality=95)
            picture = out.getvalue()
        data = np.frombuffer(picture, np.uint8)
        message = self.make(
            "sensor_msgs/msg/CompressedImage", self.header(stamp_ns, frame_id), "jpeg", data
        )
        return self.put(topic, message, stamp_ns)

    def _pose(self, pose: tuple) -> object:
        return self.make(
            "geometry_msgs/msg/Pose",
            self.make("geometry_msgs/msg/Point", *pose[:3]),
            self.make("geometry_msgs/msg/Quaternion", *pose[3:]),
        )

    def pose(
        self, topic: str, stamp_ns: int, pose: tuple, recorded_ns: int = 0, frame: str = "map"
    ) -> "BagMaker":
        header = self.header(stamp_ns, frame)
        message = self.make("geometry_msgs/msg/PoseStamped", header, self._pose(pose))
        return self.put(topic, message, recorded_ns or stamp_ns)

    def pose_with_covariance(self, topic: str, stamp_ns: int, pose: tuple) -> "BagMaker":
        with_covariance = self.make(
            "geometry_msgs/msg/PoseWithCovariance", self._pose(pose), np.zeros(36)
        )
        message = self.make(
            "geometry_msgs/msg/PoseWithCovarianceStamped",
            self.header(stamp_ns, "map"),
            with_covariance,
        )
        return self.put(topic, message, stamp_ns)

    def odometry(
        self,
        topic: str,
        stamp_ns: int,
        pose: tuple,
        child: str = "base_link",
        frame: str = "odom",
        recorded_ns: int = 0,
    ) -> "BagMaker":
        zero = self.make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
        twist = self.make(
            "geometry_msgs/msg/TwistWithCovariance",
            self.make("geometry_msgs/msg/Twist", zero, zero),
            np.zeros(36),
        )
        with_covariance = self.make(
            "geometry_msgs/msg/PoseWithCovariance", self._pose(pose), np.zeros(36)
        )
        header = self.header(stamp_ns, frame)
        message = self.make("nav_msgs/msg/Odometry", header, child, with_covariance, twist)
        return self.put(topic, message, recorded_ns or stamp_ns)

    def tf(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        pose: tuple,
        topic: str = "/tf",
        recorded_ns: int = 0,
    ) -> "BagMaker":
        stamped = self._transform(parent, child, stamp_ns, pose)
        return self.put(
            topic, self.make("tf2_msgs/msg/TFMessage", [stamped]), recorded_ns or stamp_ns
        )

    def transform(
        self, topic: str, stamp_ns: int, pose: tuple, parent: str = "world", child: str = "robot"
    ) -> "BagMaker":
        return self.put(topic, self._transform(parent, child, stamp_ns, pose), stamp_ns)

    def _transform(self, parent: str, child: str, stamp_ns: int, pose: tuple) -> object:
        transform = self.make(
            "geometry_msgs/msg/Transform",
            self.make("geometry_msgs/msg/Vector3", *pose[:3]),
            self.make("geometry_msgs/msg/Quaternion", *pose[3:]),
        )
        header = self.header(stamp_ns, parent)
        return self.make("geometry_msgs/msg/TransformStamped", header, child, transform)

    def write(self, folder: Path, name: str = "test") -> Path:
        path = folder / (f"{name}.bag" if self.ros1 else name)
        plugin = StoragePlugin.MCAP if self.kind == "mcap" else StoragePlugin.SQLITE3
        with Writer1(path) if self.ros1 else Writer2(path, version=8, storage_plugin=plugin) as bag:
            connections = {}
            for topic, message, recorded_ns in sorted(self.entries, key=lambda entry: entry[2]):
                name = message.__msgtype__
                if topic not in connections:
                    connections[topic] = bag.add_connection(topic, name, typestore=self.store)
                serialize = self.store.serialize_ros1 if self.ros1 else self.store.serialize_cdr
                bag.write(connections[topic], recorded_ns, serialize(message, name))
        return path

    def write_mcap(self, path: Path, **options: object) -> Path:
        """An MCAP file by itself.

        Options: `profile`, `encoding`, `schema` (its encoding and text), `names` (of
        types: a function), `beside` (an encoding: a channel of it with one message), the
        rest as the library's writer.
        """
        profile, encoding = options.pop("profile", "ros2"), options.pop("encoding", "cdr")
        schema, names = (
            options.pop("schema", ("ros2msg", b"")),
            options.pop("names", lambda name: name),
        )
        times, beside = options.pop("times", {}), options.pop("beside", None)
        serialize = self.store.serialize_ros1 if self.ros1 else self.store.serialize_cdr
        with open(path, "wb") as file:
            writer, channels = McapWriter(file, **options), {}
            writer.start(profile=profile, library="test")
            if beside:
                kind = writer.register_schema("some.Type", beside, b"{}")
                writer.add_message(
                    writer.register_channel("/beside", beside, kind), START, b"{}", START
                )
            for number, (topic, message, recorded_ns) in enumerate(self.entries):
                name = message.__msgtype__
                if topic not in channels:
                    kind = writer.register_schema(names(name), *schema)
                    channels[topic] = writer.register_channel(topic, encoding, kind)
                log_ns = times.get(number, recorded_ns)
                writer.add_message(
                    channels[topic], log_ns, bytes(serialize(message, name)), recorded_ns, number
                )
            writer.finish()
        return path
