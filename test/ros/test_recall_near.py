"""visual_recall: places in other coordinate frames, through TF."""

import time

import pytest
from geometry_msgs.msg import PoseStamped
from messages import header
from recalling import find, start

YAW_90 = (0.0, 0.0, 0.5**0.5, 0.5**0.5)
START = 1_700_000_000_000_000_000  # ns


@pytest.fixture(scope="module")
def placed(shared_ros, recalled):
    """The memory's poses are in map; the dock stands at (1, 0, 0) and looks along map's y; base
    drives along x.
    """
    node = shared_ros
    start(node, recalled)
    node.static_transform("map", "dock", (1, 0, 0), YAW_90)
    node.static_transform("elsewhere", "thing")
    for i in range(5):
        node.transform("map", "base", START + i * 10**9, (0.5 * i, 0, 0))
    time.sleep(0.3)
    return node


def near(frame, x=0.0, y=0.0, stamp_ns=0):
    place = PoseStamped(header=header(stamp_ns, frame))
    place.pose.position.x, place.pose.position.y = x, y
    return place


@pytest.mark.parametrize(
    "request_, ids",
    [
        ({"near": near("dock"), "radius": 0.3}, [4, 5, 6]),
        # To its left is where map's x is less
        ({"near": near("/dock", y=0.5), "radius": 0.3}, [2, 3, 4]),
        # It looks another way than the camera did
        ({"near": near("dock"), "radius": 0.3, "yaw_tolerance": 0.3}, []),
        ({"near": near("dock"), "radius": 0.3, "yaw_tolerance": 1.6}, [4, 5, 6]),
        ({"near": near("base"), "radius": 0.3}, [8, 9, 10]),  # now
        ({"near": near("base", stamp_ns=START + 10**9), "radius": 0.3}, [2, 3, 4]),
        ({"near": near("base"), "by_distance": True, "limit": 3}, [9, 8, 10]),
    ],
)
def test_a_place_in_a_frame_that_tf_knows(placed, request_, ids):
    answer = find(placed, **request_)
    assert answer.success, answer.message
    assert [frame.id for frame in answer.frames] == ids


@pytest.mark.parametrize(
    "frame, says",
    [
        (
            "moon",
            "the frame of near, moon is not in TF, which has base, dock, elsewhere, map, thing",
        ),
        ("thing", "TF has thing and map, but nothing connects them"),
    ],
)
def test_a_place_that_nothing_leads_to(placed, frame, says):
    answer = find(placed, near=near(frame), radius=1.0)
    assert not answer.success and answer.frames == []
    assert (
        answer.message
        == f"near is in the frame {frame} and the poses of the memory are in map: {says}"
    )


def test_a_time_that_tf_does_not_reach_to(placed):
    answer = find(placed, near=near("base", stamp_ns=START + 60 * 10**9), radius=1.0)
    assert not answer.success and "TF does not connect them at 1700000060.000 s" in answer.message
