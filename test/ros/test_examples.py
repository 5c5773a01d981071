"""The examples run as their first lines say."""

import shutil
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
from ament_index_python import get_package_share_directory
from graph import Ros, until
from messages import image_message, jpeg_message
from sensor_msgs.msg import Image

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.nodes import convert

GOAL = 10


def test_follow_route(ros: Ros, finished_bank: Path, frames: list[np.ndarray]) -> None:
    path, codec = ros.folder / "memory.db", FrameCodec(device="cpu")
    shutil.copy(finished_bank, path)
    with MemoryBank(path) as bank:
        bank.set_label(GOAL, "dock")
        pictures = {i: codec.decode(bank.get(i).records, (96, 96)) for i in range(1, 13)}
    example = Path(get_package_share_directory("gaussvae_ros"), "examples", "follow_route.py")
    follower = ros.start(
        sys.executable, str(example), "--ros-args", "-p", "goal:=dock", "-r", "image:=/front/image"
    )
    heard, stamps = ros.listen(Image, "subgoal"), count(1)
    ros.publish("/front/image", image_message(frames[0], 0))
    follower.until_says("no /visual_recall/find_frames in 1 s")  # and it goes on once there is one
    ros.run("recall_node", "--ros-args", "-p", f"bank:={path}")
    assert ros.transition("visual_recall", "configure") and ros.transition(
        "visual_recall", "activate"
    )

    def steer_for(image: np.ndarray) -> int:
        """The frame whose picture is the sub-goal of what the camera sees."""
        stamp_ns = next(stamps)

        def answer() -> Image | None:
            ros.publish("/front/image", image_message(image, stamp_ns, "front_optical"))
            time.sleep(0.1)
            return next((m for m in heard if convert.stamp_ns(m.header.stamp) == stamp_ns), None)

        until(answer, says=ros.logs)
        shown = answer()
        assert shown.header.frame_id == "front_optical"
        return next(
            i
            for i, picture in pictures.items()
            if np.array_equal(picture, convert.image_from(shown))
        )

    assert [steer_for(frames[i - 1]) for i in (1, 2, 4, 5, 6)] == [4, 5, 7, 8, 9]
    assert [steer_for(frames[i - 1]) for i in (8, 9, 10)] == [GOAL, GOAL, GOAL]  # not beyond it
    follower.until_says("at dock")
    ros.publish("/front/image", image_message(frames[7][::-1].copy(), 10**9))  # upside down
    follower.until_says("nothing like this")
    assert all(message.header.stamp.sec == 0 for message in heard)
    assert steer_for(frames[2]) == 6  # found again, farther away than a window reaches
    begun, before = time.monotonic(), len(heard)
    while time.monotonic() - begun < 2:
        ros.publish("/front/image", image_message(frames[2], 7))
        time.sleep(0.02)
    assert 6 <= len(heard) - before <= 9  # 4 Hz
    assert follower.stop() == 0 and "Traceback" not in follower.log


def test_follow_route_takes_jpeg_images_as_the_demo_has_them(
    ros: Ros, finished_bank: Path, frames: list[np.ndarray]
) -> None:
    path = ros.folder / "memory.db"
    shutil.copy(finished_bank, path)
    with MemoryBank(path) as bank:
        bank.set_label(GOAL, "dock")
    example = Path(get_package_share_directory("gaussvae_ros"), "examples", "follow_route.py")
    ros.run("recall_node", "--ros-args", "-p", f"bank:={path}")
    assert ros.transition("visual_recall", "configure") and ros.transition(
        "visual_recall", "activate"
    )
    follower = ros.start(
        sys.executable, str(example), "--ros-args", "-r", "image:=/camera/image_raw"
    )
    heard = ros.listen(Image, "subgoal")

    def answer() -> bool:
        ros.publish("/camera/image_raw/compressed", jpeg_message(frames[1], 10**9))
        time.sleep(0.1)
        return bool(heard)

    until(answer, says=ros.logs)
    assert (heard[0].width, heard[0].height, heard[0].encoding) == (96, 96, "rgb8")
    assert follower.stop() == 0 and "Traceback" not in follower.log
