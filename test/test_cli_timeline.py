"""`gaussvae bank timeline`: its options, its figures, and one line for what is wrong."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from test_cli import codec, memory, run  # noqa: F401 (fixtures)
from timelines import Inside

from gaussvae_ros.bank import MemoryBank


def test_a_page_and_its_figures(memory, tmp_path, capsys):
    page = tmp_path / "tour.html"
    done = json.loads(run(capsys, "bank", "timeline", memory, "-o", page, "--json")[1])
    assert done == {
        "page": str(page),
        "frames": 4,
        "pictures": 4,
        "step": 1,
        "picture_px": 320,
        "failed": 0,
        "damaged": 0,
        "forgotten": 0,
        "bytes": page.stat().st_size,
    }
    code, out, err = run(capsys, "bank", "timeline", memory, "-o", page, "--after", 0, "--limit", 2)
    assert code == 0 and not err and out.startswith(f"{page}: 2 frames, 2 pictures of 320 px, 0.")
    inside = Inside(page)
    assert inside.columns["id"].tolist() == [1, 2] and inside.figures["ground"] is None
    run(capsys, "bank", "timeline", memory, "-o", page, "--near", 2, 0, 0, "--radius", 1.5)
    assert Inside(page).columns["id"].tolist() == [2, 3, 4]


def test_damaged_frames_are_counted_and_named_once(memory, tmp_path, capsys):
    with closing(sqlite3.connect(memory)) as db:
        db.execute("UPDATE frames SET checksum = 7 WHERE id = 3")
        db.commit()
    page = tmp_path / "tour.html"
    code, out, err = run(capsys, "bank", "timeline", memory, "-o", page)
    assert code == 0 and ": 3 frames, 3 pictures of 320 px, 1 left out as damaged, " in out
    assert err.count("frame 3 is damaged") == 1
    done = json.loads(run(capsys, "bank", "timeline", memory, "-o", page, "--json")[1])
    assert (done["frames"], done["damaged"], done["failed"]) == (3, 1, 0)


def test_a_map_below(memory, tmp_path, capsys):
    Image.fromarray(np.zeros((3, 5), np.uint8)).save(tmp_path / "map.pgm")
    yaml = tmp_path / "map.yaml"
    yaml.write_text("image: map.pgm\nresolution: 0.1\norigin: [0, 0, 0]\n")
    page = tmp_path / "tour.html"
    assert run(capsys, "bank", "timeline", memory, "-o", page, "--map", yaml)[0] == 0
    assert Inside(page).figures["ground"]["width"] == 5


@pytest.mark.parametrize(
    "options, says",
    [
        (["--camera", "nobody"], "no such frame, so there is nothing to show"),
        (["--limit", "0"], "argument --limit: '0' is no number of frames"),
        (["--megabytes", "1"], "a timeline takes at least 1.5 MB, not 1"),
        (["--megabytes", "nan"], "a timeline takes at least 1.5 MB, not nan"),
        (["--map", "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        (["--near", "0", "0", "0"], "near and radius go together"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(memory, tmp_path, capsys, options, says):
    page = tmp_path / "tour.html"
    code, out, err = run(capsys, "bank", "timeline", memory, "-o", page, *options)
    assert code == 2 and not out and says in err and len(err.splitlines()) == 1
    assert not page.exists()


def test_an_empty_memory_and_a_place_that_cannot_be_written(memory, tmp_path, capsys):
    with MemoryBank(tmp_path / "empty.db"):
        pass
    code, _, err = run(capsys, "bank", "timeline", tmp_path / "empty.db", "-o", tmp_path / "p")
    assert code == 2 and "nothing to show" in err and len(err.splitlines()) == 1
    code, _, err = run(capsys, "bank", "timeline", memory, "-o", tmp_path / "no" / "page.html")
    assert code == 2 and "No such file" in err and len(err.splitlines()) == 1
