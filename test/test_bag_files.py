"""Bag files as people have them: folders that differ from their metadata.yaml, recordings that were cut short or
damaged, storage that is packed, and MCAP of every kind."""

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bagmaker import KINDS, START, BagMaker
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from zstandard import ZstdCompressor

from gaussvae_ros.bags import Bag, is_bag
from gaussvae_ros.bags.storage import LATEST_NS, Connection, Part, in_order, settled, type_name
from gaussvae_ros.errors import BagError

STEP = 100_000_000  # ns between frames
BARE = {  # an MCAP file without summary and indexes
    "index_types": IndexType.NONE,
    "repeat_channels": False,
    "repeat_schemas": False,
    "use_statistics": False,
    "use_summary_offsets": False,
}


def picture(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 255, (12, 16, 3), np.uint8)


def frames(kind: str = "mcap", numbers: range = range(6), topic: str = "/cam") -> BagMaker:
    maker = BagMaker(kind)
    for i in numbers:
        maker.image(topic, START + i * STEP, picture(i))
    return maker


def read(path: Path, topic: str = "/cam") -> tuple[list[int], list[str]]:
    """Numbers of the frames whose pictures are right, and what is said."""
    with Bag(path) as bag:
        images = list(bag.images(bag.image_topic(topic)))
        numbers = [(image.stamp_ns - START) // STEP for image in images]
        right = [n for n, i in zip(numbers, images) if np.array_equal(i.pixels, picture(n))]
        return right, bag.problems


def storage(folder: Path) -> Path:
    [file] = (p for p in folder.iterdir() if p.suffix in (".mcap", ".db3"))
    return file


@pytest.mark.parametrize("metadata", [b"", b"\x00\xff[: not yaml", b"- a list", b"rosbag2_bagfile_information:\n", None])
@pytest.mark.parametrize("kind", ["mcap", "db3"])
def test_no_metadata_hides_what_was_written(kind, metadata, tmp_path):
    path = frames(kind).write(tmp_path)
    (path / "metadata.yaml").unlink()
    if metadata is not None:
        (path / "metadata.yaml").write_bytes(metadata)
    found, said = read(path)
    assert found == list(range(6)) and len(said) == (metadata is not None)


@pytest.mark.parametrize(
    "old, new",
    [
        ("offered_qos_profiles", "offered_qos_profiles: 7\n          other"),
        ("storage_identifier: ", "storage_identifier: sqlite4 #"),
        ("storage_identifier: ", "storage_identifier: '' #"),
        ("serialization_format: ", "serialization_format: '' #"),
        ("name: /cam", "name: /other"),
        ("version: 8", "version: 99"),
        ("compression_mode: ", "compression_mode: FILE #"),
    ],
)
def test_metadata_is_never_a_filter(old, new, tmp_path):
    path = frames().write(tmp_path)
    text = (path / "metadata.yaml").read_text()
    assert old in text
    (path / "metadata.yaml").write_text(text.replace(old, new))
    assert read(path)[0] == list(range(6))


def test_a_split_that_is_not_listed_is_read_and_one_that_is_missing_is_said(tmp_path):
    path = frames(numbers=range(3)).write(tmp_path)
    shutil.move(storage(frames(numbers=range(3, 6)).write(tmp_path, "more")), path / "test_1.mcap")
    assert read(path) == ([0, 1, 2, 3, 4, 5], ["metadata.yaml does not name test_1.mcap, which is read, too"])
    (path / "test.mcap").unlink()
    found, said = read(path)
    assert found == [3, 4, 5] and any("names test.mcap" in text and "not there" in text for text in said)


def test_splits_come_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for i in range(12):
        frames(numbers=range(i, i + 1)).write_mcap(folder / f"run_{i}.mcap", use_chunking=False)
    assert read(folder) == (list(range(12)), [])


def test_several_recordings_in_a_folder_are_a_question(tmp_path):
    for name in ("left.mcap", "right.mcap"):
        frames().write_mcap(tmp_path / name)
    with pytest.raises(BagError, match=r"holds 2 recordings, name one: .*left.mcap"):
        Bag(tmp_path)


def test_the_same_recording_twice_counts_once(tmp_path):
    path = frames().write(tmp_path)
    shutil.copy(storage(frames("db3").write(tmp_path, "other")), path / "copy.db3")
    found, said = read(path)
    assert found == list(range(6)) and any("6 messages lie in two files" in text for text in said)
    (path / "copy.db3").rename(path / "test.db3")
    found, said = read(path)
    assert found == list(range(6)) and said == ["test.db3 is left out: the same recording as test.mcap"]


def test_what_else_lies_in_a_folder_is_no_matter(tmp_path):
    path = frames().write(tmp_path)
    (path / "x.mcap").mkdir()
    (path / "notes.txt").write_text("a note")
    (path / ".test.mcap").write_bytes(b"a draft")
    os.symlink(path / "nothing.db3", path / "link.db3")
    found, said = read(path)
    assert found == list(range(6)) and said == [".test.mcap is hidden, the draft of another program, and left out"]
    assert is_bag(path) and not is_bag(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_counts_not_the_name(kind, tmp_path):
    path = frames(kind).write(tmp_path)
    for name in ("a.bag", "b.mcap", "c.db3", "d.bag.active", "e"):
        shutil.copy(path if path.is_file() else storage(path), tmp_path / name)
        assert read(tmp_path / name) == (list(range(6)), [])
    folder = tmp_path / "folder.bag"
    folder.mkdir()
    shutil.move(tmp_path / "b.mcap", folder / "x_0.mcap")
    assert read(folder) == (list(range(6)), [])


@pytest.mark.parametrize("name", ["run#3", "why?", "50%41", "a b", "a&mode=rwc", "üß", "two\nlines", b"f\xfcr"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_path_will_do(kind, name, tmp_path):
    path = frames(kind).write(tmp_path)
    odd = tmp_path / os.fsdecode(name) / "bag.bag"
    odd.parent.mkdir()
    path.rename(odd)
    before = sorted(os.listdir(tmp_path))
    assert read(odd) == (list(range(6)), []) and sorted(os.listdir(tmp_path)) == before
    with pytest.raises(BagError) as caught:
        Bag(odd / "none")
    assert "\n" not in str(caught.value) and str(caught.value).encode()


@pytest.mark.parametrize("storage_kind", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("mode", list(CompressionMode))
def test_packed_storage_is_read_with_its_metadata_and_by_itself(storage_kind, mode, tmp_path):
    maker = frames()
    if mode == CompressionMode.NONE or (mode == CompressionMode.STORAGE and storage_kind == StoragePlugin.SQLITE3):
        pytest.skip("not what this is about, or there is no such storage")
    with Writer(tmp_path / "bag", version=8, storage_plugin=storage_kind) as writer:
        pass
    shutil.rmtree(tmp_path / "bag")
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=storage_kind)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/cam", "sensor_msgs/msg/Image", typestore=maker.store)
        for _, message, recorded_ns in maker.entries:
            writer.write(connection, recorded_ns, maker.store.serialize_cdr(message, message.__msgtype__))
    assert read(tmp_path / "bag") == (list(range(6)), [])
    [file] = (p for p in (tmp_path / "bag").iterdir() if p.name != "metadata.yaml")
    assert read(file) == (list(range(6)), [])


def test_a_packed_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path):
    maker, path = frames(numbers=range(1_000)), tmp_path / "a.mcap.zstd"
    packed = ZstdCompressor().compress(maker.write_mcap(tmp_path / "a.mcap", chunk_size=2_000).read_bytes())
    (tmp_path / "a.mcap").unlink()
    path.write_bytes(packed)
    assert read(path) == (list(range(1_000)), [])
    path.write_bytes(packed[: len(packed) * 2 // 3])
    found, said = read(path)
    assert found == list(range(len(found))) and len(found) > 400
    assert any("packed, and cut short" in text for text in said)


@pytest.mark.parametrize("options", [{}, BARE, {"repeat_channels": False}, {"repeat_schemas": False}])
@pytest.mark.parametrize("chunking", [True, False])
@pytest.mark.parametrize("compression", list(CompressionType))
def test_every_kind_of_mcap(options, chunking, compression, tmp_path):
    maker, path = frames(numbers=range(20)), tmp_path / "a.mcap"
    maker.write_mcap(path, use_chunking=chunking, chunk_size=3_000, compression=compression, **options)
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
    assert read(maker.write_mcap(tmp_path / "a.mcap", use_chunking=chunking, chunk_size=2_000)) == (list(range(40)), [])


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
        assert bag.problems == ["/cam: 6 messages of sensor_msgs/msg/Image in the encoding json are not read"]
        with pytest.raises(BagError, match="holds no images.*encoding json"):
            bag.image_topic()


@pytest.mark.parametrize("wild", [0, 2**64 - 1, LATEST_NS])
def test_record_times_that_are_none_cost_nothing(wild, tmp_path):
    maker = frames()
    assert read(maker.write_mcap(tmp_path / "one.mcap", times={2: wild}))[0] == list(range(6))
    assert read(maker.write_mcap(tmp_path / "all.mcap", times=dict.fromkeys(range(6), wild)))[0] == list(range(6))
    with Bag(tmp_path / "one.mcap") as bag:
        assert [image.recorded_ns for image in bag.images("/cam")] == [START + i * STEP for i in range(6)]


def test_one_damaged_chunk_costs_that_chunk_only(tmp_path):
    path = frames(numbers=range(40)).write_mcap(tmp_path / "a.mcap", chunk_size=4_000, compression=CompressionType.NONE)
    with open(path, "rb") as file:
        chunk = make_reader(file).get_summary().chunk_indexes[2]
    whole = path.read_bytes()
    for place in (0, 5, 10, 40, 44, 60, chunk.chunk_length // 2, chunk.chunk_length - 1):
        data = bytearray(whole)
        data[chunk.chunk_start_offset + place] ^= 0x10
        path.write_bytes(data)
        found, said = read(path)
        assert len(found) >= 40 - 7 and len(said) >= (len(found) < 40), place


@pytest.mark.parametrize("options", [{}, BARE, {"use_chunking": False}])
def test_a_recording_that_was_cut_short_is_read_up_to_there(options, tmp_path):
    whole = frames(numbers=range(40)).write_mcap(tmp_path / "a.mcap", chunk_size=4_000, **options).read_bytes()
    before = -1
    for size in range(len(whole) // 3, len(whole) * 9 // 10, len(whole) // 23):
        (tmp_path / "a.mcap").write_bytes(whole[:size])
        found, [said] = read(tmp_path / "a.mcap")
        assert found == list(range(len(found))) and len(found) > max(before, size * 40 // len(whole) - 8)
        assert "breaks off after" in said
        before = len(found) - 1


def test_a_rosbag1_file_without_index_is_read(tmp_path):
    path = frames("bag", range(30)).write(tmp_path)
    whole = path.read_bytes()
    path.rename(path.with_suffix(".bag.active"))
    path = path.with_suffix(".bag.active")
    place = whole.index(b"index_pos=") + len(b"index_pos=")
    path.write_bytes(whole[:place] + bytes(8) + whole[place + 8 :])
    found, [said] = read(path)
    assert found == list(range(30)) and "no index" in said
    path.write_bytes(whole[: len(whole) // 2])
    found, said = read(path)
    assert found == list(range(len(found))) and len(found) > 10 and any("breaks off" in text for text in said)


def killed(folder: Path, mode: str) -> Path:
    """A .db3 whose recorder was killed while a part of the messages were in its journal."""
    path = storage(frames("db3", range(40)).write(folder))
    work = folder / "work.db3"
    shutil.copy(path, work)
    code = f"""
import os, sqlite3
db = sqlite3.connect({str(work)!r}, isolation_level=None)
db.execute("PRAGMA journal_mode = {mode}"); db.execute("PRAGMA wal_autocheckpoint = 0"); db.execute("PRAGMA cache_size = 2")
rows = list(db.execute("SELECT * FROM messages WHERE id > 30"))
db.execute("DELETE FROM messages WHERE id > 30"); db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
db.execute("BEGIN"); db.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
if {mode!r} == "WAL": db.execute("COMMIT")
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    return work


def test_a_journal_that_a_killed_recorder_left_is_read(tmp_path):
    path = killed(tmp_path, "WAL")
    assert Path(f"{path}-wal").stat().st_size
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    assert read(path) == (list(range(40)), [])
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_a_write_that_was_not_ended_is_rolled_back(tmp_path):
    path = killed(tmp_path, "DELETE")
    assert Path(f"{path}-journal").stat().st_size
    before = path.read_bytes()
    found, said = read(path)
    assert found == list(range(30)) and path.read_bytes() == before


def test_a_locked_db3_is_read(tmp_path):
    path = storage(frames("db3").write(tmp_path))
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert read(path) == (list(range(6)), [])
    writer.close()


def test_damaged_pages_cost_what_they_hit(tmp_path):
    path = storage(frames("db3", range(300)).write(tmp_path))
    whole = path.read_bytes()
    with sqlite3.connect(path) as reader:
        roots = dict(reader.execute("SELECT name, rootpage FROM sqlite_master"))
    reader.close()
    rng = np.random.default_rng(0)
    for page in {*range(20, len(whole) // 4096, 7), roots["messages"] - 1, roots["timestamp_idx"] - 1}:
        data = bytearray(whole)
        data[page * 4096 : (page + 1) * 4096] = rng.bytes(4096)
        path.write_bytes(data)
        found, said = read(path)
        assert len(found) >= 290 and (said or len(found) == 300), page


@pytest.mark.parametrize("size", [(12, 16), (120, 160)])  # on leaf pages, and with chains of other pages
def test_messages_are_found_where_no_page_leads_to_them(size, tmp_path):
    maker = BagMaker("db3")
    for i in range(40):
        maker.image("/cam", START + i * STEP, np.random.default_rng(i).integers(0, 255, (*size, 3), np.uint8))
    path = storage(maker.write(tmp_path))
    with Bag(path) as bag:
        before = [(i.stamp_ns, i.pixels.tobytes()) for i in bag.images("/cam")]
    with sqlite3.connect(path) as reader:
        [(root,)] = reader.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'")
    reader.close()
    data = bytearray(path.read_bytes())
    data[(root - 1) * 4096 : root * 4096] = bytes(4096)
    path.write_bytes(data)
    with Bag(path) as bag:
        assert [(i.stamp_ns, i.pixels.tobytes()) for i in bag.images("/cam")] == before
        assert "pages are damaged or missing; messages from 0 on are left out, but for 40" in bag.problems[0]


def test_a_db3_that_was_cut_short_is_read_up_to_there(tmp_path):
    path = storage(frames("db3", range(200)).write(tmp_path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    found, said = read(path)
    assert 100 < len(found) < 200 and found == sorted(found) and said


def test_other_tables_empty_topics_and_wrong_rows_cost_nothing(tmp_path):
    path = storage(frames("db3").write(tmp_path))
    with sqlite3.connect(path) as writer:
        writer.execute("CREATE TABLE other (x)")
        writer.executemany(
            "INSERT INTO topics (id, name, type, serialization_format, offered_qos_profiles, type_description_hash)"
            " VALUES (?, ?, ?, 'cdr', '', '')",
            [(i, f"/t{i}", "std_msgs/msg/String") for i in range(100, 3_000)],
        )
        writer.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (99, 5, x'00')")
        writer.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, 'noon', 'text')")
    writer.close()
    found, said = read(path)
    assert found == list(range(6)) and "1 messages belong to no topic" in said[0]


FILES = {}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*KINDS, "bare", "unchunked"]), st.randoms(use_true_random=False))
def test_any_damage_gives_frames_or_one_line(tmp_path_factory, kind, random):
    """Truncation, flipped bits, zeros, all ones, bytes that are gone or too many."""
    if kind not in FILES:
        folder = tmp_path_factory.mktemp(kind)
        if kind in KINDS:
            path = frames(kind, range(20)).write(folder)
            FILES[kind] = path if path.is_file() else storage(path)
        else:
            how = BARE if kind == "bare" else {"use_chunking": False}
            FILES[kind] = frames(numbers=range(20)).write_mcap(folder / "a.mcap", chunk_size=2_000, **how)
        FILES[f"{kind} whole"] = FILES[kind].read_bytes()
    data, path = bytearray(FILES[f"{kind} whole"]), FILES[kind]
    for _ in range(random.randint(1, 3)):
        place, length = random.randrange(len(data)), random.choice([1, 8, 100, 5_000])
        end = min(place + length, len(data))
        edit = random.randrange(6)
        if edit == 0:
            del data[max(place, 1) :]
        elif edit == 1:
            data[place] ^= 1 << random.randrange(8)
        elif edit in (2, 3):
            data[place:end] = (b"\0" if edit == 2 else b"\xff") * (end - place)
        elif edit == 4 and end - place < len(data):
            del data[place:end]
        else:
            data[place:place] = random.randbytes(length)
    path.write_bytes(data)
    try:
        with Bag(path) as bag:
            expected = sum(bag.topics(("sensor_msgs/msg/Image",)).values())
            images = [image for topic in bag.topics(("sensor_msgs/msg/Image",)) for image in bag.images(topic)]
            assert len(images) == expected or bag.problems
            assert not any(word in text for text in bag.problems for word in ("None", "\n", "report"))
    except BagError as error:
        assert "\n" not in str(error) and "None" not in str(error) and "report" not in str(error)


def test_what_is_empty_or_no_file_is_one_line(tmp_path):
    for kind in KINDS:
        (tmp_path / f"x.{kind}").touch()
        with pytest.raises(BagError, match="is empty"):
            Bag(tmp_path / f"x.{kind}")
    os.mkfifo(tmp_path / "pipe.mcap")
    with pytest.raises(BagError, match="neither a file nor a folder"):
        Bag(tmp_path / "pipe.mcap")
    with pytest.raises(BagError, match="no such bag"):
        Bag(tmp_path / "x\0y")


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=8), st.integers(0, 10))
def test_parts_are_merged_by_record_time(times, limit):
    one = Connection("/a", "t", "cdr", 1)
    parts = [Part(min(t), 1, lambda t=t: [(x, one, b"") for x in sorted(t)]) for t in times]
    merged = [message[0] for message in in_order(parts, limit)]
    assert sorted(merged) == sorted(x for t in times for x in t)
    if limit >= len(times):
        assert merged == sorted(merged)


def test_times_and_types_are_settled():
    assert settled([0, 5, 0, LATEST_NS, 3, 0]) == [5, 5, 5, 5, 3, 3] and settled([0, 0]) == [0, 0] and settled([]) == []
    for name in ("sensor_msgs/Image", "sensor_msgs/msg/Image", "sensor_msgs::msg::Image", "sensor_msgs::msg::dds_::Image_"):
        assert type_name(name) == "sensor_msgs/msg/Image"
    assert type_name("") == "" and type_name("x") == "x"


def test_a_bag_of_more_files_than_a_process_may_open(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for i in range(150):
        frames(numbers=range(i, i + 1)).write_mcap(folder / f"run_{i}.mcap", use_chunking=False)
    code = f"""
import resource
from gaussvae_ros.bags import Bag
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with Bag({str(folder)!r}) as bag:
    print(len(list(bag.images("/cam"))), len(list(bag.images("/cam"))), bag.problems)
"""
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "150 150 []\n"


def test_a_folder_of_bags_and_a_bag_without_its_files_say_so(tmp_path):
    for name in ("first", "second"):
        frames().write(tmp_path / "all", name)
    with pytest.raises(BagError, match="all is not a bag: it holds 2, name one: first, second"):
        Bag(tmp_path / "all")
    storage(tmp_path / "all" / "first").unlink()
    with pytest.raises(BagError, match=r"metadata.yaml names first.mcap, and no such file is there"):
        Bag(tmp_path / "all" / "first")
