"""`gaussvae replay` where something fails: what is printed all the same, and what is left."""

import json
import os
import re

import pytest
from bagmaker import START, BagMaker
from test_cli import codec, run  # noqa: F401 (fixture)
from test_cli_errors import disk  # noqa: F401 (fixture)
from test_replay import drive

from gaussvae_ros.bank import MemoryBank


def test_it_leaves_no_new_memory_without_a_frame(tmp_path, capsys):
    maker = BagMaker("mcap").jpeg("/cam", START, b"\xff\xd8 broken")
    bag, bank, link = maker.write(tmp_path), tmp_path / "memory.db", tmp_path / "link.db"
    link.symlink_to("memory.db")
    before = sorted(os.listdir(tmp_path))
    for path in (bank, link):
        code, out, err = run(capsys, "replay", bag, "--bank", path)
        assert code == 2 and not out and "no readable image" in err and err.count("\n") == 1
        assert sorted(os.listdir(tmp_path)) == before
    with MemoryBank(bank):
        pass  # there before, though it has no session
    assert run(capsys, "replay", bag, "--bank", link)[0] == 2
    with MemoryBank(bank, readonly=True) as kept:
        assert len(kept) == 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_figures_are_printed_where_the_report_cannot_be_written(
    form, tmp_path, capsys, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    bag, report = drive(frames=2).write(tmp_path), tmp_path / "report"
    monkeypatch.setattr("gaussvae_ros.files.os.replace", full)
    code, out, err = run(capsys, "replay", bag, "--compare", 0, "--report", report, *form)
    assert code == 2 and err.count("\n") == 1 and not report.exists()
    assert err == f"gaussvae: {report}/report.html: No space left on device: there is no report\n"
    if form:
        assert json.loads(out)["frames"] == 2 and json.loads(out)["report"] is None
    else:
        assert "gaussvae, all frames" in out and "Report" not in out


def test_a_report_that_cannot_be_written_is_seen_before_the_replay(disk, tmp_path, capsys):
    folder, says = disk
    bag, before = drive(frames=2).write(tmp_path), sorted(os.listdir(folder))
    for report in (folder / "new" / "report", folder):
        code, out, err = run(
            capsys, "replay", bag, "--report", report, "--bank", tmp_path / "new.db"
        )
        assert code == 2 and not out and re.fullmatch(f"gaussvae: {report}: ({says}).*\n", err)
        assert sorted(os.listdir(folder)) == before and not (tmp_path / "new.db").exists()
