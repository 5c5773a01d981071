"""The recorder lets the memory carry its records' models; no trouble with that costs frames."""

import pytest
from modelmaker import shipped
from standin import JpegCodec
from test_recorder import Setup, T, bank, codec, pending  # noqa: F401 (two are fixtures)

from gaussvae_ros.bank import MemoryBank
from gaussvae_ros.maintenance.needed_models import model_of, needs
from gaussvae_ros.nodes import carried_models
from gaussvae_ros.nodes.sequences import Sequences


@pytest.fixture
def it(bank, codec):
    made = Setup(bank, codec)
    made.recorder.encoding = {"quality": 0, "effort": "fast", "predict": False}
    return made


def store(it, *numbers: int) -> bool:
    for number in numbers:
        it.recorder.work(pending(number))
    return it.recorder.commit()


def missing(bank) -> list[str]:
    return [need.hash.hex() for need in needs(bank) if need.bytes is None]


def test_the_model_is_there_once_its_first_record_is(it, bank):
    assert bank.models() == []
    assert store(it, 0, 1) and missing(bank) == []
    [(hash_, _, _)] = bank.models()
    assert hash_ == model_of(it.stored[0].data)
    with MemoryBank(bank.path, readonly=True) as reader:
        assert [key for key, _, _ in reader.models()] == [hash_], "it is not committed"


def test_a_new_file_gets_it_again(it, bank):
    assert store(it, 0)
    for file in bank.path.parent.glob(f"{bank.path.name}*"):
        file.unlink()
    assert store(it, 1) and len(bank) == 1
    assert missing(bank) == [] and len(bank.models()) == 1


def test_a_disk_with_no_room_for_it_takes_frames_still(it, bank, codec, monkeypatch, caplog):
    assert bank.add_model(b"x", "n", b"x")
    bank.add(codec.encode(pending(9).image), stamp_ns=T)
    bank.flush()
    pages = bank._db.execute("PRAGMA page_count").fetchone()[0]
    bank._db.execute(f"PRAGMA max_page_count={pages + 12}")
    for number in range(4):
        assert store(it, number) and it.recorder.refusal == ""
    assert len(it.stored) == 4 and it.recorder.waiting == 0
    assert missing(bank) and caplog.text.count("does not carry the model") == 1
    bank._db.execute("PRAGMA max_page_count=1000000")
    assert store(it, 5) and missing(bank), "it is tried with every frame"
    monkeypatch.setattr(carried_models.time, "monotonic", lambda: 1e12)
    assert store(it, 6) and missing(bank) == []
    assert caplog.text.count("does not carry the model") == 1 and bank.verify() == []


def test_a_model_that_is_there_is_not_written_again(it, bank, codec):
    hash_ = model_of(codec.encode(pending(0).image, quality=0))
    assert bank.add_model(hash_, shipped(codec, pending(0).image).name, b"kept")
    assert store(it, 0, 1) and bank.model(hash_) == b"kept"


def test_records_that_need_no_model_bring_none(it, bank):
    recorder = it.recorder
    recorder._sequences = Sequences(JpegCodec(), bank, recorder._coded, recorder._not_coded)
    assert store(it, 0) and bank.models() == []
