"""visual_memory reads signs in what it stores, and visual_recall finds frames by them."""

import time

import cv2
import numpy as np
import pytest
from conftest import START
from gaussvae_ros.srv import FindFrames
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.client import MemoryClient

pytest.importorskip("rapidocr")


def sign(text: str) -> np.ndarray:
    image = np.full((240, 320, 3), 200, np.uint8)
    cv2.putText(image, text, (40, 130), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 30, 90), 4)
    return image


def test_frames_are_found_by_what_was_read_in_them(ros):
    memory = Memory(ros, read_text="true")
    memory.show(sign("EXIT"), START)
    deadline = time.monotonic() + 300
    with MemoryBank(memory.path, readonly=True) as bank:
        while not bank.ids(text="exit"):
            assert time.monotonic() < deadline, "nothing was read"
            time.sleep(0.2)
        [text] = bank.texts(bank.newest().id)
    assert text.text == "EXIT" and text.box[0] > 20 and text.confidence > 0.5
    ros.run("recall_node", "--ros-args", "-p", f"bank:={memory.path}", "-p", "autostart:=true")
    ros.until_active("visual_recall")
    answer = ros.call(FindFrames, "/visual_recall/find_frames", text="exit")
    assert answer.success and [f.id for f in answer.frames] == [1]
    assert not ros.call(FindFrames, "/visual_recall/find_frames", text="dock").frames
    with MemoryClient(timeout_s=20) as client:
        assert [f.id for f, _ in client.find(text="EXIT")] == [1]
    refused = ros.call(FindFrames, "/visual_recall/find_frames", like_text="a door")
    assert not refused.success and "set the parameter encoder" in refused.message


def test_an_encoder_that_is_none_is_refused(ros, tmp_path):
    process = ros.run("memory_node", "--ros-args", "-p", f"encoder:={tmp_path}/gone.yaml")
    assert not ros.transition(NODE, "configure")
    assert "gone.yaml: No such file" in process.log
