"""One clear line for every bad input, and files that cannot be written."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from standin import JpegCodec
from test_cli import codec, image, memory, run  # noqa: F401 (fixtures)

from gaussvae_ros import __version__
from gaussvae_ros.files import write_file


@pytest.fixture
def place(tmp_path, image, memory):
    """A folder with good and bad files under short names."""
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "half.gsv").write_bytes(JpegCodec().encode(np.zeros((48, 64, 3), np.uint8))[:-9])
    (tmp_path / "good.gsv").write_bytes(JpegCodec().encode(np.zeros((48, 64, 3), np.uint8)))
    maker = BagMaker("db3").image("/a", START, np.zeros((48, 64, 3), np.uint8))
    maker.image("/b", START, np.zeros((48, 64, 3), np.uint8)).write(tmp_path, "two")
    BagMaker("db3").pose("/p", START, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)).write(tmp_path, "blind")
    return tmp_path


@pytest.mark.parametrize(
    "command, text",
    [
        ("", "required"),
        ("fly", "invalid choice"),
        ("encode in.png", "-o"),
        (
            "encode in.png -q 80 -o x.gsv",
            "-q 80 (see gaussvae encode --help)",
        ),
        ("encode none.png -o x.gsv", "none.png"),
        ("encode text.png -o x.gsv", "not an image"),
        ("encode in.png -o none/x.gsv", "No such file or directory"),
        ("encode in.png -o two", "is a folder"),
        ("encode in.png -o x.gsv --quality high", "--quality"),
        ("decode none.gsv -o x.png", "none.gsv: No such file"),
        ("decode half.gsv -o x.png", "half.gsv: record is damaged"),
        ("decode in.png -o x.png", "in.png: not a gaussvae record"),
        ("decode good.gsv -o x.docx", "end the name in one of"),
        ("decode good.gsv -o x.png --size big", "is not 2 whole numbers"),
        ("decode good.gsv -o x.png --roi 1,2,3", "is not 4 whole numbers"),
        (
            "decode good.gsv -o x.webp --size 20000x20",
            "x.webp: 20000x20 px are too many for WEBP, whose sides have at most 16383 px: write a"
            " PNG",
        ),
        ("decode good.gsv -o x.jpg --size 20x65501", "at most 65500 px: write a PNG"),
        ("replay none.bag", "no such bag"),
        ("replay two", "choose one with --topic: /a (1), /b (1)"),
        ("replay two --topic /c", "image topics: /a (1), /b (1)"),
        ("replay two --topic /a --pose-topic /odom", "no poses on /odom"),
        ("replay blind", "holds no images"),
        ("replay two --topic /a --bank in.png", "in.png"),
        ("replay two --topic /a --compare -1", "--compare"),
        ("evaluate none --out x", "none"),
        ("evaluate none --video --out x", "no such file or folder: none"),
        ("evaluate in.png --video --out x", "in.png is no sequence"),
        ("evaluate two --video --out x", "choose one with --topic: /a (1), /b (1)"),
        ("evaluate two --video --topic /a --out x", "1 frames are no sequence"),
        ("evaluate two --video --frames 1 --out x", "at least 2 frames"),
        ("evaluate two --video --peers hevc --out x", "no peer is named 'hevc'"),
        ("evaluate in.png --every 2 --out x", "--every and --topic belong to --video"),
        ("evaluate in.png --video --models m --out x", "exclude each other"),
        ("demo --seconds 0.5 --out d", "1 to 3600 s"),
        ("bank info none.db", "does not exist"),
        ("bank info in.png", "in.png"),
        ("bank list memory.db --near 1 2 3", "radius"),
        ("bank list memory.db --like 99", "no frame 99"),
        ("bank recall memory.db -o x.png", "--id --stamp"),
        ("bank recall memory.db --id 99 -o x.png", "no frame 99"),
        (
            "bank recall memory.db --stamp 0 --camera rear -o x.png",
            "no frame in memory.db of camera rear",
        ),
        ("bank export memory.db -o in.png", "in.png"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_2(command, text, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    before = sorted(p.name for p in place.iterdir())
    code, out, err = run(capsys, *command.split())
    assert code == 2 and out == ""
    assert (
        text in err
        and err.startswith("gaussvae")
        and err.count("\n") == 1
        and "Traceback" not in err
    )
    assert sorted(p.name for p in place.iterdir() if not p.name.startswith("memory.db-")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "frame.gsv"
    target.write_bytes(b"old")
    monkeypatch.setattr(
        Path, "write_bytes", lambda self, data: Path.open(Path("/dev/full"), "wb", 0).write(data)
    )
    with pytest.raises(OSError, match="No space left") as caught:
        write_file(target, b"new")
    assert caught.value.filename == str(target) and target.read_bytes() == b"old"


@pytest.fixture(params=["Read-only file system", "No space left on device|full"])
def disk(request, tmp_path):
    """A disk that cannot be written, or is full, and how that is called."""
    (folder := tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a disk")
    if "full" in request.param:
        with pytest.raises(OSError), open(folder / "filler", "wb", 0) as filler:
            while True:
                filler.write(bytes(4096))
    else:
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield folder, request.param
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_takes_nothing_is_said_of_what_was_asked_for(place, disk, capsys, monkeypatch):
    monkeypatch.chdir(place)
    there = sorted(os.listdir(disk[0]))
    for command in (
        "encode in.png -o disk/x",
        "decode good.gsv -o disk/x.png",
        "bank recall memory.db --id 1 -o disk/x.png",
        "bank timeline memory.db -o disk/x.html",
        "bank export memory.db -o disk/x",
        "bank export memory.db --format mcap -o disk/x",
        "bank merge memory.db -o disk/x.db",
        "bank merge memory.db -o new.db --ids disk/x.csv",
        "bank backup memory.db -o disk/x.db",
        "evaluate in.png --qualities 20 60 --peers --out disk",
    ):
        code, out, err = run(capsys, *command.split())
        assert code == 2 and out == "" and err.count("\n") == 1
        named = re.escape(command.rpartition(" ")[2])
        assert re.match(rf"gaussvae: ({re.escape(str(place))}/)?{named}\b.*({disk[1]})", err), err
        assert sorted(os.listdir(disk[0])) == there and not (place / "new.db").exists()


def test_what_is_no_file_takes_the_bytes_and_stays(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"bytes")
    assert os.read(end, 9) == b"bytes" and pipe.is_fifo()
    os.close(end)
    (tmp_path / "folder").mkdir()
    link.symlink_to("folder/frame.gsv")
    for data in (b"a", b"new"):  # where the link leads to nothing yet, too
        write_file(link, data)
        assert link.is_symlink() and (tmp_path / "folder/frame.gsv").read_bytes() == data
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["folder", "frame.gsv", "link", "pipe"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_one_line(image, tmp_path, capsys):
    tmp_path.chmod(0o500)
    code, _, err = run(capsys, "encode", image, "-o", tmp_path / "x.gsv")
    tmp_path.chmod(0o700)
    assert code == 2 and err.count("\n") == 1 and "Permission denied" in err


def test_the_version_is_said(capsys):
    assert run(capsys, "--version") == (0, f"gaussvae_ros {__version__}\n", "")
