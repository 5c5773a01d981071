"""Words of frames: replay reads them; list, merge, export and timeline have them."""

import csv
import json

import exporting
import pytest
import timelines
from bagmaker import START, BagMaker
from standin import JpegCodec
from test_cli import run
from test_looking import COLOURS, described, sign  # noqa: F401 (a fixture)

from gaussvae_ros.bank import MemoryBank, Text
from gaussvae_ros.looking.looks import Looks
from gaussvae_ros.replay import replay

HALF = 500_000_000  # ns


def test_a_replay_reads_a_frame_a_second(tmp_path, described):  # noqa: F811
    pytest.importorskip("rapidocr")
    maker = BagMaker("mcap")
    for i, text in enumerate(("EXIT", "DOCK", "LAB", "ROOF", "EXIT")):
        maker.image("/cam", START + i * HALF, sign(text, (400, 300)))
    with MemoryBank(tmp_path / "m.db") as bank:
        looks = Looks(text=True, encoder=str(described))
        result = replay(maker.write(tmp_path), JpegCodec(), bank, compare=0, looks=looks)
        assert result["looked_at"] == 3 and bank.encoders() == {"tiny": 3}
        for text, places in (("exit", [0, 4]), ("lab", [2]), ("dock", []), ("roof", [])):
            assert [(f.stamp_ns - START) // HALF for f in bank.find(text=text)] == places


def test_frames_are_listed_with_what_was_read_there(tmp_path, capsys):
    path = exporting.make(tmp_path / "m.db")
    with MemoryBank(path) as bank:
        bank.set_texts(2, [Text("Fire exit", (1, 2, 3, 4), 0.5), Text("214", (5, 6, 7, 8), 1)])
    code, out, _ = run(capsys, "bank", "list", path, "--text", "fire 214")
    assert code == 0 and out.splitlines()[1].split()[0] == "2"
    assert out.splitlines()[0].endswith("read there") and out.rstrip().endswith("Fire exit, 214")
    code, out, _ = run(capsys, "bank", "list", path, "--text", "tour do*", "--json")
    assert [(f["id"], f["texts"]) for f in json.loads(out)] == [(3, [])]
    assert run(capsys, "bank", "list", path, "--text", " ")[0] == 2
    merged = tmp_path / "merged.db"
    assert run(capsys, "bank", "merge", path, "-o", merged, "--text", "exit")[0] == 0
    with MemoryBank(merged, readonly=True) as bank:
        assert [text.text for text in bank.texts(1)] == ["Fire exit", "214"] and len(bank) == 1


def test_an_export_has_texts_where_there_are_some(tmp_path):
    path = exporting.make(tmp_path / "m.db")
    exporting.write(path, tmp_path / "without", "folder")
    assert not (tmp_path / "without" / "texts.csv").exists()
    with MemoryBank(path) as bank:
        bank.set_texts(2, [Text('5" pipe', (1, 2, 3, 4), 0.5)])
    exporting.write(path, tmp_path / "with", "folder")
    rows = list(csv.reader((tmp_path / "with" / "texts.csv").read_text().splitlines()))
    assert rows[1:] == [["2", '5" pipe', "1", "2", "3", "4", "0.5"]]


def test_a_timeline_has_texts_of_its_frames(tmp_path):
    path = tmp_path / "m.db"
    timelines.make_bank(path)
    with MemoryBank(path) as bank:
        bank.set_texts(3, [Text("Küche </script>", (1, 2, 3, 4), 0.5)])
        bank.set_texts(70, [Text("EXIT", (1, 2, 3, 4), 0.5)])
    timelines.write(path, tmp_path / "page.html")
    page = timelines.Inside(tmp_path / "page.html")
    ids = page.columns["id"].astype(int).tolist()
    assert [[ids[row], text] for row, text in page.figures["texts"]] == [
        [3, "Küche </script>"],
        [70, "EXIT"],
    ]
