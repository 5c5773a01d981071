"""What a memory file keeps once a session: cameras' frames, calibrations, tallies."""

import json

import numpy as np
import pytest
from test_bank_likeness import (
    TALLY,
    bank,  # noqa: F401 (fixture)
    record,
)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.errors import BankError

# The camera's frame and calibration, tallies


def test_the_camera_s_frame_is_kept_by_session_and_camera(bank):
    first = bank.begin_session("a", start_ns=0)
    front = bank.add(record(0), stamp_ns=0, camera="front", frame_id="front_optical")
    rear = bank.add(record(1), stamp_ns=1, camera="rear")
    later = bank.add(record(2), stamp_ns=2, camera="front")  # not said again
    bank.begin_session("b", start_ns=0)
    unknown = bank.add(record(3), stamp_ns=3, camera="front")
    other = bank.add(record(4), stamp_ns=4, camera="front", frame_id="mast")
    last = bank.add(record(5), stamp_ns=5, camera="rear", frame_id="rear_optical", session=first)
    frames = {i: bank.get(i).frame_id for i in (front, rear, later, unknown, other, last)}
    assert frames == {
        front: "front_optical",
        rear: "rear_optical",
        later: "front_optical",
        unknown: "mast",
        other: "mast",
        last: "rear_optical",
    }
    assert {frame.frame_id for frame in bank.find(camera="front", session=first)} == {
        "front_optical"
    }


def test_calibrations(tmp_path):
    path, info = tmp_path / "m.db", {"k": [500.0, 0.0, 320.0], "model": "plumb_bob", "width": 640}
    with MemoryBank(path) as bank:
        with pytest.raises(BankError, match="no session was begun"):
            bank.set_calibration("front", info)
        first = bank.begin_session("a", start_ns=0)
        bank.set_calibration("front", info)
        bank.set_calibration("front", {**info, "width": 320})
        bank.set_calibration("front", {**info, "width": 320})
        second = bank.begin_session("b", start_ns=0)
        bank.set_calibration("rear", info)
        bank.set_calibration("rear", {}, session=first)
        bank.add(record(0), stamp_ns=0, camera="front", frame_id="optical", session=first)
        assert bank.calibration(first, "front") == {**info, "width": 320}
    with MemoryBank(path, readonly=True) as bank:
        assert (
            bank.calibration(first, "front") == {**info, "width": 320}
            and bank.get(1).frame_id == "optical"
        )
        assert bank.calibration(second, "rear") == info and bank.calibration(first, "rear") == {}
        assert bank.calibration(second, "front") is None and bank.calibration(99, "front") is None
    with MemoryBank(path) as bank:
        for wrong in ([1], None, {"a": object()}, {"a": b"bytes"}, {(1, 2): 3}):
            with pytest.raises(BankError):
                bank.set_calibration("front", wrong, session=first)
        with pytest.raises(BankError, match="no session 99"):
            bank.set_calibration("front", info, session=99)
        with pytest.raises(BankError):
            bank.set_calibration("", info, session=first)
        with pytest.raises(BankError):
            bank.calibration("first", "front")
        assert bank.calibration(first, "front") == {**info, "width": 320}


def test_tallies(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        first, second = (bank.begin_session(name, start_ns=0) for name in "ab")
        bank.set_tally(first, {**TALLY, "received": 5})
        bank.set_tally(first, {name: np.int64(count) for name, count in TALLY.items()})
        for session, tally in (
            (99, TALLY),
            (first, {**TALLY, "received": -1}),
            (first, {**TALLY, "received": 1.5}),
            (first, {"received": 1}),
            (first, {**TALLY, "extra": 1}),
            (first, None),
        ):
            with pytest.raises(BankError):
                bank.set_tally(session, tally)
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        sessions = bank.info()["sessions"]
        assert json.loads(json.dumps(sessions)) == sessions
        assert {name: sessions[0][name] for name in TALLY} == TALLY and sessions[1]["received"] == 0
        with pytest.raises(BankError, match="readonly=True and cannot be changed"):
            bank.set_tally(first, TALLY)
        with pytest.raises(BankError, match="readonly=True and cannot be changed"):
            bank.set_calibration("front", {}, session=first)
