"""What stored frames show goes into the memory when they do, and with frames that are lost not."""

import numpy as np
import pytest
from test_bank_likeness import record

from gaussvae_ros.bank import MemoryBank, Text
from gaussvae_ros.looking.looks import Found, Looks
from gaussvae_ros.nodes import contents
from gaussvae_ros.nodes.contents import Contents
from gaussvae_ros.nodes.pending import PendingFrame


def pending(**facts) -> PendingFrame:
    frame = PendingFrame("front", 1, 0, None, b"", "")
    for name, value in facts.items():
        setattr(frame, name, value)
    return frame


def found(text: str) -> Found:
    return Found([Text(text, (0, 0, 1, 1), 1.0)])


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for k in range(3):
            bank.add(record(k), stamp_ns=k)
        yield bank


def test_findings_wait_for_frames_that_wait_and_go_with_lost_ones(bank):
    kept = Contents(Looks(), bank, lambda call: call(), lambda: 0)
    coded, uncoded, lost = pending(data=b"x"), pending(image=np.zeros((2, 2))), pending()
    for frame, text in ((coded, "coded"), (uncoded, "uncoded"), (lost, "lost")):
        kept._found(frame, found(text))
    assert bank.info()["texts"] == 0 and len(kept._due) == 2
    bank.remove([3])
    kept._found(pending(id=3), found("removed"))
    coded.id, uncoded.id = 1, 2
    kept._found(pending(id=2), found("later"))
    assert bank.ids(text="coded") == [1] and bank.ids(text="later") == [2]
    assert kept._due == [] and bank.info()["texts"] == 2
    kept.look(pending())
    kept.close()


def test_no_more_wait_than_memory_is_for(bank, monkeypatch, caplog):
    monkeypatch.setattr(contents, "MOST", 2)
    kept = Contents(Looks(), bank, lambda call: call(), lambda: 0)
    for _ in range(4):
        kept._found(pending(data=b"x"), found("exit"))
    assert len(kept._due) == 2 and "is not kept" in caplog.text


def test_findings_of_a_file_that_is_gone_go_to_no_frame_of_the_next(bank):
    """Another memory in its place may have a frame of the same id."""
    files = [0]
    kept = Contents(Looks(), bank, lambda call: call(), lambda: files[0])
    coded = pending(data=b"x")
    kept._found(coded, found("coded"))
    files[0] = 1
    kept._found(pending(id=2), found("late"))
    coded.id, coded.file = 3, 1
    kept._found(pending(id=1, file=1), found("new"))
    assert bank.ids(text="late") == [] and kept._due == []
    assert bank.ids(text="new") == [1] and bank.ids(text="coded") == [3]
