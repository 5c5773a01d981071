"""What names a map, from the bytes of its messages."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from gaussvae_ros.map_message import metadata

STORE = get_typestore(Stores.ROS2_JAZZY)
MAKE = STORE.types


def facts(loaded=1, resolution=0.05, width=30, height=20, x=-1.5):
    return MAKE["nav_msgs/msg/MapMetaData"](
        MAKE["builtin_interfaces/msg/Time"](loaded, 0),
        resolution,
        width,
        height,
        MAKE["geometry_msgs/msg/Pose"](
            MAKE["geometry_msgs/msg/Point"](x, 2.0, 0.0),
            MAKE["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        ),
    )


def alone(little=True, **more):
    raw = STORE.serialize_cdr(facts(**more), "nav_msgs/msg/MapMetaData", little_endian=little)
    return metadata(bytes(raw), header=False)


def grid(frame="map", little=True, **more):
    made = facts(**more)
    head = MAKE["std_msgs/msg/Header"](MAKE["builtin_interfaces/msg/Time"](5, 6), frame)
    cells = np.zeros(made.width * made.height, np.int8)
    whole = MAKE["nav_msgs/msg/OccupancyGrid"](head, made, cells)
    raw = STORE.serialize_cdr(whole, "nav_msgs/msg/OccupancyGrid", little_endian=little)
    return metadata(bytes(raw), header=True)


@pytest.mark.parametrize("frame", ["", "m", "map", "maps", "a/map", "länge"])
@pytest.mark.parametrize("little", [True, False])
def test_both_messages_name_a_map_alike_whenever_it_was_loaded(frame, little):
    expected = struct.pack("<fII7d", 0.05, 30, 20, -1.5, 2, 0, 0, 0, 0, 1)
    assert alone(little) == grid(frame, little) == grid(frame, little, loaded=99) == expected


@pytest.mark.parametrize("other", [{"resolution": 0.1}, {"width": 31}, {"height": 7}, {"x": 0.0}])
def test_another_map_has_another_name(other):
    assert alone(**other) != alone() and grid(**other) == alone(**other)


@given(st.binary(max_size=120), st.booleans())
def test_any_bytes_are_read_or_refused(data, header):
    for raw in (data, b"\0\1\0\0" + data):
        found = metadata(raw, header)
        assert found is None or len(found) == 68
