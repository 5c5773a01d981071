"""Clocks that are set back, and poses that come late."""

from hypothesis import given
from hypothesis import strategies as st

from gaussvae_ros.bank import Pose
from gaussvae_ros.nodes.late_poses import LatePoses
from gaussvae_ros.poses import SET_BACK_NS
from gaussvae_ros.sessions import Sessions

S = 1_000_000_000  # ns


def laps_of(stamps: list[tuple[str, float]]) -> list[int]:
    sessions = Sessions()
    return [sessions.number_of(camera, round(stamp * S)) for camera, stamp in stamps]


def test_a_clock_that_goes_on_is_one_lap():
    assert laps_of([("a", t / 10) for t in range(100)]) == [0] * 100


def test_stamps_in_a_slightly_wrong_order_are_one_lap():
    sessions = Sessions()
    assert [sessions.number_of("a", stamp) for stamp in (S, S - SET_BACK_NS, S, S, S - SET_BACK_NS - 1)] == [0, 0, 0, 0, 1]


def test_each_jump_back_is_a_new_lap():
    assert laps_of([("a", t) for t in (0, 1, 2, 0, 1, 2, 0.5)]) == [0, 0, 0, 1, 1, 1, 2]


def test_a_jump_forward_is_none():
    assert laps_of([("a", t) for t in (0, 1, 1000)]) == [0, 0, 0]


def test_two_cameras_begin_a_lap_together():
    stamps = [("a", 9), ("b", 9), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert laps_of(stamps) == [0, 0, 1, 1, 1, 1]


def test_an_image_that_was_on_its_way_belongs_to_the_old_lap():
    stamps = [("a", 9), ("b", 8.9), ("a", 0), ("b", 9), ("b", 0), ("a", 0.1)]
    assert laps_of(stamps) == [0, 0, 1, 0, 1, 1]


def test_a_camera_that_was_silent_joins_the_newest_lap():
    assert laps_of([("b", 1), ("a", 9), ("a", 0), ("b", 1)]) == [0, 0, 1, 1]
    assert laps_of([("a", 9), ("a", 0), ("b", 0.1)]) == [0, 1, 1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-100, 100)), max_size=60))
def test_laps_of_a_camera_never_go_down_and_never_run_ahead_of_the_newest(stamps):
    sessions, seen = Sessions(), {}
    for camera, stamp in stamps:
        session = sessions.number_of(camera, stamp * S)
        assert seen.get(camera, 0) <= session <= sessions.newest
        seen[camera] = session


class Asked:
    """Poses that are known from some moment on."""

    def __init__(self):
        self.known, self.settled = {}, []
        self.late = LatePoses(self.known.get, lambda frame, pose: self.settled.append((frame, pose)))


def test_a_pose_is_given_once_it_is_known():
    asked, pose = Asked(), Pose(1, 2, 3)
    asked.late.add("first", 0.0)
    asked.late.add("second", 0.5)
    asked.late.retry(1.0, timeout=2.0)
    assert asked.settled == [] and len(asked.late) == 2
    asked.known["second"] = pose
    asked.late.retry(1.5, timeout=2.0)
    assert asked.settled == [("second", pose)] and len(asked.late) == 1


def test_a_frame_stays_without_after_the_timeout_even_if_its_pose_comes_then():
    asked = Asked()
    asked.late.add("first", 0.0)
    asked.late.add("second", 0.5)
    asked.late.retry(2.0, timeout=2.0)
    assert asked.settled == [("first", None)] and len(asked.late) == 1
    asked.known["first"] = Pose(0, 0, 0)
    asked.late.retry(2.1, timeout=2.0)
    assert asked.settled == [("first", None)]


def test_giving_up_looks_a_last_time():
    asked, pose = Asked(), Pose(1, 2, 3)
    asked.late.add("first", 0.0)
    asked.late.add("second", 0.0)
    asked.known["second"] = pose
    asked.late.give_up()
    assert asked.settled == [("first", None), ("second", pose)] and not len(asked.late)
