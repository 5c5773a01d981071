"""What colcon installs: what nodes need, executables in the right Python, a line on what lacks."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from ament_index_python import get_package_prefix
from graph import ROOT

import gaussvae_ros
from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.kernels.cache import MADE_BY, PACKAGE
from gaussvae_ros.model_files import find

PREFIX = Path(get_package_prefix("gaussvae_ros"))
SHARE, BIN = PREFIX / "share" / "gaussvae_ros", PREFIX / "lib" / "gaussvae_ros"
EXECUTABLES = {file.name for file in BIN.iterdir()}


def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
    given = {**os.environ, **environment}
    return subprocess.run(
        list(map(str, command)), env=given, capture_output=True, text=True, timeout=300
    )


def test_the_python_package_is_installed_whole():
    installed = Path(gaussvae_ros.__file__).parent
    assert installed.is_relative_to(PREFIX)
    source = {
        f.relative_to(ROOT / "gaussvae_ros")
        for f in (ROOT / "gaussvae_ros").rglob("*")
        if f.is_file()
    }
    wanted = {file for file in source if "__pycache__" not in file.parts}
    there = {
        file.relative_to(installed)
        for file in installed.rglob("*")
        if file.suffix in (".py", ".json", ".html", ".css", ".js", ".sql")
    }
    assert wanted <= there
    generated = {
        file
        for file in there - wanted
        if file.parts[0] in ("msg", "srv") or file.name.startswith("_gaussvae")
    }
    assert there - wanted == generated
    assert not list(installed.rglob("test_*.py"))


def test_share_holds_what_users_need():
    for folder in ("launch", "models"):
        installed, source = (
            {f.name for f in (top / folder).iterdir() if f.is_file()} for top in (SHARE, ROOT)
        )
        assert installed == source
    config = {file.name for file in (SHARE / "config").iterdir()}
    assert config == {"memory.yaml", "sros2_policy.xml"}
    assert (SHARE / "requirements.txt").read_text() == (ROOT / "requirements.txt").read_text()
    assert find("anchors").is_relative_to(SHARE)
    for kind in ("msg", "srv"):
        assert {f.name for f in (SHARE / kind).glob(f"*.{kind}")} == {
            f.name for f in (ROOT / kind).iterdir()
        }


def test_executables_run_in_the_python_that_built_them():
    assert EXECUTABLES >= {"memory_node", "recall_node", "gaussvae"}
    for name in EXECUTABLES:
        first = (BIN / name).read_text().splitlines()[0]
        assert (
            Path(first.removeprefix("#!")).samefile(sys.executable)
            and Path(first[2:]).parent == Path(sys.executable).parent
        )


def test_ros2_run_finds_the_command():
    done = run("ros2", "run", "gaussvae_ros", "gaussvae", "bank", "info", "/nowhere.db")
    assert done.returncode != 0 and "/nowhere.db" in done.stderr and "Traceback" not in done.stderr
    listed = run("ros2", "pkg", "executables", "gaussvae_ros").stdout
    assert {line.split()[1] for line in listed.splitlines()} == EXECUTABLES


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that has no packages but ROS's."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    return folder / "bin" / "python"


@pytest.mark.parametrize("executable", sorted(EXECUTABLES))
def test_missing_packages_are_named_with_the_command_that_brings_them(executable, bare_python):
    done = run(bare_python, BIN / executable)
    assert done.returncode == 1 and not done.stdout
    [line] = done.stderr.splitlines()
    assert (
        line.startswith(f"{executable}: Python packages are missing: constriction, ")
        and "torch" not in line
        and "tqdm" in line
    )
    assert line.endswith(
        f" Install them: {bare_python} -m pip install -r {SHARE / 'requirements.txt'}"
    )


def test_a_build_says_which_packages_are_missing(bare_python):
    done = run(bare_python, ROOT / "gaussvae_ros" / "nodes" / "start.py", "requirements.txt")
    assert done.returncode != 0 and done.stderr.startswith(
        "Python packages are missing: constriction, "
    )
    assert not run(
        sys.executable, ROOT / "gaussvae_ros" / "nodes" / "start.py", "requirements.txt"
    ).stderr


def test_an_empty_workspace_builds_with_links(tmp_path):
    """`colcon build --symlink-install`, without a warning; what run.sh built is a copy.

    A user's cache has the kernels that run.sh compiled, but for those of one module.
    """
    cache = tmp_path / "cache" / "gaussvae_ros" / MADE_BY
    shutil.copytree(PACKAGE / "__pycache__" / MADE_BY, cache)
    [left_out] = cache.glob("sim.camera-*")
    shutil.rmtree(left_out)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "gaussvae_ros").symlink_to(ROOT)
    colcon = (
        "import os, sys; from colcon_core.command import main; os.chdir(sys.argv.pop(1));"
        " sys.exit(main())"
    )
    command = (sys.executable, "-c", colcon, tmp_path, "build", "--symlink-install")
    done = run(*command, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0 and "1 package finished" in done.stdout, done.stdout + done.stderr
    assert "stderr" not in done.stdout and not done.stderr, done.stderr
    [package] = (tmp_path / "install" / "gaussvae_ros" / "lib").glob(
        "python*/*-packages/gaussvae_ros"
    )
    assert (package / "nodes" / "memory_node.py").is_symlink()
    kernels = list(package.rglob("*.nbc"))
    assert kernels and {path.parent.name for path in kernels} == {left_out.name}, (
        "compiled at installation what lacked, and not left from the checkout"
    )
    assert not any(path.is_symlink() for path in kernels)
    setup = tmp_path / "install" / "setup.bash"
    said = run(
        "bash",
        "-c",
        f". {setup} && ros2 run gaussvae_ros gaussvae --help && ros2 pkg prefix gaussvae_ros",
    )
    assert "bank" in said.stdout and said.stdout.splitlines()[-1] == str(
        tmp_path / "install" / "gaussvae_ros"
    ), said


def test_the_command_can_start_processes(finished_bank, tmp_path):
    """A thousand pictures are made by a process for each core."""
    with MemoryBank(finished_bank, readonly=True) as bank:
        data = bank.get(1).data
    with MemoryBank(tmp_path / "memory.db") as bank:
        for i in range(1000):
            bank.add(data, stamp_ns=i)
    page = tmp_path / "page.html"
    done = run(BIN / "gaussvae", "bank", "timeline", bank.path, "-o", page, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pictures"] == 1000 and page.stat().st_size > 100_000
