"""A rosbag2 bag as MCAP: pictures, calibrations, and poses as TF, under the stamps of the frames.

`ros2 bag play` plays it, `gaussvae replay` reads it. Frames without a pose have no transform.
"""

import re
from itertools import count
from pathlib import Path

import numpy as np

from gaussvae_ros.bags.writer import BagWriter
from gaussvae_ros.bank import Frame, MemoryBank
from gaussvae_ros.errors import BankError
from gaussvae_ros.exports.form import Format, calibration_of
from gaussvae_ros.poses import OPTICAL_IN_BODY

LAST_NS = 2**31 * 10**9 - 1  # what a message's stamp holds
CAMERAS = 100  # at most that a robot may have
AT_ORIGIN = np.zeros(3)


class Mcap(Format):
    """CompressedImage and CameraInfo of each camera, /tf and /tf_static, in a bag's folder.

    The transform to a camera whose frame is called "optical" has two parts: the camera in a body's
    axes on /tf, as memory files have it, and the turn to optical axes on /tf_static.
    """

    one_map, pictures = True, "jpeg"

    def __init__(self, folder: Path, bank: MemoryBank, pictures: str | None) -> None:
        super().__init__(folder, bank, pictures)
        folder.rmdir()  # which the writer makes
        self._bag = self.files.enter_context(BagWriter(folder, kept=CAMERAS))
        self._topics: dict[str, str] = {}  # by camera
        self._infos: dict[tuple[int, str], dict] = {}  # by session and camera
        self._turned: set[str] = set()  # frames whose turn was told

    def add(self, frame: Frame, image: np.ndarray) -> None:
        if not 0 <= frame.stamp_ns <= LAST_NS:
            raise BankError(
                f"the stamp of frame {frame.id}, {frame.stamp_ns}, is none of a bag, which has"
                " those from 1970 to 2038: choose with --after and --before"
            )
        topic = self._topic(frame.camera)
        name = frame.frame_id or topic.strip("/").replace("/", "_")
        if frame.pose is not None:
            self._place(frame, name)
        header = self._bag.header(frame.stamp_ns, name)
        form = "rgb8; {} compressed bgr8" if image.ndim == 3 else "mono8; {} compressed mono8"
        data = np.frombuffer(self.picture(image), np.uint8)
        message = "sensor_msgs/msg/CompressedImage", header, form.format(self.kind), data
        self._bag.put(f"{topic}/compressed", frame.stamp_ns, self._bag.make(*message))
        if (info := self._info(frame, header)) is not None:
            self._bag.put(f"{topic.rpartition('/')[0]}/camera_info", frame.stamp_ns, info)

    def _topic(self, camera: str) -> str:
        """The base of a camera's topics: itself where it is one."""
        if camera not in self._topics:
            words = [re.sub("[^A-Za-z0-9]+", "_", word) for word in camera.split("/")]
            words = [f"_{w}" if w[0].isdigit() else w for w in words if w.strip("_")]
            if words[-1:] == ["compressed"]:
                words.pop()
            if not camera.startswith("/") or len(words) < 2:
                words = [*(words or ["camera"]), "image"]
            taken = self._topics.values()
            names = (f"/{'/'.join(words)}{number or ''}" for number in count())
            self._topics[camera] = next(name for name in names if name not in taken)
        return self._topics[camera]

    def _place(self, frame: Frame, name: str) -> None:
        pose, reference = frame.pose.array, frame.pose.reference
        body = name
        if "optical" in name:
            body = re.sub("_?optical", "", name).strip("_/")
            body = f"{name}_body" if body in ("", reference) else body
            if name not in self._turned:
                self._turned.add(name)
                turn = np.concatenate([AT_ORIGIN, OPTICAL_IN_BODY[3:]])
                self._transform("/tf_static", frame.stamp_ns, body, name, turn)
        self._transform("/tf", frame.stamp_ns, reference, body, pose)

    def _info(self, frame: Frame, header: object) -> object | None:
        key = frame.session, frame.camera
        if key not in self._infos:
            self._infos[key] = calibration_of(self.bank, frame)
        known = self._infos[key]
        try:
            x, y, width, height = map(int, known.get("roi", (0, 0, 0, 0)))
            rectify = bool(known.get("do_rectify", False))
            return self._bag.make(
                "sensor_msgs/msg/CameraInfo",
                header,
                int(known["height"]),
                int(known["width"]),
                str(known.get("distortion_model", "plumb_bob")),
                np.array(known.get("d", ()), float).reshape(-1),
                np.reshape(known["k"], 9).astype(float),
                np.reshape(known.get("r", np.eye(3)), 9).astype(float),
                np.reshape(known.get("p", np.zeros(12)), 12).astype(float),
                *map(int, known.get("binning", (0, 0))),
                self._bag.make("sensor_msgs/msg/RegionOfInterest", x, y, height, width, rectify),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            return None  # a memory may hold any calibration

    def _transform(
        self, topic: str, stamp_ns: int, parent: str, child: str, pose: np.ndarray
    ) -> None:
        moved = self._bag.transforms(stamp_ns, [(parent, child, pose[:3], pose[3:])])
        self._bag.put(topic, stamp_ns, moved)
