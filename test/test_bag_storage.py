"""What a killed recorder, a packer or a bad disk leaves: journals, no index, packed, damaged."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bagfiles import BARE, STEP, frames, read, storage
from bagmaker import KINDS, START, BagMaker
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from zstandard import ZstdCompressor

from gaussvae_ros.bags import Bag
from gaussvae_ros.bags.storage import LATEST_NS, Connection, Part, in_order, settled, type_name
from gaussvae_ros.errors import BagError


@pytest.mark.parametrize(
    "storage_kind, mode",
    [
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        *((kind, CompressionMode.MESSAGE) for kind in StoragePlugin),
        *((kind, CompressionMode.FILE) for kind in StoragePlugin),
    ],
)
def test_packed_storage_is_read_with_its_metadata_and_by_itself(storage_kind, mode, tmp_path):
    maker = frames()
    writer = Writer(tmp_path / "bag", version=8, storage_plugin=storage_kind)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/cam", "sensor_msgs/msg/Image", typestore=maker.store)
        for _, message, recorded_ns in maker.entries:
            writer.write(
                connection, recorded_ns, maker.store.serialize_cdr(message, message.__msgtype__)
            )
    assert read(tmp_path / "bag") == (list(range(6)), [])
    [file] = (p for p in (tmp_path / "bag").iterdir() if p.name != "metadata.yaml")
    assert read(file) == (list(range(6)), [])


def test_a_packed_file_that_is_cut_short_is_read_as_far_as_it_goes(tmp_path):
    maker, path = frames(numbers=range(1_000)), tmp_path / "a.mcap.zstd"
    packed = ZstdCompressor().compress(
        maker.write_mcap(tmp_path / "a.mcap", chunk_size=2_000).read_bytes()
    )
    (tmp_path / "a.mcap").unlink()
    path.write_bytes(packed)
    assert read(path) == (list(range(1_000)), [])
    path.write_bytes(packed[: len(packed) * 2 // 3])
    found, said = read(path)
    assert found == list(range(len(found))) and len(found) > 400
    assert any("packed, and cut short" in text for text in said)


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
    assert (
        found == list(range(len(found)))
        and len(found) > 10
        and any("breaks off" in text for text in said)
    )


def killed(folder: Path, mode: str) -> Path:
    """A .db3 whose recorder was killed while a part of the messages were in its journal."""
    path = storage(frames("db3", range(40)).write(folder))
    work = folder / "work.db3"
    shutil.copy(path, work)
    code = f"""
import os, sqlite3
db = sqlite3.connect({str(work)!r}, isolation_level=None)
for pragma in ("journal_mode = {mode}", "wal_autocheckpoint = 0", "cache_size = 2"):
    db.execute("PRAGMA " + pragma)
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
    for page in {
        *range(20, len(whole) // 4096, 7),
        roots["messages"] - 1,
        roots["timestamp_idx"] - 1,
    }:
        data = bytearray(whole)
        data[page * 4096 : (page + 1) * 4096] = rng.bytes(4096)
        path.write_bytes(data)
        found, said = read(path)
        assert len(found) >= 290 and (said or len(found) == 300), page


@pytest.mark.parametrize(
    "size", [(12, 16), (120, 160)]
)  # on leaf pages, and with chains of other pages
def test_messages_are_found_where_no_page_leads_to_them(size, tmp_path):
    maker = BagMaker("db3")
    for i in range(40):
        maker.image(
            "/cam",
            START + i * STEP,
            np.random.default_rng(i).integers(0, 255, (*size, 3), np.uint8),
        )
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
        assert (
            "pages are damaged or missing; messages from 0 on are left out, but for 40"
            in bag.problems[0]
        )


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
            "INSERT INTO topics (id, name, type, serialization_format, offered_qos_profiles,"
            " type_description_hash) VALUES (?, ?, ?, 'cdr', '', '')",
            [(i, f"/t{i}", "std_msgs/msg/String") for i in range(100, 3_000)],
        )
        writer.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (99, 5, x'00')")
        writer.execute(
            "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, 'noon', 'text')"
        )
    writer.close()
    found, said = read(path)
    assert found == list(range(6)) and "1 messages belong to no topic" in said[0]


@pytest.mark.parametrize("length", [8, 1_000])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_zeros_lose_nothing_silently(kind, length, tmp_path):
    """As a power cut leaves them; the pictures may be others, in the formats without checksums."""
    path = frames(kind).write(tmp_path)
    path = path if path.is_file() else storage(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(len(whole) // 150, 1)):
        data = bytearray(whole)
        data[place : place + length] = bytes(len(data[place : place + length]))
        path.write_bytes(data)
        try:
            with Bag(path) as bag:
                images = list(bag.images(bag.image_topic("/cam")))
                said = bag.problems
        except BagError:
            continue
        there = sum(image.pixels is not None for image in images)
        assert there == 6 or said or len(images) == 6, place


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
            FILES[kind] = frames(numbers=range(20)).write_mcap(
                folder / "a.mcap", chunk_size=2_000, **how
            )
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
            images = [
                image
                for topic in bag.topics(("sensor_msgs/msg/Image",))
                for image in bag.images(topic)
            ]
            assert len(images) == expected or bag.problems
            assert not any(
                word in text for text in bag.problems for word in ("None", "\n", "report")
            )
    except BagError as error:
        assert "\n" not in str(error) and "None" not in str(error) and "report" not in str(error)


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=8), st.integers(0, 10)
)
def test_parts_are_merged_by_record_time(times, limit):
    one = Connection("/a", "t", "cdr", 1)
    parts = [Part(min(t), 1, lambda t=t: [(x, one, b"") for x in sorted(t)]) for t in times]
    merged = [message[0] for message in in_order(parts, limit)]
    assert sorted(merged) == sorted(x for t in times for x in t)
    if limit >= len(times):
        assert merged == sorted(merged)


def test_times_and_types_are_settled():
    assert (
        settled([0, 5, 0, LATEST_NS, 3, 0]) == [5, 5, 5, 5, 3, 3]
        and settled([0, 0]) == [0, 0]
        and settled([]) == []
    )
    for name in (
        "sensor_msgs/Image",
        "sensor_msgs/msg/Image",
        "sensor_msgs::msg::Image",
        "sensor_msgs::msg::dds_::Image_",
    ):
        assert type_name(name) == "sensor_msgs/msg/Image"
    assert type_name("") == "" and type_name("x") == "x"
