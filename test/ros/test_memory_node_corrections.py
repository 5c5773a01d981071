"""visual_memory and SLAM that closes a loop: stored poses follow the corrected trajectory."""

import time

import numpy as np
import pytest
from conftest import START
from geometry_msgs.msg import PoseStamped
from graph import until
from messages import header, transform
from nav_msgs.msg import Path
from tf2_msgs.msg import TFMessage
from writing import NODE, Memory

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.poses import angles, compose, inverse
from gaussvae_ros.sim.drive import MOUNT, where

S = 10**9  # ns
STEP = S // 20  # between two transforms
TOPIC = "/slam/path"
MOUNTED = np.array([*MOUNT, 0, 0, 0, 1])
# Of the pictures of `frames`, s; a drive of 30 s, two rounds.
TIMES = np.linspace(2, 12, 12)


def flat(x: float, y: float, yaw: float) -> np.ndarray:
    return np.array([x, y, 0, 0, 0, np.sin(yaw / 2), np.cos(yaw / 2)])


def truth(stamp_ns: int) -> np.ndarray:  # [7] of the base
    return flat(*where(np.array([(stamp_ns - START) / S]), 30.0)[0])


def drift(stamp_ns: int) -> np.ndarray:  # [7] of odometry's origin in the map
    t = (stamp_ns - START) / S
    return flat(0.05 * t, -0.03 * t, 0.02 * t)


def stamp_of(t: float) -> int:
    return START + round(t * S)


class Drive:
    """The drive of `frames`, through a node that does not know of the drift."""

    def __init__(self, ros, **parameters):
        self.ros, self.at = ros, START + S
        given = parameters or {"corrected_path_topic": TOPIC}
        self.memory = Memory(ros, map_frame="map", **given)
        ros.static_transform("base_link", "camera", MOUNT)

    def see(self, frames, times=TIMES, closed=False):
        """Drive on, and show the pictures of these seconds; once the loop is closed TF is right."""
        for image, t in zip(frames, times):
            self.drive_on(t, closed)
            self.memory.show(image, stamp_of(t))

    def drive_on(self, t, closed=False):
        while self.at < stamp_of(t) + STEP:
            self.tf("map", "odom", drift(self.at) if closed else flat(0, 0, 0))
            self.tf("odom", "base_link", compose(inverse(drift(self.at)), truth(self.at)))
            self.at += STEP
        time.sleep(0.25)  # TF has been looked at

    def tf(self, parent, child, pose):
        message = transform(parent, child, self.at, pose[:3].tolist(), pose[3:].tolist())
        self.ros.publish("/tf", TFMessage(transforms=[message]))

    def correct(self, stamps, poses=None, frame="map"):
        path = Path(header=header(START, frame))
        for stamp, pose in zip(stamps, poses or map(truth, stamps)):
            stamped = PoseStamped(header=header(int(stamp), frame))
            at, turned = stamped.pose.position, stamped.pose.orientation
            at.x, at.y, at.z, turned.x, turned.y, turned.z, turned.w = map(float, pose)
            path.poses.append(stamped)
        self.ros.publish(TOPIC, path)

    def stored(self):
        """(frames' poses [N, 7], the original ones)."""
        with MemoryBank(self.memory.path, readonly=True) as bank:
            poses = [frame.pose for frame in bank]
            first = [bank.original_pose(frame.id) for frame in bank]
        return tuple(np.array([[*p.position, *p.orientation] for p in ps]) for ps in (poses, first))

    def until_within(self, metres, expected, radians=0.02):
        def right():
            poses, _ = self.stored()
            return (
                np.linalg.norm((poses - expected)[:, :3], axis=1).max() < metres
                and angles(poses[:, 3:], expected[:, 3:]).max() < radians
            )

        until(right, says=lambda: f"{self.stored()[0]}\n{expected}\n{self.ros.logs()}")


def at_truth(times=TIMES):
    return np.array([compose(truth(stamp_of(t)), MOUNTED) for t in times])


def as_odometry_said(times=TIMES):
    return np.array(
        [compose(compose(inverse(drift(s)), truth(s)), MOUNTED) for s in map(stamp_of, times)]
    )


def test_a_closed_loop_moves_the_stored_poses_onto_the_corrected_trajectory(ros, frames):
    drive = Drive(ros)
    drive.see(frames[:9], TIMES[:9])
    drifted = as_odometry_said(TIMES[:9])
    drive.until_within(0.005, drifted)
    off = np.linalg.norm((drifted - at_truth(TIMES[:9]))[:, :3], axis=1)
    assert off.max() > 0.4, "nothing to correct"

    nodes = [stamp_of(t) for t in (*np.arange(1.5, 8, 1.5), TIMES[8])]  # few, between the frames
    drive.correct(nodes)
    drive.until_within(0.03, at_truth(TIMES[:9]))
    poses, first = drive.stored()
    assert np.abs((first - drifted)[:, :3]).max() < 0.005
    until(lambda: "9 stored poses corrected, by up to" in drive.memory.process.log)
    with MemoryBank(drive.memory.path, readonly=True) as bank:
        place = bank.find(near=tuple(at_truth()[8][:3]), radius=0.1)
        assert [frame.id for frame in place] == [9] and bank.verify() == []

    # The same again moves nothing, nor does a path with another node or two at its end; frames of
    # after the closure are where TF has them.
    drive.see(frames[9:], TIMES[9:], closed=True)
    drive.correct(nodes)
    drive.correct([*nodes, stamp_of(TIMES[9]), stamp_of(TIMES[11])])
    time.sleep(2.5)
    drive.until_within(0.03, at_truth())
    assert drive.memory.process.log.count("stored poses corrected") == 1
    with drive.memory.stop() as bank:
        assert bank.verify() == [] and bank.info()["corrected"] == 9


@pytest.fixture
def driven(ros, frames):
    drive = Drive(ros)
    drive.see(frames[:3], TIMES[:3])
    return drive


NAN, WHOLE = float("nan"), [stamp_of(t) for t in (1.5, 3.0, TIMES[2])]


@pytest.mark.parametrize(
    "stamps, poses, frame, says",
    [
        (WHOLE, None, "odom", "the path on /slam/path is in 'odom' and the poses are in 'map'"),
        (WHOLE, None, "", "does not say which frame it is in"),
        ([0, 0, 0], [truth(s) for s in WHOLE], "map", "have no stamps of their own"),
        ([], None, "map", ""),
        (WHOLE, [[NAN] * 7, [0] * 7, [1e300, 0, 0, 0, 0, 0, 1]], "map", ""),
        ([5 * S, 6 * S], [truth(s) for s in WHOLE[:2]], "map", ""),
    ],
    ids=["another frame", "no frame", "no stamps", "empty", "no poses", "of another day"],
)
def test_a_path_that_cannot_be_followed_moves_nothing(driven, stamps, poses, frame, says):
    before, _ = driven.stored()
    driven.correct(stamps, poses, frame)
    if says:
        driven.memory.process.until_says(says)
    time.sleep(1.5)
    assert np.array_equal(driven.stored()[0], before)
    # Unsorted, doubled, with nodes that are none: the rest of it holds.
    stamps = [WHOLE[2], WHOLE[0], WHOLE[1], WHOLE[0], WHOLE[0] + 1]
    poses = [truth(WHOLE[2]), flat(9, 9, 9), truth(WHOLE[1]), truth(WHOLE[0]), [NAN] * 7]
    driven.correct(stamps, poses)
    driven.until_within(0.03, at_truth(TIMES[:3]))
    assert driven.ros.transition(NODE, "deactivate")
    assert "internal error" not in driven.memory.process.log
    with driven.memory.stop() as bank:
        assert bank.verify() == []


def test_a_leap_of_odometry_in_the_map_moves_the_frames_since_the_last_one(ros, frames):
    drive = Drive(ros, correct_leaps=True)
    drive.see(frames[:9], TIMES[:9])
    drive.until_within(0.005, as_odometry_said(TIMES[:9]))
    drive.see(frames[9:], TIMES[9:], closed=True)
    # Where odometry began it was off already, by 6 cm and 0.02 rad, and nothing says so.
    drive.until_within(0.15, at_truth(), 0.05)
    until(lambda: "9 stored poses corrected, by up to" in drive.memory.process.log)
    with drive.memory.stop() as bank:
        assert bank.verify() == [] and bank.info()["corrected"] >= 8


def test_a_leap_into_another_map_moves_no_frames_of_the_old_one(ros, frames):
    drive = Drive(ros, correct_leaps=True, map_id="attic")
    drive.see(frames[:9], TIMES[:9])
    assert ros.set_parameter(NODE, "map_id", "cellar") == ""
    drive.drive_on(TIMES[10] - 0.2, closed=True)  # no frame is in the other map yet
    time.sleep(3.0)  # several looks at TF
    drive.see(frames[10:], TIMES[10:], closed=True)
    expected = np.concatenate([as_odometry_said(TIMES[:9]), at_truth(TIMES[10:])])
    drive.until_within(0.005, expected)
    with drive.memory.stop() as bank:
        assert bank.info()["corrected"] == 0
        assert [session["frames"] for session in bank.info()["sessions"]] == [9, 2]


def test_frames_on_their_way_when_the_path_comes_are_corrected_too(driven, frames):
    driven.drive_on(TIMES[3] + 0.1)
    driven.correct([stamp_of(t) for t in (1.5, 3.0, TIMES[3] + 0.01)])
    driven.until_within(0.03, at_truth(TIMES[:3]))
    driven.see(frames[3:5], TIMES[3:5])
    expected = at_truth(TIMES[:5])
    expected[4] = as_odometry_said(TIMES[4:5])[0]  # after its end
    driven.until_within(0.03, expected)
    with driven.memory.stop() as bank:
        assert bank.info()["corrected"] == 4
