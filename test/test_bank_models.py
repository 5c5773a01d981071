"""Memory files that carry the models of their records: kept, found, damaged, and decoded with."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import modelmaker
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.cli import main
from gaussvae_ros.codec import FrameCodec
from gaussvae_ros.errors import BankError, ModelError
from gaussvae_ros.maintenance.needed_models import carry, model_of, needs
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
