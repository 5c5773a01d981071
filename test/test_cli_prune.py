"""`gaussvae bank prune`, as people call it."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drives import SECOND, add, drive, pose
from references import record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec

REPO = Path(__file__).parents[1]
MAIN = "import sys; from gaussvae_ros.cli import main; sys.exit(main())"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        drive(bank, 300)
    return path


def call(capsys, *words) -> tuple[int, dict]:
    code = main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_dry_run_says_what_prune_then_does(path, capsys):
    before = path.read_bytes()
    code, planned = call(capsys, "bank", "prune", path, "--max-frames", 50, "--dry-run")
    assert code == 0 and planned["removed"] == 250 == len(planned["ids"])
    assert path.read_bytes() == before
    code, done = call(capsys, "bank", "prune", path, "--max-frames", 50)
    assert (code, done["removed"], done["frames"], done["why"]) == (0, 250, 50, "")
    with MemoryBank(path, readonly=True) as bank:
        assert not set(planned["ids"]) & set(bank.ids()) and len(bank) == 50


def test_policy_and_protection_are_as_said(path, capsys):
    with MemoryBank(path) as bank:
        bank.set_label(10, "dock")
    how = ["--max-frames", 20, "--policy", "fifo", "--protect-before", 2, "--protect-after", 1]
    code, _ = call(capsys, "bank", "prune", path, *how)
    with MemoryBank(path, readonly=True) as bank:
        assert code == 0 and bank.ids() == [8, 9, 10, 11, *range(285, 301)]
    how = ["bank", "prune", str(path), "--max-frames", "2", "--protect-before", "2"]
    assert main([*how, "--dry-run"]) == 1
    assert "only protected frames are left: 4 frames, and" in capsys.readouterr().out
    assert main(how) == 1
    assert "only protected frames are left: 4 frames, and" in capsys.readouterr().out


def test_bytes_are_those_of_the_file(path, capsys):
    code, done = call(capsys, "bank", "prune", path, "--max-bytes", 200_000)
    assert code == 0 and path.stat().st_size <= 200_000 and done["bytes"] == path.stat().st_size


@pytest.mark.parametrize("policy", ["fade", "fifo"])
def test_a_dry_run_by_bytes_tells_about_what_goes(tmp_path, capsys, policy):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for i in range(3000):
            like = random.Random(i).randbytes(128)
            bank.add(record(i, n=500), stamp_ns=i * SECOND, pose=pose(i * 0.1), descriptor=like)
    how = ["bank", "prune", path, "--max-bytes", 2_000_000, "--policy", policy]
    planned, done = call(capsys, *how, "--dry-run")[1], call(capsys, *how)[1]
    assert 0.9 * planned["removed"] < done["removed"] < 1.25 * planned["removed"]


def test_without_a_limit_or_with_a_wrong_one_nothing_happens(path):
    for words, why in (
        ([], "say how much the memory may hold"),
        (["--max-frames", "-3"], "max_frames is a number from 0 on, not -3"),
        (["--max-age", "week"], "--max-age"),
        (["--max-bytes", "1"], "takes 184,320 bytes: at least 196,608 are needed"),
        (["--max-bytes", "190000", "--dry-run"], "max_bytes is 190,000, and a memory file without"),
        (["--max-frames", "3", "--policy", "stop"], "invalid choice: 'stop'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "bank", "prune", path, *words],
            capture_output=True,
            text=True,
            cwd=REPO,
        )
        assert done.returncode == 2 and why in done.stderr and done.stderr.count("\n") == 1
    with MemoryBank(path, readonly=True) as bank:
        assert len(bank) == 300


def test_no_frame_goes_for_what_models_take(path, capsys):
    with MemoryBank(path) as bank:
        bank.add_model(b"abc", "model", random.Random(0).randbytes(200_000))
    how = ["bank", "prune", str(path), "--max-bytes", "300000"]
    for words in (["--dry-run"], []):
        assert main([*how, *words]) == 2
        why = capsys.readouterr().err
        assert "184,320" not in why and "of which its models have 200,704" in why
    with MemoryBank(path, readonly=True) as bank:
        assert len(bank) == 300
    least = why.split()[-3].replace(",", "")
    code, done = call(capsys, "bank", "prune", path, "--max-bytes", least)
    assert code == 0 and done["why"] == "" and path.stat().st_size == done["bytes"]


def test_a_file_that_is_not_there_is_not_made(tmp_path, capsys):
    assert main(["bank", "prune", str(tmp_path / "no.db"), "--max-frames", "3"]) == 2
    assert "does not exist" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_older_frames_are_encoded_again_before_any_goes(tmp_path, capsys):
    codec, path = FrameCodec(), tmp_path / "m.db"
    y, x = np.mgrid[:240, :320] * (2 * np.pi / 80)
    shades = np.sin(x) * np.cos(y), np.cos(2 * x + y), np.sin(x / 2) + 0 * y
    image = np.stack([127 + 100 * shade for shade in shades], axis=-1).astype(np.uint8)
    fine, later = codec.encode(image, 75), np.roll(image, 2, axis=1)
    predicted = codec.predict(later, 75, fine).data
    with MemoryBank(path) as bank:
        keys = [add(bank, i, pose(i), data=fine) for i in range(60)]
        for i, key in enumerate(keys[:50]):
            add(bank, i, pose(i), data=predicted, reference=key)
        fresh = [add(bank, 100 + i, pose(100 + i), data=fine) for i in range(40)]
        bank.set_label(keys[3], "dock")
        size = bank.size()
    code, done = call(
        capsys, "bank", "prune", path, "--max-bytes", size * 14 // 15, "--coarse-quality", 25
    )
    assert code == 0 and done["reencoded"] > 20 and done["removed"] <= 15
    with MemoryBank(path, readonly=True) as bank:
        assert path.stat().st_size <= size * 14 // 15 and bank.verify() == []
        coarse = [frame for frame in bank if frame.data not in (fine, predicted)]
        assert 20 < len(coarse) <= done["reencoded"] and any(frame.needed for frame in coarse)
        assert bank.get(keys[3]).data == fine and bank.get(fresh[-1]).data == fine
        assert codec.decode(coarse[0].records).shape == image.shape
