"""`ros2 bag play` of what the memory takes from a bag: one camera's images and calibration, and TF.

What `ros2 bag play` cannot read, such as a rosbag1 file or a damaged bag, is converted for it.
"""

import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gaussvae_ros.bags import IMAGE_TYPES, POSE_TYPES, TF_TYPES, Bag
from gaussvae_ros.bags.playable import is_playable, write_playable
from gaussvae_ros.errors import BagError
from gaussvae_ros.files import printable
from gaussvae_ros.nodes.topics import topics_of

DELAY_S = 2.0  # before the first message, for publishers and subscribers to find each other
CLOCK_HZ = 100
END_S = 3.0
# Published once, so who subscribes later must get it, too; a bag may lack the QoS, or have several
# publishers in one.
LATCHED = (
    "{topic}: {{reliability: reliable, durability: transient_local, history: keep_last,"
    " depth: 1000}}\n"
)


@dataclass(frozen=True)
class Part:
    """What is played of a bag."""

    topic: str  # of the images, in the bag
    images: int
    transport: str  # what they are: raw or compressed
    # The topic that a memory node listens to for them, which is another one only where `topic` is
    # unusual.
    node_topic: str
    others: tuple[str, ...]  # topics that are played beside them


def part(bag: Bag, topic: str | None = None) -> Part:
    """What to play of a bag for the images of `topic`, None being the only ones.

    Raises:
        BagError: as `Bag.image_topic`.
    """
    topic = bag.image_topic(topic)
    transport = "compressed" if topic in bag.topics(IMAGE_TYPES[1:]) else "raw"
    node_topic, info = topics_of(topic, transport)
    tf = [name for name in bag.topics(TF_TYPES) if name.strip("/") in ("tf", "tf_static")]
    return Part(
        topic=topic,
        images=bag.topics(IMAGE_TYPES)[topic],
        transport=transport,
        node_topic=node_topic,
        others=(*bag.topics(("sensor_msgs/msg/CameraInfo",)).keys() & {info}, *tf),
    )


def root(bag: Bag, topic: str) -> str:
    """The coordinate frame that TF knows the camera's way in, empty if it knows none; reads all of
    the bag's TF.
    """
    poses = bag.poses(bag.frame_id(topic))
    return "" if poses is None or poses.name in bag.topics(POSE_TYPES) else poses.reference


def play(bag: Bag, chosen: Part, rate: float, folder: Path) -> None:
    """Play to the end; `folder` is for what that needs on the disk.

    Raises:
        BagError: the bag cannot be converted, or `ros2 bag play` failed.
    """
    topics = [chosen.topic, *chosen.others]
    path = bag.path if is_playable(bag, topics) else _converted(bag, topics, folder)
    qos = folder / "qos.yaml"
    qos.write_text(
        "".join(LATCHED.format(topic=name) for name in topics if name.endswith("tf_static"))
    )
    command = [
        "ros2",
        "bag",
        "play",
        str(path),
        "--rate",
        str(rate),
        "--delay",
        str(DELAY_S),
        "--clock",
        str(CLOCK_HZ),
    ]
    command += ["--log-level", "warn", "--disable-keyboard-controls"]
    command += ["--qos-profile-overrides-path", str(qos)] if qos.stat().st_size else []
    command += (
        ["--remap", f"{chosen.topic}:={chosen.node_topic}"]
        if chosen.node_topic != chosen.topic
        else []
    )
    _run([*command, "--topics", *topics])


def _run(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise BagError(f"there is no {command[0]}: source ROS 2 first")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
    if code:
        raise BagError(f"ros2 bag play ended with exit code {code}; its message above says why")


def _converted(bag: Bag, topics: list[str], folder: Path) -> Path:
    """These topics of a bag as a rosbag2 folder."""
    name = printable(bag.path.name)
    print(
        f"{name} is nothing that ros2 bag play reads whole: converting what is played of it to"
        f" {folder}",
        flush=True,
    )
    if lost := write_playable(bag, topics, folder / "bag"):
        print(f"{lost:,} messages of {name} do not decode, and are not played", flush=True)
    return folder / "bag"
