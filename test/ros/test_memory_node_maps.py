"""visual_memory and visual_recall: which map poses are in, and how old frames are."""

import time

import numpy as np
import pytest
from conftest import START
from gaussvae_ros.srv import DescribeMemory
from graph import until
from messages import header
from nav_msgs.msg import MapMetaData, OccupancyGrid
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from recalling import find, start
from writing import NODE, Memory

S = 10**9  # ns
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def facts(width=4, loaded=1):
    made = MapMetaData(resolution=0.05, width=width, height=3)
    made.map_load_time.sec = loaded
    return made


def grid(width=4, loaded=1):
    cells = np.zeros(width * 3, np.int8).tolist()
    return OccupancyGrid(header=header(START, "map"), info=facts(width, loaded), data=cells)


def maps(memory):
    from gaussvae_ros.bank import MemoryBank

    with MemoryBank(memory.path, readonly=True) as bank:
        return [(s["map_id"], s["frames"]) for s in bank.info()["sessions"]]


def test_another_map_id_begins_another_session_and_answers_carry_it(ros, frames):
    memory = Memory(ros, map_id="'ground floor'")
    told = memory.show(frames[0], START)
    assert (told.map_id, told.session) == ("ground floor", 1) and told.age.sec > 10**6
    memory.show(frames[1], START + S)
    assert ros.set_parameter(NODE, "map_id", "two\nlines") == ""
    memory.process.until_says("map_id must be text on one line")
    assert memory.show(frames[2], START + 2 * S).map_id == "ground floor"
    assert ros.set_parameter(NODE, "map_id", "first floor") == ""
    told = memory.show(frames[3], START + 3 * S)
    assert (told.map_id, told.session) == ("first floor", 2)
    start(ros, memory.path)
    answer = find(ros, map_id="ground floor")
    assert [f.id for f in answer.frames] == [1, 2, 3] and answer.frames[0].age.sec > 10**6
    assert {f.map_id for f in answer.frames} == {"ground floor"}
    assert [f.id for f in find(ros, map_id="first floor", session=2).frames] == [4]
    assert find(ros, map_id="attic").frames == [] and len(find(ros).frames) == 4
    sessions = ros.call(DescribeMemory, "visual_recall/describe_memory").sessions
    assert [session.map_id for session in sessions] == ["ground floor", "first floor"]
    assert ros.transition(NODE, "deactivate")
    with memory.stop() as bank:
        counted = [session["received"] for session in bank.info()["sessions"]]
        assert counted == [3, 1], "each image counts in one session"


@pytest.mark.parametrize("topic, message", [("/map", grid), ("/map_metadata", facts)])
def test_a_latched_map_names_the_session_also_when_it_comes_late(ros, frames, topic, message):
    memory = Memory(ros, map_topic=topic)
    assert memory.show(frames[0], START).map_id == ""
    ros.publish(topic, message(), qos=LATCHED)
    until(lambda: maps(memory)[0][0] != "", says=ros.logs)
    [(name, count)] = maps(memory)
    assert (len(name), count) == (12, 1)
    ros.publish(topic, message(loaded=2), qos=LATCHED)  # the same, loaded again
    time.sleep(1.5)
    assert memory.show(frames[1], START + S).map_id == name
    ros.publish(topic, message(width=5), qos=LATCHED)
    memory.process.until_says("changes while it is built")
    assert memory.show(frames[2], START + 2 * S).map_id == name, "SLAM builds it"
    memory.stop().close()
    assert maps(memory) == [(name, 3)]


def test_what_is_no_map_names_nothing(ros, frames):
    memory = Memory(ros, map_topic="/map")
    ros.publish("/map", OccupancyGrid(), qos=LATCHED)
    until(lambda: "poses are in the map" in memory.process.log)
    assert len(memory.show(frames[0], START).map_id) == 12
    assert "internal error" not in memory.process.log
