"""visual_recall answers several requests at once."""

import threading
import time

from conftest import START
from gaussvae_ros.srv import RecallFrame, RecallFrames
from recalling import NODE

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec


def test_a_long_request_does_not_hold_up_a_short_one(ros, frames):
    path, codec = ros.folder / "memory.db", FrameCodec(device="cpu")
    with MemoryBank(path) as bank:
        for i in range(40):
            bank.add(codec.encode(frames[i % len(frames)]), stamp_ns=START + i * 10**8)
    ros.run("recall_node", "--ros-args", "-p", f"bank:={path}")
    assert ros.transition(NODE, "configure") and ros.transition(NODE, "activate")
    short = ros.node.create_client(RecallFrame, f"{NODE}/recall_frame")
    ros.call(RecallFrame, f"{NODE}/recall_frame", id=1, width=8, height=8)
    long = ros.node.create_client(RecallFrames, f"{NODE}/recall_frames")
    assert short.wait_for_service(10) and long.wait_for_service(10)
    time.sleep(0.3)
    done = [threading.Event(), threading.Event()]
    pending = long.call_async(RecallFrames.Request(center=20, radius=40, width=1000, height=800))
    pending.add_done_callback(lambda _: done[0].set())
    time.sleep(0.05)
    quick = short.call_async(RecallFrame.Request(id=2, width=8, height=8))
    quick.add_done_callback(lambda _: done[1].set())
    assert done[1].wait(30) and not done[0].is_set(), "the short one waited for the long one"
    assert quick.result().success and done[0].wait(60)
    assert pending.result().success and len(pending.result().frames) == 40
