"""The command line: every verb, its JSON, its documentation, and one clear line for every bad
input.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from PIL import Image
from standin import JpegCodec

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.cli import main, parser
from gaussvae_ros.files import write_file

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "cli.md").read_text()
STEP = 100_000_000  # ns


@pytest.fixture(autouse=True)
def codec(monkeypatch):
    """The stand-in in place of the real codec: these tests are about the command line."""
    module = types.ModuleType("gaussvae_ros.codec")
    module.FrameCodec = JpegCodec
    monkeypatch.setitem(sys.modules, "gaussvae_ros.codec", module)


@pytest.fixture
def image(tmp_path):
    x = np.arange(64, dtype=np.uint8)
    Image.fromarray(np.dstack([np.tile(x, (48, 1))] * 3)).save(tmp_path / "in.png")
    return str(tmp_path / "in.png")


@pytest.fixture
def memory(tmp_path):
    path = tmp_path / "memory.db"
    with MemoryBank(path) as bank:
        for i in range(4):
            data = JpegCodec().encode(np.full((48, 64, 3), 40 * i, np.uint8))
            pose = Pose(float(i), 0, 0) if i else None
            label, like = "dock" if i == 2 else None, bytes([127, 20 * i, 0, 0])
            bank.add(
                data,
                stamp_ns=START + i * STEP,
                camera="front",
                pose=pose,
                label=label,
                descriptor=like,
            )
        bank.set_tally(1, {"received": 31, "gated": 20, "dropped": 7, "poses_missing": 1})
    return str(path)


def run(capsys, *argv: object) -> tuple[int, str, str]:
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:
        code = stop.code
    done = capsys.readouterr()
    return code, done.out, done.err


def verbs(made: argparse.ArgumentParser, name: str = "") -> dict[str, argparse.ArgumentParser]:
    """Every verb with the words that call it."""
    groups = [a for a in made._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        return {name: made}
    return {
        k: v
        for word, sub in groups[0].choices.items()
        for k, v in verbs(sub, f"{name} {word}".strip()).items()
    }


@pytest.mark.parametrize("name, made", verbs(parser()).items())
def test_every_verb_and_option_is_documented(name, made, capsys):
    heading = re.search(rf"^##+ {re.escape(name)}$", DOCS, re.MULTILINE)
    assert heading, f"docs/cli.md has no section {name!r}"
    section = re.split(r"^##", DOCS[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    for action in made._actions:
        for option in [o for o in action.option_strings if o not in ("-h", "--help")]:
            assert f"`{option}" in section or f" {option} " in section, (
                f"{name} {option} is not in docs/cli.md"
            )
    assert set(re.findall(r"`(--[a-z-]+)", section)) <= {
        o for a in made._actions for o in a.option_strings
    }
    code, out, err = run(capsys, *name.split(), "--help")
    assert code == 0 and f"gaussvae {name}" in out and not err


def test_help_needs_no_heavy_import():
    code = "import sys; from gaussvae_ros.cli import main\n"
    code += "try: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'numba', 'cv2', 'matplotlib', 'rosbags'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.endswith("[]\n")


def test_encode_and_decode(tmp_path, image, capsys):
    record, back = tmp_path / "frame.gsv", tmp_path / "back.png"
    code, out, err = run(capsys, "encode", image, "-o", record, "--quality", 90, "--json")
    figures = json.loads(out)
    assert (
        (code, err) == (0, "")
        and figures["bytes"] == record.stat().st_size
        and figures["psnr"] > 30
    )
    assert run(capsys, "decode", record, "-o", back)[0] == 0
    assert np.abs(np.asarray(Image.open(back)).astype(int)[..., 0] - np.arange(64)).max() < 12
    code, out, _ = run(
        capsys,
        "decode",
        record,
        "-o",
        tmp_path / "b.jpg",
        "--size",
        "20x10",
        "--roi",
        "8,8,40,20",
        "--json",
    )
    assert (
        code == 0
        and Image.open(tmp_path / "b.jpg").size == (20, 10)
        and json.loads(out)["width"] == 20
    )


def test_replay(tmp_path, capsys):
    maker = BagMaker("mcap")
    for i in range(3):
        maker.image("/cam", START + i * STEP, np.full((192, 192, 3), 50 * i, np.uint8))
    bag, bank = maker.write(tmp_path), tmp_path / "memory.db"
    code, out, err = run(
        capsys, "replay", bag, "--bank", bank, "--compare", 1, "--report", tmp_path / "report"
    )
    rows = out.splitlines()
    assert (code, err) == (0, "") and rows[-1] == f"Report: {tmp_path / 'report' / 'report.html'}"
    assert [len(re.split(r"\s{2,}", row.strip())) for row in rows[2:-1]] == [7] * (len(rows) - 3)
    assert any("JPEG" in row for row in rows) and any("WebP" in row for row in rows)
    code, out, _ = run(capsys, "replay", bag, "--bank", bank, "--compare", 0, "--json")
    assert json.loads(out)["frames"] == 3 and json.loads(out)["compared"] == {}
    with MemoryBank(bank, readonly=True) as kept:
        assert len(kept) == 6


def test_replay_warns_of_a_bag_that_is_not_whole(tmp_path, capsys, monkeypatch):
    maker = BagMaker("mcap")
    for i in range(6):
        maker.image("/cam", START + i * STEP, np.full((192, 192, 3), 30 * i, np.uint8))
    folder = tmp_path / os.fsdecode(b"f\xfcr #1")
    folder.mkdir()
    path = maker.write_mcap(folder / "run_0.mcap", use_chunking=False)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    monkeypatch.chdir(folder)
    code, out, err = run(capsys, "replay", ".", "--bank", folder / "m.db", "--compare", 0, "--json")
    result = json.loads(out)
    assert code == 0 and result["frames"] == 3 and result["problem_counts"] == {"bag": 1}
    assert (
        err == f"gaussvae: {result['problems'][0]}\n" and "run_0.mcap: it breaks off after" in err
    )
    json.dumps(result, ensure_ascii=False).encode()
    code, out, err = run(capsys, "replay", ".", "--compare", 0, "--report", folder / "report")
    assert code == 0 and "/cam: 3 frames, 0.2 s" in out and "breaks off" in err
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Replay of f\ufffdr #1" in page and "breaks off" in page


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
    ]


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
        ("replay none.bag", "no such bag"),
        ("replay two", "choose one with --topic: /a (1), /b (1)"),
        ("replay two --topic /c", "image topics: /a (1), /b (1)"),
        ("replay two --topic /a --pose-topic /odom", "no poses on /odom"),
        ("replay blind", "holds no images"),
        ("replay two --topic /a --bank in.png", "in.png"),
        ("replay two --topic /a --compare -1", "--compare"),
        ("evaluate none --out x", "none"),
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


def test_demo(compiled, tmp_path, capsys, monkeypatch):
    for module in ("evaluation.recalls", "evaluation.rate_distortion"):
        monkeypatch.setattr(f"gaussvae_ros.{module}.CODECS", ("jpeg",))
    for _ in range(2):  # a second demo replaces the first
        code, out, err = run(capsys, "demo", "--out", tmp_path / "out", "--seconds", 2)
        assert code == 0 and not err
    lines = out.splitlines()
    assert (
        lines[-1] == f"Report: {tmp_path / 'out' / 'report.html'}"
        and (tmp_path / "out" / "report.html").exists()
    )
    assert sum(line.startswith("gaussvae, all frames") for line in lines) == 1
    for how in ("id", "time", "place"):
        assert Image.open(tmp_path / "out" / f"recalled_by_{how}.png").size == (640, 480)
    with MemoryBank(tmp_path / "out" / "memory.db", readonly=True) as bank:
        assert len(bank) == 20 and all(f.pose.reference == "odom" for f in bank)


@pytest.mark.skipif(
    not (ROOT / "gaussvae_ros" / "codec.py").exists(), reason="the codec is not there yet"
)
def test_the_real_codec_in_a_process_of_its_own(compiled, tmp_path, image):
    """Encode, decode, replay, recall: what a user types, nothing replaced."""

    def gaussvae(*argv: object) -> dict:
        program = "import sys; from gaussvae_ros.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", program, *map(str, argv), "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return json.loads(done.stdout)

    record, bank = tmp_path / "frame.gsv", tmp_path / "real.db"
    assert gaussvae("encode", image, "-o", record)["bytes"] == record.stat().st_size
    assert gaussvae("decode", record, "-o", tmp_path / "back.png", "--size", "32x24")["width"] == 32
    maker = BagMaker("bag")
    for i in range(2):
        maker.jpeg("/cam", START + i * STEP, np.asarray(Image.open(image)))
    figures = gaussvae("replay", maker.write(tmp_path), "--bank", bank, "--compare", 0)
    assert figures["frames"] == 2 and figures["psnr"] > 20
    assert (
        gaussvae("bank", "recall", bank, "--stamp", START, "-o", tmp_path / "r.png")["id"]
        == figures["first_id"]
    )
