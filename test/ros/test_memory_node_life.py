"""visual_memory through transitions, signals and full disks: nothing that was stored is lost."""

import resource
import signal
import sys
import time

import pytest
from conftest import START
from graph import until
from lifecycle_msgs.srv import ChangeState
from messages import image_message
from writing import NODE, Memory, stream

from gaussvae_ros.bank import MemoryBank


def test_every_transition_may_be_repeated_and_deactivating_loses_nothing(ros, frames):
    memory = Memory(ros, active=False, queue_size=100)
    stamp, told = START, 0
    for _ in range(2):
        assert ros.transition(NODE, "configure"), ros.logs()
        for _ in range(2):
            assert ros.transition(NODE, "activate"), ros.logs()
            time.sleep(0.5)  # the publisher learns of the subscription
            for image in frames:
                ros.publish("image", image_message(image, stamp))
                stamp += 10**8
                time.sleep(0.01)
            time.sleep(0.8)  # they are there; where it is busy, more than can be encoded by now
            assert ros.transition(NODE, "deactivate"), ros.logs()
            told += len(frames)
            with MemoryBank(memory.path, readonly=True) as bank:
                assert len(bank) == told, "deactivated before all was stored"
            until(lambda: len(memory.frames) == told)
        assert ros.transition(NODE, "cleanup"), ros.logs()
        with MemoryBank(memory.path) as bank:  # nobody else writes it now
            assert bank.verify() == []
    with memory.stop() as bank:
        assert [s["received"] for s in bank.info()["sessions"]] == [2 * len(frames)] * 2
        assert len(bank) == 4 * len(frames)


def test_transitions_that_are_not_possible_are_refused_and_cost_nothing(ros):
    Memory(ros, active=False)
    for name in ("activate", "deactivate", "cleanup"):
        assert not ros.transition(NODE, name)
        assert ros.state(NODE) == "unconfigured"
    assert ros.transition(NODE, "configure") and not ros.transition(NODE, "configure")
    assert ros.state(NODE) == "inactive"


@pytest.mark.parametrize(
    "wrong, right, says",
    [
        ({"bank": "/nowhere/at/all/memory.db"}, "bank", "its folder does not exist"),
        ({"bank": "/etc/passwd"}, "bank", "not a"),
        ({"model": "phantom"}, "model", "phantom"),
        ({"cameras": "['a','a']"}, "cameras", "different"),
        ({"cameras": "['a','b c']"}, "cameras", "topic"),
        ({"corrected_path_topic": "'a b'"}, "corrected_path_topic", "no name of a topic"),
        ({"map_topic": "/a//map"}, "map_topic", "map_topic '/a//map' is no name of a topic"),
        ({"volume_topic": "cells/"}, "volume_topic", "volume_topic 'cells/' is no name"),
    ],
)
def test_what_cannot_be_configured_can_be_put_right(ros, wrong, right, says):
    memory = Memory(ros, active=False, **wrong)
    assert not ros.transition(NODE, "configure")
    assert ros.state(NODE) == "unconfigured"
    lines = [line for line in memory.process.log.splitlines() if "ERROR" in line]
    assert len(lines) == 1 and says in lines[0], memory.process.log
    values = {"bank": str(memory.path), "model": "anchors", "cameras": ["a", "b"]}
    value = values.get(right, "/a/topic")
    assert ros.set_parameter(NODE, right, value) == ""
    assert ros.transition(NODE, "configure"), ros.logs()
    assert ros.transition(NODE, "activate"), ros.logs()


def test_two_writers_of_one_bank(ros, frames):
    memory = Memory(ros)
    other = ros.run(
        "memory_node",
        "--ros-args",
        "-r",
        "__node:=other",
        "-p",
        f"bank:={memory.path}",
        "-r",
        "image:=other",
    )
    assert not ros.transition("other", "configure")
    assert f"being written by process {memory.process.popen.pid}" in other.log
    memory.show(frames[0], START)
    for name in ("deactivate", "cleanup"):
        assert ros.transition(NODE, name)
    assert ros.transition("other", "configure"), other.log
    assert not ros.transition(NODE, "configure")


def test_a_gpu_that_is_not_there(ros):
    from gaussvae_ros.device import why_no_gpu

    if why_no_gpu() is None:
        pytest.skip("there is a GPU here")
    memory = Memory(ros, active=False, device="cuda")
    assert not ros.transition(NODE, "configure")
    assert "device cuda cannot be used" in memory.process.log
    assert ros.set_parameter(NODE, "device", "cpu") == "" and ros.transition(NODE, "configure")


def test_wrong_parameters_at_the_start_are_one_line(ros):
    for given, says in (
        ("quality:=200.0", "quality"),
        ("tier:=gold", "tier"),
        ("queue_size:=two", "queue_size"),
    ):
        process = ros.run("memory_node", "--ros-args", "-p", given)
        assert process.wait(20) == 2
        assert says in process.log and "Traceback" not in process.log, process.log
    file = ros.folder / "none.yaml"
    file.write_text("visual_memory: {ros__parameters: {cameras: []}}")
    process = ros.run("memory_node", "--ros-args", "--params-file", str(file))
    assert process.wait(20) == 2, process.log
    assert "cameras: it has no value" in process.log and "Traceback" not in process.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_writing_loses_nothing_that_waited(ros, frames, number):
    memory = Memory(ros, queue_size=4)
    stream(ros, frames, 1.5, hz=60)
    begun = time.monotonic()
    assert memory.process.stop(number) == 0, memory.process.log
    took = time.monotonic() - begun
    assert took < 2.5, f"{took:.1f} s"  # of which closing is a part, with Python's own end
    assert "Traceback" not in memory.process.log and "ERROR" not in memory.process.log
    with MemoryBank(memory.path, readonly=True) as bank:
        assert bank.verify() == []
        [session] = bank.info()["sessions"]
        assert session["received"] == session["gated"] + session["dropped"] + session["frames"]
        assert {frame.id for frame in memory.frames} <= {frame.id for frame in bank}
    assert not memory.path.with_name("memory.db-lock").exists()


def test_ctrl_c_again_and_again(ros, frames):
    memory = Memory(ros)
    stream(ros, frames, 0.5)
    for _ in range(5):
        memory.process.send(signal.SIGINT)
        time.sleep(0.03)
    assert memory.process.wait() == 0, memory.process.log
    assert "Traceback" not in memory.process.log
    with MemoryBank(memory.path, readonly=True) as bank:
        assert bank.verify() == []


@pytest.mark.parametrize("state", ["unconfigured", "inactive"])
def test_signals_in_other_states(ros, state):
    memory = Memory(ros, active=False)
    if state == "inactive":
        assert ros.transition(NODE, "configure")
    assert ros.state(NODE) == state
    assert memory.process.stop() == 0 and "Traceback" not in memory.process.log


@pytest.mark.parametrize("executable", ["memory_node", "recall_node"])
def test_a_signal_during_configure(ros, executable):
    process = ros.run(executable, "--ros-args", "-p", f"bank:={ros.folder}/memory.db")
    client = ros.node.create_client(ChangeState, f"/visual_{executable.split('_')[0]}/change_state")
    assert client.wait_for_service(20)
    request = ChangeState.Request()
    request.transition.id = 1
    client.call_async(request)
    time.sleep(0.2)  # it loads the model for longer
    assert process.stop() == 0, process.log
    assert "Traceback" not in process.log and "ready" not in process.log, process.log


@pytest.mark.parametrize("executable", ["memory_node", "recall_node"])
def test_a_signal_while_a_node_brings_itself_up(ros, executable):
    options = ["-p", f"bank:={ros.folder}/memory.db", "-p", "autostart:=true"]
    process = ros.run(executable, "--ros-args", *options)
    client = ros.node.create_client(ChangeState, f"/visual_{executable.split('_')[0]}/change_state")
    assert client.wait_for_service(20)  # it configures only when it knows the others
    assert process.stop() == 0, process.log
    assert "Traceback" not in process.log, process.log


def test_the_graph_knows_at_once_that_a_node_is_gone(ros):
    """Otherwise who asks the next one of its name asks into the void."""
    for _ in range(2):
        memory = Memory(ros, active=False)
        assert ros.transition(NODE, "configure"), ros.logs()
        assert memory.process.stop() == 0
        until(lambda: NODE not in ros.node.get_node_names(), 5, ros.logs)


def test_shutdown_by_request(ros, frames):
    memory = Memory(ros)
    memory.show(frames[0], START)
    assert ros.transition(NODE, "shutdown")
    assert ros.state(NODE) == "finalized"
    with MemoryBank(memory.path) as bank:
        assert len(bank) == 1
    assert memory.process.stop() == 0


def test_sigkill_keeps_what_was_told_of(ros, frames):
    memory = Memory(ros)
    stream(ros, frames, 2.0)
    memory.process.send(signal.SIGKILL)
    memory.process.wait()
    time.sleep(0.2)
    told = {frame.id for frame in memory.frames}
    assert len(told) > 5
    with MemoryBank(memory.path) as bank:
        assert bank.verify() == []
        assert told <= {frame.id for frame in bank}
        assert bank.begin_session("next", start_ns=START) == 2


def test_a_full_disk_is_told_of_and_the_node_goes_on(ros, frames):
    def limit(number):
        resource.prlimit(
            memory.process.popen.pid, resource.RLIMIT_FSIZE, (number, resource.RLIM_INFINITY)
        )

    memory = Memory(ros, quality=100.0)
    memory.show(frames[0], START)
    limit(memory.path.with_name("memory.db-wal").stat().st_size + 20_000)
    for i in range(1, 40):
        ros.publish("image", image_message(frames[i % len(frames)], START + i * 10**8))
        time.sleep(0.05)
    until(lambda: memory.diagnostics and memory.status("memory")[0] == 2, says=ros.logs)
    assert "takes no frames" in memory.status("memory")[1]
    assert ros.state(NODE) == "active"
    limit(resource.RLIM_INFINITY)
    time.sleep(1.2)  # what waits is tried again
    last = image_message(frames[1], START + 50 * 10**8)
    ros.publish("image", last)
    until(lambda: memory.frames[-1].header.stamp == last.header.stamp, says=ros.logs)
    until(lambda: memory.status("memory")[0] == 0, says=ros.logs)
    told = {frame.id for frame in memory.frames}
    with memory.stop() as bank:
        assert bank.verify() == []
        assert told == {frame.id for frame in bank}
        assert bank.info()["sessions"][0]["dropped"] > 0


ENDING = """
import sys
from rclpy.executors import SingleThreadedExecutor
from gaussvae_ros.nodes import memory_node

def collected(executor):  # in the place of what raises then, if other garbage went first
    if executor._sigint_gc is not None:
        print("not shut down", flush=True)

SingleThreadedExecutor.__del__ = collected
sys.exit(memory_node.main())
"""


def test_the_executor_is_shut_down_before_it_is_collected(ros):
    """Otherwise a node ended with a traceback from rclpy, one time in hundreds."""
    script = ros.folder / "ending_node"
    script.write_text(f"#!{sys.executable}\n{ENDING}")
    script.chmod(0o755)
    memory = Memory(ros, executable=str(script))
    assert memory.process.stop() == 0
    assert "not shut down" not in memory.process.log
