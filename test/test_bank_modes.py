"""Who may open what a memory makes: its owner only, whatever the umask, or a group, if so asked."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from references import record

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.bank.merging import copy_frames
from gaussvae_ros.files import make_folder, write_file


@pytest.fixture(params=[0o000, 0o022, 0o377], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The mode of every file and folder in there, by name."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def fill(bank: MemoryBank) -> MemoryBank:
    for i in range(3):
        bank.add(record(i), stamp_ns=i)
    bank.flush()
    return bank


BESIDE = ("", "-wal", "-shm", "-lock")


def test_a_memory_and_all_beside_it_are_its_owners(tmp_path, umask):
    with fill(MemoryBank(tmp_path / "a.db")):
        assert modes(tmp_path) == {f"a.db{ending}": 0o600 for ending in BESIDE}
        with MemoryBank(tmp_path / "a.db", readonly=True) as reader:
            assert len(reader) == 3
            assert set(modes(tmp_path).values()) == {0o600}
    assert modes(tmp_path) == {"a.db": 0o600}


def test_a_group_gets_them_if_one_says_so(tmp_path, umask):
    with fill(MemoryBank(tmp_path / "a.db", file_mode=0o640)) as bank:
        bank.backup(tmp_path / "b.db")
        assert set(modes(tmp_path).values()) == {0o640} and len(modes(tmp_path)) == 5


def test_backups_and_copies_are_their_owners(tmp_path, umask):
    seen = []
    with fill(MemoryBank(tmp_path / "a.db")) as bank:
        bank.backup(tmp_path / "b.db", lambda _: seen.append(modes(tmp_path)))
        with MemoryBank(tmp_path / "c.db") as target:
            copy_frames(bank, target)
            assert set(modes(tmp_path).values()) == {0o600} and len(modes(tmp_path)) == 9
    assert any("b.db.partial" in names for names in seen)
    assert {mode for names in seen for mode in names.values()} == {0o600}


def test_the_mode_of_a_file_that_is_there_is_left_alone(tmp_path, umask):
    with fill(MemoryBank(tmp_path / "a.db")):
        pass
    (tmp_path / "a.db").chmod(0o664)
    with fill(MemoryBank(tmp_path / "a.db")):  # what SQLite makes beside it is for the same
        assert modes(tmp_path) == {f"a.db{ending}": 0o664 for ending in BESIDE}
    write_file(tmp_path / "picture", b"1", 0o600)
    assert modes(tmp_path)["picture"] == 0o600
    (tmp_path / "picture").chmod(0o644)
    write_file(tmp_path / "picture", b"2", 0o600)
    assert modes(tmp_path)["picture"] == 0o644


def test_folders_are_to_be_entered_by_whoever_may_read(tmp_path, umask):
    make_folder(tmp_path / "own" / "inner", 0o600)
    make_folder(tmp_path / "group", 0o640)
    assert modes(tmp_path) == {"own": 0o700, "inner": 0o700, "group": 0o750}
    (tmp_path / "own").chmod(0o755)
    make_folder(tmp_path / "own" / "more", 0o600)
    assert modes(tmp_path)["own"] == 0o755 and modes(tmp_path)["more"] == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode, reads", [(0o600, False), (0o640, True)])
def test_a_group_reads_while_the_owner_writes(tmp_path, mode, reads):
    """As another user of the group, who may not even make files in the folder."""
    folder = tmp_path / "memory"
    make_folder(folder, mode)
    for parent in list(folder.parents)[: len(folder.parents) - 2]:
        if parent.stat().st_uid == os.geteuid() and "pytest" in str(parent):
            parent.chmod(parent.stat().st_mode | 0o011)
    program = (
        "import os, sys\n"
        "from gaussvae_ros.bank import MemoryBank\n"
        "from gaussvae_ros.errors import BankError\n"
        "os.setgroups([]); os.setgid(0); os.setuid(54321)\n"
        "try: print(len(MemoryBank(sys.argv[1], readonly=True)))\n"
        "except (BankError, OSError) as error: print('refused', error)\n"
    )
    with fill(MemoryBank(folder / "a.db", file_mode=mode)):
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder / "a.db")],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert (done.stdout == "3\n") if reads else done.stdout.startswith("refused")


def test_a_file_system_without_modes_takes_a_memory_all_the_same(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)
    with fill(MemoryBank(tmp_path / "a.db", file_mode=0o660)) as bank:
        bank.backup(tmp_path / "b.db")
        make_folder(tmp_path / "folder", 0o640)
        write_file(tmp_path / "folder" / "picture", b"1", 0o600)
    with MemoryBank(tmp_path / "b.db", readonly=True) as copy:
        assert len(copy) == 3
