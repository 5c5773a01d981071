"""`gaussvae train run` under torchrun: two processes on one machine train as one does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from samples import ROOT, changed, one_thread, trained_once, write_samples  # noqa: F401 (a fixture)
from trainings import kept, wait_for, weights

from gaussvae_ros.training.config import config_of, dump_config
from gaussvae_ros.training.loop import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return trained_once(write_samples(tmp_path_factory.mktemp("data")))


def torchrun(folder: Path, config: dict, data: Path) -> subprocess.Popen:
    """The command of docs/training.md, to train into folder/two."""
    (folder / "config.yaml").write_text(dump_config(config))
    program = folder / "gaussvae"  # as an installation makes it
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom gaussvae_ros.cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--no-python", program, "train", "run"]
    command += [folder / "config.yaml", "--data", data, "--out", folder / "two", "--json"]
    alone = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, **alone},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def rank(number: int, parent: int) -> int:
    """The id of torchrun's process of this rank."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            of = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (path / "environ").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if of == parent and b"RANK=%d" % number in environment:
            return int(path.name)
    raise AssertionError(f"no process of rank {number}")


def test_two_processes_do_what_one_does_with_the_whole_batch(data, tmp_path):
    """Equal weights need averaged gradients, and each process its own half of the batch."""
    config = changed(training={"steps": 6, "validate_every": 3}, data={"augment": False})
    both = torchrun(tmp_path, config, data)
    train(config_of(config), data, tmp_path / "one")
    out, err = both.communicate(timeout=600)
    assert both.returncode == 0, err
    assert json.loads(out)["step"] == 6  # once: the process of rank 0 alone writes and speaks
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert all(torch.allclose(one[key], two[key], atol=1e-4) for key in one)
    card = json.loads((tmp_path / "two" / "model_card.json").read_text())
    assert card["machine"]["processes"] == 2


def test_one_that_is_killed_ends_the_other_and_a_resume_goes_on(data, tmp_path):
    config = changed(training={"steps": 10**6, "validate_every": 5})
    both = torchrun(tmp_path, config, data)
    wait_for(5, tmp_path / "two", both)
    other = rank(0, both.pid)
    os.kill(rank(1, both.pid), signal.SIGKILL)
    _, err = both.communicate(timeout=600)
    assert both.returncode and "exitcode  : -9" in err
    deadline = time.monotonic() + 60
    while Path(f"/proc/{other}").exists():  # none is left to hold a GPU
        assert time.monotonic() < deadline
        time.sleep(0.05)
    reached = kept(tmp_path / "two")["progress"]["step"]

    def stop(step, figures):
        if step > reached:
            os.kill(os.getpid(), signal.SIGTERM)

    result = train(config_of(config), data, tmp_path / "two", resume=True, watch=stop)
    assert result["stopped"] == "signal" and result["step"] >= reached + 5
