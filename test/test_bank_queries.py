"""Questions to a memory file are answered along an index, whatever their mix, and rightly."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_likeness import descriptor, record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.likeness import alike
from gaussvae_ros.bank.search import matching, queries, runs, stamps
from gaussvae_ros.likeness import likeness

CONDITIONS = {
    "after": {"after": 10},
    "before": {"before": 50},
    "near": {"near": (0, 0, 0), "radius": 20.0},
    "yaw": {"near": (0, 0, 0), "radius": 20.0, "yaw": 0.0, "yaw_tolerance": 0.5},
    "camera": {"camera": "a"},
    "session": {"session": 1},
    "label": {"label": "dock"},
    "map_id": {"map_id": "attic"},
}
MIXES = [
    mix for count in range(len(CONDITIONS) + 1) for mix in itertools.combinations(CONDITIONS, count)
]


def given_by(mix) -> dict:
    return {name: value for part in mix for name, value in CONDITIONS[part].items()}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """200 frames along a line, in four sessions of two maps."""
    with MemoryBank(tmp_path_factory.mktemp("filled") / "m.db") as bank:
        for i in range(200):
            if i % 50 == 0:
                bank.begin_session("s", start_ns=i, map_id="attic" if i < 100 else "")
            turned = {"qz": math.sin(i / 20), "qw": math.cos(i / 20)}
            bank.add(
                record(i),
                stamp_ns=i,
                camera="ab"[i % 2],
                pose=Pose(i / 10, 0, 0, 0, 0, **turned),
                label="dock" if i % 3 == 0 else None,
                descriptor=descriptor(i),
            )
        bank.flush()
        yield bank


class Planned:
    """A database that keeps how SQLite goes about each question."""

    def __init__(self, db):
        self._db, self.plans = db, []

    def execute(self, sql, values=()):
        rows = self._db.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
        self.plans += [row[3] for row in rows]
        return self._db.execute(sql, values)


TABLES = ("frames", "f", "poses", "p", "moved_poses", "m", "labels", "l", "named", "descriptors")


def slow(plans: list[str]) -> list[str]:
    """The steps that read all of a table, but for those along an index, or sort what was found."""
    scans = [p for p in plans if p.split()[0] == "SCAN" and p.split()[1] in TABLES]
    return scans + [p for p in plans if "B-TREE" in p]


@pytest.mark.parametrize("few", [1, 5000])
def test_no_mix_of_conditions_reads_all_frames(filled, monkeypatch, few):
    monkeypatch.setattr(matching, "FEW", few)
    for mix in MIXES:
        db = Planned(filled._db)
        list(matching.matching(db, limit=3, **given_by(mix)))
        found = slow(db.plans)
        # Few runs or labels are sorted; with a limit SQLite keeps only as many.
        if "near" in mix or "yaw" in mix or "label" in mix:
            found = [plan for plan in found if "FOR ORDER BY" not in plan]
        assert found == [], mix
        assert db.plans


def test_single_frames_are_found_by_a_seek(filled):
    for ask in (
        lambda db: next(queries.by_distance(db, 30, None, None)),
        lambda db: next(queries.by_distance(db, 30, "a", None)),
        lambda db: next(queries.latest(db, None)),
        lambda db: next(queries.around(db, filled.get(40), 1)),
        lambda db: queries.following(db, (5, 5), 10),
    ):
        db = Planned(filled._db)
        assert ask(db) and slow(db.plans) in ([], ["SCAN frames"])  # from the newest on, by id
        assert not any("B-TREE" in plan for plan in db.plans)


def meets(i: int, mix) -> bool:
    """Whether frame i of `filled` does, said in another way."""
    yaw = abs(math.remainder(i / 10, 2 * math.pi)) <= 0.5
    checks = {
        "after": i >= 10,
        "before": i <= 50,
        "near": i / 10 <= 20,
        "yaw": yaw,
        "camera": i % 2 == 0,
        "session": i < 50,
        "label": i % 3 == 0,
        "map_id": i < 100,
    }
    return all(checks[part] for part in mix)


@pytest.mark.parametrize("few", [2, 5000])
def test_every_mix_finds_what_a_look_at_all_frames_finds(filled, monkeypatch, few):
    monkeypatch.setattr(matching, "FEW", few)
    monkeypatch.setattr(stamps, "FEW_SESSIONS", few)
    monkeypatch.setattr(alike, "FEW", few)
    monkeypatch.setattr(alike, "CHECKED", (3, 8))
    rows = np.stack([np.frombuffer(descriptor(i), np.int8) for i in range(200)])
    query = descriptor(1000)
    ranked = np.argsort(-likeness(np.frombuffer(query, np.int8), rows), kind="stable")
    for mix in MIXES:
        expected = [i for i in range(200) if meets(i, mix)]
        conditions = given_by(mix)
        assert [frame.stamp_ns for frame in filled.find(**conditions)] == expected, mix
        assert [frame.stamp_ns for frame in filled.find(**conditions, limit=3)] == expected[:3]
        if "near" in conditions:
            found = filled.find(**conditions, nearest_first=True, limit=5)
            assert [frame.stamp_ns for frame in found] == expected[:5], mix
        like = filled.find_like(query, limit=7, **conditions)
        assert [f.stamp_ns for f, _ in like] == [i for i in ranked if meets(i, mix)][:7], mix


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "session", "move", "moves", "remove", "late"]),
        st.integers(0, 80),
        st.tuples(*[st.floats(-30, 30) | st.sampled_from([0.0, 1e9, -1e9, 1e-300])] * 3),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30, deadline=None)
@given(steps, st.floats(0, 40), st.booleans())
def test_places_are_found_through_all_changes(tmp_path_factory, steps, radius, nearest_first):
    with MemoryBank(tmp_path_factory.mktemp("runs") / "m.db") as bank:
        places, without, stamps = {}, set(), {}
        for what, number, place in steps:
            at = sorted(places)[number % len(places)] if places else None
            if what in ("add", "late"):
                pose = Pose(*place) if what == "add" else None
                i = bank.add(record(0), stamp_ns=number - 40, pose=pose)
                stamps[i] = number - 40
                places.update({i: place} if pose else {})
                without.update(() if pose else {i})
            elif what == "session":
                bank.begin_session("s", start_ns=0)
            elif without and number % 2:
                i = without.pop()
                bank.set_pose(i, Pose(*place))
                places[i] = place
            elif at is not None and what == "move":
                bank.set_pose(at, Pose(*place))
                places[at] = place
            elif at is not None and what == "moves":
                bank.set_poses({i: Pose(*place) for i in sorted(places)[: number % 7]})
                places.update({i: place for i in sorted(places)[: number % 7]})
            elif at is not None and what == "remove":
                bank.remove([at])
                del places[at]
        centre = steps[0][2]
        away = {i: math.dist(place, centre) for i, place in places.items()}
        found = bank.find(near=centre, radius=radius, nearest_first=nearest_first)
        assert {frame.id for frame in found} == {i for i in away if away[i] ** 2 <= radius**2}
        key = (lambda i: (away[i], stamps[i], i)) if nearest_first else lambda i: (stamps[i], i)
        assert [frame.id for frame in found] == sorted((f.id for f in found), key=key)
        assert (
            bank.find(near=centre, radius=radius, nearest_first=nearest_first, limit=2) == found[:2]
        )
        assert bank.verify() == [] and runs.not_found(bank._db) == []


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=300),
    st.integers(1, 300),
    st.integers(1, 9),
)
def test_the_most_alike_are_those_of_a_full_sort(tmp_path_factory, rows, limit, peak):
    from gaussvae_ros.bank.likeness import descriptors

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descriptors, "PEAK", peak)
        patch.setattr(descriptors, "FIRST", 2)
        patch.setattr(descriptors, "BLOCK", 16)
        with MemoryBank(tmp_path_factory.mktemp("like") / "m.db") as bank:
            all_of_them = [descriptor(number) if number else bytes(64) for number, _ in rows]
            for row in all_of_them:
                bank.add(record(0), stamp_ns=0, descriptor=row)
            gone = [i + 1 for i, (_, removed) in enumerate(rows) if removed]
            bank.find_like(descriptor(3))
            bank.remove(gone)
            matrix = np.stack([np.frombuffer(row, np.int8) for row in all_of_them])
            scores = likeness(np.frombuffer(descriptor(3), np.int8), matrix)
            order = [i for i in np.argsort(-scores, kind="stable") if i + 1 not in gone][:limit]
            found = bank.find_like(descriptor(3), limit=limit)
            assert [(frame.id, score) for frame, score in found] == [
                (i + 1, scores[i]) for i in order
            ]


def test_the_newest_frame_of_a_camera_that_took_none_lately(filled, monkeypatch):
    monkeypatch.setattr(queries, "LATELY", 1)
    assert filled.newest("a").id == 199 and filled.newest("c") is None
