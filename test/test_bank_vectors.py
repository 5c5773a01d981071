"""Vectors of pictures, kept under the name of what made them."""

import numpy as np
import pytest
from test_bank_likeness import record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.merging import copy_frames
from gaussvae_ros.errors import BankError

AXES = np.eye(6, 32, dtype=np.float32)


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for k in range(5):
            bank.add(record(k), stamp_ns=k, pose=Pose(k, 0, 0))
            bank.set_vector(k + 1, "clip", 3 * AXES[k] + AXES[k + 1])
        bank.set_vector(2, "other", AXES[0])
        yield bank


def found(bank, vector, **asked):
    return [frame.id for frame, _ in bank.find_vector("clip", vector, **asked)]


def test_frames_are_found_by_the_angle_between_vectors(bank):
    assert found(bank, AXES[2], limit=2) == [3, 2]
    assert found(bank, 7 * AXES[2], near=(4, 0, 0), radius=2.5) == [3, 4, 5]
    frame, cosine = bank.find_vector("clip", 3 * AXES[4] + AXES[5])[0]
    assert frame.id == 5 and cosine == pytest.approx(1, abs=1e-4)
    assert bank.find_vector("other", AXES[0])[0][1] == pytest.approx(1)
    assert bank.encoders() == {"clip": 5, "other": 1}
    assert np.linalg.norm(bank.vectors(2)["clip"]) == pytest.approx(1)
    rng = np.random.default_rng(1)
    many = rng.normal(size=(5, 32)).astype(np.float32)
    for k, vector in enumerate(many):
        bank.set_vector(k + 1, "clip", vector)  # in the place of the one before
    units = many / np.linalg.norm(many, axis=1, keepdims=True)
    scores = {frame.id: score for frame, score in bank.find_vector("clip", many[0])}
    assert [scores[k + 1] for k in range(5)] == pytest.approx(units @ units[0], abs=0.01)


def test_they_go_and_come_along_with_their_frames(bank, tmp_path):
    with MemoryBank(tmp_path / "merged.db") as merged:
        copy_frames(bank, merged)
        assert found(merged, AXES[2], limit=2) == [3, 2] and merged.encoders() == bank.encoders()
        for name, vector in bank.vectors(2).items():
            assert merged.vectors(2)[name] == pytest.approx(vector)
    bank.remove([3])
    assert found(bank, AXES[2]) == [2, 1, 4, 5]
    bank.drop_vectors(2)
    assert bank.encoders() == {"clip": 3} and bank.vectors(2) == {} and bank.verify() == []


def test_a_damaged_frame_leaves_its_place_to_the_next(bank):
    bank.flush()
    bank._db.execute("UPDATE frames SET checksum = checksum + 1 WHERE id = 3")
    assert found(bank, AXES[2], limit=2) == [2, 1]


def test_what_is_no_vector_and_encoders_without_any_are_refused(bank):
    for wrong in (np.zeros(3), np.ones((2, 2)), np.array([1, np.nan]), np.ones(0), np.ones(9000)):
        with pytest.raises(BankError, match="vector"):
            bank.set_vector(1, "clip", wrong)
    for wrong in (["red"], [1, 2j], [[1], [1, 2]], None, "red", [1e300]):
        with pytest.raises(BankError, match="vector"):
            bank.set_vector(1, "clip", wrong)
    with pytest.raises(BankError, match="no frame of .* by siglip; there are those of clip, other"):
        bank.find_vector("siglip", AXES[0])
    with pytest.raises(BankError, match="no frame 9"):
        bank.set_vector(9, "clip", AXES[0])
    for conditions in ({}, {"after": 2}):
        with pytest.raises(BankError, match="by clip of 7 numbers; there are those of 32"):
            bank.find_vector("clip", np.ones(7), **conditions)
    assert bank.find_vector("clip", AXES[0], after=99) == []
