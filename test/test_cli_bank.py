"""The verbs of `gaussvae bank`: info, list, recall, export, verify."""

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from bagmaker import START
from moving import drive, sequence
from PIL import Image
from standin import JpegCodec
from test_cli import STEP, codec, memory, run  # noqa: F401 (fixtures)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.codec import FrameCodec


def test_bank_info_and_list(memory, capsys):
    assert json.loads(run(capsys, "bank", "info", memory, "--json")[1])["frames"] == 4
    assert "frames: 4" in run(capsys, "bank", "info", memory)[1]
    listed = json.loads(run(capsys, "bank", "list", memory, "--json")[1])
    assert [f["stamp_ns"] for f in listed] == [START + i * STEP for i in range(4)]
    assert (
        listed[0]["pose"] is None
        and listed[1]["pose"][:3] == [1, 0, 0]
        and listed[1]["size"] == [64, 48]
    )
    near = json.loads(
        run(
            capsys,
            "bank",
            "list",
            memory,
            "--near",
            -1,
            0,
            0,
            "--radius",
            3,
            "--limit",
            1,
            "--json",
        )[1]
    )
    assert [f["id"] for f in near] == [listed[1]["id"]]
    code, out, _ = run(capsys, "bank", "list", memory, "--label", "dock")
    assert code == 0 and len(out.splitlines()) == 2 and str(START + 2 * STEP) in out


def test_bank_info_shows_what_each_session_counted(memory, capsys):
    session = json.loads(run(capsys, "bank", "info", memory, "--json")[1])["sessions"][0]
    assert [
        session[name] for name in ("frames", "received", "gated", "dropped", "poses_missing")
    ] == [4, 31, 20, 7, 1]
    heads, cells = run(capsys, "bank", "info", memory)[1].splitlines()[-2:]
    assert heads.split("  ")[0] == "session" and "poses missing" in heads
    assert cells.split() == [
        "1",
        "unnamed",
        "4",
        "31",
        "20",
        "7",
        "1",
        str(START),
        str(START + 3 * STEP),
        "–",
    ]


def test_bank_says_which_map_poses_are_in(memory, capsys):
    with MemoryBank(memory) as bank:
        bank.set_map(1, "ground floor")
    assert run(capsys, "bank", "info", memory)[1].splitlines()[-1].endswith("  ground floor")
    found = {}
    for name in ("ground floor", "attic"):
        found[name] = json.loads(run(capsys, "bank", "list", memory, "--json", "--map-id", name)[1])
    assert len(found["ground floor"]) == 4 and found["attic"] == []
    assert {frame["map_id"] for frame in found["ground floor"]} == {"ground floor"}


def test_bank_list_by_likeness(tmp_path, memory, capsys):
    listed = json.loads(run(capsys, "bank", "list", memory, "--like", 3, "--json")[1])
    assert [f["id"] for f in listed] == [3, 4, 2, 1]  # nearest in angle
    assert listed[0]["likeness"] == 1 and all(
        a["likeness"] > b["likeness"] for a, b in zip(listed, listed[1:])
    )
    code, out, _ = run(
        capsys, "bank", "list", memory, "--like", 3, "--limit", 2, "--before", START + 2 * STEP
    )
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == ["id", "3", "2"]
    assert out.splitlines()[0].endswith("likeness") and out.splitlines()[1].endswith("1.00")
    with MemoryBank(memory) as bank:
        bank.add(bank.get(1).data, stamp_ns=0)
    code, _, err = run(capsys, "bank", "list", memory, "--like", 5)
    assert code == 2 and "frame 5 was stored without a descriptor" in err


def test_bank_recall(tmp_path, memory, capsys):
    out_file = tmp_path / "frame.png"
    code, out, _ = run(
        capsys, "bank", "recall", memory, "--stamp", START + 3 * STEP + 5, "-o", out_file, "--json"
    )
    assert code == 0 and json.loads(out)["stamp_ns"] == START + 3 * STEP
    assert abs(int(np.asarray(Image.open(out_file)).mean()) - 120) <= 2
    frame_id = json.loads(out)["id"]
    assert (
        run(capsys, "bank", "recall", memory, "--id", frame_id, "-o", out_file, "--size", "32x24")[
            0
        ]
        == 0
    )
    assert Image.open(out_file).size == (32, 24)


def test_bank_export(tmp_path, memory, capsys):
    code, out, _ = run(
        capsys, "bank", "export", memory, "-o", tmp_path / "all", "--after", START + STEP
    )
    rows = list(csv.DictReader((tmp_path / "all" / "index.csv").open()))
    assert code == 0 and out.startswith("3 frames") and [float(r["x"]) for r in rows] == [1, 2, 3]
    assert all(Image.open(tmp_path / "all" / r["file"]).size == (64, 48) for r in rows)


def test_bank_verify_says_what_is_damaged(memory, capsys):
    assert run(capsys, "bank", "verify", memory) == (0, "4 frames, no damage\n", "")
    data = Path(memory).read_bytes()
    at = data.index(JpegCodec().encode(np.full((48, 64, 3), 80, np.uint8))) + 200
    Path(memory).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    code, out, err = run(capsys, "bank", "list", memory)
    # The damaged one is named, the others come.
    assert code == 0 and len(out.splitlines()) == 4 and "frame 3" in err
    code, out, _ = run(capsys, "bank", "verify", memory)
    assert code == 1 and out.startswith("frame 3: ") and out.endswith("4 frames, 1 damaged\n")
    assert [
        d[0] for d in json.loads(run(capsys, "bank", "verify", memory, "--json")[1])["damages"]
    ] == [3]


@pytest.mark.parametrize("value", ["NULL", "'text'"])
def test_a_record_that_is_none_is_named_and_the_rest_is_told(memory, capsys, value):
    with closing(sqlite3.connect(memory)) as db:
        db.execute("PRAGMA writable_schema=1")
        without = "sql = replace(sql, 'NOT NULL', '')"
        db.execute(f"UPDATE sqlite_master SET {without} WHERE name = 'records'")
        db.commit()
    with closing(sqlite3.connect(memory)) as db:
        db.execute(f"UPDATE records SET record = {value} WHERE frame = 2")
        db.commit()
    code, out, err = run(capsys, "bank", "verify", memory)
    assert code == 1 and "frame 2: frame 2 is damaged" in out and "left out, 1 of them" in err
    code, out, err = run(capsys, "bank", "info", memory)
    assert code == 0 and "frames: 4" in out
    assert run(capsys, "bank", "add-model", memory)[0] == 0


@pytest.fixture
def predicted(tmp_path):
    """A memory of one record alone and two that need it, the second by way of the first."""
    codec, records, ids = JpegCodec(), [], []
    with MemoryBank(tmp_path / "predicted.db") as bank:
        for i in range(3):
            records.append(codec.encode(np.full((48, 64, 3), 60 * i, np.uint8), reference=records))
            ids.append(bank.add(records[-1], stamp_ns=i, reference=ids[-1] if i else None))
    return bank.path


def test_frames_are_decoded_with_what_their_records_need(tmp_path, predicted, capsys):
    out_file, folder = tmp_path / "frame.png", tmp_path / "out"
    assert run(capsys, "bank", "recall", predicted, "--id", 3, "-o", out_file)[0] == 0
    assert np.asarray(Image.open(out_file)).mean() == pytest.approx(120, abs=2)
    assert run(capsys, "bank", "export", predicted, "-o", folder)[0] == 0
    assert sorted(file.name for file in folder.glob("*.png")) == [f"0000000{i}.png" for i in "123"]
    listed = json.loads(run(capsys, "bank", "list", predicted, "--json")[1])
    assert [frame["needs"] for frame in listed] == [None, 1, 2]


def test_reencode_makes_every_frame_whole(predicted, capsys):
    with MemoryBank(predicted) as bank:
        assert "written by" in run(capsys, "bank", "reencode", predicted)[2]
        bank.remove([1])
    code, out, _ = run(capsys, "bank", "reencode", predicted, "--quality", 90, "--json")
    assert code == 0 and json.loads(out)["reencoded"] == 2 == json.loads(out)["frames"]
    with MemoryBank(predicted) as bank:
        assert [frame.needed for frame in bank] == [(), ()] and bank.info()["kept"] == 0
        assert bank.verify() == [] and bank.info()["tiers"] == {"splats": 2}
        shown = [JpegCodec().decode(frame.data).mean() for frame in bank]
    assert shown == pytest.approx([60, 120], abs=3)
    assert json.loads(run(capsys, "bank", "reencode", predicted, "--json")[1])["reencoded"] == 0


def test_reencode_leaves_what_a_damaged_frame_needs(predicted, capsys):
    with closing(sqlite3.connect(predicted)) as db:
        db.execute("UPDATE frames SET checksum = 7 WHERE id = 3")
        db.commit()
    code, out, err = run(capsys, "bank", "reencode", predicted, "--json")
    assert code == 0 and json.loads(out)["reencoded"] == 0
    assert "frame 2 stays: the damaged frame 3 needs it" in err


def test_verify_names_all_that_need_a_damaged_record(predicted, capsys):
    with closing(sqlite3.connect(predicted)) as db:
        db.execute("UPDATE records SET record = zeroblob(99) WHERE frame = 1")
        db.commit()
    code, out, _ = run(capsys, "bank", "verify", predicted)
    assert code == 1 and out.splitlines()[-1] == "3 frames, 3 damaged"
    for frame_id in (2, 3):
        assert f"frame {frame_id} does not decode: the record of frame 1 is damaged" in out


def test_decoding_is_measured_with_all_that_a_predicted_frame_needs(tmp_path, capsys, monkeypatch):
    """Not with what an earlier decoding has left at hand."""
    monkeypatch.setattr("gaussvae_ros.codec.FrameCodec", FrameCodec)
    *needed, data = sequence(FrameCodec(device="cpu"), drive(2), 30)[1]
    with MemoryBank(tmp_path / "memory.db") as bank:
        bank.add(data, stamp_ns=1, reference=needed)
    at_hand, decode = [], FrameCodec.decode

    def told(codec, *given, **how):
        at_hand.append(codec._references.bytes)
        return decode(codec, *given, **how)

    monkeypatch.setattr(FrameCodec, "decode", told)
    asked = ["bank", "recall", tmp_path / "memory.db", "--id", 1, "-o", tmp_path / "frame.png"]
    assert needed and run(capsys, *asked)[0] == 0
    assert at_hand[-1] == 0
