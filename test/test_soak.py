"""The verdict of `bench ros --soak` without a graph: what counts as kept, as grown and as gone."""

import json

import pytest

from gaussvae_ros import cli
from gaussvae_ros.bench import parts as bench
from gaussvae_ros.bench import soak
from gaussvae_ros.errors import GaussVaeError


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setattr(soak.os, "getsid", lambda pid: 1)
    return soak._Soak(
        None, tmp_path / "announced.jsonl", {"memory_node": 7, "recall_node": 8}, False
    )


def test_frames_of_a_deleted_file_need_not_come_back(made):
    announced = [[1, 10, 100.0], [2, 20, 101.2], [3, 30, 103.0], [4, 40, 104.0]]
    made._announced.write_text("".join(f"{json.dumps(line)}\n" for line in announced) + "[5, 50")
    assert made.kept() == announced
    made._deleted = 101.0
    assert made.kept() == announced[2:]


def test_growth_is_that_of_the_longest_life_once_it_has_settled(made):
    made._sizes = {
        ("memory_node", 6): [100.0, 900.0],
        ("memory_node", 7): [100.0, 300.0, 301.0, 302.0, 303.0, 304.0, 305.0, 306.0],
        ("recall_node", 8): [50.0],
    }
    assert made.growth() == {"memory_node": (5.0, 301.0), "recall_node": (0.0, 50.0)}


def test_a_process_that_is_gone_or_another_is_lost(made, monkeypatch):
    def gone(session):
        raise GaussVaeError("launch runs no node")

    for found, lost in (
        (lambda session: {"memory_node": 7, "recall_node": 8}, 0),
        (lambda session: {"memory_node": 7, "recall_node": 9}, 1),
        (gone, 1),
    ):
        monkeypatch.setattr(soak, "nodes_of", found)
        assert made.ended() == lost


@pytest.mark.parametrize("minutes", [0.1, -1.0, float("nan"), float("inf")])
def test_a_soak_has_a_length(minutes):
    with pytest.raises(GaussVaeError, match="at least 0.5 minutes"):
        bench.run_soak(minutes)


def test_only_ros_is_soaked(capsys):
    for arguments in (
        ["bench", "--soak"],
        ["bench", "fit", "--soak"],
        ["bench", "ros", "fit", "--soak"],
    ):
        with pytest.raises(SystemExit) as end:
            raise SystemExit(cli.main(arguments))
        assert end.value.code == 2 and "gaussvae bench ros --soak" in capsys.readouterr().err
