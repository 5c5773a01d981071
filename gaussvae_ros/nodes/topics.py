"""Names of topics: those of a camera, and whether ROS takes a name."""

from rclpy.exceptions import InvalidTopicNameException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CompressedImage, Image

from gaussvae_ros.bank.frame import checked_text
from gaussvae_ros.errors import ConfigError

COMPRESSED = "/compressed"
KINDS = {"raw": Image, "compressed": CompressedImage}
TYPES = {kind: f"sensor_msgs/msg/{kind.__name__}" for kind in KINDS.values()}


def transport_of(image: str, transport: str) -> str:
    """What an image topic carries: compressed if its name ends so, as image_transport names it,
    else `transport`.
    """
    return "compressed" if image.endswith(COMPRESSED) else transport


def topics_of(image: str, transport: str) -> tuple[str, str]:
    """Those of the images and of the camera_info beside them, as image_transport derives them from
    an image topic.
    """
    base = image.removesuffix(COMPRESSED)
    return (
        base + COMPRESSED if transport == "compressed" else base,
        f"{base.rpartition('/')[0]}/camera_info",
    )


def check_names(names: list[str]) -> None:
    """Raise ConfigError unless there can be cameras of these names."""
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"cameras needs one name or several different ones, not {list(names)}")
    for name in names:
        try:
            checked_text("the name of a camera", name)
            if len(names) > 1:
                validate_full_topic_name(f"/{name}/image")
        except InvalidTopicNameException as error:
            raise ConfigError(
                f"camera {name!r} cannot be part of a topic's name: {' '.join(str(error).split())}"
            ) from error


def check_topics(topics: dict[str, str]) -> None:
    """Raise ConfigError unless ROS has such topics, by the parameter that names each; an empty name
    is none.
    """
    for parameter, name in topics.items():
        try:
            if name:
                validate_topic_name(name)
                validate_full_topic_name(expand_topic_name(name, "node", "/"))
        except (InvalidTopicNameException, ValueError) as error:
            why = " ".join(str(error).split())
            raise ConfigError(f"{parameter} {name!r} is no name of a topic: {why}") from error
