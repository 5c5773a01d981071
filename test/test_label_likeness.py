"""Frames that look as labelled ones do: `find_labelled_alike`, `gaussvae bank list --label ~L`."""

import json
import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import record
from test_cli import codec, run  # noqa: F401 (a fixture)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.likeness.label_likeness import learn
from gaussvae_ros.errors import BankError

ROOMS = ("kitchen", "hall", "office")
EACH = 20  # frames of a room


def descriptors(room: int, count: int, length: int = 64, spread: float = 40) -> np.ndarray:
    """Pictures of one room, which differ."""
    middle = np.random.default_rng([room, length]).normal(0, 50, length)
    noise = np.random.default_rng([room, length, 1]).normal(0, spread, (count, length))
    return np.clip(middle + noise, -127, 127).astype(np.int8)


@pytest.fixture
def bank(tmp_path):
    """Three rooms, frames 1 to 20, 21 to 40 and 41 to 60, of two cameras in turn; two frames of
    each are labelled, and the last frame has no descriptor."""
    with MemoryBank(tmp_path / "memory.db") as bank:
        for room, name in enumerate(ROOMS):
            for i, row in enumerate(descriptors(room, EACH)):
                bank.add(
                    record(i),
                    stamp_ns=100 * room + i,
                    camera=("front", "rear")[i % 2],
                    label=name if i in (3, 8) else None,
                    descriptor=row.tobytes(),
                )
        bank.add(record(0), stamp_ns=999)
        bank.flush()
        yield bank


def test_frames_of_the_room_come_first_with_probabilities(bank):
    for room, name in enumerate(ROOMS):
        found = bank.find_labelled_alike(name, limit=60)
        ids, scores = zip(*((frame.id, score) for frame, score in found))
        own = set(range(EACH * room + 1, EACH * (room + 1) + 1)) - {
            EACH * room + 4,
            EACH * room + 9,
        }
        assert set(ids[: len(own)]) == own
        assert list(scores) == sorted(scores, reverse=True)
        assert np.mean(scores[: len(own)]) > 3 * np.mean(scores[len(own) :])
        assert all(0 <= score <= 1 for score in scores)


def test_frames_that_have_a_label_are_known_and_left_out(bank):
    found = bank.find_labelled_alike("hall", limit=100)
    assert len(found) == 3 * (EACH - 2) and not any(frame.label for frame, _ in found)


def test_conditions_hold(bank):
    found = bank.find_labelled_alike("office", limit=5, camera="rear", before=150)
    assert len(found) == 5
    assert all(frame.camera == "rear" and frame.stamp_ns <= 150 for frame, _ in found)


def test_one_label_alone_is_learned_against_all_the_rest(bank):
    for number in (24, 29, 44, 49):
        bank.set_label(number, None)
    found = bank.find_labelled_alike("kitchen", limit=EACH - 2)
    assert {frame.id for frame, _ in found} == set(range(1, EACH + 1)) - {4, 9}


def test_each_length_of_descriptor_is_learned_on_its_own(bank):
    rows = descriptors(7, EACH, length=128)
    new = [bank.add(record(i), stamp_ns=i, descriptor=row.tobytes()) for i, row in enumerate(rows)]
    for number in new[:2]:
        bank.set_label(number, "kitchen")
    for row in descriptors(8, EACH, length=128):  # another room, with the new descriptor
        bank.add(record(0), stamp_ns=5, descriptor=row.tobytes())
    found = [frame.id for frame, _ in bank.find_labelled_alike("kitchen", limit=100)]
    old, late = [i for i in found if i < new[0]], [i for i in found if i >= new[0]]
    assert set(old[: EACH - 2]) == set(range(1, EACH + 1)) - {4, 9}
    assert set(late[: EACH - 2]) == set(new[2:])


def test_removed_frames_and_those_of_later_labels_count_at_once(bank):
    bank.find_labelled_alike("kitchen")
    bank.remove([1, 2])
    bank.set_label(3, "hall")
    found = bank.find_labelled_alike("kitchen", limit=EACH - 5)
    assert {frame.id for frame, _ in found} == set(range(5, EACH + 1)) - {9}


def test_what_cannot_be_learned_is_said(bank):
    with pytest.raises(BankError, match="no frame has the label 'attic'"):
        bank.find_labelled_alike("attic")
    bank.set_label(3 * EACH + 1, "bare")
    with pytest.raises(BankError, match="'bare' was stored with a descriptor"):
        bank.find_labelled_alike("bare")
    with pytest.raises(BankError, match="limit"):
        bank.find_labelled_alike("kitchen", limit=0)


def test_a_bank_of_nothing_but_labelled_frames_has_none_to_find(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for row in descriptors(0, 2):
            bank.add(record(0), stamp_ns=0, descriptor=row.tobytes(), label="kitchen")
        assert bank.find_labelled_alike("kitchen") == []


def test_a_damaged_descriptor_costs_its_own_frame_alone(bank):
    bank.flush()
    with sqlite3.connect(bank.path) as other:
        other.execute("UPDATE descriptors SET checksum = checksum + 1 WHERE frame IN (4, 6)")
    with MemoryBank(bank.path, readonly=True) as reader:
        found = reader.find_labelled_alike("kitchen", limit=EACH - 3)
    assert {frame.id for frame, _ in found} == set(range(1, EACH + 1)) - {4, 6, 9}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 4), st.booleans(), st.integers(0, 99))
def test_whatever_is_labelled_gives_probabilities(having, others, rest, flat, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-127, 128, (having + others + rest, 16), np.int8)
    if flat:
        rows[:] = rows[0] * rng.integers(0, 2)
    parts = np.split(rows, [having, having + others])
    said = learn(*parts).probability(rng.integers(-127, 128, (9, 16), np.int8))
    assert said.shape == (9,) and np.all((said >= 0) & (said <= 1))


# From the shell


def test_bank_list_takes_a_label_with_a_tilde(bank, capsys):
    asked = ("bank", "list", bank.path, "--label", "~hall", "--limit", 4)
    code, out, err = run(capsys, *asked, "--json")
    assert code == 0, err
    frames = json.loads(out)
    assert len(frames) == 4 and all(EACH < frame["id"] <= 2 * EACH for frame in frames)
    assert all(0.5 < frame["probability"] <= 1 for frame in frames)
    code, out, _ = run(capsys, *asked)
    assert code == 0 and out.splitlines()[0].endswith("probability")


@pytest.mark.parametrize(
    "verb, options, problem",
    [
        ("list", ["--label", "~attic"], "no frame has the label 'attic'"),
        ("list", ["--label", "~"], "label must be text"),
        ("list", ["--label", "~hall", "--like", 1], "give no --like"),
        ("list", ["--label", "~hall", "--stamp", 1], "give no --like"),
        ("loops", ["--label", "~hall"], "of bank list"),
    ],
)
def test_what_the_tilde_does_not_go_with_is_one_line(bank, capsys, verb, options, problem):
    code, out, err = run(capsys, "bank", verb, bank.path, *options)
    assert code == 2 and not out and problem in err and err.count("\n") == 1
