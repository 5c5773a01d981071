"""Memory files that carry the models of their records: kept, found, damaged, and decoded with."""

import gzip
import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import modelmaker
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, ModelError
from gaussvae_ros.needed_models import carry, model_of, needs
from gaussvae_ros.record import Record, pack, unpack
from gaussvae_ros.vae import models
from gaussvae_ros.vae.models import HASH_BYTES, carried, compact

REPO = Path(__file__).parents[1]
CODEC = FrameCodec(device="cpu")


def frame(seed: int = 0) -> np.ndarray:  # uint8 [120, 160, 3]
    y, x = np.mgrid[:120, :160]
    return np.stack([x + 40 * seed, y * 2, (x + y) % 256], 2).astype(np.uint8)


def shipped() -> models.Model:
    """The model that is encoded with by default."""
    return modelmaker.shipped(CODEC, frame())


def other_model(path: Path, change: int = 1) -> Path:
    """It, with one number of its prior changed."""
    return modelmaker.other_model(path, shipped().name, change)


@pytest.fixture
def memory(tmp_path):
    """A memory of two records, of which one needs a model that lies nowhere but in the file."""
    path, model = tmp_path / "memory.db", other_model(tmp_path / "mine.safetensors")
    codec = FrameCodec(device="cpu", model=model)
    with MemoryBank(path) as bank:
        bank.add(codec.encode(frame(1)), stamp_ns=1)
        bank.add(CODEC.encode(frame(2)), stamp_ns=2)
        assert carry(bank, codec.models, model_of(bank.get(1).data))
    image = codec.decode(codec.encode(frame(1)))
    model.unlink()
    return path, image


def hash_of(memory: Path, id: int) -> bytes:
    with MemoryBank(memory, readonly=True) as bank:
        return model_of(bank.get(id).data)


def damage(memory: Path, change: str) -> None:
    with closing(sqlite3.connect(memory)) as db:
        db.execute(f"UPDATE models SET {change}")
        db.commit()


def run(capsys, *argv: object) -> tuple[int, str, str]:
    code = main([str(a) for a in argv])
    done = capsys.readouterr()
    return code, done.out, done.err


# Bytes


def test_a_bank_keeps_models_by_hash(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        assert bank.models() == [] and bank.model(b"abc") is None
        assert bank.add_model(b"abc", "first", b"\0\1\2" * 1000)
        assert bank.add_model(b"abd", "second", b"x")
        assert not bank.add_model(b"abc", "again", b"other"), "what is there stays"
        with MemoryBank(tmp_path / "m.db", readonly=True) as reader:  # committed at once
            assert reader.models() == [(b"abc", "first", 3000), (b"abd", "second", 1)]
            assert reader.model(b"abc") == b"\0\1\2" * 1000
            with pytest.raises(BankError, match="readonly=True"):
                reader.add_model(b"x", "y", b"z")
    with MemoryBank(tmp_path / "m.db") as bank:
        assert bank.model(b"abd") == b"x" and bank.verify() == []


@pytest.mark.parametrize(
    "row", [("abc", "n", b"x"), (b"", "n", b"x"), (b"a", 3, b"x"), (b"a", "n", b"")]
)
def test_what_is_no_model_is_refused(tmp_path, row):
    with MemoryBank(tmp_path / "m.db") as bank:
        with pytest.raises(BankError) as error:
            bank.add_model(*row)
        assert "\n" not in str(error.value) and bank.models() == []


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.text(), model=st.binary(min_size=1), hash_=st.binary(min_size=1, max_size=32))
def test_any_bytes_come_back(tmp_path, name, model, hash_):
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add_model(hash_, name, model)
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert hash_ in [key for key, _, _ in bank.models()] and bank.verify() == []


def test_a_model_that_a_full_disk_does_not_take_costs_nothing_else(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add(CODEC.encode(frame()), stamp_ns=1)
        bank.flush()
        pages = bank._db.execute("PRAGMA page_count").fetchone()[0]
        bank._db.execute(f"PRAGMA max_page_count={pages + 8}")
        with pytest.raises(BankError, match="full"):
            bank.add_model(b"abc", "big", bytes(10**6))
        assert bank.models() == [] and bank.waiting == 0
        bank.add(CODEC.encode(frame(1)), stamp_ns=2)  # for which there is room
        bank.flush()
        bank._db.execute("PRAGMA max_page_count=100000")
        assert bank.add_model(b"abc", "big", bytes(10**6))
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert len(bank) == 2 and bank.models() == [(b"abc", "big", 10**6)] and bank.verify() == []


def test_records_are_counted_by_their_beginnings(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        for number in range(5):
            bank.add(pack(Record("latent", (4, 3), b"abc%d" % (number % 2))), stamp_ns=number)
        bank.add(pack(Record("splats", (4, 3), b"abc")), stamp_ns=9)
        assert sorted(bank.beginnings(10).values()) == [1, 2, 3]
        [need] = needs(bank)
        assert (need.hash, need.records, need.name, need.bytes) == (b"abc", 5, None, None)


def test_a_page_of_records_that_is_lost_does_not_hide_what_others_need(tmp_path):
    path = tmp_path / "m.db"
    with MemoryBank(path) as bank:
        for number in range(200):
            bank.add(pack(Record("latent", (4, 3), b"abc" + bytes(500))), stamp_ns=number)
        bank.add(pack(Record("latent", (4, 3), b"end")), stamp_ns=number)
    with closing(sqlite3.connect(path)) as db:
        [size] = db.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    page = data.index(b"abc" + bytes(400)) // size
    data[page * size : page * size + 100] = b"\xff" * 100
    path.write_bytes(data)
    with MemoryBank(path, readonly=True) as bank:
        found = {need.hash: need.records for need in needs(bank)}
        assert found[b"end"] == 1 and 100 < found[b"abc"] < 200


def test_a_file_of_the_second_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank2.db.gz").read_bytes()))
    with pytest.raises(BankError, match="older schema: open it once for writing"):
        MemoryBank(path, readonly=True)
    with MemoryBank(path) as bank:
        assert bank.verify() == [] and bank.models() == []
        assert [(f.id, f.label, f.frame_id) for f in bank][2] == (3, "dock", "optical")
        assert bank.calibration(1, "front") == {"width": 640} and bank.descriptor(1)[0] == 100
        assert bank.info()["sessions"][0]["gated"] == 6
        assert sum(need.records for need in needs(bank)) == 3
        assert bank.add_model(b"abc", "first", b"x")
    with MemoryBank(path, readonly=True) as bank:
        assert bank.model(b"abc") == b"x" and len(bank) == 3


# What decoding needs


def test_a_carried_model_is_what_decoding_needs_and_no_more(tmp_path):
    whole = shipped()
    data = compact(whole, whole.hash)
    model = carried(data, whole.hash, "somewhere")
    assert (model.name, model.hash) == (whole.name, whole.hash)
    for name, array in whole.prior.tensors().items():
        assert np.array_equal(model.prior.tensors()[name], array)
    assert len(data) < sum(array.nbytes for array in whole.prior.tensors().values())
    assert data == compact(whole, whole.hash), "the same model gives the same bytes"


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_damaged_models_are_always_found(data):
    whole = shipped()
    good = compact(whole, whole.hash)
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    cut = good[: data.draw(st.integers(0, len(good) - 1))]
    for damaged in (bytes(bad), cut):
        try:
            assert carried(damaged, whole.hash, "x.db").hash == whole.hash  # in zlib's padding
        except ModelError as error:
            assert whole.hash.hex() in str(error) and "x.db" in str(error)
            assert "\n" not in str(error)
    with pytest.raises(ModelError, match="another model"):
        carried(good, b"abc", "x.db")


# Decoding


def test_records_decode_by_a_model_that_lies_in_their_memory_only(memory):
    path, image = memory
    with MemoryBank(path, readonly=True) as bank:
        codec = FrameCodec(device="cpu", models=[bank])
        assert np.array_equal(codec.decode(bank.get(1).data), image)
        assert np.array_equal(codec.decode(bank.get(2).data), CODEC.decode(bank.get(2).data))
        with pytest.raises(ModelError, match="which is not here"):
            CODEC.decode(bank.get(1).data)


def test_a_model_that_the_memory_gets_later_is_found(tmp_path):
    maker = FrameCodec(device="cpu", model=other_model(tmp_path / "mine.safetensors"))
    data = maker.encode(frame())
    with MemoryBank(tmp_path / "m.db") as bank:
        reader = FrameCodec(device="cpu", models=[bank])
        with pytest.raises(ModelError, match="Looked in .*m.db$"):
            reader.decode(data)
        carry(bank, maker.models, model_of(data))
        assert np.array_equal(reader.decode(data), maker.decode(data))


def test_records_of_the_first_release_find_a_carried_model(tmp_path):
    """They name a model by its whole file, of which only a part is carried."""
    model = other_model(tmp_path / "mine.safetensors")
    maker = FrameCodec(device="cpu", model=model)
    new = maker.encode(frame())
    old = hashlib.sha256(model.read_bytes()).digest()[:HASH_BYTES]
    data = pack(Record("latent", (160, 120), old + unpack(new).payload[HASH_BYTES:]))
    with MemoryBank(tmp_path / "m.db") as bank:
        bank.add(data, stamp_ns=1)
        assert main(["bank", "add-model", str(bank.path), str(model)]) == 2, "it is being written"
    assert main(["bank", "add-model", str(tmp_path / "m.db"), str(model)]) == 0
    expected = maker.decode(new)
    model.unlink()
    with MemoryBank(tmp_path / "m.db", readonly=True) as bank:
        assert np.array_equal(FrameCodec("cpu", models=[bank]).decode(data), expected)


@pytest.mark.parametrize(
    "change", ["model = zeroblob(900)", "name = 'x'", "checksum = 1", "model = 3", "model = 'text'"]
)
def test_a_damaged_model_costs_only_the_records_that_need_it(memory, capsys, tmp_path, change):
    path, _ = memory
    damage(path, change)
    named = hash_of(path, 1).hex()
    with MemoryBank(path, readonly=True) as bank:
        codec = FrameCodec(device="cpu", models=[bank])
        with pytest.raises(
            ModelError, match=f"model {named}.*memory.db.*{named} is damaged"
        ) as error:
            codec.decode(bank.get(1).data)
        assert "\n" not in str(error.value)
        assert codec.decode(bank.get(2).data).shape == (120, 160, 3)
        assert bank.models() == []
        [(frame_id, problem)] = bank.verify()
        assert frame_id is None and f"model {named} is damaged" in problem
    assert run(capsys, "bank", "recall", path, "--id", 2, "-o", tmp_path / "2.png")[0] == 0
    code, _, err = run(capsys, "bank", "recall", path, "--id", 1, "-o", tmp_path / "1.png")
    assert code == 2 and named in err and err.count("\n") == 1
    # Put back from where it is, it takes the damaged one's place.
    other_model(tmp_path / "mine.safetensors")
    assert run(capsys, "bank", "add-model", path, tmp_path / "mine.safetensors")[0] == 0
    assert run(capsys, "bank", "recall", path, "--id", 1, "-o", tmp_path / "1.png")[0] == 0
    assert run(capsys, "bank", "verify", path)[0] == 0


def test_a_sound_row_of_a_model_that_is_none_costs_only_its_records(memory):
    path, _ = memory
    needed = hash_of(path, 1)
    damage(path, "hash = x'000001'")
    with MemoryBank(path) as bank:
        bank.add_model(needed, "rubbish", b"no model at all")
        codec = FrameCodec(device="cpu", models=[bank])
        with pytest.raises(ModelError, match="memory.db: cannot be read as a model"):
            codec.decode(bank.get(1).data)
        assert codec.decode(bank.get(2).data).shape == (120, 160, 3)


def test_a_memory_that_is_closed_is_said(memory):
    path, _ = memory
    with MemoryBank(path, readonly=True) as bank:
        codec, data = FrameCodec(device="cpu", models=[bank]), bank.get(1).data
    with pytest.raises(ModelError, match="memory.db is closed"):
        codec.decode(data)


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
        bank.add(CODEC.encode(frame(), "splats"), stamp_ns=3)
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
