"""`gaussvae bank redact`: what goes, what it says, and what it refuses."""

import json

import numpy as np
import pytest
from standin import JpegCodec
from test_cli import START, STEP, codec, memory, run  # noqa: F401 (fixtures)
from test_cli_bank import predicted  # noqa: F401 (a fixture)

from gaussvae_ros.bank import MemoryBank


def test_a_time_span_goes(memory, capsys):
    given = ["--after", START + STEP, "--before", START + 2 * STEP]
    code, out, err = run(capsys, "bank", "redact", memory, *given)
    assert code == 0 and not err and out.startswith(f"{memory}: 2 removed, 2 frames left, ")
    with MemoryBank(memory, readonly=True) as bank:
        assert [frame.stamp_ns for frame in bank] == [START, START + 3 * STEP]
    code, out, _ = run(capsys, "bank", "redact", memory, *given, "--json")
    assert code == 0 and json.loads(out)["removed"] == 0


def test_an_area_goes(memory, capsys):
    code, out, _ = run(capsys, "bank", "redact", memory, "--near", 2, 0, 0, "--radius", 1, "--json")
    assert code == 0 and json.loads(out)["removed"] == 3
    with MemoryBank(memory, readonly=True) as bank:
        assert bank.ids() == [1]  # which has no pose


def test_boxes_of_a_frame_go_and_frames_that_needed_it_are_named(predicted, capsys):
    with MemoryBank(predicted) as bank:
        half = np.zeros((48, 64, 3), np.uint8)
        half[:, 32:] = 200
        data = JpegCodec().encode(half, quality=95)
        first = bank.add(data, stamp_ns=9)
        later = JpegCodec().encode(half, quality=95, reference=[data])
        second = bank.add(later, stamp_ns=10, reference=first)
    boxes = ["--box", "24,0,16,48", "--box", "0,0,8,8"]
    code, out, _ = run(capsys, "bank", "redact", predicted, "--id", first, *boxes)
    assert code == 0 and "2 boxes of frame 4 filled, 5 frames left" in out
    assert out.endswith(f"have records of their own and show what they showed: {second}\n")
    with MemoryBank(predicted, readonly=True) as bank:
        picture = JpegCodec().decode(bank.get(first).records)
        assert picture[:, 26:38].mean() == pytest.approx(100, abs=5)
        assert not bank.get(second).needed and bank.get(3).needed


@pytest.mark.parametrize(
    "options, says",
    [
        ([], "say what is to go"),
        (["--id", "1"], "--id and --box go together"),
        (["--box", "0,0,5,5"], "--id and --box go together"),
        (["--id", "1", "--box", "0,0,5,5", "--camera", "front"], "say what is to go"),
        (["--id", "9", "--box", "0,0,5,5"], "no frame 9"),
        (["--id", "1", "--box", "64,0,5,5"], "no pixel of a frame of 64x48"),
        (["--id", "1", "--box", "1,2,3"], "is not 4 whole numbers"),
        (["--near", "1", "0", "0"], "near and radius go together"),
    ],
)
def test_what_is_refused_changes_nothing(memory, capsys, options, says):
    with MemoryBank(memory) as bank:
        before = [frame.data for frame in bank]
    code, out, err = run(capsys, "bank", "redact", memory, *options)
    assert code == 2 and not out and says in err and err.count("\n") == 1
    with MemoryBank(memory, readonly=True) as bank:
        assert [frame.data for frame in bank] == before


def test_a_memory_that_is_being_written_is_refused(memory, tmp_path, capsys):
    with MemoryBank(memory):
        code, _, err = run(capsys, "bank", "redact", memory, "--camera", "front")
    assert code == 2 and "is being written by process" in err
    code, _, err = run(capsys, "bank", "redact", tmp_path / "none.db", "--camera", "front")
    assert code == 2 and "does not exist" in err and not (tmp_path / "none.db").exists()
