"""Sessions: clocks that are set back, images that come late or early, and two clocks on one
topic.
"""

from itertools import accumulate
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gaussvae_ros.sessions import CLOCKS, IN_A_ROW, LATE_NS, SLACK_NS, Sessions

S = 1_000_000_000  # ns
STEPS = st.integers(20_000_000, 400_000_000)  # ns, between two images of a camera


def sessions_of(stamps: list[tuple[str, float]]) -> list[int]:
    sessions = Sessions()
    return [sessions.number_of(camera, round(stamp * S)) for camera, stamp in stamps]


def of_one(stamps: list[float]) -> list[int]:
    return sessions_of([("a", stamp) for stamp in stamps])


def clock(begin: int, steps: list[int]) -> list[int]:
    return list(accumulate(steps, initial=begin))


def numbers(stamps: list[int]) -> list[int]:
    sessions = Sessions()
    return [sessions.number_of("a", stamp) for stamp in stamps]


def test_a_clock_that_goes_on_is_one_session():
    assert of_one([t / 10 for t in range(100)]) == [0] * 100


def test_a_jump_forward_is_none():
    assert of_one([0, 1, 1000, 1001]) == [0] * 4
    assert of_one([1000, 1001, 0, 1, 10**9, 10**9 + 1]) == [0, 0, 1, 1, 1, 1]


def test_a_clock_set_back_by_more_than_the_limit_is_a_new_session_at_once():
    assert of_one([0, 5, 10, 0, 5, 10, 1]) == [0, 0, 0, 1, 1, 1, 2]
    assert numbers([0, 10 * S, 10 * S - LATE_NS, 10 * S - LATE_NS - S - 1]) == [0, 0, 0, 0]
    assert numbers([0, S, 10 * S, 10 * S - LATE_NS - 1, S - LATE_NS]) == [0, 0, 0, 0, 1]


def test_a_clock_set_back_by_less_is_one_once_it_has_gone_on():
    assert of_one([0, 1, 2, 2.1, 0.5, 0.6, 0.7, 0.8]) == [0, 0, 0, 0, 0, 0, 1, 1]
    assert of_one([0, 0.1, 0.2, 0, 0.1, 0.2]) == [0, 0, 0, 0, 0, 1], (
        "a bag of three images in a loop"
    )


def test_images_that_come_late_belong_to_the_session_of_those_around_them():
    assert of_one([t / 10 - 0.3 * (t % 3 == 2) for t in range(30)]) == [0] * 30
    assert of_one([0, 2, 1, 4, 3, 6, 5, 8, 7, 9]) == [0] * 10
    assert of_one([0, 0.1, 0.2, 0.3, 0.1, 0.4, 0.2, 0.5]) == [0] * 8
    assert numbers([S, S - SLACK_NS, S, S, S - SLACK_NS - 1]) == [0] * 5


def test_an_image_ahead_of_its_time_does_not_make_all_others_late():
    assert of_one([0, 0.1, 0.2, 1000, 0.3, 0.4, 0.5, 0.6]) == [0] * 8
    assert of_one([0, 0.1, 0.2, 0.9, 0.3, 0.4, 0.5, 0.6]) == [0] * 8


def test_two_clocks_that_alternate_keep_their_sessions():
    times = [9 + t / 10 for t in range(50)]
    assert of_one([stamp for t in times for stamp in (t, t - 9)]) == [0, 1] * 50
    assert of_one([stamp for t in times for stamp in (t, t + 9)]) == [0] + [0] * 99
    assert of_one([stamp for t in times for stamp in (t, t - 0.2)]) == [0] * 100
    bursts = [stamp for t in times[::3] for stamp in (t, t + 0.1, t + 0.2, t - 2, t - 1.9, t - 1.8)]
    assert set(of_one(bursts)) == {0, 1}


def test_stamps_that_jump_wildly_make_one_session_at_most():
    assert max(of_one([9, 0, 9.1, -5, 9.2, -10, 9.3, -1000, 9.4, -2000, 9.5])) == 1


def test_a_loop_after_clocks_that_alternated_is_a_session_again():
    assert of_one([9, 0, 9.1, 9.2, 9.3, -2, -1.9, -1.8, -1.7])[-2:] == [2, 2]


def test_two_cameras_begin_a_session_together():
    stamps = [("a", 9), ("b", 9), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert sessions_of(stamps) == [0, 0, 1, 1, 1, 1]


def test_an_image_that_was_on_its_way_belongs_to_the_old_session():
    stamps = [("a", 9), ("b", 8.9), ("a", 0), ("b", 9), ("b", 0), ("a", 0.1)]
    assert sessions_of(stamps) == [0, 0, 1, 0, 1, 1]


def test_a_late_image_of_another_camera_does_not_take_it_to_the_new_session():
    stamps = [("b", 9), ("a", 9), ("a", 0), ("b", 8.7), ("b", 9.1), ("b", 0.1), ("b", 0.2)]
    assert sessions_of(stamps) == [0, 0, 1, 0, 0, 1, 1]


def test_a_camera_that_was_silent_joins_the_newest_session():
    assert sessions_of([("b", 1), ("a", 9), ("a", 0), ("b", 1)]) == [0, 0, 1, 1]
    assert sessions_of([("a", 9), ("a", 0), ("b", 0.1)]) == [0, 1, 1]


def test_the_images_of_one_clock_have_the_same_object():
    sessions = Sessions()
    clocks = [sessions.clock_of("a", round(stamp * S)) for stamp in (9, 0, 9.1, 0.1, 9.2, 0.2)]
    assert (
        len(set(map(id, clocks))) == 2
        and clocks[0] is clocks[2] is clocks[4]
        and clocks[1] is clocks[5]
    )


@given(
    st.lists(STEPS, min_size=IN_A_ROW + 1, max_size=20), st.integers(1, 4), st.integers(0, 10**18)
)
def test_a_bag_in_a_loop_is_a_session_each_time(steps, times, begin):
    """Whatever its images' times, if its last image is no late one of the next round's
    beginning.
    """
    once = clock(begin, steps)
    found = numbers(once * times)
    rounds = [found[i * len(once) : (i + 1) * len(once)] for i in range(times)]
    behind = IN_A_ROW - 1 if once[-1] - once[0] <= LATE_NS else 0
    assert [set(part[behind:]) for part in rounds[1:]] == [{i} for i in range(1, times)]
    assert set(rounds[0]) == {0}


@given(st.lists(STEPS, max_size=60), st.data())
def test_single_late_images_change_nothing(steps, data):
    """Any image may come late, by up to the limit, with two others in order before the next late
    one.
    """
    stamps = clock(0, steps)
    late = data.draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, LATE_NS)),
            min_size=len(steps),
            max_size=len(steps),
        )
    )
    shown = [
        stamp - by * (is_late and i % 3 == 2)
        for i, (stamp, (is_late, by)) in enumerate(zip(stamps, late))
    ]
    assert set(numbers(shown)) <= {0}


@given(
    st.lists(STEPS, min_size=1, max_size=60),
    st.lists(STEPS, min_size=1, max_size=60),
    st.integers(-(10**18), 10**18).filter(lambda apart: abs(apart) > 40 * S),
    st.randoms(use_true_random=False),
)
def test_two_clocks_far_apart_make_two_sessions_at_most_however_they_alternate(a, b, apart, random):
    a, b = clock(0, a)[::-1], clock(apart, b)[::-1]
    shown = []
    while a or b:
        shown.append((a if not b or (a and random.random() < 0.5) else b).pop())
    sessions = Sessions()
    for stamp in shown:
        sessions.number_of("a", stamp)
    assert sessions.newest <= 1


@given(
    st.sampled_from([0.06, 0.1, 0.2, 0.5, 1, 2, 5, -0.1, -0.3, -2]),  # s
    st.sampled_from([(10, 10), (30, 30), (30, 10), (10, 1), (1, 30)]),  # Hz
    st.integers(0, 2**32),
)
def test_two_clocks_that_are_close_make_few_sessions_also_in_bursts(apart, rates, seed):
    """Of 20 s of two publishers in order, each of which is held up by up to 0.3 s at times."""
    shown, random = [], Random(seed)
    for rate, shift in zip(rates, (0, apart)):
        arrived = 0.0
        for i in range(20 * rate):
            arrived = max(arrived, i / rate + random.uniform(0, 0.3))
            shown.append((arrived, round((i / rate + shift) * S)))
    sessions = Sessions()
    for _, stamp in sorted(shown):
        sessions.number_of("a", stamp)
    assert sessions.newest <= 4


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-100, 100)), max_size=60))
def test_sessions_are_those_that_were_begun_and_few_clocks_are_remembered(stamps):
    sessions, most = Sessions(), 0
    for camera, stamp in stamps:
        before = sessions.newest
        assert 0 <= sessions.number_of(camera, stamp * S) <= sessions.newest <= before + 1
        most = max(most, *(len(seen.clocks) for seen in sessions._cameras.values()))
    assert most <= CLOCKS
