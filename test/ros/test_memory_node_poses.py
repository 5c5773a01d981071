"""visual_memory and TF: poses in time, late, missing, of optical frames, and after the clock was
set back.
"""

import time

import numpy as np
import pytest
from conftest import START
from diagnostic_msgs.msg import DiagnosticStatus
from graph import image_message, jpeg_message, until
from writing import NODE, Memory

from gaussvae_ros.poses import BODY_IN_OPTICAL, compose

S = 10**9  # ns
TURNED = (0.0, 0.0, 0.6, 0.8)  # a rotation about z
OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # of an optical frame in the camera's body frame (REP 103)


def drive(ros, times, parent="map", child="base", at=0):
    """map <- base on /tf, x = seconds since START at each of `times` s."""
    for t in times:
        ros.transform(parent, child, START + round((at + t) * S), (t, 0, 0), TURNED)
    time.sleep(0.2)  # the node has them before what comes next


def mount(ros, child="camera"):
    ros.static_transform("base", child, (0, 0, 1))


def stored(memory, frame_id):
    from gaussvae_ros.bank import MemoryBank

    with MemoryBank(memory.path, readonly=True) as bank:
        return bank.get(frame_id).pose


def test_poses_in_time_are_interpolated_and_published(ros, frames):
    memory = Memory(ros, map_frame="map")
    mount(ros)
    drive(ros, [0.0, 1.0])
    told = memory.show(frames[0], START + S // 4)
    assert told.has_pose and told.pose.header.frame_id == "map"
    at, turned = told.pose.pose.position, told.pose.pose.orientation
    assert np.allclose([at.x, at.y, at.z], [0.25, 0, 1])
    assert np.allclose([turned.x, turned.y, turned.z, turned.w], TURNED)
    assert np.allclose(stored(memory, 1).position, [0.25, 0, 1])


def test_an_optical_frame_counts_as_the_body_that_holds_it(ros, frames):
    memory = Memory(ros, map_frame="map")
    ros.static_transform("base", "camera_optical_frame", (0, 0, 1), OPTICAL)
    drive(ros, [0.0, 1.0])
    memory.show(frames[0], START + S // 2, frame_id="camera_optical_frame")
    pose = stored(memory, 1)
    body = compose(np.array([0.5, 0, 0, *TURNED]), np.array([0, 0, 1, *OPTICAL]))
    assert np.allclose([*pose.position, *pose.orientation], compose(body, BODY_IN_OPTICAL))
    assert np.allclose(np.abs(pose.orientation), TURNED), "the camera looks along the body's x axis"


def test_a_late_pose_reaches_a_frame_that_is_stored_already(ros, frames):
    memory = Memory(ros, map_frame="map", pose_timeout=20.0)
    mount(ros)
    drive(ros, [0.0])
    told = memory.show(frames[0], START + S // 2)
    assert not told.has_pose and stored(memory, 1) is None
    drive(ros, [1.0])
    until(lambda: stored(memory, 1) is not None)
    assert np.allclose(stored(memory, 1).position, [0.5, 0, 1])
    memory.until_counted(with_pose=1, poses_missing=0, stored=1)


def test_a_frame_without_tf_is_kept_without_pose_and_counted(ros, frames):
    memory = Memory(ros, map_frame="map", pose_timeout=0.3)
    memory.show(frames[0], START)
    memory.show(frames[1], START + S // 10, frame_id="")
    memory.until_counted(poses_missing=2, stored=2)
    level, message, _ = memory.status("camera")
    assert level == DiagnosticStatus.WARN[0] and "without a pose" in message
    with memory.stop() as bank:
        assert [frame.pose for frame in bank] == [None, None]
        assert bank.info()["sessions"][0]["poses_missing"] == 2


@pytest.mark.parametrize(
    "map_frame, frame_id, says",
    [
        ("map", "camera", "map_frame map is not in TF, which has base, camera, island, odom, sea"),
        (
            "odom",
            "lens",
            "the images' frame_id lens is not in TF, which has base, camera, island, odom, sea",
        ),
        ("odom", "", "the images have no frame_id"),
        ("island", "camera", "TF has island and camera, but nothing connects them"),
        ("odom", "camera", "TF from odom to camera is 9.000 s behind the images"),
    ],
)
def test_diagnostics_say_why_there_is_no_pose(ros, frames, map_frame, frame_id, says):
    memory = Memory(ros, map_frame=map_frame, pose_timeout=0.1)
    mount(ros)
    ros.static_transform("sea", "island")
    drive(ros, [0.0, 1.0], parent="odom")
    memory.show(frames[0], START + 10 * S, frame_id=frame_id)
    memory.until_counted(poses_missing=1)
    assert memory.status("camera")[1] == f"1 frames without a pose: {says}"
    assert f"a frame stays without pose: {says}" in memory.process.log


def test_poses_that_are_waited_for_are_asked_for_a_last_time_at_the_end(ros, frames):
    memory = Memory(ros, map_frame="map", pose_timeout=60.0)
    mount(ros)
    for i in range(3):
        memory.show(frames[i], START + i * S // 4)
    drive(ros, [0.0, 0.3])
    assert ros.transition(NODE, "deactivate")
    with memory.stop() as bank:
        assert [frame.pose is not None for frame in bank] == [True, True, False]
        assert bank.info()["sessions"][0]["poses_missing"] == 1


@pytest.mark.parametrize("first", ["image", "tf"])
def test_after_the_clock_was_set_back_poses_are_those_of_the_new_lap(ros, frames, first):
    memory = Memory(ros, map_frame="map", pose_timeout=5.0)
    mount(ros)
    drive(ros, [0.0, 1.0, 2.0, 3.0], at=10)
    memory.show(frames[0], START + 10 * S + 5 * S // 2)
    if first == "tf":
        ros.transform("map", "base", START, (100, 0, 0), TURNED)
        time.sleep(0.2)
    memory.show(frames[1], START + S // 2)
    time.sleep(0.3)
    assert stored(memory, 2) is None, "a pose of the lap before"
    for t in (0, 1):
        ros.transform("map", "base", START + t * S, (100 + t, 0, 0), TURNED)
    until(lambda: stored(memory, 2) is not None)
    assert np.allclose(stored(memory, 2).position, [100.5, 0, 1])
    assert memory.frames[-1].session == 2


def test_motion_lets_frames_through_that_show_nothing_new(ros, frames):
    memory = Memory(
        ros, map_frame="map", novelty=1.0, min_distance=0.5, min_angle=3.0, max_interval=3600.0
    )
    mount(ros)
    drive(ros, [0.0])
    memory.show(frames[0], START)
    ros.publish("image", image_message(frames[1], START + S // 10))
    memory.until_counted(gated=1)
    drive(ros, [1.0])
    memory.show(frames[2], START + S)
    assert memory.frames[-1].has_pose


def test_diagnostics_say_what_is_wrong_with_a_silent_topic(ros, frames):
    memory = Memory(ros, image_timeout=0.5)
    until(lambda: memory.diagnostics and memory.status("camera")[0] == DiagnosticStatus.WARN[0])
    assert (
        "nobody publishes it" in memory.status("camera")[1]
        and "/image" in memory.status("camera")[1]
    )
    other = ros.node.create_publisher(type(jpeg_message(frames[0], 0)), "/image", 10)
    until(
        lambda: "image_transport to compressed" in memory.status("camera")[1],
        says=lambda: str(memory.diagnostics[-1]),
    )
    ros.node.destroy_publisher(other)
    for i in range(20):  # so that a status falls into the half second after an image
        memory.show(frames[0], START + i * S // 10)
        if memory.status("camera")[1] == "remembering":
            break
    assert memory.status("camera")[1] == "remembering"
    until(lambda: "its publisher is silent" in memory.status("camera")[1])
    assert ros.transition(NODE, "deactivate")
    until(lambda: memory.status("camera")[1] == "not active")
    level, message, values = memory.status("memory")
    assert (
        level == DiagnosticStatus.OK[0]
        and int(values["bytes"]) > 0
        and int(values["free_bytes"]) > 0
    )


def test_diagnostics_tell_of_images_that_no_one_can_decode(ros, frames):
    memory = Memory(ros)
    bad = image_message(frames[0], START)
    bad.encoding = "teal8"
    ros.publish("image", bad)
    until(lambda: memory.diagnostics and memory.status("camera")[0] == DiagnosticStatus.ERROR[0])
    assert "can be decoded" in memory.status("camera")[1]
