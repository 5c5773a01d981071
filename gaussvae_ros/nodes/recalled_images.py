"""Recalled frames as a camera would publish them: Image, and CameraInfo beside it."""

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image

from gaussvae_ros.errors import BankError
from gaussvae_ros.msg import MemoryFrame
from gaussvae_ros.nodes import convert
from gaussvae_ros.nodes.lazy_bank import LazyBank
from gaussvae_ros.srv import RecallFrame, RecallFrames

TOPIC = "~/recalled/image"
QOS = QoSProfile(depth=5)


class RecalledImages:
    """Publishes what services answered, for any thread."""

    def __init__(self, node: Node, bank: LazyBank) -> None:
        self._node, self._bank = node, bank
        self._images = node.create_publisher(Image, TOPIC, QOS)
        self._infos = node.create_publisher(CameraInfo, "~/recalled/camera_info", QOS)

    def publish(self, response: RecallFrame.Response | RecallFrames.Response) -> None:
        """The pictures of an answer, each under its frame's stamp and coordinate frame."""
        if isinstance(response, RecallFrame.Response):
            picture = response.image if response.image.width else response.compressed
            self._send(picture, response.camera_info)
            return
        for frame, picture in zip(response.frames, response.images or response.compressed):
            picture = _raw(picture)
            size = picture.width, picture.height
            self._send(picture, self._info(frame, size))

    def close(self) -> None:
        """Take the topics away."""
        self._node.destroy_publisher(self._images)
        self._node.destroy_publisher(self._infos)

    def _send(self, picture: object, info: CameraInfo) -> None:
        self._images.publish(_raw(picture))
        self._infos.publish(info)

    def _info(self, frame: MemoryFrame, size: tuple[int, int]) -> CameraInfo:
        try:
            calibration = self._bank.get().calibration(frame.session, frame.camera)
        except BankError:  # damaged, or gone meanwhile
            calibration = None
        shown = frame.width, frame.height
        return convert.camera_info(calibration, shown, None, size, frame.header)


def _raw(picture: object) -> Image:
    if isinstance(picture, Image):
        return picture
    image = convert.image_from(picture)
    encoding = "mono8" if image.ndim == 2 else "rgb8"
    return convert.to_image(image, encoding, picture.header)
