"""Poses that come late."""

from gaussvae_ros.bank import Pose
from gaussvae_ros.nodes.late_poses import LatePoses


class Asked:
    """Poses that are known from some moment on."""

    def __init__(self):
        self.known, self.settled = {}, []
        self.late = LatePoses(
            self.known.get, lambda frame, pose: self.settled.append((frame, pose))
        )


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
