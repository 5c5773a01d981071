"""visual_memory and what robots do to it: odd messages, lost files, full disks, nodes of its
name.
"""

import math
import os
import signal
import sys
import time

import pytest
from builtin_interfaces.msg import Time
from conftest import START
from geometry_msgs.msg import TransformStamped
from graph import header, image_message, until
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import String
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.srv import BackupMemory


@pytest.fixture(scope="module")
def memory(shared_ros):
    """A visual_memory for several tests, which leave it active."""
    return Memory(shared_ros, map_frame="map", pose_timeout=0.2, queue_size=100)


def level(memory: Memory, name: str = "memory") -> int:
    return memory.status(name)[0] if memory.diagnostics else -1


def counts(memory: Memory) -> dict[str, int]:
    """How many images came and went so far, when that has settled."""
    time.sleep(1.5)
    values = memory.status("camera")[2]
    return {what: int(values[what]) for what in ("received", "stored", "failed", "bad", "dropped")}


def test_odd_messages_cost_at_most_themselves(memory, frames):
    """Clocks, names, numbers and transforms as broken drivers send them; good images are stored."""
    ros = memory.ros
    ros.transform("map", "camera", START)
    memory.show(frames[0], START)
    stamps = [-100 * 10**9, -(2**31) * 10**9, (2**31 - 1) * 10**9 + 999_999_999, 1, -1]
    names = ["", "a\tb", "\u00a0", "/", "x" * 3000, "camera/", "\u202e", "optical"]
    odd = [image_message(frames[1], stamp) for stamp in stamps]
    odd += [image_message(frames[1], START + 10 + i, frame_id=name) for i, name in enumerate(names)]
    ros.publish(
        "camera_info",
        CameraInfo(header=header(START), width=160, height=120, k=[math.nan] * 9, d=[math.inf]),
    )
    ros.publish(
        "camera_info",
        CameraInfo(header=header(-(10**12)), d=[0.0] * 5000, distortion_model="\ud7ff"),
    )
    nothing = TransformStamped()
    broken = TransformStamped(header=header(-5 * 10**9, "map"), child_frame_id="camera")
    broken.transform.rotation.w = broken.transform.translation.x = math.nan
    for transforms in ([nothing], [broken], [nothing, broken] * 100):
        ros.publish("/tf", TFMessage(transforms=transforms))
    loop = TransformStamped(header=header(2**31 * 10**9 - 1, "camera"), child_frame_id="map")
    ros.publish("/tf", TFMessage(transforms=[loop]))
    for message in odd:
        ros.publish("image", message)
        time.sleep(0.1)
    for i in range(3):
        memory.show(frames[2], START + 10**12 + i * 10**8)
    memory.until_counted(received=4 + len(odd), stored=4 + len(odd))
    assert memory.status("memory")[2]["internal_errors"] == "0"
    with MemoryBank(memory.path, readonly=True) as bank:
        assert bank.verify() == [] and len(bank) == 4 + len(odd)


def test_odd_clocks_and_parameters_end_nothing(memory, frames):
    ros = memory.ros
    assert ros.set_parameter(NODE, "use_sim_time", True) == ""
    for seconds in (5, 2**31 - 1, 1, -5, 0, 10**6):
        ros.publish("/clock", Clock(clock=Time(sec=seconds)))
        time.sleep(0.05)
    memory.show(frames[3], 0)  # it has no stamp, and gets one of that clock
    # rclpy knows no time before 1970.
    assert "internal error in a message of /clock" in memory.process.log
    assert ros.set_parameter(NODE, "use_sim_time", False) == ""
    for name, value in (
        ("use_sim_time", "perhaps"),
        ("quality", math.inf),
        ("commit_period", math.nan),
        ("tier", ""),
    ):
        assert ros.set_parameter(NODE, name, value)
    memory.show(frames[4], START + 2 * 10**12)
    assert ros.state(NODE) == "active"


def test_a_deleted_file_is_told_of_and_replaced(memory, frames):
    ros = memory.ros
    ros.publish("camera_info", CameraInfo(header=header(START), width=160, height=120, k=[1.0] * 9))
    last = memory.show(frames[0], START + 3 * 10**12)
    time.sleep(1.2)  # the calibration is looked at once a second
    for file in memory.path.parent.glob("memory.db*"):
        file.unlink()
    begun = time.monotonic()
    until(lambda: "deleted" in memory.status("memory")[1], 5, ros.logs)
    assert time.monotonic() - begun < 2.5 and level(memory) == 2
    until(memory.path.exists, says=ros.logs)  # although no image came
    told = [memory.show(frames[i], START + 3 * 10**12 + i * 10**8) for i in range(1, 4)]
    assert min(frame.id for frame in told) > last.id
    assert memory.process.log.count("goes on in a new file") == 1
    with MemoryBank(memory.path, readonly=True) as bank:
        assert {frame.id for frame in bank} == {frame.id for frame in told}
        [session] = bank.info()["sessions"]
        until(lambda: bank.info()["sessions"][0]["received"] == 3, says=ros.logs)
        assert bank.calibration(session["id"], "camera")["k"] == [1.0] * 9
        assert {frame.frame_id for frame in bank} == {"camera"}


def test_a_backup_while_the_node_writes(memory, frames):
    ros, copy = memory.ros, memory.path.with_name("copy.db")
    memory.show(frames[0], START + 4 * 10**12)
    reply = ros.call(BackupMemory, f"{NODE}/backup", path=str(copy))
    assert reply.success and (reply.path, reply.bytes) == (str(copy), copy.stat().st_size), reply
    memory.show(frames[1], START + 5 * 10**12)
    for path, says in (
        (copy, "exists"),
        ("copy.db", "absolute"),
        ("", "absolute"),
        ("/nowhere/at/all.db", "folder"),
    ):
        reply = ros.call(BackupMemory, f"{NODE}/backup", path=str(path))
        assert not reply.success and says in reply.message and reply.bytes == 0
    for wrong in ("~nobody_at_all/x", str(ros.folder)):
        assert not ros.call(BackupMemory, f"{NODE}/backup", path=wrong).success
    with MemoryBank(copy, readonly=True) as bank:
        assert bank.verify() == [] and bank.newest().stamp_ns == START + 4 * 10**12


def test_deactivating_has_an_end(memory, frames):
    ros, before = memory.ros, counts(memory)
    for name, value in (("effort", "best"), ("quality", 100.0), ("tier", "splats")):
        assert ros.set_parameter(NODE, name, value) == ""
    for i in range(60):
        ros.publish("image", image_message(frames[i % len(frames)], START + 6 * 10**12 + i * 10**8))
        time.sleep(0.03)
    begun = time.monotonic()
    assert ros.transition(NODE, "deactivate")
    took = time.monotonic() - begun
    assert took < 14, f"{took:.1f} s"
    assert "frames that waited for it are dropped" in memory.process.log, (
        f"{took:.1f} s\n{memory.process.log}"
    )
    memory.until_counted(received=before["received"] + 60)
    after = counts(memory)
    # One may be at hand still.
    assert sum(after[what] - before[what] for what in ("dropped", "stored")) >= 59
    assert ros.transition(NODE, "activate")


def test_a_second_node_of_the_name_ends_and_says_why(memory, frames):
    ros = memory.ros
    other = ros.run(
        "memory_node", "--ros-args", "-p", f"bank:={ros.folder}/other.db", "-p", "autostart:=true"
    )
    assert other.wait(20) == 2, other.log
    pid = memory.process.popen.pid
    assert f"/visual_memory runs already: process {pid} on {os.uname().nodename}" in other.log
    assert "Traceback" not in other.log and not (ros.folder / "other.db").exists()
    assert "transition" not in memory.process.log and ros.state(NODE) == "active"
    memory.process.send(signal.SIGKILL)  # after which the graph knows its node for a while
    again = ros.run(
        "memory_node", "--ros-args", "-p", f"bank:={memory.path}", "-p", "autostart:=true"
    )
    again.until_says("listening")


FAILING = """
import sys, threading
from std_msgs.msg import String
from std_srvs.srv import Trigger
from gaussvae_ros.nodes.lifecycle import ManagedNode, run

class Failing(ManagedNode):
    def __init__(self):
        super().__init__("failing", ())
        self.settings.autostart = False
        self.create_subscription(String, "broken", lambda message: 1 / 0, 10)
        self.create_subscription(String, "sound", lambda message: self.said.publish(message), 10)
        self.said = self.create_publisher(String, "echo", 10)
        self.create_timer(0.1, self.tick)
        self.create_service(Trigger, "~/ask", lambda request, response: response.nothing)
        self.guard = self.create_guard_condition(lambda: {}["no"])

    def tick(self):
        self.guard.trigger()
        threading.Thread(target=lambda: [][0], name="side").start()
        raise RuntimeError("ticked")

sys.exit(run(Failing))
"""


def test_an_exception_in_a_callback_ends_nothing(ros):
    """Of a subscription, a timer, a service, a thread, and of the executor itself."""
    script = ros.folder / "failing.py"
    script.write_text(FAILING)
    process = ros.start(sys.executable, str(script))
    echo = ros.listen(String, "echo")
    for _ in range(3):
        ros.publish("broken", String(data="x"))
    answer = ros.call(Trigger, "failing/ask")
    assert not answer.success and "AttributeError" in answer.message
    time.sleep(4)  # a guard condition that fails ten times a second all the while
    ros.publish("sound", String(data="on"))
    until(lambda: echo, says=ros.logs)
    assert process.popen.poll() is None
    for what in (
        "ZeroDivisionError",
        "RuntimeError: ticked",
        "AttributeError",
        "KeyError",
        "IndexError",
    ):
        assert process.log.count(f"\n{what}") == 1, process.log  # once, with its traceback
    assert process.stop() == 0


def test_a_folder_that_goes_and_comes_back(ros, frames):
    folder, away = ros.folder / "stick", ros.folder / "away"
    folder.mkdir()
    memory = Memory(ros, bank=str(folder / "memory.db"))
    memory.show(frames[0], START)
    folder.rename(away)
    for i in range(1, 6):
        ros.publish("image", image_message(frames[i], START + i * 10**8))
        time.sleep(0.2)
    until(
        lambda: level(memory) == 2 and memory.status("memory")[2]["frames_waiting"] == "5",
        says=ros.logs,
    )
    assert ros.state(NODE) == "active" and "gone" in memory.status("memory")[1]
    away.rename(folder)
    until(lambda: len(memory.frames) == 6, says=ros.logs)
    until(lambda: "takes no frames" not in memory.status("memory")[1], says=ros.logs)
    assert memory.status("memory")[2]["frames_waiting"] == "0"
    assert "goes on in the file that is there now" in memory.process.log
    assert memory.process.stop() == 0 and "Traceback" not in memory.process.log
    with MemoryBank(folder / "memory.db", readonly=True) as bank:
        assert [frame.stamp_ns for frame in bank] == [START + i * 10**8 for i in range(6)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_delays_frames(ros, frames, tmp_path):
    disk, fill = tmp_path / "disk", tmp_path / "disk" / "fill"
    disk.mkdir()
    if os.system(f"mount -t tmpfs -o size=2m none {disk} 2>/dev/null"):
        pytest.skip("nothing can be mounted here")
    try:
        # Until nothing more fits.
        assert os.system(f"dd if=/dev/zero of={fill} bs=4k 2>/dev/null") != 0
        memory = Memory(ros, bank=str(disk / "memory.db"), queue_size=100, active=False)
        assert not ros.transition(NODE, "configure")
        assert "full" in memory.process.log and "Traceback" not in memory.process.log, (
            memory.process.log
        )
        fill.unlink()
        assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")
        memory.show(frames[0], START)
        os.system(f"dd if=/dev/zero of={fill} bs=4k 2>/dev/null")
        for i in range(1, 61):
            ros.publish("image", image_message(frames[i % len(frames)], START + i * 10**8))
            time.sleep(0.05)
        until(lambda: level(memory) == 2, says=ros.logs)
        assert "takes no frames" in memory.status("memory")[1]
        assert int(memory.status("memory")[2]["frames_waiting"]) > 0
        fill.unlink()
        until(lambda: len(memory.frames) == 61, says=ros.logs)
        until(lambda: level(memory) == 0, says=ros.logs)
        assert memory.status("camera")[2]["failed"] == memory.status("camera")[2]["dropped"] == "0"
        assert memory.process.stop() == 0
        with MemoryBank(disk / "memory.db", readonly=True) as bank:
            assert len(bank) == 61 and bank.verify() == []
    finally:
        os.system(f"umount -l {disk}")
