"""Two rounds of the building's loop as a rosbag2 MCAP: images, calibration, odometry, poses."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from gaussvae_ros.bags.writer import BagWriter
from gaussvae_ros.errors import GaussVaeError
from gaussvae_ros.poses import OPTICAL_IN_BODY
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor, World, render

SIZE = (640, 480)  # (w, h) px
FOCAL = 381.0  # px: 80 degrees across
RATE, ODOMETRY_RATE = 10, 50  # Hz
ROUNDS = 2  # of the loop
MOUNT = (0.2, 0.0, 0.6)  # m, the camera on the robot's base
CENTRE, HALF, RADIUS = (4.5, 3.5), (3.5, 2.5), 0.8  # m, the loop: a rectangle with round corners
EXPOSURE_S = 0.008
START_NS = 1_700_000_000_000_000_000
IMAGE, INFO, ODOM = "/camera/image_raw/compressed", "/camera/camera_info", "/odom"


def write_drive(path: str | Path, seconds: float = 30.0, seed: int = 0, progress=iter) -> Path:
    """Drive ROUNDS rounds in `seconds` and write the bag folder `path`, in place of an older one.

    The bag holds 10 Hz JPEG images and CameraInfo, 50 Hz Odometry and /tf (odom -> base_link), and
    /tf_static to the camera; all poses are the true ones. `progress` wraps the iterable of frames.
    The folder appears when it is whole.

    Raises:
        GaussVaeError: `seconds` outside 1 to 3600, or `path` is there and is not a bag.
        OSError: the place cannot be written.
    """
    path, seconds = Path(path), checked_seconds(seconds)
    if path.exists() and not (path / "metadata.yaml").exists():
        raise GaussVaeError(f"{path} is there and is not a bag: not replacing it")
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        draft.mkdir()
        # Of the bag's own name already: its file is called after the folder, and
        # metadata.yaml names the file.
        with BagWriter(draft / path.name) as bag:
            _Recorder(bag).record(seconds, seed, progress)
        shutil.rmtree(path, ignore_errors=True)
        (draft / path.name).rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def checked_seconds(seconds: float) -> float:
    """`seconds`, if a drive can last so long (GaussVaeError if not)."""
    if not 1 <= seconds <= 3600:
        raise GaussVaeError(f"a drive lasts 1 to 3600 s, not {seconds:g}")
    return seconds


def where(t: np.ndarray, seconds: float) -> np.ndarray:  # [N] s -> [N, 3] x, y (m), yaw (rad)
    """The base's true pose `t` s into a drive of `seconds`: the loop, with a little weaving."""
    distance = ROUNDS * _perimeter() * np.asarray(t, float) / seconds
    ahead = _weave(distance + 1e-3) - _weave(distance - 1e-3)
    # The robot does not look dead ahead.
    look = 0.10 * np.sin(distance * 0.83 + 0.4) + 0.05 * np.sin(distance * 2.1)
    return np.column_stack([_weave(distance), np.arctan2(ahead[:, 1], ahead[:, 0]) + look])


def _perimeter() -> float:
    return 4 * (HALF[0] + HALF[1] - 2 * RADIUS) + 2 * np.pi * RADIUS


def _weave(distance: np.ndarray) -> np.ndarray:  # [N] m -> [N, 2] m
    offset = 0.12 * np.sin(0.41 * distance) + 0.05 * np.sin(1.3 * distance + 1)
    points, left = _loop(distance)
    return points + offset[:, None] * left


def _loop(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points of the loop, counter-clockwise from the middle of its south side, and left normals."""
    a, b = HALF[0] - RADIUS, HALF[1] - RADIUS
    quarter = np.pi / 2 * RADIUS
    # Where a piece turns.
    corners = [(0, -b), (a, -b), (a, -b), (a, b), (a, b), (-a, b), (-a, b), (-a, -b), (-a, -b)]
    # Straight, arc, straight, ...
    ends = np.cumsum([a, quarter, 2 * b, quarter, 2 * a, quarter, 2 * b, quarter, a])
    s = np.mod(distance, ends[-1])
    piece = np.minimum(np.searchsorted(ends, s, side="right"), 8)
    into = s - np.concatenate([[0], ends])[piece]
    arc = piece % 2 == 1
    heading = piece // 2 * np.pi / 2 + np.where(arc, into / RADIUS, 0)
    forward = np.column_stack([np.cos(heading), np.sin(heading)])
    left = np.column_stack([-forward[:, 1], forward[:, 0]])
    return CENTRE + np.array(corners)[piece] - RADIUS * left + np.where(arc, 0, into)[
        :, None
    ] * forward, left


def photograph(
    world: World, sensor: Sensor, x: float, y: float, yaw: float, turning: float
) -> np.ndarray:
    """What the camera gives, uint8 [h, w, 3]; x, y in m, `yaw` in rad, turning in rad/s."""
    eye = x + MOUNT[0] * np.cos(yaw), y + MOUNT[0] * np.sin(yaw), MOUNT[2]
    return sensor.expose(render(world, *eye, yaw, SIZE, FOCAL), abs(turning) * EXPOSURE_S * FOCAL)


class _Recorder:
    """Makes the messages and puts them into a bag in the order of their stamps."""

    def __init__(self, bag: BagWriter) -> None:
        self._bag = bag

    def record(self, seconds: float, seed: int, progress: Iterable) -> None:
        world, sensor = build(seed), Sensor(SIZE, FOCAL, seed)
        steps = ODOMETRY_RATE // RATE
        times = np.arange(int(seconds * ODOMETRY_RATE)) / ODOMETRY_RATE
        poses = where(times, seconds)
        turning = np.gradient(np.unwrap(poses[:, 2]), times)  # rad/s
        self._bag.put(
            "/tf_static",
            START_NS,
            self._bag.transforms(
                START_NS,
                [
                    ("base_link", "camera_link", MOUNT, (0, 0, 0, 1)),
                    ("camera_link", "camera_optical_frame", (0, 0, 0), OPTICAL_IN_BODY[3:]),
                ],
            ),
        )
        for frame in progress(range(len(times) // steps)):
            for i in range(frame * steps, (frame + 1) * steps):
                self._odometry(
                    START_NS + round(times[i] * 1e9),
                    *poses[i],
                    ROUNDS * _perimeter() / seconds,
                    turning[i],
                )
            image = photograph(world, sensor, *poses[frame * steps], turning[frame * steps])
            self._image(START_NS + round(times[frame * steps] * 1e9), image)

    def _odometry(
        self, stamp_ns: int, x: float, y: float, yaw: float, speed: float, turning: float
    ) -> None:
        turn = (0.0, 0.0, float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))
        self._bag.put(
            "/tf",
            stamp_ns,
            self._bag.transforms(stamp_ns, [("odom", "base_link", (x, y, 0), turn)]),
        )
        pose = self._bag.make(
            "geometry_msgs/msg/Pose",
            self._bag.vector(x, y, 0, "Point"),
            self._bag.make("geometry_msgs/msg/Quaternion", *turn),
        )
        twist = self._bag.make(
            "geometry_msgs/msg/Twist",
            self._bag.vector(speed, 0, 0),
            self._bag.vector(0, 0, turning),
        )
        self._bag.put(
            ODOM,
            stamp_ns,
            self._bag.make(
                "nav_msgs/msg/Odometry",
                self._bag.header(stamp_ns, "odom"),
                "base_link",
                self._bag.make("geometry_msgs/msg/PoseWithCovariance", pose, np.zeros(36)),
                self._bag.make("geometry_msgs/msg/TwistWithCovariance", twist, np.zeros(36)),
            ),
        )

    def _image(self, stamp_ns: int, image: np.ndarray) -> None:
        header = self._bag.header(stamp_ns, "camera_optical_frame")
        _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        self._bag.put(
            IMAGE,
            stamp_ns,
            self._bag.make(
                "sensor_msgs/msg/CompressedImage",
                header,
                "rgb8; jpeg compressed bgr8",
                data.reshape(-1),
            ),
        )
        w, h = SIZE
        k = np.array([FOCAL, 0, w / 2, 0, FOCAL, h / 2, 0, 0, 1.0])
        p = np.array([FOCAL, 0, w / 2, 0, 0, FOCAL, h / 2, 0, 0, 0, 1.0, 0])
        roi = self._bag.make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
        self._bag.put(
            INFO,
            stamp_ns,
            self._bag.make(
                "sensor_msgs/msg/CameraInfo",
                header,
                h,
                w,
                "plumb_bob",
                np.zeros(5),
                k,
                np.eye(3).reshape(-1),
                p,
                0,
                0,
                roi,
            ),
        )
