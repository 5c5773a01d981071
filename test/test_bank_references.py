"""Predicted records: their envelope, and the frames that need others in a memory file."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import chain, record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.errors import BankError, RecordError
from gaussvae_ros.record import PREDICTED, TIERS, Record, checksum, pack, unpack

SIZES = st.tuples(st.integers(1, 65535), st.integers(1, 65535))


@given(SIZES, st.binary(max_size=20), st.integers(0, 2**32 - 1))
def test_a_predicted_record_names_its_reference(size, payload, reference):
    record = Record(PREDICTED, size, payload, reference)
    assert unpack(pack(record)) == record
    assert pack(record)[6:10] == reference.to_bytes(4, "little")
    assert checksum(pack(record)) == int.from_bytes(pack(record)[-4:], "little")


@pytest.mark.parametrize("tier", [*TIERS, PREDICTED])
def test_only_predicted_records_name_a_reference(tier):
    with pytest.raises(RecordError, match="name their reference"):
        Record(tier, (4, 3), b"", None if tier == PREDICTED else 7)


def test_a_predicted_record_without_space_for_its_reference_is_refused():
    data = pack(Record("latent", (4, 3), b"abc"))
    body = data[:1] + bytes([data[1] + 1]) + data[2:-4]
    with pytest.raises(RecordError, match="too short"):
        unpack(body + zlib.crc32(body).to_bytes(4, "little"))


@pytest.fixture
def bank(tmp_path):
    with MemoryBank(tmp_path / "m.db") as bank:
        yield bank


def add(bank: MemoryBank, data: bytes, number: int = 0, reference=None) -> int:
    return bank.add(
        data,
        stamp_ns=number,
        camera="ab"[number % 2],
        pose=Pose(number, 0, 0),
        descriptor=bytes([number % 100]) * 64,
        reference=reference,
    )


def add_chain(bank: MemoryBank, number: int, length: int = 3) -> list[int]:
    ids: list[int] = []
    for data in chain(number, length):
        ids.append(add(bank, data, 10 * number + len(ids), ids[-1] if ids else None))
    return ids


def test_what_does_not_fit_its_reference_is_refused(bank):
    key, near, far = chain(0)
    ids = add_chain(bank, 0)
    gone = add(bank, record(7))
    bank.remove([gone])
    cases = [
        (near, None, "name its reference"),
        (near, [], "name its reference"),
        (key, ids[0], "has no reference"),
        (near, 99, "no such frame"),
        (record(1, record(7)), gone, "no such frame"),
        (near, ids[1], "not the one that it was predicted from"),
        (far, ids[0], "not the one that it was predicted from"),
        (record(1, far), ids[2], "more than 3"),
        (record(1, far), [key, near, far], "at most 2 others, not 3"),
        (far, [near], "to need the one before"),
        (far, [near, key], "to need the one before"),
        (near, True, "must be an integer"),
    ]
    for data, reference, why in cases:
        with pytest.raises(BankError, match=why):
            add(bank, data, 1, reference)
    for no_record in (b"no record", 7, "text", key[:-1]):
        with pytest.raises(RecordError):
            add(bank, far, 1, [key, no_record])
    assert len(bank) == 3 and bank.verify() == [] and bank.info()["kept"] == 0


def test_every_question_gives_all_that_decoding_needs(bank):
    chains = {i: chain(i) for i in range(4)}
    ids = {i: add_chain(bank, i) for i in chains}
    wanted = {ids[i][j]: chains[i][: j + 1] for i in chains for j in range(3)}

    def check(frames):
        assert frames and all(frame.records == wanted[frame.id] for frame in frames)
        return frames

    check([bank.get(frame_id) for frame_id in wanted])
    check([bank.nearest(31), bank.newest(), bank.newest("a")])
    check(bank.find(near=(32, 0, 0), radius=12, nearest_first=True))
    check([frame for frame, _ in bank.find_like(b"a" * 64, limit=12)])
    check(bank.window(ids[2][1], 5))
    found = check(bank.find())
    assert len(check(list(bank))) == len(found) == len(wanted)
    for frame in found:  # each record is there once
        for needed in frame.needed:
            assert any(needed is other.data for other in found)
    assert [frame.reference for frame in found[:3]] == [None, *ids[0][:2]]
    assert [frame.tier for frame in found[:3]] == ["latent", "predicted", "predicted"]
    assert bank.info()["tiers"] == {"latent": 4, "predicted": 8}


def test_references_that_wait_for_their_commit_and_readers(bank):
    ids = add_chain(bank, 0)
    assert bank.waiting == 3 and bank.get(ids[2]).records == chain(0)
    with MemoryBank(bank.path, readonly=True) as reader:
        bank.flush()
        assert reader.get(ids[2]).records == chain(0)
        with pytest.raises(BankError, match="readonly"):
            reader.remove(ids)


def test_a_frame_comes_with_records_that_the_file_does_not_have(bank):
    key, near, far = chain(0)
    first = add(bank, far, 0, [key, near])
    assert bank.get(first).records == [key, near, far] and bank.get(first).reference < 0
    other = record(99, near)
    second, third = add(bank, other, 1, (key, near)), add(bank, record(98, key), 2, [key])
    assert bank.info()["kept"] == 2 and len(bank) == 3 and bank.verify() == []
    bank.remove([first, second])
    assert bank.info()["kept"] == 1 and bank.get(third).needed == (key,)
    fourth = add(bank, key, 3)
    bank.remove([third])
    assert bank.info()["kept"] == 0
    fifth = add(bank, near, 4, [key])  # the frame that was stored lately
    assert bank.get(fifth).reference == fourth


def test_what_waits_in_a_file_that_is_gone_keeps_what_it_needs(tmp_path):
    path = tmp_path / "m.db"
    key, near, far = chain(0)
    with MemoryBank(path) as bank:
        first = add(bank, key)
        bank.flush()
        second = add(bank, near, 1, first)
        add(bank, far, 2, second)
        removed = add(bank, record(5, key), 3, first)
        bank.remove([removed])
        for file in tmp_path.glob("m.db*"):
            file.unlink()
        frames = bank.reopen()
        assert [frame.records for frame in frames] == [[key, near], [key, near, far]]
        for frame in frames:
            add(bank, frame.data, frame.stamp_ns, frame.needed)
        assert [frame.records for frame in bank] == [frame.records for frame in frames]
        assert bank.info()["kept"] == 1 and bank.verify() == []
