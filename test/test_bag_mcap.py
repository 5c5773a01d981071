"""MCAP of every kind: no summary or index, unsorted, cut short, damaged, odd schemas and times."""

import struct

import numpy as np
import pytest
from bagfiles import BARE, STEP, frames, read, storage
from bagmaker import START
from mcap.reader import make_reader
from mcap.writer import CompressionType

from gaussvae_ros.bags import Bag
from gaussvae_ros.bags.storage import LATEST_NS
from gaussvae_ros.errors import BagError


@pytest.mark.parametrize(
    "options", [{}, BARE, {"repeat_channels": False}, {"repeat_schemas": False}]
)
@pytest.mark.parametrize("chunking", [True, False])
@pytest.mark.parametrize("compression", list(CompressionType))
def test_every_kind_of_mcap(options, chunking, compression, tmp_path):
    maker, path = frames(numbers=range(20)), tmp_path / "a.mcap"
    maker.write_mcap(
        path, use_chunking=chunking, chunk_size=3_000, compression=compression, **options
    )
    assert read(path) == (list(range(20)), [])


def test_what_follows_the_end_of_a_file_is_said(tmp_path):
    path = frames().write_mcap(tmp_path / "a.mcap")
    path.write_bytes(path.read_bytes() + bytes(100))
    assert read(path) == (list(range(6)), ["a.mcap: 100 bytes after its end are left out"])


@pytest.mark.parametrize("length", [2**31, 2**62])
@pytest.mark.parametrize("opcode", range(1, 16))
def test_a_record_that_says_a_huge_length_costs_itself(opcode, length, tmp_path):
    path = frames().write_mcap(tmp_path / "a.mcap", use_chunking=False)
    data = path.read_bytes()
    path.write_bytes(data[:8] + struct.pack("<BQ", opcode, length) + data[8:])
    assert read(path) == (list(range(6)), ["a.mcap: 9 bytes at byte 8 are damaged, and left out"])


@pytest.mark.parametrize("chunking", [True, False])
def test_unsorted_messages_come_by_their_record_times(chunking, tmp_path):
    maker, order = frames(numbers=range(40)), np.random.default_rng(0).permutation(40)
    maker.entries = [maker.entries[i] for i in order]
    assert read(maker.write_mcap(tmp_path / "a.mcap", use_chunking=chunking, chunk_size=2_000)) == (
        list(range(40)),
        [],
    )


@pytest.mark.parametrize(
    "options",
    [
        {"profile": ""},
        {"names": lambda name: name.replace("/msg/", "/")},
        {"names": lambda name: name.replace("/msg/", "::msg::dds_::") + "_"},
        {"schema": ("ros2idl", b"module sensor_msgs { broken")},
        {"schema": ("ros2msg", b"\xff\xfe no text")},
        {"schema": ("", b"")},
        {"encoding": ""},
        {"encoding": "CDR"},
        {"beside": "json"},
        {"beside": "protobuf"},
        {"beside": "jsonschema"},
    ],
)
def test_odd_schemas_profiles_and_side_channels_cost_nothing(options, tmp_path):
    assert read(frames().write_mcap(tmp_path / "a.mcap", **options)) == (list(range(6)), [])


@pytest.mark.parametrize("profile", ["ros1", ""])
@pytest.mark.parametrize("encoding", ["ros1", ""])
def test_ros1_in_mcap(profile, encoding, tmp_path):
    maker = frames("bag").tf("map", "camera", START, (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0))
    maker.tf("map", "camera", START + STEP, (2.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0))
    path = tmp_path / "a.mcap"
    maker.write_mcap(
        path,
        profile=profile,
        encoding=encoding,
        schema=("ros1msg", b""),
        names=lambda name: name.replace("/msg/", "/"),
    )
    assert read(path) == (list(range(6)), [])
    with Bag(path) as bag:
        assert bag.poses("camera").at(START, START)[0] == 1


def test_images_in_an_encoding_that_is_not_read_are_said(tmp_path):
    path = frames().write_mcap(tmp_path / "a.mcap", encoding="json")
    with Bag(path) as bag:
        assert bag.problems == [
            "/cam: 6 messages of sensor_msgs/msg/Image in the encoding json are not read"
        ]
        with pytest.raises(BagError, match="holds no images.*encoding json"):
            bag.image_topic()


@pytest.mark.parametrize("wild", [0, 2**64 - 1, LATEST_NS])
def test_record_times_that_are_none_cost_nothing(wild, tmp_path):
    maker = frames()
    assert read(maker.write_mcap(tmp_path / "one.mcap", times={2: wild}))[0] == list(range(6))
    assert read(maker.write_mcap(tmp_path / "all.mcap", times=dict.fromkeys(range(6), wild)))[
        0
    ] == list(range(6))
    with Bag(tmp_path / "one.mcap") as bag:
        assert [image.recorded_ns for image in bag.images("/cam")] == [
            START + i * STEP for i in range(6)
        ]


def test_one_damaged_chunk_costs_that_chunk_only(tmp_path):
    path = frames(numbers=range(40)).write_mcap(
        tmp_path / "a.mcap", chunk_size=4_000, compression=CompressionType.NONE
    )
    with open(path, "rb") as file:
        chunk = make_reader(file).get_summary().chunk_indexes[2]
    whole = path.read_bytes()
    head = chunk.chunk_start_offset + 9
    path.write_bytes(whole[:head] + bytes(1_000) + whole[head + 1_000 :])  # as a power cut leaves
    found, said = read(path)
    assert 33 <= len(found) < 40 and "its head is not one" in said[0]
    for place in (0, 5, 10, 40, 44, 60, chunk.chunk_length // 2, chunk.chunk_length - 1):
        data = bytearray(whole)
        data[chunk.chunk_start_offset + place] ^= 0x10
        path.write_bytes(data)
        found, said = read(path)
        assert len(found) >= 40 - 7 and len(said) >= (len(found) < 40), place


def test_a_type_without_a_name_is_called_that(tmp_path):
    path = frames().write_mcap(tmp_path / "a.mcap", names=lambda _: "")
    with Bag(path) as bag, pytest.raises(BagError, match=r"/cam \(6 of a type without a name\)"):
        bag.image_topic()


def test_a_damaged_summary_costs_no_topic(tmp_path):
    path = frames().write_mcap(tmp_path / "a.mcap")
    data = bytearray(path.read_bytes())
    for name in (b"sensor_msgs/msg/Image", b"/cam"):
        place = data.rindex(name)  # repeated in the summary, which a checksum covers
        data[place + 2] ^= 1
    path.write_bytes(data)
    assert read(path)[0] == list(range(6))


@pytest.mark.parametrize("options", [{}, BARE, {"use_chunking": False}])
def test_a_recording_that_was_cut_short_is_read_up_to_there(options, tmp_path):
    whole = (
        frames(numbers=range(40))
        .write_mcap(tmp_path / "a.mcap", chunk_size=4_000, **options)
        .read_bytes()
    )
    before = -1
    for size in range(len(whole) // 3, len(whole) * 9 // 10, len(whole) // 23):
        (tmp_path / "a.mcap").write_bytes(whole[:size])
        found, [said] = read(tmp_path / "a.mcap")
        assert found == list(range(len(found))) and len(found) > max(
            before, size * 40 // len(whole) - 8
        )
        assert "breaks off after" in said
        before = len(found) - 1


def test_a_message_of_a_chunk_that_becomes_another_record_is_missed(tmp_path):
    """One bit of its opcode, 5: a channel then, in a chunk without a checksum."""
    path = storage(frames("mcap").write(tmp_path))
    data = bytearray(path.read_bytes())
    places = [i for i, byte in enumerate(data) if byte == 5 and is_a_picture(data, i)]
    assert len(places) == 6
    data[places[2]] ^= 1
    path.write_bytes(data)
    found, said = read(path)
    assert found == [0, 1, 3, 4, 5] and "1 messages of a chunk at byte" in said[0]


def is_a_picture(data: bytes, place: int) -> bool:
    """Whether a message's record that is large enough can begin at a place of an MCAP file."""
    return 300 < int.from_bytes(data[place + 1 : place + 9], "little") < 2_000
