"""Questions to a memory file: the nearest frame, conditions, crowded places."""

from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank import (
    bank,  # noqa: F401 (fixture)
    record,
)

from gaussvae_ros.bank import MemoryBank, Pose


def test_nearest(bank):
    front = {t: bank.add(record(t), stamp_ns=t, camera="front") for t in (10, 20, 30)}
    rear = bank.add(record(4), stamp_ns=22, camera="rear")
    assert bank.nearest(23).id == rear
    assert bank.nearest(23, "front").id == front[20]
    assert bank.nearest(25, "front").id == front[20]  # of two equally near, the earlier
    assert bank.nearest(-(2**63)).id == front[10] and bank.nearest(2**63 - 1).id == front[30]
    assert bank.nearest(40, tolerance_ns=10).id == front[30]
    assert bank.nearest(41, tolerance_ns=10) is None
    assert bank.nearest(23, "left") is None


def test_stamps_in_any_order_and_equal(bank):
    stamps = [5, -3, 5, 2**63 - 1, -(2**63), 0]
    ids = [bank.add(record(i), stamp_ns=stamp) for i, stamp in enumerate(stamps)]
    expected = [ids[i] for i in (4, 1, 5, 0, 2, 3)]
    assert [frame.id for frame in bank] == expected == [frame.id for frame in bank.find()]
    assert [frame.id for frame in bank.find(after=5, before=5)] == [ids[0], ids[2]]
    assert bank.find(after=6, before=4) == []


positions = st.tuples(*[st.floats(-50, 50) | st.sampled_from([0.0, 1.0, 3e5, 5e6])] * 3)


frames = st.tuples(
    st.integers(0, 30),
    st.sampled_from(["front", "rear"]),
    st.none() | positions,
    st.none() | st.just("dock"),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(frames, max_size=25),
    positions,
    st.floats(0, 60),
    st.integers(0, 30),
    st.integers(0, 30),
    st.data(),
)
def test_find_agrees_with_a_plain_search(
    tmp_path_factory, rows, centre, radius, after, before, data
):
    chosen = data.draw(
        st.sets(st.sampled_from(["time", "ball", "camera", "label", "limit", "session"]))
    )
    session = 2

    def wanted(row, row_session):
        stamp, camera, position, label = row
        if "ball" in chosen and (
            position is None or sum((p - c) ** 2 for p, c in zip(position, centre)) > radius**2
        ):
            return False
        return (
            ("time" not in chosen or after <= stamp <= before)
            and ("camera" not in chosen or camera == "rear")
            and ("label" not in chosen or label == "dock")
            and ("session" not in chosen or row_session == session)
        )

    with MemoryBank(tmp_path_factory.mktemp("find") / "m.db") as bank:
        bank.begin_session("a", start_ns=0)
        bank.begin_session("b", start_ns=0)
        expected = []
        for i, (stamp, camera, position, label) in enumerate(rows):
            pose = None if position is None else Pose(*position)
            frame_id = bank.add(
                record(i), stamp_ns=stamp, camera=camera, pose=pose, label=label, session=1 + i % 2
            )
            if wanted(rows[i], 1 + i % 2):
                expected.append((stamp, frame_id))
        arguments = {}
        if "time" in chosen:
            arguments.update(after=after, before=before)
        if "ball" in chosen:
            arguments.update(near=centre, radius=radius)
        if "camera" in chosen:
            arguments.update(camera="rear")
        if "label" in chosen:
            arguments.update(label="dock")
        if "session" in chosen:
            arguments.update(session=session)
        if "limit" in chosen:
            arguments.update(limit=3)
        found = [(frame.stamp_ns, frame.id) for frame in bank.find(**arguments)]
        assert found == sorted(expected)[: 3 if "limit" in chosen else None]
        if rows:
            nearest = bank.nearest(after)
            assert abs(nearest.stamp_ns - after) == min(abs(row[0] - after) for row in rows)


def test_a_crowded_place_gives_the_same_frames_as_a_quiet_one(bank, monkeypatch):
    for i in range(60):
        bank.add(record(i), stamp_ns=i, camera="ab"[i % 2], pose=Pose(i % 10, 0, 0))
    question = {"near": (2, 0, 0), "radius": 1.5, "camera": "a", "after": 20, "limit": 4}
    quiet = bank.find(**question)
    monkeypatch.setattr("gaussvae_ros.bank.search.matching.RUNS", 1)
    assert bank.find(**question) == quiet and [frame.stamp_ns for frame in quiet] == [
        22,
        32,
        42,
        52,
    ]
