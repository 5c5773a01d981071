"""What `gaussvae bank export --format mcap` writes, as rosbag2 reads and plays it."""

from exporting import INFO, START, STEP, make, pose_of, write
from graph import until
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage
from tf2_msgs.msg import TFMessage

LATCHED = QoSProfile(depth=10, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def stamps(heard: list) -> list[int]:
    return [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in heard]


def test_rosbag2_knows_its_topics(ros):
    write(make(ros.folder / "memory.db"), ros.folder / "bag", "mcap")
    told = ros.ros2("bag", "info", str(ros.folder / "bag"))
    assert "mcap" in told and "Messages:          18" in told
    for topic, kind, count in (
        ("/front/image/compressed", "sensor_msgs/msg/CompressedImage", 6),
        ("/front/camera_info", "sensor_msgs/msg/CameraInfo", 6),
        ("/tf", "tf2_msgs/msg/TFMessage", 5),
        ("/tf_static", "tf2_msgs/msg/TFMessage", 1),
    ):
        assert f"Topic: {topic} | Type: {kind} | Count: {count} |" in told


def test_rosbag2_plays_it_also_for_those_who_come_later(ros):
    write(make(ros.folder / "memory.db"), ros.folder / "bag", "mcap")
    images = ros.listen(CompressedImage, "/front/image/compressed")
    infos = ros.listen(CameraInfo, "/front/camera_info")
    moves = ros.listen(TFMessage, "/tf")
    played = ros.start("ros2", "bag", "play", str(ros.folder / "bag"), "--delay", "3", "-l")
    until(lambda: len(images) >= 6 and len(infos) >= 6 and len(moves) >= 5, 30, lambda: played.log)
    late = ros.listen(TFMessage, "/tf_static", LATCHED)
    until(lambda: late, 20, lambda: played.log)
    wanted = [START + i * STEP for i in range(6)]
    assert stamps(images[:6]) == wanted == stamps(infos[:6])
    assert bytes(images[0].data[:2]) == b"\xff\xd8" and list(infos[0].k) == INFO["k"]
    [first] = moves[0].transforms
    assert first.header.frame_id == "map" and first.child_frame_id == "front_frame"
    assert (first.transform.translation.x, first.transform.translation.z) == (1.0, 0.6)
    [turn] = late[0].transforms
    assert turn.header.frame_id == "front_frame" and turn.child_frame_id == "front_optical_frame"
    assert pose_of(3) is None and len(stamps(t for m in moves[:5] for t in m.transforms)) == 5
    played.stop()
