"""visual_memory and stamps out of order: late images, clocks that alternate, and what diagnostics
say of them.
"""

import time

import rclpy
from conftest import START
from diagnostic_msgs.msg import DiagnosticStatus
from graph import until
from messages import image_message
from sensor_msgs.msg import Image
from writing import Memory

WARN, OK = DiagnosticStatus.WARN[0], DiagnosticStatus.OK[0]
STEP = 10**8  # ns


def test_late_images_are_stored_where_they_belong(ros, frames):
    memory = Memory(ros, min_interval=0.1)
    stamps = [START + i * STEP - 3 * STEP * (i % 3 == 2) for i in range(12)]
    stamps[5] += STEP // 4  # none twice
    for frame, stamp in zip(frames, stamps):
        memory.show(frame, stamp)
    memory.until_counted(received=12, stored=12, out_of_order=4)
    assert memory.status("camera")[0] == OK
    with memory.stop() as bank:
        assert sorted(stamps) == [frame.stamp_ns for frame in bank]
        assert [s["frames"] for s in bank.info()["sessions"]] == [12]


def test_a_late_image_does_not_shut_the_gate_nor_open_it(ros, frames):
    memory = Memory(ros, min_interval=0.2, novelty=0.5, max_interval=1000.0)
    memory.show(frames[0], START)
    for i, back in enumerate((0, 0, 9, 0, 0), 2):
        ros.publish("image", image_message(frames[0], START + (i - back) * STEP))
    memory.until_counted(received=6, gated=5, out_of_order=1)
    memory.show(255 - frames[0], START + 9 * STEP)
    assert memory.frames[-1].session == 1


def test_two_publishers_with_clocks_of_their_own_are_named_and_make_two_sessions_at_most(
    ros, frames
):
    memory = Memory(ros)
    other = rclpy.create_node("late_camera", namespace="/robot", context=ros.context)
    publisher = other.create_publisher(Image, "/image", 10)
    until(publisher.get_subscription_count)
    time.sleep(1.5)
    for i, image in enumerate(frames):
        memory.show(image, START + i * STEP)
        publisher.publish(image_message(image, START - 100 * STEP + i * STEP))
        until(lambda told=2 * (i + 1): len(memory.frames) == told, says=ros.logs)
    until(lambda: memory.status("camera")[0] == WARN, says=ros.logs)
    said = memory.status("camera")[1]
    assert "published by /robot/late_camera and /test:" in said and "by 10.0 s" in said, said
    other.destroy_node()
    with memory.stop() as bank:
        assert sum(s["frames"] for s in bank.info()["sessions"]) == 24
        assert [s["frames"] for s in bank.info()["sessions"]] == [12, 12]
        assert [s["received"] for s in bank.info()["sessions"]] == [12, 12]
