"""`gaussvae bank volume`, and what other verbs of the memory file do with volumes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import START, STEP, codec, memory, run  # noqa: F401 (fixtures)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.volume.codec import VolumeCodec

TURNED = (0, 0, 0.5**0.5, 0.5**0.5)


@pytest.fixture
def solid(tmp_path):
    """A record of 8 x 6 x 4 voxels of 50 cm, of which the upper half along x is occupied."""
    grid = np.zeros((4, 6, 8), np.uint8)
    grid[..., 4:] = 7
    path = tmp_path / "solid.volume"
    path.write_bytes(VolumeCodec().encode(grid, voxel_size=0.5))
    return path


@pytest.fixture
def mapped(memory, solid, capsys):  # noqa: F811
    """A memory file with two volumes."""
    for stamp, x in ((START, 0), (START + 2 * STEP, 10)):
        pose = ["--pose", x, 0, 0, *TURNED]
        code, out, err = run(
            capsys, "bank", "volume", "add", memory, solid, "--stamp", stamp, *pose
        )
        assert code == 0 and not err and "is stored" in out
    return memory


def test_volumes_are_listed_and_recalled(mapped, tmp_path, capsys):
    code, out, _ = run(capsys, "bank", "volume", "list", mapped, "--json")
    found = json.loads(out)
    assert code == 0 and [v["id"] for v in found] == [2, 1] and found[0]["shape"] == [4, 6, 8]
    assert found[0]["pose"][0] == 10 and found[0]["reference"] == "map"
    code, out, _ = run(capsys, "bank", "volume", "list", mapped, "--near", 0, 0, 0, "--radius", 1)
    assert code == 0 and len(out.splitlines()) == 2 and "4x6x8" in out
    with MemoryBank(mapped, readonly=True) as bank:
        assert bank.volume(1).session == bank.info()["sessions"][-1]["id"]

    out_file = tmp_path / "part.npy"
    recall = ["bank", "volume", "recall", mapped]
    region = ["--region", 8, 1, 0, 9, 3, 1]  # turned: x 7 to 10, y 0 to 4
    code, out, err = run(capsys, *recall, *region, "-o", out_file)
    assert code == 0 and "2x2x4 voxels of volume 2" in out and "the grid is turned" in err
    assert (np.load(out_file) == [[0, 0, 7, 7]] * 2).all()
    points = tmp_path / "part.ply"
    code, out, _ = run(capsys, *recall, "--id", 2, *region, "-o", points, "--json")
    assert code == 0 and json.loads(out)["points"] == 2 * 2 * 2
    head, _, data = points.read_bytes().partition(b"end_header\n")
    assert b"element vertex 8" in head
    x, y, z, value = np.frombuffer(data, "<f4").reshape(-1, 4).T
    assert (8 < x).all() and (x < 9).all() and (2 < y).all() and (value == 7).all()
    free = [*recall, "--id", 1, "--values", 0, 0, "-o", points]
    code, out, _ = run(capsys, *free)
    assert code == 0 and f"{4 * 6 * 4} points of volume 1" in out


WRONG = (
    (["recall", "--id", 9, "-o", "x.npy"], "no volume 9"),
    (["recall", "--id", 1, "--after", 1, "-o", "x.npy"], "not by both"),
    (["recall", "--near", 99, 0, 0, "--radius", 1, "-o", "x.npy"], "no such volume"),
    (["recall", "--id", 1, "--region", 50, 0, 0, 51, 1, 1, "-o", "x.npy"], "holds nothing"),
    (
        ["recall", "--id", 1, "--region", 1, 0, 0, 0, 1, 1, "-o", "x.npy"],
        "a lower and an upper",
    ),
    (["recall", "--id", 1, "--values", 1, 2, "-o", "x.npy"], "which voxels become points"),
    (["recall", "--id", 1, "-o", "x.jpg"], "a volume's file ends with"),
    (["remove", 1, 9], "no volume 9"),
    (["list", "--near", 1, 0, 0], "near and radius go together"),
)


def test_what_is_asked_wrongly_gets_a_line(mapped, capsys):
    for (verb, *rest), says in WRONG:
        code, out, err = run(capsys, "bank", "volume", verb, mapped, *rest)
        assert code == 2 and not out and says in err and len(err.splitlines()) == 1


def test_what_is_no_record_of_a_volume_is_refused(memory, tmp_path, capsys):  # noqa: F811
    record = tmp_path / "x.volume"
    with MemoryBank(memory, readonly=True) as bank:
        record.write_bytes(bank.newest().data)
    code, _, err = run(capsys, "bank", "volume", "add", memory, record, "--stamp", 1)
    assert code == 2 and str(record) in err
    code, _, err = run(capsys, "bank", "volume", "add", tmp_path / "no.db", record, "--stamp", 1)
    assert code == 2 and not Path(tmp_path / "no.db").exists()


def test_other_verbs_know_volumes(mapped, tmp_path, capsys):
    code, out, _ = run(capsys, "bank", "merge", mapped, "-o", tmp_path / "all.db", "--json")
    assert code == 0 and json.loads(out)["volumes"] == 2
    early = ["--before", START + STEP]
    code, out, _ = run(capsys, "bank", "merge", mapped, "-o", tmp_path / "early.db", *early)
    assert code == 0 and "2 frames, 1 volumes" in out
    some = ["--camera", "front"]
    code, out, _ = run(capsys, "bank", "merge", mapped, "-o", tmp_path / "some.db", *some, "--json")
    assert code == 0 and json.loads(out)["volumes"] == 0

    folder = tmp_path / "out"
    code, out, _ = run(capsys, "bank", "export", mapped, "-o", folder)
    assert code == 0 and "and 2 volumes" in out
    rows = list(csv.DictReader((folder / "volumes.csv").open()))
    assert [row["id"] for row in rows] == ["2", "1"] and rows[0]["reference"] == "map"
    data = (folder / rows[1]["file"]).read_bytes()
    with MemoryBank(mapped, readonly=True) as bank:
        assert bank.volume(1).data == data
    code, out, err = run(
        capsys, "bank", "export", mapped, "-o", tmp_path / "tum", "--format", "tum"
    )
    assert code == 0 and "this format has no volumes: 2" in err

    code, out, _ = run(capsys, "bank", "redact", mapped, "--after", START + STEP, "--json")
    assert code == 0 and json.loads(out)["volumes"] == 1
    code, out, _ = run(capsys, "bank", "volume", "remove", mapped, 1)
    assert code == 0 and "1 volumes removed, 0 left" in out
    code, out, _ = run(capsys, "bank", "info", mapped)
    assert code == 0 and "volumes: 0" in out
