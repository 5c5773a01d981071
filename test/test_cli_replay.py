"""`gaussvae replay` where something fails: what is printed all the same, and what is left."""

import os

from bagmaker import START, BagMaker
from test_cli import codec, image, run  # noqa: F401 (fixtures)
from test_cli_errors import disk  # noqa: F401 (fixture)

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
