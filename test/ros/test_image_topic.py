"""How visual_memory subscribes to images: reliability, depth, overrides, names, and images that are
lost on the way.
"""

import time

import pytest
import rclpy
from conftest import START
from diagnostic_msgs.msg import DiagnosticStatus
from graph import until
from messages import header, image_message, jpeg_message
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from writing import NODE, Memory

WARN = DiagnosticStatus.WARN[0]
RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
SENSOR = QoSProfile(depth=5, reliability=BEST_EFFORT)
STEP = 10**8  # ns


def asked(ros, topic="/image"):
    """The reliability of every subscription to a topic."""
    return [
        info.qos_profile.reliability for info in ros.node.get_subscriptions_info_by_topic(topic)
    ]


def test_a_reliable_publisher_gets_a_reliable_subscription_and_no_image_is_lost_or_doubled(
    ros, frames
):
    memory = Memory(ros, image_reliability="auto", queue_size=100)
    until(lambda: asked(ros) == [BEST_EFFORT])
    memory.show(frames[0], START)
    until(lambda: RELIABLE in asked(ros))
    time.sleep(0.5)  # until it knows the publisher; the other one serves until it brings an image
    for i in range(1, 40):
        ros.publish("image", image_message(frames[i % 12], START + i * STEP))
        time.sleep(0.05)
    memory.until_counted(received=40, stored=40)
    assert asked(ros) == [RELIABLE] and memory.status("camera")[2]["reliability"] == "reliable"
    assert memory.status("camera")[2]["publishers"] == "/test"
    with memory.stop() as bank:
        assert [frame.stamp_ns for frame in bank] == [START + i * STEP for i in range(40)]


def test_where_one_publisher_is_not_reliable_all_are_received(ros, frames):
    memory = Memory(ros, image_reliability="auto")
    memory.show(frames[0], START)
    until(lambda: RELIABLE in asked(ros))
    memory.show(frames[0], START + STEP // 2)
    until(lambda: asked(ros) == [RELIABLE])
    sensor = ros.node.create_publisher(type(image_message(frames[0], 0)), "image", SENSOR)
    # The new one, until it has brought an image
    until(lambda: sorted(asked(ros)) == [RELIABLE, BEST_EFFORT])
    for i in range(1, 12, 2):
        sensor.publish(image_message(frames[i], START + i * STEP))
        until(lambda told=i + 2: len(memory.frames) == told, says=ros.logs)
        memory.show(frames[i], START + (i + 1) * STEP)
    assert asked(ros) == [BEST_EFFORT]
    memory.until_counted(received=14, stored=14)


@pytest.mark.parametrize(
    "given, wanted",
    [
        ({"image_reliability": "reliable", "image_depth": 7}, (RELIABLE, 7)),
        ({"image_reliability": "best_effort"}, (BEST_EFFORT, 5)),
        ({"qos_overrides./image.subscription.reliability": "reliable"}, (RELIABLE, 5)),
        (
            {"qos_overrides./image.subscription.depth": 2, "image_reliability": "reliable"},
            (RELIABLE, 2),
        ),
    ],
)
def test_what_is_asked_for(ros, frames, given, wanted):
    memory = Memory(ros, **{"image_reliability": "auto", **given})
    memory.show(frames[0], START)
    time.sleep(1.2)  # a look at the publishers
    [info] = ros.node.get_subscriptions_info_by_topic("/image")
    assert info.qos_profile.reliability == wanted[0] and memory.status("camera")[2]["reliability"]
    for name in ("deactivate", "activate", "deactivate"):  # which declare the overrides again
        assert ros.transition(NODE, name), ros.logs()
    depth = "qos_overrides./image.subscription.depth"
    assert ros.transition(NODE, "activate") and ros.parameter(NODE, depth) == wanted[1]


@pytest.mark.parametrize(
    "policy, value", [("reliability", "sometimes"), ("depth", 0), ("depth", "many")]
)
def test_overrides_that_are_none_are_one_sentence(ros, policy, value):
    memory = Memory(ros, active=False, **{f"qos_overrides./image.subscription.{policy}": value})
    assert ros.transition(NODE, "configure") and not ros.transition(NODE, "activate")
    memory.process.until_says(
        f"qos_overrides./image.subscription{'.' + policy if value == 'many' else ''}"
    )
    assert "Traceback" not in memory.process.log and ros.state(NODE) == "inactive"


def test_camera_info_tells_of_images_that_are_lost(ros, frames):
    memory = Memory(ros, image_timeout=2.0)
    for i in range(12):
        ros.publish(
            "camera_info", CameraInfo(header=header(START + i * STEP), width=160, height=120)
        )
    memory.show(frames[0], START)
    until(lambda: memory.status("camera")[0] == WARN, says=ros.logs)
    assert (
        "1 images arrived and 12 camera_infos, so images are lost on the way"
        in memory.status("camera")[1]
    )
    until(
        lambda: "its camera_info comes, so images are lost" in memory.status("camera")[1],
        says=ros.logs,
    )


def test_camera_info_of_another_node_tells_nothing_of_images(ros, frames):
    """A node that thins images out publishes them beside the camera's own camera_info."""
    memory = Memory(ros)
    other = rclpy.create_node("driver", context=ros.context)
    infos = other.create_publisher(CameraInfo, "camera_info", 10)
    until(infos.get_subscription_count)
    for i in range(12):
        infos.publish(CameraInfo(header=header(START + i * STEP), width=160, height=120))
    memory.show(frames[0], START)
    time.sleep(2.2)
    assert memory.status("camera")[1] == "remembering"
    other.destroy_node()


def test_a_topic_that_ends_in_compressed_is_taken_as_it_is(ros, frames):
    memory = Memory(ros, "--ros-args", "-r", "image:=/cam/image_raw/compressed", "--")
    memory.show(jpeg_message(frames[0], START), 0, topic="/cam/image_raw/compressed")
    assert (
        "listening to /cam/image_raw/compressed (sensor_msgs/msg/CompressedImage)"
        in memory.process.log
    )


@pytest.mark.parametrize(
    "argument, says",
    [
        (
            "image:=/cam//image",
            "ROS cannot take the arguments: Couldn't parse remap rule: '-r image:=/cam//image'.",
        ),
        ("image:=/a-b/image", "'-r image:=/a-b/image'"),
        ("__ns:=/a-b", "'-r __ns:=/a-b'"),
    ],
)
def test_names_that_ros_does_not_take_are_one_sentence(ros, argument, says):
    process = ros.run("memory_node", "--ros-args", "-r", argument)
    assert process.wait(30) == 2
    assert says in process.log and "Traceback" not in process.log, process.log


@pytest.mark.parametrize("executable", ["memory_node", "recall_node", "replay_evaluator"])
def test_help(ros, executable):
    process = ros.run(executable, "--help")
    assert process.wait(30) == 0
    assert process.log.startswith("usage:") and executable in process.log
    if executable != "replay_evaluator":
        assert "bank:=~/.ros/gaussvae/memory.db" in process.log
