"""visual_memory at its default durability: frames are committed, and then announced, in groups."""

import signal
import time

import pytest
from conftest import START
from gaussvae_ros.msg import MemoryFrame
from graph import until
from writing import NODE, Memory, stream

from gaussvae_ros.bank import MemoryBank


def test_a_frame_can_be_recalled_elsewhere_as_soon_as_it_is_announced(ros, frames):
    memory, seen = Memory(ros, durability="group", queue_size=100), []
    with MemoryBank(memory.path, readonly=True) as reader:

        def look(message):
            seen.append((message.id, reader.get(message.id).stamp_ns, time.monotonic()))

        ros.node.create_subscription(MemoryFrame, f"{NODE}/frames", look, 1000)
        count = stream(ros, frames, 4.0, hz=15)
        until(lambda: len(seen) == count, 60, ros.logs)
    ids, stamps, times = zip(*seen)
    assert list(ids) == list(range(1, count + 1)), "each is announced once"
    assert list(stamps) == [START + i * 10**8 for i in range(count)]
    groups = 1 + sum(after - before > 0.2 for before, after in zip(times, times[1:]))
    assert groups < count / 3, f"{count} frames in {groups} groups"


@pytest.mark.parametrize("end", ["deactivate", "shutdown", signal.SIGINT, signal.SIGTERM])
def test_what_is_left_is_committed_and_announced_at_the_end(ros, frames, end):
    memory = Memory(ros, durability="group", queue_size=2)
    stream(ros, frames, 1.3, hz=15)
    if isinstance(end, str):
        assert ros.transition(NODE, end), ros.logs()
    else:
        assert memory.process.stop(end) == 0, memory.process.log
    with MemoryBank(memory.path, readonly=True) as bank:
        stored = [frame.id for frame in bank]
        assert len(stored) > 5 and bank.verify() == []
    until(lambda: [frame.id for frame in memory.frames] == stored, says=ros.logs)


def test_full_durability_commits_each_frame_on_its_own(ros, frames):
    memory = Memory(ros, durability="group", queue_size=10)
    assert ros.set_parameter(NODE, "durability", "full") == ""
    with MemoryBank(memory.path, readonly=True) as reader:
        for i in range(5):
            memory.show(frames[i], START + i * 10**8)
            assert len(reader) == i + 1
