"""`gaussvae bank export`: formats, frames left out, and who may read what it and others make."""

import json
import os
import sqlite3
import stat
from contextlib import closing

import pytest
from test_cli import START, STEP, codec, memory, run  # noqa: F401 (fixtures)

from gaussvae_ros.exports import FORMATS


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "lerobot"])
def test_every_format_is_written(tmp_path, memory, capsys, form):
    command = ["bank", "export", memory, "-o", tmp_path / "out", "--format", form]
    code, out, err = run(capsys, *command, "--json", "--pictures", "jpeg")
    figures = json.loads(out)
    without = 1 if form in ("tum", "kitti") else 0
    assert code == 0 and figures == {
        "frames": 4 - without,
        "volumes": 0,
        "folder": str(tmp_path / "out"),
        "without_pose": without,
        "damaged": 0,
    }
    says = "gaussvae: left out, since they have no pose: 1 frames\n"
    assert err == (says if without else "")
    code, out, err = run(capsys, *command)
    assert code == 2 and not out and err.endswith("an export overwrites nothing\n")


def test_conditions_choose_frames(tmp_path, memory, capsys):
    command = ["bank", "export", memory, "--format", "topomap", "-o"]
    given = ["--after", START + STEP, "--near", 1, 0, 0, "--radius", 1.5, "--camera", "front"]
    code, out, _ = run(capsys, *command, tmp_path / "some", *given)
    assert code == 0 and out == f"2 frames in {tmp_path / 'some'}\n"
    code, out, _ = run(capsys, *command, tmp_path / "first", *given, "--limit", 1)
    assert code == 0 and os.listdir(tmp_path / "first") == ["0.png"]
    code, _, err = run(capsys, *command, tmp_path / "none", "--camera", "rear")
    assert code == 2 and "no frame to export" in err


def test_damaged_frames_are_named_and_cost_themselves(tmp_path, memory, capsys):
    with closing(sqlite3.connect(memory)) as db:
        db.execute("UPDATE records SET record = zeroblob(99) WHERE frame = 3")
        db.commit()
    code, out, err = run(capsys, "bank", "export", memory, "-o", tmp_path / "out")
    assert code == 1 and out.startswith("3 frames") and err.count("frame 3 is damaged") == 1
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_what_is_made_is_for_those_who_are_named(tmp_path, memory, capsys):
    def mode(name: str) -> int:
        return stat.S_IMODE((tmp_path / name).stat().st_mode)

    for verb, made in (("export", "pictures"), ("backup", "b.db"), ("merge", "m.db")):
        for options, wanted in (([], 0o600), (["--file-mode", "0640"], 0o640)):
            name = f"{wanted}{made}"
            assert run(capsys, "bank", verb, memory, "-o", tmp_path / name, *options)[0] == 0
            assert mode(name) & 0o666 == wanted
        code, _, err = run(capsys, "bank", verb, memory, "-o", tmp_path / "x", "--file-mode", "9")
        assert code == 2 and "none of 0600, 0640, 0660" in err
    picture = tmp_path / "picture.png"
    assert run(capsys, "bank", "recall", memory, "--id", 1, "-o", picture)[0] == 0
    assert mode(picture.name) == 0o600
