"""The memory file: descriptors and likeness search, windows, headings, calibrations and tallies."""

import logging
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.file.opening import PAGE_SIZE
from gaussvae_ros.errors import BankError
from gaussvae_ros.likeness import likeness
from gaussvae_ros.record import Record, pack

REPO = Path(__file__).parents[1]
BYTES = 64
TALLY = {"received": 10, "gated": 4, "dropped": 3, "poses_missing": 2}


def record(number: int = 0) -> bytes:
    return pack(Record("splats", (640, 480), random.Random(number).randbytes(100)))


def descriptor(number: int, length: int = BYTES) -> bytes:
    return np.random.default_rng(number).integers(-127, 128, length, np.int8).tobytes()


def near(number: int, noise: int) -> bytes:
    """The descriptor of that number, a little changed."""
    values = np.frombuffer(descriptor(number), np.int8).astype(int)
    return (
        np.clip(values + np.random.default_rng(0).integers(-noise, noise + 1, BYTES), -127, 127)
        .astype(np.int8)
        .tobytes()
    )


def found(bank, *args, **kwargs) -> list[int]:
    return [frame.id for frame, _ in bank.find_like(*args, **kwargs)]


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


# Descriptors


def test_a_descriptor_comes_back_and_is_what_likeness_says(bank):
    ids = [bank.add(record(i), stamp_ns=i, descriptor=descriptor(i)) for i in range(20)]
    without = bank.add(record(20), stamp_ns=20)
    assert [bank.descriptor(i) for i in ids] == [descriptor(i) for i in range(20)]
    assert bank.descriptor(without) is None
    query = near(7, 30)
    rows = np.stack([np.frombuffer(descriptor(i), np.int8) for i in range(20)])
    scores = likeness(np.frombuffer(query, np.int8), rows)
    best = bank.find_like(query, limit=20)
    assert best[0][0] == bank.get(ids[7]) and len(best) == 20
    assert [frame.id for frame, _ in best] == [ids[i] for i in np.argsort(-scores, kind="stable")]
    assert [score for _, score in best] == sorted(scores.tolist(), reverse=True)
    assert all(type(score) is float and 0 <= score <= 1 for _, score in best)


def test_equally_like_frames_come_by_id_and_at_most_limit(bank):
    for i in range(30):
        bank.add(record(i), stamp_ns=-i, descriptor=descriptor(1))
    assert (
        found(bank, descriptor(1), limit=4) == [1, 2, 3, 4]
        and len(found(bank, descriptor(1))) == 10
    )


def test_new_frames_are_found_at_once_and_conditions_hold(bank):
    for i in range(40):
        bank.add(
            record(i),
            stamp_ns=i,
            camera="ab"[i % 2],
            descriptor=descriptor(i),
            pose=Pose(i, 0, 0),
            label="dock" if i == 8 else None,
        )
        assert found(bank, near(i, 3), limit=1) == [i + 1]
    assert found(bank, descriptor(5), camera="b", limit=1) == [6]
    assert found(bank, descriptor(5), camera="a", limit=1) != [6]
    assert found(bank, descriptor(5), label="dock") == [9]
    assert set(found(bank, descriptor(5), near=(20, 0, 0), radius=2)) == {19, 20, 21, 22, 23}
    assert set(found(bank, descriptor(5), after=30, before=32)) == {31, 32, 33}
    assert found(bank, descriptor(5), camera="c") == []


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["add", "plain", "other", "delete", "ask", "flush"]), max_size=30),
    st.randoms(),
)
def test_the_cache_agrees_with_a_fresh_bank(tmp_path_factory, steps, rng):
    path = tmp_path_factory.mktemp("cache") / "m.db"
    with MemoryBank(path) as bank, MemoryBank(path, readonly=True) as reader:
        alive = {}
        for i, step in enumerate([*steps, "ask"]):
            if step == "add":
                alive[bank.add(record(i), stamp_ns=i, descriptor=descriptor(i))] = True
            elif step == "plain":
                bank.add(record(i), stamp_ns=i)
            elif step == "other":
                bank.add(record(i), stamp_ns=i, descriptor=descriptor(i, 32))
            elif step == "delete" and alive:
                gone = rng.choice(sorted(alive))
                del alive[gone]
                bank.flush()
                bank._db.execute("DELETE FROM frames WHERE id = ?", [gone])
            elif step == "flush":
                bank.flush()
            elif step == "ask":
                query = descriptor(rng.randrange(40))
                assert sorted(found(bank, query, limit=100)) == sorted(alive)
                bank.flush()
                with MemoryBank(path, readonly=True) as fresh:
                    expected = fresh.find_like(query, limit=5)
                    assert (
                        bank.find_like(query, limit=5)
                        == expected
                        == reader.find_like(query, limit=5)
                    )
        assert bank.verify() == []


def test_descriptors_of_another_length_are_not_compared(bank):
    bank.add(record(0), stamp_ns=0, descriptor=descriptor(0))
    short = bank.add(record(1), stamp_ns=1, descriptor=descriptor(0, 32))
    assert found(bank, descriptor(0)) == [1] and found(bank, descriptor(0, 32)) == [short]
    assert found(bank, descriptor(0, 48)) == []


def test_readers_see_descriptors_after_the_commit(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank, MemoryBank(path, readonly=True) as reader:
        bank.add(record(0), stamp_ns=0, descriptor=descriptor(0))
        assert found(bank, descriptor(0)) == [1] and reader.find_like(descriptor(0)) == []
        bank.flush()
        assert found(reader, descriptor(0)) == [1]
        code = f"""
from gaussvae_ros.bank import MemoryBank
with MemoryBank({str(path)!r}, readonly=True) as bank:
    print([frame.id for frame, _ in bank.find_like({descriptor(0)!r})])
    print(bank.descriptor(1) == {descriptor(0)!r})
"""
        assert (
            subprocess.check_output([sys.executable, "-c", code], cwd=REPO, text=True)
            == "[1]\nTrue\n"
        )


def test_threads_add_and_search_at_once(bank):
    errors = []

    def work(seed):
        try:
            for i in range(40):
                frame_id = bank.add(record(i), stamp_ns=i, descriptor=descriptor(1000 * seed + i))
                assert found(bank, descriptor(1000 * seed + i), limit=1) == [frame_id]
        except Exception as error:  # a thread's failure must reach the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and len(found(bank, descriptor(0), limit=1000)) == 120


def test_bad_questions_about_likeness(bank):
    bank.add(record(0), stamp_ns=0, descriptor=descriptor(0))
    for call in (
        lambda: bank.find_like("text"),
        lambda: bank.find_like(None),
        lambda: bank.find_like([]),
        lambda: bank.find_like([descriptor(0), 7]),
        lambda: bank.find_like([descriptor(0), bytes(3)]),
        lambda: bank.find_like(b""),
        lambda: bank.find_like(bytes(2000)),
        lambda: bank.find_like(descriptor(0), limit=0),
        lambda: bank.find_like(descriptor(0), limit=1.5),
        lambda: bank.find_like(descriptor(0), radius=1.0),
        lambda: bank.descriptor(7),
        lambda: bank.descriptor("7"),
    ):
        with pytest.raises(BankError) as error:
            call()
        assert "\n" not in str(error.value)


# Damage and full disks


@pytest.mark.parametrize(
    "change",
    [
        # Whole, but another frame's.
        "descriptor = (SELECT descriptor FROM descriptors WHERE frame = 1)",
        "checksum = 7",
        "descriptor = 'text'",
        "descriptor = CAST(x'ff' AS TEXT)",
        "descriptor = x'00'",
    ],
)
def test_a_damaged_descriptor_costs_its_frame_s_likeness_only(tmp_path, change, caplog):
    check_damage(tmp_path, descriptor, change, caplog)


def check_damage(tmp_path, make, change, caplog):
    """Three frames with what `make` gives for their numbers, of which a change of its row damages
    the second."""
    with MemoryBank(tmp_path / "m.db") as bank:
        for i in range(3):
            bank.add(record(i), stamp_ns=i, descriptor=make(i))
        bank.flush()
        bank._db.execute(f"UPDATE descriptors SET {change} WHERE frame = 2")
        assert sorted(found(bank, make(1))) == [1, 3]
        assert "descriptor of frame 2 is damaged" in caplog.text
        assert [frame.id for frame in bank] == [1, 2, 3] and bank.get(2).data == record(1)
        with pytest.raises(BankError, match="descriptor of frame 2 is damaged"):
            bank.descriptor(2)
        assert [frame_id for frame_id, _ in bank.verify()] == [2]


def test_a_lost_page_of_descriptors_costs_those_on_it(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for i in range(400):
            bank.add(record(i), stamp_ns=i, descriptor=descriptor(i))
    contents = bytearray(path.read_bytes())
    page = contents.index(descriptor(200)) // PAGE_SIZE
    contents[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] = random.Random(1).randbytes(PAGE_SIZE)
    path.write_bytes(contents)
    with MemoryBank(path) as bank:
        assert len(list(bank)) == 400
        left = found(bank, descriptor(3), limit=400)
        assert left[0] == 4 and 201 not in left and 250 < len(left) < 400
        lost = {frame_id for frame_id, _ in bank.verify()} - {None}
        assert lost.isdisjoint(left) and lost.union(left) == set(range(1, 401))


def test_damage_of_a_camera_s_row_costs_no_frame(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add(record(0), stamp_ns=0, frame_id="optical")
        bank.set_calibration("camera", {"fx": 1})
        bank.flush()
        bank._db.execute("UPDATE cameras SET frame_id = CAST(x'ff' AS TEXT), calibration = '{'")
        assert bank.get(1).frame_id == "" and bank.get(1).data == record(0)
        with pytest.raises(BankError, match="calibration of camera in session 1 is damaged"):
            bank.calibration(1, "camera")
        assert [frame_id for frame_id, _ in bank.verify()] == [None]


def test_what_a_full_disk_delayed_is_stored_and_searched(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        session = bank.begin_session("s", start_ns=0)
        pages = bank._db.execute("PRAGMA page_count").fetchone()[0]
        bank._db.execute(f"PRAGMA max_page_count={pages + 12}")
        ids = []
        bank.set_tally(session, TALLY)
        bank.set_calibration("camera", {"fx": 500.0})
        with pytest.raises(BankError, match="full.*no more can wait in memory, so this is refused"):
            for i in range(5000):
                ids.append(
                    bank.add(record(i), stamp_ns=i, descriptor=descriptor(i), frame_id="optical")
                )
        assert bank.waiting > 1000
        bank._db.execute("PRAGMA max_page_count=100000")
        ids.append(
            bank.add(
                record(len(ids)), stamp_ns=0, descriptor=descriptor(len(ids)), frame_id="optical"
            )
        )
        assert sorted(found(bank, descriptor(0), limit=5000)) == ids
    with MemoryBank(path, readonly=True) as bank:
        assert [bank.descriptor(i) for i in ids] == [
            descriptor(i) for i in range(len(ids))
        ] and bank.verify() == []
        assert bank.get(ids[-1]).frame_id == "optical" and bank.calibration(session, "camera") == {
            "fx": 500.0
        }
        assert bank.info()["sessions"][0]["received"] == 10
