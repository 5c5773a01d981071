"""The command line: every verb, its JSON, its documentation, and one clear line for every bad
input.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bagmaker import START, BagMaker
from PIL import Image
from standin import JpegCodec
from test_peers import scene

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.cli import main, parser

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "cli.md").read_text()
STEP = 100_000_000  # ns


@pytest.fixture(autouse=True)
def codec(monkeypatch):
    """The stand-in in place of the real codec: these tests are about the command line."""
    monkeypatch.setattr("gaussvae_ros.codec.FrameCodec", JpegCodec)


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
        timeout=600,
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


def test_what_loads_once_is_not_measured_as_decoding(tmp_path, image, memory, capsys, monkeypatch):
    class Cold(JpegCodec):
        warm = False

        def decode(self, *given, **how):
            time.sleep(0 if Cold.warm else 2)
            Cold.warm = True
            return super().decode(*given, **how)

    record, back = tmp_path / "frame.gsv", tmp_path / "back.png"
    run(capsys, "encode", image, "-o", record)
    monkeypatch.setattr("gaussvae_ros.codec.FrameCodec", Cold)
    for verb in (["decode", record], ["bank", "recall", memory, "--id", 1]):
        Cold.warm = False
        code, out, _ = run(capsys, *verb, "-o", back, "--json")
        assert code == 0 and json.loads(out)["decode_ms"] < 1900


def test_a_tier_of_the_first_releases_is_warned_of_and_means_a_quality(tmp_path, image, capsys):
    record, again = tmp_path / "a.gsv", tmp_path / "b.gsv"
    for asked, meant in ((["--tier", "splats"], 80), (["--tier", "latent"], 50), ([], 50)):
        code, out, err = run(capsys, "encode", image, "-o", record, *asked)
        assert code == 0 and err.count("\n") == bool(asked) and out.count("\n") == 1
        assert (
            not asked
            or f"gaussvae: --tier is no longer used: what you ask for is --quality {meant}" in err
        )
        assert run(capsys, "encode", image, "-o", again, "--quality", meant)[2] == ""
        assert record.read_bytes() == again.read_bytes()
    code, out, err = run(capsys, "encode", image, "-o", tmp_path / "none" / "x", "--tier", "splats")
    assert code == 2 and err.count("\n") == 1 and "No such file" in err
    assert run(capsys, "encode", image, "-o", record, "--tier", "gold")[0] == 2


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
    code, out, _ = run(
        capsys, "replay", bag, "--bank", bank, "--compare", 0, "--json", "--map-id", "attic"
    )
    assert json.loads(out)["frames"] == 3 and json.loads(out)["compared"] == {}
    assert json.loads(out)["quality"] == 50
    with MemoryBank(bank, readonly=True) as kept:
        assert len(kept) == 6
        assert {f.id for f in kept.find(map_id="attic")} == {4, 5, 6}


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
    assert (
        code == 0 and "/cam: 3 frames, 3 of them key records, 0.2 s" in out and "breaks off" in err
    )
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "Replay of f\ufffdr #1" in page and "breaks off" in page


def test_evaluate(tmp_path, capsys, image):
    out = tmp_path / "out"
    how = ["--out", out, "--qualities", 20, 60, "--peers", "jpeg"]
    code, text, err = run(capsys, "evaluate", image, *how)
    rows = text.splitlines()
    assert (code, err) == (0, "") and rows[-1] == f"Report: {out / 'report.html'}"
    assert any(row.startswith("gaussvae, best") and "JPEG" in row for row in rows)
    code, text, err = run(capsys, "evaluate", image, *how, "--tier", "latent", "--json")
    assert code == 0 and err.count("\n") == 1 and "--tier is no longer used" in err
    assert json.loads(text) == json.loads((out / "summary.json").read_text())
    code, _, err = run(capsys, "evaluate", image, "--out", out, "--peers", "avif")
    assert code == 2 and "no peer is named 'avif'" in err and err.count("\n") == 1


def test_evaluate_video(tmp_path, capsys):
    (folder := tmp_path / "walk").mkdir()
    for number, picture in enumerate(scene((64, 96, 3), seed) for seed in (1, 2, 3, 1)):
        Image.fromarray(picture).save(folder / f"{number}.png")
    out = tmp_path / "out"
    how = ["--video", folder, "--every", 3, "--qualities", 20, 60, "--out", out, "--peers"]
    code, text, err = run(capsys, "evaluate", *how)
    rows = text.splitlines()
    assert (code, err) == (0, "") and rows[-1] == f"Report: {out / 'report.html'}"
    assert any(row.startswith(f"{folder}: gaussvae") for row in rows)
    code, text, err = run(capsys, "evaluate", *how, "--json")
    (found,) = json.loads(text)["sets"]
    assert (code, err) == (0, "") and found["set"] == str(folder)
    assert [s["quality"] for s in found["settings"]] == [20, 60]


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
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
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
