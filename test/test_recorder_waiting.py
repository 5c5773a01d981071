"""Frames that wait for a key record after them, beside other cameras, maps and limits."""

import pytest
from moving import drive
from test_recorder import Setup, T, bank, codec  # noqa: F401 (two are fixtures)
from test_recorder_predicted import frame, predicting

from gaussvae_ros.bank import Budget

CAMERAS = {"camera": drive(12), "rear": drive(12, scene=1)}


@pytest.fixture
def it(bank, codec):  # noqa: F811
    return predicting(bank, codec)


def show(it, number, camera="camera", map_id=""):
    one = frame(CAMERAS[camera][number], number, camera)
    one.map_id = map_id
    it.counters.count(camera, 0, "received")
    it.recorder.work(one)


def sessions(bank):  # noqa: F811
    names = ("map_id", "start_ns", "first_ns", "frames", "received")
    return [tuple(session[name] for name in names) for session in bank.info()["sessions"]]


def test_a_session_begins_with_the_first_frame_of_all_cameras(it, bank):  # noqa: F811
    show(it, 0, "rear")  # waits, while the others are stored
    for number in range(1, 4):
        show(it, number)
    assert len(bank) >= 2 and it.recorder.commit()
    it.recorder.tally()
    it.recorder.commit()
    assert sessions(bank) == [("", T, T, 4, 4)]


def test_a_map_that_changes_begins_one_session_for_all_cameras(it, bank):  # noqa: F811
    maps = ["attic"] * 3 + ["cellar"] * 4 + ["attic"] * 5
    for number, map_id in enumerate(maps):
        for camera in CAMERAS:
            show(it, number, camera, map_id)
    assert it.recorder.commit()
    it.recorder.tally()
    it.recorder.commit()
    starts = [T + number * 10**8 for number in (0, 3, 7)]
    counts, names = [6, 8, 10], ["attic", "cellar", "attic"]
    assert sessions(bank) == list(zip(names, starts, starts, counts, counts))
    assert bank.verify() == []


def test_a_map_that_is_named_while_frames_wait_is_theirs(it, bank):  # noqa: F811
    for number in range(2):
        show(it, number)
    it.recorder.name_map(
        "attic"
    )  # ahead of frames that were seen before, as the worker's calls are
    it.recorder.name_map("cellar")
    for number, map_id in enumerate(["", "attic", "attic", "cellar", "cellar"], 2):
        show(it, number, map_id=map_id)
    assert it.recorder.commit()
    assert [(made[0], made[3]) for made in sessions(bank)] == [("attic", 5), ("cellar", 2)]


def test_no_more_frames_are_taken_than_the_budget_has_room_for(it, bank):  # noqa: F811
    budget = Budget(max_frames=7, policy="stop")
    it.recorder.full = lambda more: bank.why_full(budget, more)
    for number in range(6):
        for camera in CAMERAS:
            show(it, number, camera)
    assert it.recorder.commit() and len(bank) == 7
    counts = [it.counters.of_camera(camera) for camera in CAMERAS]
    assert sum(count["stored"] for count in counts) == 7
    assert sum(count["refused"] for count in counts) == 5


def test_what_fails_with_those_that_wait_counts(it, codec, monkeypatch):  # noqa: F811
    def fail(*_):
        raise ZeroDivisionError

    show(it, 0)  # waits
    it.recorder.encoding |= {"quality": 60}
    with monkeypatch.context() as broken:
        broken.setattr(codec, "encode", fail)
        with pytest.raises(ZeroDivisionError):
            show(it, 1)
    assert it.counts() == {"received": 2, "failed": 2}
    show(it, 2)
    assert it.recorder.commit() and it.counts()["stored"] == 1
