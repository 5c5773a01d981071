"""Predicted records through both nodes: what is stored as one comes back like any other frame."""

import signal
import time

import numpy as np
import pytest
import recalling
from conftest import START
from graph import until
from messages import image_message
from moving import drive, sequence, view
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.client import MemoryClient
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.nodes import convert

CODEC = FrameCodec(device="cpu")


@pytest.fixture(scope="module")
def images():
    return drive(9)


def show(memory, images, begin=0, **where):
    """Store pictures, 0.1 s apart from frame `begin` on; as they are told of."""
    return [
        memory.show(image, START + (begin + i) * 10**8, **where) for i, image in enumerate(images)
    ]


def stored(memory):
    """All frames, oldest first."""
    with MemoryBank(memory.path, readonly=True) as bank:
        assert bank.verify() == []
        return sorted(bank, key=lambda frame: frame.id)


def test_predicted_frames_are_recalled_like_any_other(ros, images):
    memory = Memory(ros)
    told = show(memory, images)
    frames = stored(memory)
    assert [frame.records for frame in frames] == sequence(CODEC, images)
    assert [frame.tier for frame in told] == [frame.tier for frame in frames]
    keys = [frame for frame in frames if not frame.needed]
    assert frames[1].tier == "predicted" and told[1].bytes == len(frames[1].data)
    memory.until_counted(stored=len(images), keys=len(keys))
    mean = np.mean([len(frame.data) for frame in frames if frame.needed])
    assert memory.status("camera")[2]["bytes_of_a_predicted_record"] == f"{mean:.0f}"
    recalling.start(ros, memory.path)  # beside the node that writes
    for frame in frames:
        picture = convert.image_from(recalling.frame(ros, id=frame.id).image)
        np.testing.assert_array_equal(picture, CODEC.decode(frame.records))
    answer = recalling.frames_of(ros, center=5, radius=3, width=96, height=96)
    assert [frame.id for frame in answer.frames] == list(range(2, 9)) and answer.center == 3
    with MemoryClient(timeout_s=20.0) as client:
        window = client.recall_window(5, radius=4, size=(96, 96))
        assert len(window) == 9
        for one, frame in zip(window, frames):
            expected = CODEC.decode(frame.records, size=(96, 96))
            np.testing.assert_array_equal(one.image, expected)
        np.testing.assert_array_equal(client.recall(3).image, CODEC.decode(frames[2].records))


def test_prediction_may_be_turned_off_and_on_while_it_runs(ros, images):
    memory = Memory(ros, predict=False)
    show(memory, images[:3])
    assert ros.set_parameter(NODE, "predict", True) == ""
    show(memory, images[3:6], 3)
    assert ros.set_parameter(NODE, "predict", False) == ""
    show(memory, images[6:], 6)
    alone = [[CODEC.encode(image)] for image in images]
    expected = [*alone[:3], *sequence(CODEC, images[3:6]), *alone[6:]]
    assert [frame.records for frame in stored(memory)] == expected
    assert [len(records) > 1 for records in expected[2:5]] == [False, False, True]


def test_cameras_and_sessions_are_sequences_of_their_own(ros, images):
    memory = Memory(ros, cameras="['left','right']")
    scenes = {"left": images[:4], "right": drive(4, scene=1)}
    for begin in (0, -1000):  # the clock is set back
        for number in range(4):
            for name, seen in scenes.items():
                show(memory, [seen[number]], begin + number, topic=f"{name}/image")
    frames = stored(memory)
    for session in (1, 2):
        for name, seen in scenes.items():
            found = [f for f in frames if (f.session, f.camera) == (session, name)]
            assert [frame.records for frame in found] == sequence(CODEC, seen)


def test_a_node_that_was_killed_begins_with_a_record_alone(ros, images):
    memory = Memory(ros)
    show(memory, images[:4])
    memory.process.send(signal.SIGKILL)
    memory.process.wait()
    before = stored(memory)
    again = Memory(ros, active=False, autostart=True)  # ROS may still take the dead one for it
    again.process.until_says("listening")
    time.sleep(1)  # the publisher learns of the subscription
    told = show(again, images[4:], 4)
    assert told[0].tier == "latent"
    frames = stored(again)
    assert frames[:4] == before
    assert [frame.records for frame in before] == sequence(CODEC, images[:4])
    assert [frame.records for frame in frames[4:]] == sequence(CODEC, images[4:])


def test_frames_that_no_queue_takes_and_a_deleted_file_leave_the_others_whole(ros):
    memory = Memory(ros, queue_size=1)
    for i in range(90):
        time.sleep(0.005)
        ros.publish("image", image_message(view(i / 10), START + i * 10**8))

    def counted():
        values = memory.status("camera")[2] if memory.diagnostics else {}
        return int(values.get("dropped", 0)) and (
            int(values["received"]) == int(values["dropped"]) + int(values["stored"])
        )

    until(counted, says=ros.logs)
    frames = stored(memory)
    assert any(frame.needed for frame in frames)
    expected = [view((frame.stamp_ns - START) // 10**8 / 10) for frame in frames]
    assert [frame.records for frame in frames] == sequence(CODEC, expected)
    for file in memory.path.parent.glob("memory.db*"):
        file.unlink()
    until(lambda: "goes on in" in memory.process.log, says=ros.logs)
    show(memory, drive(3), 100)
    for frame in stored(memory)[-3:]:
        assert CODEC.decode(frame.records).shape == (120, 160, 3)
