"""Frames by the thousand, and digests that are others once something of them is."""

import numpy as np
import pytest
from fleets import drive

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.bulk import KINDS
from gaussvae_ros.bank.search.texts import Text
from gaussvae_ros.record import Record, pack

COARSE = pack(Record("splats", (64, 48), b"coarse"))


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(drive(tmp_path / "tour.db")) as bank:
        yield bank


def test_frames_are_those_that_are_read_one_by_one(bank):
    bank.set_poses({i: Pose(0.0, i, 0.0) for i in (8, 9)})
    for row, frame in zip(bank.whole(1, 60), sorted(bank, key=lambda f: f.id), strict=True):
        assert (row.id, row.stamp_ns, row.camera, row.session) == (
            frame.id,
            frame.stamp_ns,
            frame.camera,
            frame.session,
        )
        assert (row.size, row.tier, row.frame_id) == (frame.size, frame.tier, frame.frame_id)
        assert [*row.needed, row.data] == frame.records and row.reference == frame.reference
        assert (row.pose and Pose(*row.pose), row.label) == (frame.pose, frame.label)
        first = row.original or row.pose
        assert bank.original_pose(row.id) == (first and Pose(*first))
        assert row.descriptor == bank.descriptor(row.id)
        assert [Text(t, tuple(box), sure) for t, *box, sure in row.texts] == bank.texts(row.id)
        assert [name for name, _ in row.vectors] == list(bank.vectors(row.id))
    assert bank.count(1, 60) == len(bank) == 60 == bank.last_id()
    assert [row.id for row in bank.whole(7, 9)] == [7, 8, 9] and bank.whole(61, 99) == []


@pytest.mark.parametrize(
    "change, kinds",
    [
        (lambda bank: None, ()),
        (lambda bank: bank.set_label(9, "dock"), ("facts",)),
        (lambda bank: bank.set_label(4, None), ("facts",)),
        (lambda bank: bank.set_pose(9, Pose(1.0, 2.0, 3.0)), ("facts",)),
        (lambda bank: bank.set_pose(7, Pose(1.0, 2.0, 3.0)), ("facts",)),  # its first
        (lambda bank: bank.set_pose(3, Pose(9.0, 2.0, 3.0)), ("facts",)),  # corrected again
        (lambda bank: bank.set_poses({9: Pose(1.0, 2.0, 3.0)}), ("facts",)),
        (lambda bank: bank.set_texts(9, [Text("A", (0, 0, 1, 1), 0.5)]), ("facts",)),
        (lambda bank: bank.set_vector(9, "clip", np.ones(3, np.float32)), ("facts",)),
        (lambda bank: bank.replace({50: (COARSE, None)}), ("records",)),
        (lambda bank: bank.set_descriptor(9, b"\1" * 128), ("descriptors",)),
        (lambda bank: bank.set_descriptor(11, b"\1" * 128), ("descriptors",)),
        (lambda bank: bank.remove([11]), ("facts", "records")),
        (lambda bank: bank.remove([9]), KINDS),
        (lambda bank: bank.add(COARSE, stamp_ns=0), ("records",)),
    ],
)
def test_digests_tell_what_changed(bank, change, kinds):
    before = bank.digests(1, 100)
    change(bank)
    bank.flush()
    after = bank.digests(1, 100)
    assert tuple(k for k, a, b in zip(KINDS, before, after, strict=True) if a != b) == kinds
    if kinds and len(bank) == 60:
        assert bank.digests(51, 100) == MemoryBank(bank.path, readonly=True).digests(51, 100)


def test_damage_costs_one_frame(bank, caplog):
    with bank._use_to_write() as group:
        group.write_now([("UPDATE records SET record = x'00' WHERE frame = 1", ())])
        group.write_now([("UPDATE poses SET qx = 'east' WHERE frame = 12", ())])
        group.write_now([("UPDATE descriptors SET descriptor = x'00' WHERE frame = 13", ())])
    rows = bank.whole(1, 60)
    lost = {1, 2, 3, 4, 5, 12}  # and those that need the first
    assert [row.id for row in rows] == [i for i in range(1, 61) if i not in lost]
    assert next(row for row in rows if row.id == 13).descriptor is None
    assert all(f"frame {i}" in caplog.text for i in lost | {13})
