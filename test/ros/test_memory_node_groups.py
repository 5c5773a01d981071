"""visual_memory at its default durability: frames are committed, and then announced, in groups."""

import signal
import time

import pytest
from conftest import START
from gaussvae_ros.msg import MemoryFrame
from graph import until
from messages import image_message
from moving import drive
from writing import NODE, Memory, stream

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.evaluation.metrics import psnr

CODEC = FrameCodec(device="cpu")
NO_TIME = "encoding takes long"  # on a machine that is too busy to end within a second


def test_a_frame_can_be_recalled_elsewhere_as_soon_as_it_is_announced(ros, frames):
    memory, seen = Memory(ros, durability="group", queue_size=100), []
    with MemoryBank(memory.path, readonly=True) as reader:

        def look(message):
            seen.append((message.id, reader.get(message.id).stamp_ns, time.monotonic()))

        ros.node.create_subscription(MemoryFrame, f"{NODE}/frames", look, 1000)
        count = stream(ros, frames, 4.0, hz=15)
        until(lambda: len(seen) == count, 60, ros.logs)
    ids, stamps, times = zip(*seen)
    assert sorted(ids) == list(range(1, count + 1)), "each is announced once"
    assert list(stamps) == [START + i * 10**8 for i in range(count)]
    groups = 1 + sum(after - before > 0.2 for before, after in zip(times, times[1:]))
    assert groups < count / 3, f"{count} frames in {groups} groups"


@pytest.mark.parametrize("end", ["deactivate", "shutdown", signal.SIGINT, signal.SIGTERM])
def test_what_is_left_is_committed_and_announced_at_the_end(ros, end):
    memory = Memory(ros, durability="group", queue_size=2)
    stream(ros, drive(30), 1.3, hz=15)  # small, since a process that ends soon must encode them
    if isinstance(end, str):
        assert ros.transition(NODE, end), ros.logs()
    else:
        assert memory.process.stop(end) == 0, memory.process.log
    with MemoryBank(memory.path, readonly=True) as bank:
        stored = [frame.id for frame in sorted(bank, key=lambda frame: frame.stamp_ns)]
        assert len(stored) > 1 and bank.verify() == []
    told = memory.frames
    until(
        lambda: [frame.id for frame in told] == stored or NO_TIME in memory.process.log,
        says=lambda: f"{[frame.id for frame in told]} of {stored}\n{ros.logs()}",
    )
    assert [frame.id for frame in told] == stored[: len(told)]


def test_frames_wait_for_a_key_record_after_them_but_not_beyond_the_commit(ros):
    memory = Memory(ros, durability="group", queue_size=100)
    seen = [image for scene in range(6) for image in drive(4, scene=scene)]
    for i, image in enumerate(seen):
        ros.publish("image", image_message(image, START + i * 10**8))
        time.sleep(0.1)
    memory.until_counted(stored=len(seen))  # no image comes that the last ones could wait for
    with MemoryBank(memory.path, readonly=True) as bank:
        frames = sorted(bank, key=lambda frame: frame.stamp_ns)
        assert bank.verify() == []
        assert [session["start_ns"] for session in bank.info()["sessions"]] == [START]
    assert [frame.stamp_ns for frame in frames] == [START + i * 10**8 for i in range(len(seen))]
    stamps = {frame.data: frame.stamp_ns for frame in frames}
    assert any(stamps[one.records[0]] > one.stamp_ns for one in frames), "predicted backwards"
    for frame, image in zip(frames, seen):
        assert psnr(image, CODEC.decode(frame.records)) > 20
    until(lambda: len(memory.frames) == len(seen), says=ros.logs)


def test_full_durability_commits_each_frame_on_its_own(ros, frames):
    memory = Memory(ros, durability="group", queue_size=10)
    assert ros.set_parameter(NODE, "durability", "full") == ""
    with MemoryBank(memory.path, readonly=True) as reader:
        for i in range(5):
            memory.show(frames[i], START + i * 10**8)
            assert len(reader) == i + 1
