"""What a verb writes never replaces what it reads, another output, or a memory file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_cli import codec, image, memory, run, verbs  # noqa: F401 (fixtures)

from gaussvae_ros.cli import parser
from gaussvae_ros.record import unpack

REPO = Path(__file__).parents[1]
FOLDERS = {"DIR", "URL"}  # as what a verb writes is called that is no file


@pytest.fixture
def place(tmp_path, image, memory, capsys, monkeypatch):
    """A folder with a file of each kind under short names, and links to them."""
    monkeypatch.chdir(tmp_path)
    np.save("nut.npy", np.zeros((4, 4, 4), np.uint8))
    assert run(capsys, "encode", "in.png", "-o", "good.gsv")[0] == 0
    for name in ("memory.db", "in.png"):
        os.symlink(name, f"soft-{name}")
        os.link(name, f"hard-{name}")
    return tmp_path


@pytest.mark.parametrize(
    "command, says",
    [
        ("encode in.png -o in.png", "in.png exists already and is an input"),
        ("encode in.png -o ./soft-in.png", "./soft-in.png exists already and is an input"),
        ("encode soft-in.png -o hard-in.png", "hard-in.png exists already and is an input"),
        ("encode in.png -o memory.db", "memory.db exists already and is a memory file"),
        ("encode in.png -o soft-memory.db", "soft-memory.db exists already and is a memory file"),
        ("decode good.gsv -o good.gsv", "good.gsv exists already and is an input"),
        ("decode good.gsv -o memory.db", "memory.db exists already and is a memory file"),
        ("volume encode nut.npy -o nut.npy", "nut.npy exists already and is an input"),
        ("volume decode good.gsv -o good.gsv", "good.gsv exists already and is an input"),
        ("bank timeline memory.db -o memory.db", "memory.db exists already and is an input"),
        ("bank timeline memory.db --map in.png -o in.png", "in.png exists already and is an input"),
        (
            "bank recall memory.db --id 1 -o hard-memory.db",
            "hard-memory.db exists already and is an input",
        ),
        ("bank volume recall memory.db -o memory.db", "memory.db exists already and is an input"),
        (
            "bank merge memory.db -o new.db --ids memory.db",
            "memory.db exists already and is an input",
        ),
        ("bank merge memory.db -o new.db --ids new.db", "new.db and new.db are one file"),
        ("bank merge memory.db -o new.db --ids ./new.db", "new.db and ./new.db are one file"),
        ("bank merge memory.db -o memory.db", "memory.db exists already and is an input"),
        ("bank backup memory.db -o memory.db", "memory.db exists already and is an input"),
        ("fleet pull archive -o new.db --ids memory.db", "memory.db exists already"),
        ("train prior in.png --out in.png", "in.png exists already and is an input"),
        ("train places in.png --out memory.db", "memory.db exists already"),
        ("train volumes nut.npy --out nut.npy", "nut.npy exists already and is an input"),
    ],
)
def test_an_output_that_would_destroy_something_is_refused(command, says, place, capsys):
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    code, out, err = run(capsys, *command.split())
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith(f"gaussvae: {says}") and " name" in err
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_other_files_that_are_there_are_replaced(place, capsys):
    (place / "old").write_bytes(b"old")
    assert run(capsys, "encode", "in.png", "-o", "old")[0] == 0
    assert (place / "old").read_bytes() == (place / "good.gsv").read_bytes()
    for _ in range(2):
        assert run(capsys, "encode", "in.png", "-o", os.devnull)[0] == 0


def test_a_record_on_stdout_is_alone_there(place):
    program = "import sys; from gaussvae_ros.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "encode", place / "in.png", "-o", "/dev/stdout"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=REPO)
    assert unpack(done.stdout).size and b" dB, " in done.stderr


@pytest.mark.parametrize("name, made", verbs(parser()).items())
def test_every_output_of_every_verb_is_looked_at(name, made):
    files = {
        action.dest
        for action in made._actions
        if action.dest in ("out", "ids") and action.metavar not in FOLDERS and action.nargs is None
    }
    assert files == set(made.get_default("writes") or ())
