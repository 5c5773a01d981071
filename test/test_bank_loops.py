"""Loop candidates: places, not frames, each with a probability that holds on data."""

import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bank_likeness import REPO, descriptor, near, record
from test_cli import run

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.likeness import loops
from gaussvae_ros.errors import BankError
from gaussvae_ros.recognition.kinds import GRADIENTS, PLACES

S = 10**9  # ns
DATA = REPO.parent / "shared" / "data"


@pytest.fixture
def laps(tmp_path):
    """Three laps past 40 places at 2 Hz, the third one in a session of its own, backwards; the
    pictures of a place differ a little.
    """
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.begin_session("two laps", start_ns=0)
        for lap, order in enumerate((range(40), range(40), reversed(range(40)))):
            if lap == 2:
                bank.begin_session("back", start_ns=0)
            for step, place in enumerate(order):
                bank.add(
                    record(0),
                    stamp_ns=(100 * lap + step) * S // 2,
                    camera="front",
                    descriptor=near(place, 10 + 5 * lap),
                )
        bank.flush()
        yield bank


def test_candidates_are_the_same_place_at_other_times(laps):
    found = laps.loop_candidates(61, limit=3)  # place 20 on the second lap
    assert {frame.id for frame, _ in found[:2]} == {21, 100}
    assert [probability for _, probability in found[:2]] > [0.9, 0.9] > [found[2][1]]
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    here = laps.loop_candidates(61, limit=40)
    assert all(
        abs(frame.stamp_ns - laps.get(61).stamp_ns) >= 10 * S
        for frame, _ in here
        if frame.session == 1
    )
    taken = sorted((frame.session, frame.stamp_ns) for frame, _ in here)
    assert all(b[1] - a[1] >= 10 * S for a, b in zip(taken, taken[1:]) if a[0] == b[0])
    close = laps.loop_candidates(61, limit=40, apart_s=0.6)
    assert len(close) == 40 and 61 not in {frame.id for frame, _ in close}


def test_conditions_hold_and_a_descriptor_will_do(laps):
    assert {frame.session for frame, _ in laps.loop_candidates(61, session=1)} == {1}
    frame, probability = laps.loop_candidates(descriptor(20), limit=1)[0]
    assert frame.id in (21, 61, 100) and probability > 0.9
    assert laps.loop_candidates(descriptor(5, 32)) == []
    bare = laps.add(record(0), stamp_ns=0)
    assert laps.loop_candidates(bare) == []
    laps.remove([100])
    assert laps.loop_candidates(61, limit=1)[0][0].id == 21


def test_one_place_is_one_candidate_where_poses_say_so(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for tour in range(5):
            bank.begin_session("tour", start_ns=0, map_id="house" if tour < 4 else "")
            for i in range(3):
                bank.add(
                    record(0),
                    stamp_ns=100 * i * S,
                    descriptor=near(1, 5 + i),
                    pose=Pose(100 * tour * (tour == 3), i / 2, 0) if tour != 1 else None,
                )
        asked = bank.add(record(0), stamp_ns=900 * S, descriptor=descriptor(1))
        found = [frame.id for frame, _ in bank.loop_candidates(asked, limit=20)]
        # One of tours 0 and 2, which are at one place of the house; all three of tour 1, which has
        # no poses; one of tour 3, which is elsewhere, and of tour 4, whose map is not known.
        assert len({1, 2, 3, 7, 8, 9} & set(found)) == 1 and {4, 5, 6} <= set(found)
        assert len({10, 11, 12} & set(found)) == len({13, 14, 15} & set(found)) == 1


@pytest.mark.parametrize("stamp", [2**63 - 1, -(2**63)])
def test_the_ends_of_time(tmp_path, stamp):
    with MemoryBank(tmp_path / "m.db") as bank:
        ids = [bank.add(record(0), stamp_ns=s, descriptor=descriptor(1)) for s in (stamp, 0)]
        assert [f.id for f, _ in bank.loop_candidates(ids[0])] == [ids[1]]


@given(st.data())
def test_frames_of_one_place_are_found_by_columns_as_one_by_one(data):
    stamps = st.one_of(st.integers(0, 9), st.sampled_from([-(2**63), 2**63 - 1]))
    spots = st.builds(
        loops.Spot, st.just(1), stamps, st.just("c"), st.integers(1, 3),
        st.sampled_from(["", "a", "b"]),
        st.one_of(st.none(), st.tuples(st.integers(0, 3), st.just(0), st.just(0))),
        st.sampled_from(["map", "odom"]),
    )  # fmt: skip
    some, other = data.draw(st.lists(spots, min_size=1, max_size=20)), data.draw(spots)
    apart = data.draw(st.one_of(st.integers(0, 5), st.just(2**63)))

    def follows(spot):
        return spot.session == other.session and abs(spot.stamp_ns - other.stamp_ns) < apart

    def is_near(spot):
        one_map = spot.session == other.session or spot.map_id == other.map_id != ""
        posed = None not in (spot.position, other.position) and spot.reference == other.reference
        there = posed and one_map and math.dist(spot.position, other.position) < loops.SAME_M
        return follows(spot) or there

    columns = loops.Spots(some)
    assert columns.follow(other, apart).tolist() == [follows(spot) for spot in some]
    assert columns.near(other, apart).tolist() == [is_near(spot) for spot in some]


def test_a_robot_that_stood_at_one_spot_for_long_is_one_candidate(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for i in range(3000):
            bank.add(record(), stamp_ns=i * 10**9, pose=Pose(0.001 * (i % 7), 0, 0),
                     descriptor=near(1, i % 5))  # fmt: skip
        for i in range(3):
            bank.add(record(), stamp_ns=(9000 + 100 * i) * 10**9, pose=Pose(10.0 + 5 * i, 0, 0),
                     descriptor=near(1, 9))  # fmt: skip
        found = bank.loop_candidates(near(1, 1))
        places = {round(frame.pose.x) for frame, _ in found}
        assert len(found) == 4 and places == {0, 10, 15, 20}


def test_bad_questions(laps):
    for ask in (
        lambda: laps.loop_candidates(999),
        lambda: laps.loop_candidates("x"),
        lambda: laps.loop_candidates(1, limit=0),
        lambda: laps.loop_candidates(1, apart_s=-1),
        lambda: laps.loop_candidates(1, apart_s=float("nan")),
        lambda: laps.loop_candidates(1, radius=1.0),
    ):
        with pytest.raises(BankError) as error:
            ask()
        assert "\n" not in str(error.value)


def test_the_command(laps, capsys):
    shown = json.loads(run(capsys, "bank", "loops", laps.path, "--id", 61, "--json")[1])
    assert shown["of"] == 61 and {f["id"] for f in shown["candidates"][:2]} == {21, 100}
    assert shown["candidates"][0]["probability"] > 0.9
    newest = run(capsys, "bank", "loops", laps.path, "--limit", 1)[1]
    assert "probability" in newest and len(newest.strip().splitlines()) == 2
    assert run(capsys, "bank", "loops", laps.path, "--id", 999)[0] == 2


@pytest.mark.parametrize(
    "kind, walks",
    [(GRADIENTS, ("day_left", "day_right")), (PLACES, ("day_right", "night_right"))],
)
def test_the_probability_holds_on_walks_whose_places_are_known(tmp_path, kind, walks):
    """Walks on a campus; frames of equal number are of one place."""
    sides = [sorted((DATA / "pr_gardens_point_a" / walk).glob("*")) for walk in walks]
    if not sides[0]:
        pytest.skip("no shared/data/pr_gardens_point_a")
    with MemoryBank(tmp_path / "m.db") as bank:
        for files in sides:
            bank.begin_session("walk", start_ns=0)
            for i, file in enumerate(files):
                picture = cv2.imread(str(file))[:, :, ::-1].copy()
                bank.add(record(0), stamp_ns=i * S, descriptor=kind.describe(picture).tobytes())
        count = len(sides[0])
        stated, right = [], []
        for i in range(count):
            found = bank.loop_candidates(count + 1 + i, session=1, apart_s=6, limit=10)
            stated += [probability for _, probability in found]
            right += [abs(frame.id - 1 - i) <= 3 for frame, _ in found]
    stated, right = np.array(stated), np.array(right)
    surely, hardly = stated >= 0.4, stated < 0.1
    assert surely.sum() > 10 and right[surely].mean() > 0.7
    assert hardly.sum() > 300 and right[hardly].mean() < 0.1


def test_the_probability_grows_with_likeness():
    for kind, least, most in ((GRADIENTS, 0, 0.998), (PLACES, 0.023, 0.999)):
        scores = np.linspace(0, 1, 50)
        values = [loops.probability(score, kind.length) for score in scores]
        assert values == sorted(values)
        assert math.isclose(values[0], least, abs_tol=1e-3)
        assert math.isclose(values[-1], most, abs_tol=1e-3)
