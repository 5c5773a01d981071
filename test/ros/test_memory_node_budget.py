"""A visual_memory with a budget: what it forgets while it runs, and what it says of that."""

import time

import numpy as np
from conftest import START
from gaussvae_ros.srv import LabelFrame
from graph import until
from messages import image_message
from writing import NODE, Memory

from gaussvae_ros.bank.file.journal import MERGE_S

SECOND = 10**9  # ns


def show(memory, frames, numbers):
    for i in numbers:
        memory.show(frames[i % len(frames)], START + i * SECOND)


def until_frames(memory, count):
    """Until another process sees so many frames."""
    from gaussvae_ros.bank import MemoryBank

    with MemoryBank(memory.path, readonly=True) as bank:
        until(lambda: len(bank) == count, says=lambda: f"{len(bank)}\n{memory.ros.logs()}")


def test_a_budget_that_is_set_while_it_runs_is_kept(ros, frames):
    memory = Memory(ros, protect_before=0.5, protect_after=1.5)
    show(memory, frames, range(30))
    assert ros.call(LabelFrame, f"{NODE}/label_frame", id=7, label="dock").success
    assert "percent_of_the_budget" in memory.status("memory")[2]
    assert ros.set_parameter(NODE, "budget_policy", "fifo") == ""
    assert ros.set_parameter(NODE, "max_frames", 10) == ""
    until_frames(memory, 10)
    until(lambda: memory.status("memory")[2]["forgotten"] == "20", says=ros.logs)
    assert memory.status("memory")[2]["percent_of_the_budget"] == "100.0"
    show(memory, frames, range(30, 40))
    until_frames(memory, 10)
    assert ros.state(NODE) == "active" and memory.status("memory")[:2] == (0, "writing")
    with memory.stop() as bank:
        assert bank.verify() == [] and set(bank.ids()) > {7, 8}
        assert set(bank.ids()) > set(range(36, 41))  # stored last


def test_fade_keeps_frames_of_all_places(ros, frames):
    memory = Memory(ros, map_frame="map", max_frames=20, pose_timeout=5.0)
    for i in range(60):
        ros.transform("map", "camera", START + i * SECOND, (0.5 * (i % 12) + 0.2, 0, 0))
        memory.show(frames[i % len(frames)], START + i * SECOND)
    until_frames(memory, 20)
    with memory.stop() as bank:
        assert bank.verify() == []
        assert len({round(frame.pose.x, 1) for frame in bank if frame.pose}) == 12


def test_stop_refuses_frames_says_so_and_goes_on_when_there_is_room(ros, frames):
    memory = Memory(ros, max_frames=5, budget_policy="stop")
    show(memory, frames, range(5))
    for i in range(5, 8):
        ros.publish("image", image_message(frames[i], START + i * SECOND))
        memory.until_counted(refused=i - 4)
    until(lambda: memory.status("memory")[0] == 2, says=ros.logs)
    said = "nothing new is remembered: the memory is full: 5 frames, and max_frames is 5; 3 frames"
    assert memory.status("memory")[1].startswith(said) and ros.state(NODE) == "active"
    assert memory.process.log.count("nothing new is remembered") == 1
    assert ros.set_parameter(NODE, "max_frames", 0) == ""
    show(memory, frames, [8])
    until(lambda: memory.status("memory")[:2] == (0, "writing"), says=ros.logs)
    with memory.stop() as bank:
        assert len(bank) == 6 and bank.info()["sessions"][0]["dropped"] == 3


def test_a_budget_that_cannot_be_met_is_warned_of(ros, frames):
    memory = Memory(ros, max_bytes=10_000)
    show(memory, frames, range(70))
    until(lambda: memory.status("memory")[0] == 1, says=ros.logs)
    said = memory.status("memory")[1]
    assert "the memory is larger than its budget: only the" in said and "stored last" in said
    show(memory, frames, [70])
    until_frames(memory, 64)
    with memory.stop() as bank:
        assert bank.verify() == [] and len(bank) == 64


def test_older_frames_fade_where_bytes_are_short(ros, frames):
    memory = Memory(ros, quality=75.0, predict=False, coarse_quality=10.0)
    noise = np.random.default_rng(0).integers(0, 40, (400, *frames[0].shape), np.uint8)
    for i in range(150):
        memory.show(frames[i % len(frames)] // 2 + noise[i], START + i * SECOND)
    time.sleep(MERGE_S + 2)  # until then the journal has some of it
    size = memory.path.stat().st_size
    assert ros.set_parameter(NODE, "max_bytes", int(size * 0.93)) == ""
    until(lambda: memory.path.stat().st_size <= size * 0.93, 60, ros.logs)
    assert int(memory.status("memory")[2]["encoded_again"]) > 20
    with memory.stop() as bank:
        assert bank.verify() == [] and len(bank) > 130
        sizes = [len(frame.data) for frame in bank]
        assert np.mean(sizes[:20]) < 0.7 * np.mean(sizes[-20:])


def test_wrong_budgets_are_refused(ros):
    Memory(ros, active=False)
    assert ros.transition(NODE, "configure")
    for name, value, *wrong in (
        ("max_bytes", 2**40, -1, 2.5, "1GB"),
        ("max_frames", 1000, -1),
        ("max_age", 86400.0, -1.0, float("nan")),
        ("max_sessions", 3, -1),
        ("min_free_bytes", 10**9, -1),
        ("budget_policy", "stop", "lifo", 1),
        ("protect_before", 10, -1.0),
        ("protect_after", 10, float("inf")),
        ("coarse_quality", 10, 101.0),
    ):
        for no in wrong:
            assert ros.set_parameter(NODE, name, no), (name, no)
        assert ros.set_parameter(NODE, name, value) == "" and ros.parameter(NODE, name) == value
