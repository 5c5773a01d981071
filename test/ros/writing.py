"""A visual_memory for one test, and what a test asks of it."""

import time

import numpy as np
from conftest import START
from diagnostic_msgs.msg import DiagnosticArray
from gaussvae_ros.msg import MemoryFrame
from graph import until
from messages import image_message

from gaussvae_ros.bank import MemoryBank

NODE = "visual_memory"


def stream(ros, frames, seconds, first=0, hz=20.0):
    """Publish pictures for a while, stamped 0.1 s apart; returns the number after the last."""
    count, deadline = first, time.monotonic() + seconds
    while time.monotonic() < deadline:
        ros.publish("image", image_message(frames[count % len(frames)], START + count * 10**8))
        count += 1
        time.sleep(1 / hz)
    return count


class Memory:
    """An active visual_memory, with no gate and no poses unless told otherwise."""

    def __init__(self, ros, *arguments, executable="memory_node", active=True, **parameters):
        self.ros, self.path = ros, ros.folder / "memory.db"
        given = {
            "bank": str(self.path),
            "map_frame": "''",
            "min_interval": 0.0,
            "novelty": 0.0,
            "durability": "full",  # so that a test need not wait for the others of a group
            # From the first image on: by default that waits until its publisher is known.
            "image_reliability": "reliable",
            **parameters,
        }
        options = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
        self.process = ros.run(executable, *arguments, "--ros-args", *options)
        self.frames = ros.listen(MemoryFrame, f"{NODE}/frames")
        self.diagnostics = ros.listen(DiagnosticArray, "/diagnostics")
        if active:
            assert ros.transition(NODE, "configure"), ros.logs()
            assert ros.transition(NODE, "activate"), ros.logs()

    def show(self, image, stamp_ns, topic="image", **more):
        """Publish a picture and wait until it is stored."""
        message = (
            image if not isinstance(image, np.ndarray) else image_message(image, stamp_ns, **more)
        )
        count = len(self.frames)
        self.ros.publish(topic, message)
        until(lambda: len(self.frames) > count, says=self.ros.logs)
        return self.frames[-1]

    def until_counted(self, camera="camera", timeout=20.0, **counts):
        """Wait until the diagnostics count as much."""

        def counted():
            values = self.status(camera)[2] if self.diagnostics else {}
            return all(values.get(name) == str(n) for name, n in counts.items())

        until(counted, timeout, lambda: f"{self.diagnostics[-1:]}\n{self.ros.logs()}")

    def status(self, name):
        """(level, message, values) of the latest status of a camera or of the memory."""
        found = {status.name: status for status in self.diagnostics[-1].status}
        status = found[f"visual_memory: {name}"]
        return (
            status.level[0],
            status.message,
            {pair.key.replace(" ", "_"): pair.value for pair in status.values},
        )

    def stop(self):
        """Ctrl-C, and the bank as it is then."""
        assert self.process.stop() == 0, self.process.log
        assert "Traceback" not in self.process.log
        return MemoryBank(self.path, readonly=True)
