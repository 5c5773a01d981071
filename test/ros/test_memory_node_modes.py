"""visual_memory: who may open the files that it makes."""

import os
import stat
from pathlib import Path

import pytest
from conftest import START
from gaussvae_ros.srv import BackupMemory
from writing import NODE, Memory


def modes(folder: Path) -> dict[str, int]:
    found = {path: path.stat().st_mode for path in folder.glob("*.db*")}
    return {path.name: stat.S_IMODE(mode) for path, mode in found.items()}


@pytest.mark.parametrize("parameters, mode", [({}, 0o600), ({"file_mode": "'0640'"}, 0o640)])
def test_files_are_the_owners_or_a_groups(ros, frames, parameters, mode):
    before = os.umask(0)
    try:
        memory = Memory(ros, **parameters)
    finally:
        os.umask(before)
    memory.show(frames[0], START)
    path = memory.path.with_name("copy.db")
    assert ros.call(BackupMemory, f"{NODE}/backup", path=str(path)).success
    found = modes(memory.path.parent)
    name = memory.path.name
    assert found.keys() >= {name, f"{name}-wal", f"{name}-shm", f"{name}-lock", "copy.db"}
    assert set(found.values()) == {mode}, found


def test_the_default_folder_is_the_owners(ros, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    before = os.umask(0)
    try:
        process = ros.run("memory_node", HOME=str(home))
    finally:
        os.umask(before)
    assert ros.transition(NODE, "configure"), process.log
    folder = home / ".ros" / "gaussvae"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert set(modes(folder).values()) == {0o600}


def test_another_mode_is_refused(ros):
    process = ros.run("memory_node", "--ros-args", "-p", "file_mode:='0777'")
    assert process.wait(30) != 0
    assert "file_mode is one of 0600, 0640, 0660" in process.log
