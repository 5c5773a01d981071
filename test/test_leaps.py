"""Where odometry's origin was in a map, by the leaps that SLAM makes when it closes a loop."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gaussvae_ros.poses import compose, inverse
from gaussvae_ros.poses.leaps import LEAP_M, STEP_NS, Origins

S = 10**9  # ns


def flat(x, y, yaw):  # [N, 7]
    x, y, yaw = np.broadcast_arrays(x, y, yaw)
    none = np.zeros_like(x, float)
    return np.stack([x, y, none, none, none, np.sin(yaw / 2), np.cos(yaw / 2)], axis=1)


def sampled(stamps, origins, robot):
    found = Origins()
    for sample in zip(stamps.tolist(), origins, robot):
        found.add(*sample)
    return found


@settings(max_examples=30, deadline=None)
@given(
    st.floats(-0.02, 0.02),
    st.floats(-0.02, 0.02),
    st.floats(-0.002, 0.002),
    st.lists(st.integers(10, 290), min_size=1, max_size=4, unique=True),
)
def test_drift_along_the_way_is_told_by_the_loops_that_are_closed(x, y, turn, loops):
    """A robot that drives and rests in turn; where a loop is closed SLAM knows the drift."""
    times = np.arange(300)
    way = np.cumsum(np.where(times // 20 % 2 == 0, 0.5, 0.0))
    truth = flat(10 * np.cos(way / 10), 10 * np.sin(way / 10), way / 10 + np.pi / 2)
    drift = flat(x * way, y * way, turn * way)
    known = np.zeros(300, int)  # up to when drift is known, as SLAM has it
    for at in sorted(loops):
        known[at:] = at
    robot, said = compose(inverse(drift), truth), drift[known]
    origins = sampled(times * S, said, robot)
    stamps, found = origins.corrected()
    assert np.array_equal(stamps, times * S)
    off, before = (
        np.linalg.norm((compose(poses, robot) - truth)[:, :3], axis=1) for poses in (found, said)
    )
    last = max(loops)
    leaps = (compose(said[[at - 1, at]], robot[[at - 1, at - 1]])[:, :3] for at in loops)
    # Less than a leap is taken for a robot that slides.
    assume(before[:last].max() <= 0.2 or all(np.linalg.norm(b - a) > LEAP_M for a, b in leaps))
    assert np.all(off[:last] <= 0.2 + 0.1 * before[:last].max())
    assert np.array_equal(found[last:], said[last:]), "nothing is known of after it"


def test_what_slides_stays_and_so_does_a_robot_that_is_set_elsewhere():
    times, steps = np.arange(50) * S, np.arange(50)
    slides, drives = flat(0.05 * steps, 0, 0.0), flat(0.4 * steps, 0, 0.0)
    origins = sampled(times, slides, drives)
    assert origins.leap_ns == 0 and np.array_equal(origins.corrected()[1], slides)
    elsewhere = flat(np.where(steps < 20, 0, 3), 0, 0.0)
    origins = sampled(times, elsewhere, np.repeat(drives[:1], 50, axis=0))
    assert origins.leap_ns == 20 * S and np.array_equal(origins.corrected()[1], elsewhere)


def test_samples_are_a_second_apart():
    origins = sampled(
        np.arange(100) * S // 10,
        flat(0.02 * np.arange(100), 0, 0.0),
        flat(0 * np.arange(100), 0, 0.0),
    )
    stamps, _ = origins.corrected()
    assert (np.diff(stamps) >= STEP_NS).all() and len(stamps) == 12
    assert origins.leap_ns == origins.last_ns == stamps[-1]
