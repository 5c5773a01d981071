"""visual_memory as a process: images in, frames out, pixels those of the offline codec."""

import time
from array import array

import numpy as np
from conftest import START
from gaussvae_ros.srv import LabelFrame
from graph import until
from messages import header, image_message, jpeg_message
from moving import sequence
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import Trigger
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.images.messages import image_from_message


def test_frames_come_out_as_the_offline_codec_makes_them(ros, frames):
    memory, codec = Memory(ros, session="drive"), FrameCodec(device="cpu")
    for i, image in enumerate(frames[:5]):
        told = memory.show(image, START + i * 10**8)
        assert (told.id, told.header.stamp, told.header.frame_id) == (
            i + 1,
            header(START + i * 10**8).stamp,
            "camera",
        )
        assert (told.camera, told.session, told.width, told.height) == ("camera", 1, 160, 120)
        assert (told.tier == "latent" or i, told.label, told.has_pose) == (True, "", False)
        # Another process can have the frame as soon as it is told of.
        with MemoryBank(memory.path, readonly=True) as bank:
            assert len(bank.get(told.id).data) == told.bytes
    with memory.stop() as bank:
        assert bank.verify() == [] and len(bank) == 5
        for i, (frame, records) in enumerate(zip(bank, sequence(codec, frames[:5]))):
            assert frame.stamp_ns == START + i * 10**8
            assert frame.records == records
            assert codec.decode(frame.records).shape == frames[i].shape
            assert bank.descriptor(frame.id)
        [session] = bank.info()["sessions"]
        assert session["name"] == "drive"
        assert (
            session["received"],
            session["gated"],
            session["dropped"],
            session["poses_missing"],
        ) == (5, 0, 0, 0)


def test_the_bank_counts_the_last_images_too(ros, frames):
    memory = Memory(ros)
    for i in range(3):
        memory.show(frames[i], START + i * 10**8)
    with MemoryBank(memory.path, readonly=True) as bank:  # though no more images come
        until(lambda: bank.info()["sessions"][0]["received"] == 3, says=lambda: f"{bank.info()}")


def test_encodings_and_sizes_change_while_it_runs_and_bad_images_cost_themselves(ros, frames):
    memory, image = Memory(ros), frames[0]
    grey = image[..., 1].copy()
    good = [
        image_message(image, START),
        image_message(image[..., ::-1].copy(), START + 1, encoding="bgr8"),
        image_message(grey, START + 2, encoding="mono8"),
        image_message(image[:60, :90].copy(), START + 3),
        image_message(np.dstack([image, grey]), START + 4, encoding="rgba8"),
        image_message(grey, START + 5, encoding="bayer_rggb8"),
    ]
    deep = image_message(grey, START + 6)
    deep.encoding, deep.step = "mono16", 320
    deep.data = array("B", (grey.astype("<u2") * 16).tobytes())
    good.append(deep)
    unknown = image_message(image, START + 7)
    unknown.encoding = "teal8"
    short = image_message(image, START + 8)
    short.data = short.data[:-100]
    empty = Image(header=header(START + 9), encoding="rgb8")
    narrow = image_message(image, START + 10)
    narrow.step = 5
    for message in good[:3]:
        memory.show(message, 0)
    for message in (unknown, short, empty, narrow):
        ros.publish("image", message)
    memory.until_counted(bad=4, stored=3)
    for message in good[3:]:
        memory.show(message, 0)
    memory.until_counted(received=len(good) + 4, bad=4, stored=len(good))
    assert ros.state(NODE) == "active"
    codec = FrameCodec(device="cpu")
    with memory.stop() as bank:
        stored = list(bank)
        assert len(stored) == len(good)
        expected = sequence(codec, map(image_from_message, good))
        for frame, message, records in zip(stored, good, expected):
            assert frame.records == records, message.encoding
        assert bank.info()["sessions"][0]["dropped"] == 4
    assert "teal8" in memory.process.log


def test_compressed_images(ros, frames):
    memory = Memory(ros, image_transport="compressed")
    jpeg = jpeg_message(frames[0], START)
    memory.show(jpeg, 0, topic="image/compressed")
    half, torn = jpeg_message(frames[1], START + 1), jpeg_message(frames[1], START + 2)
    half.data, torn.data = half.data[: len(half.data) // 2], torn.data[:300]
    rubbish = CompressedImage(header=header(START + 3), format="jpeg", data=array("B", b"rubbish"))
    for message in (torn, rubbish):
        ros.publish("image/compressed", message)
    memory.until_counted(bad=2)
    memory.show(half, 0, topic="image/compressed")  # is read as far as it goes
    memory.show(jpeg_message(frames[2], START + 4), 0, topic="image/compressed")
    with memory.stop() as bank:
        assert [frame.stamp_ns for frame in bank] == [START, START + 1, START + 4]
        [[record]] = sequence(FrameCodec(device="cpu"), [image_from_message(jpeg)])
        assert next(iter(bank)).data == record


def test_a_compressed_topic_may_be_named_as_it_is(ros, frames):
    memory = Memory(
        ros,
        "--ros-args",
        "-r",
        "image:=/cam/image_raw/compressed",
        "--",
        image_transport="compressed",
    )
    memory.show(jpeg_message(frames[0], START), 0, topic="/cam/image_raw/compressed")


def test_stamps_that_are_missing_equal_or_set_back(ros, frames):
    memory = Memory(ros)
    for stamp in (
        START,
        START,
        START - 40_000_000,
        START + 10**9,
        START - 5 * 10**9,
        START - 4 * 10**9,
    ):
        memory.show(frames[0], stamp)
    before = time.time_ns()
    memory.show(frames[0], 0)
    memory.show(frames[0], 0)
    with memory.stop() as bank:
        sessions = [frame.session for frame in map(bank.get, range(1, 9))]
        assert sessions == [1, 1, 1, 1, 2, 2, 2, 2]
        assert [bank.get(i).stamp_ns for i in range(1, 6)] == [
            START,
            START,
            START - 40_000_000,
            START + 10**9,
            START - 5 * 10**9,
        ]
        assert before <= bank.get(7).stamp_ns <= bank.get(8).stamp_ns <= time.time_ns()
        assert [s["received"] for s in bank.info()["sessions"]] == [4, 4]
    assert memory.process.log.count("no stamp") == 1
    assert memory.process.log.count("set back") == 1


def test_several_cameras(ros, frames):
    memory = Memory(ros, cameras="['front','rear/left']")
    for i, (camera, image) in enumerate(zip(("front", "rear/left") * 3, frames)):
        told = memory.show(
            image, START + 10**10 + i * 10**8, topic=f"{camera}/image", frame_id=f"{camera}_lens"
        )
        assert (told.camera, told.header.frame_id) == (camera, f"{camera}_lens")
    # The clock of both goes back, and one image was still on its way.
    for camera, stamp in (
        ("front", 0),
        ("rear/left", 10_550_000_000),
        ("rear/left", 0),
        ("front", 10**8),
    ):
        memory.show(frames[0], START + stamp, topic=f"{camera}/image")
    memory.until_counted("front", received=5, stored=5)
    memory.until_counted("rear/left", received=5, stored=5)
    with memory.stop() as bank:
        assert bank.info()["cameras"] == {"front": 5, "rear/left": 5}
        assert [bank.get(i).session for i in range(7, 11)] == [2, 1, 2, 2]


def test_the_calibration_is_kept(ros, frames):
    memory = Memory(ros, "--ros-args", "-r", "image:=/cam/image_raw", "--")
    info = CameraInfo(
        header=header(START), width=160, height=120, distortion_model="plumb_bob", d=[0.1] * 5
    )
    info.k, info.p = np.array([100.0, 0, 80, 0, 100, 60, 0, 0, 1]), np.arange(12.0)
    ros.publish("/cam/camera_info", info)
    for i in range(2):
        # The second in another session.
        memory.show(frames[i], START - i * 10**10, topic="/cam/image_raw")
    time.sleep(1.2)  # it is looked at once a second
    with memory.stop() as bank:
        kept = bank.calibration(2, "camera")
        assert (kept["width"], kept["k"], kept["d"]) == (160, list(info.k), [0.1] * 5)


def test_pause_resume_and_label(ros, frames):
    memory = Memory(ros)
    reply = ros.call(LabelFrame, f"{NODE}/label_frame", id=0, label="dock")
    assert not reply.success and "no frame yet" in reply.message
    memory.show(frames[0], START)
    assert ros.call(Trigger, f"{NODE}/pause").success
    ros.publish("image", image_message(frames[1], START + 10**8))
    memory.until_counted(paused=1, stored=1, received=2)
    assert ros.call(Trigger, f"{NODE}/resume").success
    memory.show(frames[2], START + 2 * 10**8)
    reply = ros.call(LabelFrame, f"{NODE}/label_frame", id=0, label="dock")
    assert reply.success and (reply.frame.id, reply.frame.label) == (2, "dock")
    reply = ros.call(LabelFrame, f"{NODE}/label_frame", id=1, label="waypoint_7")
    assert reply.success and (reply.frame.id, reply.frame.label) == (1, "waypoint_7")
    for wrong in (
        {"id": 99, "label": "x"},
        {"id": 1, "label": "two\nlines"},
        {"id": -5, "label": "x"},
        {"id": 1, "label": "~dock"},
    ):
        reply = ros.call(LabelFrame, f"{NODE}/label_frame", **wrong)
        assert not reply.success and reply.message
    with MemoryBank(memory.path, readonly=True) as bank:
        assert bank.info()["labels"] == {"dock": 1, "waypoint_7": 1}
    assert ros.call(LabelFrame, f"{NODE}/label_frame", id=1, label="").frame.label == ""
    with memory.stop() as bank:
        assert bank.info()["labels"] == {"dock": 1}


def test_the_gate_lets_through_what_is_new(ros, frames):
    memory = Memory(ros, novelty=0.05, max_interval=1000.0)
    memory.show(frames[0], START)
    for i in range(1, 6):
        ros.publish("image", image_message(frames[0], START + i * 10**8))
    memory.until_counted(received=6, gated=5, stored=1)
    assert ros.set_parameter(NODE, "min_interval", 3600.0) == ""
    ros.publish("image", image_message(255 - frames[0], START + 10**9))
    memory.until_counted(gated=6)
    assert ros.set_parameter(NODE, "min_interval", 0.0) == ""
    memory.show(255 - frames[0], START + 2 * 10**9)
    with memory.stop() as bank:
        assert bank.info()["sessions"][0]["gated"] == 6


def test_parameters_that_may_change(ros):
    Memory(ros, active=False)
    assert ros.transition(NODE, "configure")
    for name, value, *wrong in (
        ("quality", 20.0, 101.0, "high", 101, -1, True),
        ("min_interval", 2, -1, 3601, float("nan")),
        ("tier", "splats", "gold", 1),
        ("effort", "best", "lazy"),
        ("queue_size", 5, 0, 1.5),
        ("commit_period", 0.5, -1.0),
        ("durability", "full", "none", 1),
        ("novelty", 0.5, 2.0, float("nan")),
        ("predict", False, "perhaps", 1),
    ):
        before = ros.parameter(NODE, name)
        for no in wrong:
            assert ros.set_parameter(NODE, name, no), (name, no)
        assert ros.parameter(NODE, name) == before
        assert ros.set_parameter(NODE, name, value) == ""
        assert ros.parameter(NODE, name) == value


def test_changed_parameters_take_effect_and_the_others_are_refused(ros, frames):
    memory, codec = Memory(ros), FrameCodec(device="cpu")
    memory.show(frames[0], START)
    assert "tier" not in memory.process.log
    assert ros.set_parameter(NODE, "tier", "splats") == ""
    assert ros.set_parameter(NODE, "quality", 10.0) == ""
    until(lambda: "splats at quality 10 counts as quality 20" in memory.process.log)
    memory.show(frames[0], START + 1)
    for name, value in (
        ("bank", "/tmp/other.db"),
        ("cameras", ["a"]),
        ("map_frame", "odom"),
        ("session", "s"),
    ):
        assert "unconfigured" in ros.set_parameter(NODE, name, value)
    with memory.stop() as bank:
        for number, quality in ((1, 50), (2, 20)):
            assert [bank.get(number).records] == sequence(codec, frames[:1], quality)
