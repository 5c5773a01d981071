"""Memories that are kept within a budget: which frames are forgotten, and which stay."""

import pytest
from drives import SECOND, add, cells, drive, look, pose
from references import record

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.errors import BankError


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


@pytest.mark.parametrize(
    "wrong, why",
    [
        ({"max_bytes": -1}, "max_bytes is a number from 0 on"),
        ({"max_frames": 2.5}, "max_frames is a whole number"),
        ({"max_age": float("nan")}, "max_age is a number from 0 on"),
        ({"max_age": "7d"}, "max_age is a number"),
        ({"protect_after": -1.0}, "protect_after is a number from 0 on"),
        ({"max_sessions": True}, "max_sessions is a whole number"),
        ({"policy": "lifo"}, "policy is one of fade, fifo, stop, not 'lifo'"),
    ],
)
def test_what_is_no_budget_is_refused(wrong, why):
    with pytest.raises(BankError, match=why):
        Budget(**wrong)


def test_without_a_limit_nothing_is_forgotten(bank):
    drive(bank, 50)
    for policy in ("fade", "fifo", "stop"):
        done = bank.forget(Budget(policy=policy))
        assert not done.removed and not done.why and len(bank) == 50


def test_fifo_forgets_what_was_stored_first(bank):
    ids = drive(bank, 300)
    done = bank.forget(Budget(max_frames=40, policy="fifo"))
    assert (done.removed, done.why) == (260, "")
    assert [frame.id for frame in bank] == ids[-40:]
    assert not bank.forget(Budget(max_frames=40, policy="fifo")).removed


def test_fade_keeps_a_frame_of_every_place_as_long_as_the_budget_has_room_for_one(bank):
    drive(bank, 400, length=20.0, rounds=8)
    places = cells(bank)
    assert bank.forget(Budget(max_frames=len(places))).removed == 400 - len(places)
    assert cells(bank) == places and len(bank) == len(places)
    bank.forget(Budget(max_frames=20))
    xs = sorted(frame.pose.x for frame in bank)
    gaps = [b - a for a, b in zip(xs, xs[1:])]
    assert (
        len(xs) == 20 and len(cells(bank)) == 20 and max(gaps) < 3
    )  # spread out, not a part of it


def test_of_one_place_fade_keeps_frames_of_all_times_and_looks(bank):
    for i in range(200):  # 50 of each visit
        day, second = divmod(i, 50)
        bank.add(
            record(i), stamp_ns=(86400 * day + second) * SECOND, pose=pose(1), descriptor=look(0)
        )
    odd = add(bank, 86400 * 3 + 25, pose(1), descriptor=look(1))
    bank.forget(Budget(max_frames=9))
    days = [frame.stamp_ns // (86400 * SECOND) for frame in bank]
    assert odd in {frame.id for frame in bank} and all(days.count(day) >= 2 for day in range(4))


def test_frames_that_look_elsewhere_do_not_cover_each_other(bank):
    for i in range(80):
        add(bank, i, pose(1, yaw=i % 8 * 0.785 + 0.1), descriptor=look(0))
    bank.forget(Budget(max_frames=8))
    assert len({round(frame.pose.qz, 2) for frame in bank}) == 8


def test_frames_of_other_maps_and_coordinate_frames_do_not_cover_each_other(bank):
    for number, map_id in enumerate(("cellar", "attic")):
        bank.begin_session(map_id, start_ns=0, map_id=map_id)
        for i in range(10):
            add(bank, 100 * number + i, pose(1))
    bank.forget(Budget(max_frames=2))
    assert {frame.map_id for frame in bank} == {"cellar", "attic"}


def test_without_poses_fade_keeps_frames_of_all_times(bank):
    for i in range(1000):
        add(bank, i, None)
    bank.forget(Budget(max_frames=100))
    stamps = [frame.stamp_ns // SECOND for frame in bank]
    assert len(stamps) == 100 and max(b - a for a, b in zip(stamps, stamps[1:])) <= 32


def test_corrected_poses_count(bank):
    """Frames that were at one place by mistake, and one that got its pose late."""
    ids = [add(bank, i, pose(1 if i % 2 else 0)) for i in range(100)]
    late = add(bank, 100, None)
    bank.forget(Budget(max_frames=60))
    ids = [frame.id for frame in bank if frame.id != late]
    apart = ids[:10]
    bank.set_poses({frame_id: pose(100 + 10 * n) for n, frame_id in enumerate(apart)})
    bank.set_pose(late, pose(500))
    bank.forget(Budget(max_frames=13))
    assert {*apart, late} < {frame.id for frame in bank} and len(bank) == 13


def test_what_is_older_than_max_age_goes_whatever_the_policy(bank):
    for policy in ("fade", "fifo"):
        ids = [add(bank, i, pose(i)) for i in range(100)]
        done = bank.forget(Budget(max_age=30.0, policy=policy))
        left = [frame.stamp_ns // SECOND for frame in bank]
        assert done.removed == len(ids) - len(left) and min(left) == 62 and max(left) == 99
        bank.remove(ids[62:])


@pytest.mark.parametrize("max_age", [10.0, 9e9])
def test_no_frame_is_too_old_beside_one_from_the_beginning_of_time(bank, max_age):
    for stamp_ns in (0, -(2**63)):
        bank.add(record(0), stamp_ns=stamp_ns)
    budget = Budget(max_age=max_age)
    assert bank.plan(budget) == ([], "") and bank.forget(budget).removed == 0


def test_a_stamp_far_ahead_does_not_make_all_others_old(bank):
    drive(bank, 30)
    add(bank, 10**9, pose(1))
    assert bank.forget(Budget(max_age=60.0)).removed == 0


def test_only_the_newest_sessions_stay(bank):
    for number in range(4):
        bank.begin_session(f"tour {number}", start_ns=0)
        drive(bank, 10)
    bank.begin_session("without frames", start_ns=0)
    assert bank.forget(Budget(max_sessions=2)).removed == 20
    assert {frame.session for frame in bank} == {3, 4}


def test_labelled_frames_and_the_seconds_around_them_stay(bank):
    ids = [add(bank, i, pose(1)) for i in range(100)]
    other = bank.begin_session("another clock", start_ns=0)
    for i in range(100):
        add(bank, i, pose(1), session=other)
    bank.set_label(ids[50], "dock")
    for policy in ("fade", "fifo"):
        budget = Budget(max_frames=10, policy=policy, protect_before=3.0, protect_after=2.0)
        bank.forget(budget)
        left = {frame.id for frame in bank}
        assert len(left) == 10 and set(ids[47:53]) < left
    done = bank.forget(Budget(max_frames=4, protect_before=3.0, protect_after=2.0))
    assert [frame.id for frame in bank] == ids[47:53]
    assert done.why == "only protected frames are left: 6 frames, and max_frames is 4"
    bank.set_label(ids[50], None)
    assert not bank.forget(Budget(max_frames=4, protect_before=3.0, protect_after=2.0)).why
    assert len(bank) == 4


def test_a_label_that_comes_meanwhile_holds(bank):
    ids = [add(bank, i, pose(1)) for i in range(1000)]
    labelled = []

    def label(done):
        if len(labelled) < 3:
            labelled.append(next(i for i in reversed(ids) if bank.ids(session=1).count(i)))
            bank.set_label(labelled[-1], "here")

    bank.forget(Budget(max_frames=20, protect_before=0.0, protect_after=0.0), progress=label)
    assert labelled and set(labelled) <= {frame.id for frame in bank} and len(bank) == 20


def test_stop_forgets_nothing_and_says_why_no_more_fit(bank):
    ids = drive(bank, 30)
    for budget, why in (
        (Budget(max_frames=30, policy="stop"), "30 frames, and max_frames is 30"),
        (Budget(max_bytes=1000, policy="stop"), "bytes are used, and max_bytes is 1,000"),
        (Budget(max_age=20, policy="stop"), "its frames span max_age, 20 s"),
        (Budget(min_free_bytes=2**60, policy="stop"), "of the disk are free, and min_free_bytes"),
    ):
        assert why in bank.why_full(budget) and bank.forget(budget).why == bank.why_full(budget)
    for budget in (Budget(max_frames=31, max_bytes=2**30, policy="stop"), Budget(max_frames=1)):
        assert bank.why_full(budget) == ""
    assert [frame.id for frame in bank] == ids
    assert bank.why_full(Budget(max_sessions=1, policy="stop")) == ""
    bank.begin_session("next", start_ns=0)
    assert "max_sessions is 1" in bank.why_full(Budget(max_sessions=1, policy="stop"))
