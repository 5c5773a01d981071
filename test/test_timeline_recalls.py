"""Pictures made by several processes: the same, in order, and an end where one of them ends."""

import os
import signal
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from timelines import Inside, scene

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import GaussVaeError, RecordError
from gaussvae_ros.timeline import write_timeline, writing
from gaussvae_ros.timeline.recalls import TOGETHER, recalls

FRAMES = 3 * TOGETHER + 5
SIZE = (32, 24)


@pytest.fixture(scope="module")
def memory(compiled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of four kinds, of which each third is predicted from the one before."""
    path, codec = tmp_path_factory.mktemp("memory") / "memory.db", FrameCodec(device="cpu")
    datas = [codec.encode(scene(k), 25) for k in range(4)]
    last, later = 0, [codec.predict(scene(k), 25, data).data for k, data in enumerate(datas)]
    with MemoryBank(path) as bank:
        for i in range(FRAMES):
            if i % 3 == 1:
                last = bank.add(later[i // 3 % 4], stamp_ns=i, reference=last)
            else:
                last = bank.add(datas[i // 3 % 4], stamp_ns=i)
    return path


def test_a_page_is_the_same_from_any_number_of_processes(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "PAYS", 10)
    pages = []
    with MemoryBank(memory, readonly=True) as bank:
        assert any(frame.reference for frame in bank)
        for processes in (1, 2):
            out = tmp_path / f"{processes}.html"
            done = write_timeline(out, bank, FrameCodec(device="cpu"), processes=processes)
            assert done["pictures"] == FRAMES and not active_children()
            pages.append(out.read_bytes())
    assert pages[0] == pages[1]
    needs = Inside(tmp_path / "2.html").columns["needs"]
    assert needs[1] == 1 and np.isnan(needs[0])


def test_pictures_and_errors_come_in_order(memory):
    with MemoryBank(memory, readonly=True) as bank:
        frames = list(bank)
    codec = FrameCodec(device="cpu")
    jobs = [(f, None if f.id % 7 == 0 else (f.records, SIZE)) for f in frames]
    jobs[40] = frames[40], ([b"no record"], SIZE)
    for processes in (1, 2):
        for (frame, job), (item, made) in zip(jobs, recalls(jobs, memory, codec, processes)):
            assert item is frame
            if frame is frames[40]:
                assert isinstance(made, RecordError)
            elif job is None:
                assert made is None
            else:
                assert np.array_equal(made, codec.decode(frame.records, size=SIZE))


def test_a_process_that_is_killed_is_said(memory):
    with MemoryBank(memory, readonly=True) as bank:
        frames = list(bank)

    def jobs():
        for k, frame in enumerate(frames * 20):
            if k == 10 * TOGETHER:
                os.kill(active_children()[0].pid, signal.SIGKILL)
            yield frame, (frame.records, SIZE)

    with pytest.raises(GaussVaeError, match="a process that recalls frames was ended"):
        list(recalls(jobs(), memory, None, 2))
