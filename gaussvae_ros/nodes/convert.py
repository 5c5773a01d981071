"""ROS messages to arrays and values, and back."""

from array import array
from functools import cache

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, PoseStamped, Quaternion
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from gaussvae_ros.bank import Frame, Pose
from gaussvae_ros.errors import GaussVaeError, ImageError
from gaussvae_ros.images.encodings import picture
from gaussvae_ros.images.messages import ImageDecoder, rows_of, sample_layout
from gaussvae_ros.msg import MemoryFrame

JPEG_QUALITY = 90
SAME_SHAPE = (
    0.01  # a frame's width to height and its calibration's may differ by this part, from rounding
)
_CHANGES = {"rgb8": None, "bgr8": cv2.COLOR_RGB2BGR, "mono8": cv2.COLOR_RGB2GRAY}  # of an RGB array
_SECONDS = 2**31  # Time's seconds go from -_SECONDS to _SECONDS - 1


def image_from(message: Image | CompressedImage, decoder: ImageDecoder | None = None) -> np.ndarray:
    """The picture in a message, uint8 [H, W, 3] RGB or [H, W], an array of its own.

    Raw images pass through cv_bridge. `decoder` is that of the message's topic, which keeps the
    brightness of 16-bit samples; None for a message alone.

    Raises:
        ImageError: unknown encoding, sizes that contradict each other, or data that ends early or
            does not decode.
        GaussVaeError: cv_bridge cannot be used, see `load_bridge`.
    """
    decoder = decoder or ImageDecoder()
    if isinstance(message, CompressedImage):
        return decoder.image(message)
    decoder.check(message.encoding)
    samples = load_bridge().imgmsg_to_cv2(_plain(message), "passthrough")
    if message.is_bigendian:
        samples = samples.view(samples.dtype.newbyteorder(">"))
    return picture(samples, message.encoding, decoder.depth)


def _plain(message: Image) -> Image:
    """The message as every cv_bridge can read it: no padding, which it takes for pixels where a row
    is not a multiple of the pixel's bytes, low byte first, which numpy 2 denies it to change, and
    no encoding newer than itself.
    """
    rows, (channels, sample) = rows_of(message), sample_layout(message.encoding)
    whole = rows.flags.c_contiguous and len(rows) == message.height
    return Image(
        height=len(rows),
        width=message.width,
        encoding=f"{8 * sample}UC{channels}",
        step=rows.shape[1],
        data=message.data
        if whole and isinstance(message.data, array)
        else array("B", rows.tobytes()),
    )


@cache
def load_bridge():
    """A CvBridge that works.

    Raises:
        GaussVaeError: there is none, or it was built for another numpy or OpenCV than those
            installed.
    """
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        bridge.encoding_to_dtype_with_channels("rgb8")  # loads its compiled half
        return bridge
    except (
        Exception
    ) as error:  # SystemError, AttributeError, KeyError, ... of a half that does not fit
        raise GaussVaeError(
            f"cv_bridge cannot be used with numpy {np.__version__} and OpenCV {cv2.__version__}"
            f" ({type(error).__name__}: {error}); ROS 2 Jazzy's packages of Ubuntu 24.04 need"
            " numpy<2"
        ) from error


def to_image(image: np.ndarray, encoding: str, header: Header) -> Image:
    """A picture uint8 [H, W, 3] RGB or [H, W] as "rgb8", "bgr8" or "mono8"."""
    if encoding not in _CHANGES:
        raise ImageError(f"encoding is one of {', '.join(_CHANGES)}, not {encoding!r}")
    if image.ndim == 2:
        image = image if encoding == "mono8" else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    elif (change := _CHANGES[encoding]) is not None:
        image = cv2.cvtColor(image, change)
    height, width = image.shape[:2]
    data = array("B")  # rclpy checks every byte of anything else
    data.frombytes(np.ascontiguousarray(image))
    return Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        step=len(data) // height,
        data=data,
    )


def to_jpeg(image: np.ndarray, header: Header) -> CompressedImage:
    """A picture uint8 [H, W, 3] RGB or [H, W], which stays mono, as JPEG."""
    image = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ImageError(
            f"a picture of {image.shape[1]}x{image.shape[0]} px cannot be written as JPEG"
        )
    data = array("B")
    data.frombytes(file)
    return CompressedImage(header=header, format="jpeg", data=data)


def stamp_ns(time: Time | Duration) -> int:
    """A time or duration in nanoseconds."""
    return time.sec * 1_000_000_000 + time.nanosec


def to_time(ns: int) -> Time:
    """Nanoseconds as a Time, or the end of Time's range (1901 to 2038, 32 bits of seconds) nearest
    to them.
    """
    sec, nanosec = divmod(int(ns), 1_000_000_000)  # nanosec counts up also before 1970
    if not -_SECONDS <= sec < _SECONDS:
        sec, nanosec = (-_SECONDS, 0) if sec < 0 else (_SECONDS - 1, 999_999_999)
    return Time(sec=sec, nanosec=nanosec)


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header of a stamp in ns."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)


def memory_frame(frame: Frame, now_ns: int) -> MemoryFrame:
    """What the memory knows of a frame, without its picture, at a time in ns."""
    age = to_time(now_ns - frame.stamp_ns)
    message = MemoryFrame(
        header=header(frame.stamp_ns, frame.frame_id),
        id=frame.id,
        camera=frame.camera,
        session=frame.session,
        width=frame.size[0],
        height=frame.size[1],
        tier=frame.tier,
        bytes=len(frame.data),
        label=str(frame.label or ""),
        has_pose=frame.pose is not None,
        map_id=frame.map_id,
        age=Duration(sec=age.sec, nanosec=age.nanosec),
    )
    if frame.pose is not None:
        message.pose = pose_stamped(frame.stamp_ns, frame.pose)
    return message


def pose_stamped(stamp_ns: int, pose: Pose) -> PoseStamped:
    """A pose in its coordinate frame."""
    message = PoseStamped(header=header(stamp_ns, pose.reference))
    message.pose.position = Point(**dict(zip("xyz", pose.position)))
    message.pose.orientation = Quaternion(**dict(zip("xyzw", pose.orientation)))
    return message


def calibration(info: CameraInfo) -> dict:
    """What a camera says of itself, ready for JSON; `camera_info` makes a message of it again."""
    part = info.roi
    return {
        "width": info.width,
        "height": info.height,
        "distortion_model": info.distortion_model,
        "d": [float(v) for v in info.d],
        "k": [float(v) for v in info.k],
        "r": [float(v) for v in info.r],
        "p": [float(v) for v in info.p],
        "binning": [info.binning_x, info.binning_y],
        "roi": [part.x_offset, part.y_offset, part.width, part.height],
        "do_rectify": part.do_rectify,
    }


def camera_info(
    calibration: dict | None,
    frame_size: tuple[int, int],  # (w, h) px
    roi: tuple[int, int, int, int] | None,  # (x, y, w, h) px of the frame
    size: tuple[int, int],  # (w, h) px
    header: Header,
) -> CameraInfo:
    """The calibration of a picture of `size` that shows the part `roi` of a frame.

    Distortion works on rays and stays. Where the camera was calibrated at another size, its frame
    counts as scaled. Width 0 says that there is no calibration: none came, or it is of another
    shape than the frame, or is no `calibration` at all, which a memory may hold, too.
    """
    try:
        shown = (
            None
            if calibration is None
            else _shown(calibration, frame_size, roi or (0, 0, *frame_size))
        )
        return (
            CameraInfo(header=header)
            if shown is None
            else _scaled(calibration, shown, size, header)
        )
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return CameraInfo(header=header)


def _scaled(
    calibration: dict,
    shown: tuple[float, float, float, float],
    size: tuple[int, int],
    header: Header,
) -> CameraInfo:
    x, y, w, h = shown
    sx, sy = size[0] / w, size[1] / h
    # A pixel's centre has whole coordinates, so the sensor's edges lie at -0.5: u' + 0.5 = sx (u +
    # 0.5 - x).
    change = np.array([[sx, 0, sx * (0.5 - x) - 0.5], [0, sy, sy * (0.5 - y) - 0.5], [0, 0, 1]])
    return CameraInfo(
        header=header,
        width=size[0],
        height=size[1],
        distortion_model=str(calibration["distortion_model"]),
        d=calibration["d"],
        k=(change @ np.reshape(calibration["k"], (3, 3))).ravel(),
        r=np.reshape(calibration["r"], 9).astype(float),
        p=(change @ np.reshape(calibration["p"], (3, 4))).ravel(),
        roi=RegionOfInterest(do_rectify=bool(calibration["do_rectify"])),
    )


def _shown(
    calibration: dict, frame_size: tuple[int, int], roi: tuple[int, int, int, int]
) -> tuple[float, float, float, float] | None:
    """The part (x, y, w, h) of the calibrated sensor, in its px from its edge, that part of a frame
    shows.
    """
    x, y, w, h = calibration["roi"]
    if not (w and h):
        w, h = calibration["width"], calibration["height"]
    across, down = (n or 1 for n in calibration["binning"])
    if not (w and h and calibration["k"][0]):  # a driver that has no calibration says zeros
        return None
    width, height = frame_size
    if (w // across, h // down) == frame_size:
        w, h = width * across, height * down
    elif abs(w * height * down / (h * width * across) - 1) > SAME_SHAPE:
        return None
    sx, sy = w / width, h / height
    return x + roi[0] * sx, y + roi[1] * sy, roi[2] * sx, roi[3] * sy
