"""Calibrations of recalled pictures: camera_info projects to where the picture shows it."""

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo

from gaussvae_ros.nodes import convert


def info(**changes: object) -> CameraInfo:
    """A camera of 640x480 px with a wide, distorted lens, the right one of a stereo pair."""
    message = CameraInfo(
        width=640, height=480, distortion_model="plumb_bob", d=[-0.2, 0.05, 0.001, -0.002, 0.0]
    )
    message.k = [400.0, 0.0, 330.0, 0.0, 410.0, 225.0, 0.0, 0.0, 1.0]
    message.r = [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [390.0, 0.0, 325.0, -39.0, 0.0, 390.0, 230.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def spot(at: np.ndarray) -> np.ndarray:  # [2] px -> float32 [480, 640]
    """What the sensor sees of a soft light whose centre falls on `at`, in OpenCV's pixels, whose
    centres are whole numbers.
    """
    y, x = np.mgrid[:480, :640].astype(np.float32)
    return np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 9.0**2))


def centre(image: np.ndarray) -> np.ndarray:  # [h, w] -> [2] px
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(x * image).sum(), (y * image).sum()]) / image.sum()


@pytest.mark.parametrize(
    "roi, size",
    [
        (None, (640, 480)),
        (None, (320, 240)),
        (None, (96, 96)),
        (None, (1280, 960)),
        ((100, 60, 400, 320), (400, 320)),
        ((100, 60, 400, 320), (200, 80)),
    ],
)
def test_calibration_projects_to_where_the_picture_shows_it(
    roi: tuple | None, size: tuple[int, int]
) -> None:
    point = np.array([[0.12, -0.2, 1.5]])
    kept = convert.calibration(info())
    made = convert.camera_info(kept, (640, 480), roi, size, convert.header(3, "front"))
    assert (made.width, made.height, made.header.frame_id) == (*size, "front")
    k, d = np.reshape(info().k, (3, 3)), np.array(info().d)
    x, y, w, h = roi or (0, 0, 640, 480)

    def shown(at: np.ndarray) -> np.ndarray:
        part = spot(at)[y : y + h, x : x + w]
        return cv2.resize(
            part, size, interpolation=cv2.INTER_AREA if size[0] < w else cv2.INTER_LINEAR
        )

    def project(k: np.ndarray) -> np.ndarray:
        return cv2.projectPoints(point, np.zeros(3), np.zeros(3), k, d)[0].ravel()

    assert np.abs(project(np.reshape(made.k, (3, 3))) - centre(shown(project(k)))).max() < 0.02
    rectified, scaled = (np.reshape(p, (3, 4)) @ [*point[0], 1] for p in (info().p, made.p))
    assert np.abs(scaled[:2] / scaled[2] - centre(shown(rectified[:2] / rectified[2]))).max() < 0.02
    assert list(made.d) == list(info().d) and list(made.r) == list(info().r)
    assert made.distortion_model == "plumb_bob"


def test_calibration_of_a_binned_part_of_the_sensor() -> None:
    part = info(binning_x=2, binning_y=4)
    part.roi.x_offset, part.roi.y_offset, part.roi.width, part.roi.height = 41, 22, 501, 402
    made = convert.camera_info(
        convert.calibration(part), (250, 100), (10, 20, 200, 60), (100, 30), convert.header(0, "")
    )
    at = cv2.projectPoints(
        np.array([[0.12, 0.1, 1.5]]), np.zeros(3), np.zeros(3), np.reshape(info().k, (3, 3)), None
    )[0]
    frame = cv2.resize(spot(at.ravel())[22:422, 41:541], (250, 100), interpolation=cv2.INTER_AREA)
    picture = cv2.resize(frame[20:80, 10:210], (100, 30), interpolation=cv2.INTER_AREA)
    k = np.reshape(made.k, (3, 3))
    assert np.abs(centre(picture) - (k @ [0.12, 0.1, 1.5] / 1.5)[:2]).max() < 0.02
    assert (made.binning_x, made.roi.width) == (0, 0)


def test_calibration_made_at_another_size_is_scaled() -> None:
    half = convert.camera_info(
        convert.calibration(info()), (320, 240), None, (320, 240), convert.header(0, "")
    )
    assert np.allclose(half.k, [200, 0, (330.5 / 2) - 0.5, 0, 205, (225.5 / 2) - 0.5, 0, 0, 1])


@pytest.mark.parametrize(
    "calibration, size",
    [
        (None, (640, 480)),
        (convert.calibration(CameraInfo()), (640, 480)),  # a driver without calibration
        (convert.calibration(info(k=[0.0] * 9)), (640, 480)),
        (convert.calibration(info()), (640, 360)),  # cut off, or squeezed: nobody knows
        ({"fx": 400}, (640, 480)),  # somebody else's
        ({**convert.calibration(info()), "k": [1.0]}, (640, 480)),
        ({**convert.calibration(info()), "d": "none"}, (640, 480)),
        ({**convert.calibration(info()), "roi": None}, (640, 480)),
    ],
)
def test_without_a_calibration_the_width_is_0(
    calibration: dict | None, size: tuple[int, int]
) -> None:
    made = convert.camera_info(calibration, size, None, size, convert.header(3, "front"))
    assert (made.width, made.height, list(made.k)) == (0, 0, [0.0] * 9)
    assert made.header.frame_id == "front"
