"""Folders and paths of bags as people have them: stale metadata.yaml, splits, odd names."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bagfiles import frames, read, storage
from bagmaker import KINDS

from gaussvae_ros.bags import Bag, is_bag
from gaussvae_ros.errors import BagError


@pytest.mark.parametrize(
    "metadata", [b"", b"\x00\xff[: not yaml", b"- a list", b"rosbag2_bagfile_information:\n", None]
)
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


@pytest.mark.parametrize("folder", ["bags\\", "C:\\bags\\", "/home/robot/bags/", "./"])
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_names_of_files_are_those_of_any_machine(folder, begin, tmp_path):
    path = frames().write(tmp_path)
    text = (path / "metadata.yaml").read_text().replace("test.mcap", f"{folder}test.mcap")
    (path / "metadata.yaml").write_bytes(f"{begin}{text}".replace("\n", "\r\n").encode())
    assert read(path) == ([0, 1, 2, 3, 4, 5], [])


def test_a_split_that_is_not_listed_is_read_and_one_that_is_missing_is_said(tmp_path):
    path = frames(numbers=range(3)).write(tmp_path)
    shutil.move(storage(frames(numbers=range(3, 6)).write(tmp_path, "more")), path / "test_1.mcap")
    assert read(path) == (
        [0, 1, 2, 3, 4, 5],
        ["metadata.yaml does not name test_1.mcap, which is read, too"],
    )
    (path / "test.mcap").unlink()
    found, said = read(path)
    assert found == [3, 4, 5] and any(
        "names test.mcap" in text and "not there" in text for text in said
    )


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
    assert found == list(range(6)) and said == [
        "test.db3 is left out: the same recording as test.mcap"
    ]


def test_what_else_lies_in_a_folder_is_no_matter(tmp_path):
    path = frames().write(tmp_path)
    (path / "x.mcap").mkdir()
    (path / "notes.txt").write_text("a note")
    (path / ".test.mcap").write_bytes(b"a draft")
    os.symlink(path / "nothing.db3", path / "link.db3")
    found, said = read(path)
    assert found == list(range(6)) and said == [
        ".test.mcap is hidden, the draft of another program, and left out"
    ]
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


@pytest.mark.parametrize(
    "name", ["run#3", "why?", "50%41", "a b", "a&mode=rwc", "üß", "two\nlines", b"f\xfcr"]
)
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
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "150 150 []\n"


def test_a_folder_of_bags_and_a_bag_without_its_files_say_so(tmp_path):
    for name in ("first", "second"):
        frames().write(tmp_path / "all", name)
    with pytest.raises(BagError, match="all is not a bag: it holds 2, name one: first, second"):
        Bag(tmp_path / "all")
    storage(tmp_path / "all" / "first").unlink()
    with pytest.raises(
        BagError, match=r"metadata.yaml names first.mcap, and no such file is there"
    ):
        Bag(tmp_path / "all" / "first")
