"""A replay within a budget: what a robot would keep of the bag."""

import json

import pytest
from standin import JpegCodec
from test_replay import START, STEP, drive, picture

from gaussvae_ros.bank import Budget, MemoryBank
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.replay import replay


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "memory.db") as bank:
        yield bank


@pytest.mark.parametrize("policy", ["fade", "fifo", "stop"])
def test_no_more_frames_are_kept_than_the_budget_allows(policy, tmp_path, bank):
    path, budget = drive(frames=35).write(tmp_path), Budget(max_frames=12, policy=policy)
    result = replay(path, JpegCodec(), bank, compare=0, budget=budget)
    left, ended = [frame.stamp_ns for frame in bank], 35 if policy != "stop" else 12
    assert result["frames"] == ended and len(left) == result["left"] == 12 and not bank.verify()
    assert (result["forgotten"], result["refused"]) == (ended - 12, 35 - ended)
    assert result["over_budget"] == "" and max(left) == START + (ended - 1) * STEP
    if policy == "fifo":
        assert min(left) == START + 23 * STEP


def test_the_frames_stored_last_are_named_where_they_alone_are_too_many(tmp_path, bank):
    path, budget = drive(frames=35).write(tmp_path), Budget(max_bytes=197_000)
    why = replay(path, JpegCodec(), bank, compare=0, budget=budget)["over_budget"]
    assert why.startswith(
        "only the 35 frames stored last, which stay while others come, are left: "
    )
    assert why.endswith("max_bytes is 197,000, of which 12,312 stay free for new frames")


def test_records_whose_reference_was_forgotten_stay_whole(tmp_path, bank):
    """Predicted ones of the real codec, with few frames left between two looks."""
    still = {f"frame_{i}": picture(1) for i in range(40)}
    path = drive(frames=40, **still).write(tmp_path)
    result = replay(path, FrameCodec(), bank, compare=0, budget=Budget(max_frames=2, policy="fifo"))
    assert result["keys"] < 40 and len(bank) == 2 and bank.verify() == []


def test_without_a_budget_nothing_is_said_of_one(tmp_path, bank):
    result = replay(drive().write(tmp_path), JpegCodec(), bank, compare=0)
    assert "forgotten" not in result and len(bank) == 5


def test_the_options_are_those_of_prune(tmp_path, capsys):
    path = str(drive(frames=25).write(tmp_path))
    how = ["--compare", "0", "--quality", "0", "--max-frames", "9", "--policy", "fifo"]
    assert main(["replay", path, *how, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == 9
    assert main(["replay", path, *how]) == 0
    assert "Budget: 16 frames forgotten, 0 frames reencoded, 0 frames refused, 9 left" in (
        capsys.readouterr().out
    )
    assert main(["replay", path, "--max-frames", "-1"]) == 2
    assert "max_frames is a number from 0 on, not -1" in capsys.readouterr().err
