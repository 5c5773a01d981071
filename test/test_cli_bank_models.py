"""The models of a memory file on the command line: added, missing, decoded with."""

import json
import subprocess
import sys

import numpy as np
import pytest
from oldrecords import splats_record
from PIL import Image
from test_bank_models import (
    CODEC,
    REPO,
    frame,
    hash_of,
    memory,  # noqa: F401 (fixture)
    other_model,
    run,
    shipped,
)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.record import Record, pack

# The command line


def test_recall_and_export_by_a_model_of_the_memory_only(memory, tmp_path):
    """In a process of its own, which has never seen the model."""
    path, image = memory

    def gaussvae(*argv: object) -> None:
        command = "import sys; from gaussvae_ros.cli import main; sys.exit(main())"
        subprocess.run([sys.executable, "-c", command, *map(str, argv)], cwd=REPO, check=True)

    gaussvae("bank", "recall", path, "--id", 1, "-o", tmp_path / "1.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "1.png")), image)
    gaussvae("bank", "export", path, "-o", tmp_path / "all")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "all" / "00000001.png")), image)


def test_a_backup_carries_the_models_too(memory, tmp_path, capsys):
    path, image = memory
    assert run(capsys, "bank", "backup", path, "-o", tmp_path / "copy.db")[0] == 0
    path.unlink()
    with MemoryBank(tmp_path / "copy.db", readonly=True) as bank:
        assert np.array_equal(FrameCodec("cpu", models=[bank]).decode(bank.get(1).data), image)


def test_add_model_takes_all_that_is_needed_and_found(tmp_path, capsys):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(CODEC.encode(frame()), stamp_ns=1)
        bank.add(pack(Record("latent", (4, 3), b"abcd")), stamp_ns=2)
        bank.add(splats_record(frame()), stamp_ns=3)
    needs_it = hash_of(path, 1).hex()

    code, out, _ = run(capsys, "bank", "info", path, "--json")
    needed = {row["hash"]: row for row in json.loads(out)["models"]}
    assert code == 0 and set(needed) == {needs_it, "616263"}
    assert needed[needs_it] == {
        "hash": needs_it,
        "records": 1,
        "name": shipped().name,
        "bytes": None,
        "missing": False,
    }
    assert needed["616263"]["missing"] and needed["616263"]["name"] is None

    code, out, _ = run(capsys, "bank", "add-model", path, "--json")
    done = json.loads(out)
    [added] = done["added"]
    assert code == 0 and (added["hash"], added["name"]) == (needs_it, shipped().name)
    assert done["there"] == [] and done["missing"] == [{"hash": "616263", "records": 1}]

    code, out, _ = run(capsys, "bank", "add-model", path)
    assert (
        code == 0
        and f"model {needs_it} ({shipped().name}, {added['bytes']:,} bytes): was there" in out
    )
    assert "model 616263, which 1 records need, is nowhere to be found" in out

    code, out, _ = run(capsys, "bank", "info", path)
    assert code == 0 and f"in the file, {added['bytes']:,} bytes" in out and "nowhere" in out
    code, out, _ = run(capsys, "bank", "verify", path)
    assert code == 0 and "model 616263, which 1 records need, is nowhere to be found" in out
    code, out, _ = run(capsys, "bank", "verify", path, "--json")
    assert [row["hash"] for row in json.loads(out)["missing_models"]] == ["616263"]


def test_add_model_takes_a_file_or_name_that_no_record_needs_yet(tmp_path, capsys):
    path, model = tmp_path / "m.db", other_model(tmp_path / "mine.safetensors", 2)
    MemoryBank(path).close()
    code, out, _ = run(capsys, "bank", "add-model", path)
    assert code == 0 and "no record in" in out
    code, out, _ = run(capsys, "bank", "add-model", path, model)
    assert code == 0 and "(mine, " in out and "added" in out
    code, out, _ = run(capsys, "bank", "add-model", path, shipped().name)
    assert code == 0 and f"({shipped().name}, " in out
    with MemoryBank(path, readonly=True) as bank:
        assert sorted(name for _, name, _ in bank.models()) == sorted([shipped().name, "mine"])


@pytest.mark.parametrize("model", ["nobody", "none.safetensors", "text.safetensors"])
def test_models_that_are_none_are_refused(tmp_path, capsys, model):
    path = tmp_path / "m.db"
    MemoryBank(path).close()
    (tmp_path / "text.safetensors").write_text("no model")
    given = tmp_path / model if "." in model else model
    code, out, err = run(capsys, "bank", "add-model", path, given)
    assert code == 2 and err.count("\n") == 1 and model in err
    with MemoryBank(path) as bank:
        assert bank.models() == []


def test_add_model_makes_no_memory(tmp_path, capsys):
    code, _, err = run(capsys, "bank", "add-model", tmp_path / "none.db")
    assert code == 2 and "does not exist" in err and not (tmp_path / "none.db").exists()


def test_looking_into_a_memory_that_has_all_its_models_is_quick(tmp_path):
    """Without numba, that is."""
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        bank.add(CODEC.encode(frame()), stamp_ns=1)
    assert main(["bank", "add-model", str(path)]) == 0
    code = (
        "import sys; from gaussvae_ros.cli import main;"
        "main(['bank', 'info', sys.argv[1]]); sys.exit('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=REPO, stdout=subprocess.PIPE)
    assert done.returncode == 0 and b"in the file" in done.stdout
