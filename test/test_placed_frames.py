"""Frames of a running session that a corrected trajectory moves."""

import numpy as np

from gaussvae_ros.poses.placed_frames import NEVER, PlacedFrames
from gaussvae_ros.poses.trajectory import cleaned

S = 10**9  # ns
STAMPS = np.arange(11) * S
ODOMETRY = STAMPS, np.array([[x, 0.0, 0, 0, 0, 0, 1] for x in range(11)])


def path(*shifts):
    """Corrected by so many metres to the left at 0, 5 and 10 s."""
    poses = np.array([[5.0 * i, y, 0, 0, 0, 0, 1] for i, y in enumerate(shifts)])
    return STAMPS[::5][: len(shifts)], poses


def placed(count=11, session=1, frames=None):
    frames = frames or PlacedFrames()
    for i in range(count):
        frames.add(session, 100 * session + i, i * S, ODOMETRY[1][i], ODOMETRY[1][i])
    return frames


def follow(frames, path, gone=(), **more):
    """Ids that are moved, and by how much to the left."""
    columns = frames.columns()
    which, poses = columns.corrected(cleaned(*path), ODOMETRY, **more)
    frames.moved(columns, which, poses, list(gone))
    return dict(zip(columns.ids[which].tolist(), poses[:, 1].round(6).tolist()))


def test_only_what_moved_is_moved_and_once():
    frames = placed()
    assert follow(frames, path(0, 0, 1)) == {100 + i: (i - 5) / 5 for i in range(6, 11)}
    assert follow(frames, path(0, 0, 1)) == {}
    assert follow(frames, path(0, 0, 1.005)) == {}, "not a centimetre"
    # below the tolerance each time, and above it in the end
    assert follow(frames, path(0, 0, 1.012)) == {110: 1.012}
    assert follow(frames, path(0, 0, 0)) == {100 + i: 0 for i in range(6, 11)}


def test_the_correction_at_an_end_goes_on_beyond_it():
    frames = placed()
    assert follow(frames, path(1, 1)) == {100 + i: 1 for i in range(11)}
    assert follow(frames, path(2, 2), beyond=False) == {100 + i: 2 for i in range(6)}
    later = path(3, 3, 3)
    assert follow(frames, (later[0][1:], later[1][1:])) == {100 + i: 3 for i in range(11)}


def test_only_frames_after_a_stamp_are_looked_at():
    assert follow(placed(), path(1, 1, 1), since=5 * S) == {100 + i: 1 for i in range(6, 11)}
    assert follow(placed(), path(1, 1, 1), since=5 * S - 1) == {100 + i: 1 for i in range(5, 11)}
    assert follow(placed(), path(1, 2, 3), since=5 * S) == {
        100 + i: 2 + (i - 5) / 5 for i in range(6, 11)
    }
    assert follow(placed(), path(1, 1), since=6 * S) == {}, "the path says nothing of them"


def test_frames_that_come_meanwhile_keep_their_poses():
    frames = placed(10)
    columns = frames.columns()
    which, poses = columns.corrected(path(1, 1, 1), ODOMETRY)
    assert not frames.come_until(10 * S)
    frames.add(1, 110, 10 * S, ODOMETRY[1][10], ODOMETRY[1][10])
    assert frames.come_until(10 * S) and not frames.come_until(10 * S - 1)
    assert columns.oldest_new == 0 and frames.columns().oldest_new == 10 * S
    assert frames.columns().oldest_new == NEVER
    frames.moved(columns, which, poses, [103])
    assert frames.columns().ids.tolist() == [i for i in range(100, 111) if i != 103]
    assert frames.columns().poses[:, 1].tolist() == [1] * 9 + [0]
    assert follow(frames, path(1, 1, 1)) == {110: 1}


def test_what_was_forgotten_meanwhile_is_not_moved():
    frames = placed(5)
    columns = frames.columns()
    which, poses = columns.corrected(path(1, 1, 1), ODOMETRY)
    frames.add(2, 200, 0, ODOMETRY[1][0], ODOMETRY[1][0])
    frames.moved(columns, which, poses, [])
    assert frames.columns().poses[:, 1].tolist() == [0]


def test_only_the_newest_session_counts():
    frames = placed(3, session=4)
    placed(2, session=3, frames=frames)
    assert frames.columns().ids.tolist() == [400, 401, 402]
    frames.forget(newer=True)
    placed(2, session=4, frames=frames)
    assert len(frames.columns().ids) == 0
    placed(2, session=5, frames=frames)
    assert frames.columns().ids.tolist() == [500, 501]
    frames.forget()
    placed(1, session=1, frames=frames)
    assert frames.columns().ids.tolist() == [100]


def test_nothing_is_moved_by_a_path_that_says_nothing():
    frames = placed()
    empty = np.zeros(0, np.int64), np.zeros((0, 7))
    assert follow(frames, empty) == {}
    assert follow(frames, (STAMPS[:2], np.full((2, 7), np.nan))) == {}
    assert follow(frames, (STAMPS[:2] + 10**15, path(1, 1)[1])) == {}
    assert follow(PlacedFrames(), path(1, 1)) == {}
