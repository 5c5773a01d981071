"""Descriptors of 4 bits, which a memory file stores in half the bytes."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bank_likeness import REPO, check_damage, descriptor, found, record

from gaussvae_ros.bank import MemoryBank, Pose
from gaussvae_ros.bank.likeness.packing import are_sound, length, numbers, packed, unpacked
from gaussvae_ros.likeness import likeness
from gaussvae_ros.recognition import places

IDS = st.integers(1, 2**40)
SMALL = st.lists(st.integers(-8, 7), min_size=1, max_size=128)
ANY = st.one_of(SMALL, st.lists(st.integers(-128, 127), min_size=1, max_size=128))


def small(number: int, length: int = places.LENGTH) -> bytes:
    """A descriptor of 4 bits."""
    return np.random.default_rng(number).integers(-7, 8, length, np.int8).tobytes()


def as_bytes(values: list[int]) -> bytes:
    return np.array(values, np.int8).tobytes()


# Rows


@given(IDS, ANY)
def test_every_descriptor_comes_back_and_those_of_4_bits_take_half_the_bytes(frame_id, values):
    row = packed(frame_id, as_bytes(values))
    assert row[0] == frame_id and unpacked(*row) == as_bytes(values)
    is_packed = len(values) % 2 == 0 and all(-8 <= value <= 7 for value in values)
    assert len(row[2]) == (len(values) // 2 if is_packed else len(values))
    assert length(row[1], len(row[2])) == len(values)
    assert packed(frame_id, unpacked(*row)) == row


@given(IDS, ANY, st.randoms())
def test_a_changed_bit_or_another_frame_s_row_is_noticed(frame_id, values, rng):
    row = packed(frame_id, as_bytes(values))
    bits = np.unpackbits(np.frombuffer(row[2], np.uint8))
    bits[rng.randrange(len(bits))] ^= 1
    for other in (
        (frame_id + 1, *row[1:]),
        (frame_id, row[1] ^ 1 << rng.randrange(32), row[2]),
        (*row[:2], np.packbits(bits).tobytes()),
        (*row[:2], "text"),
        (*row[:2], None),
    ):
        assert unpacked(*other) is None and are_sound([other, row]) == [False, True]


@given(st.lists(st.lists(st.integers(-8, 7), min_size=6, max_size=6), max_size=9))
def test_rows_are_unpacked_together(rows):
    stored = [packed(1, as_bytes(row))[2] for row in rows]
    both = np.frombuffer(b"".join(stored), np.uint8).reshape(-1, 3)
    assert numbers(both).tolist() == rows
    plain = np.array(rows, np.int8).reshape(-1, 6)
    assert numbers(plain) is plain


# Memory files


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.booleans())
def test_packed_descriptors_are_searched_as_others_are(tmp_path_factory, frames, ask_small):
    """Beside those of 8 bits, which earlier releases made, some of them removed."""
    looks = [small(i) if of_4 else descriptor(i, 128) for i, (of_4, _) in enumerate(frames)]
    query = small(3) if ask_small else descriptor(3, 128)
    with MemoryBank(tmp_path_factory.mktemp("packed") / "m.db") as bank:
        for i, look in enumerate(looks):
            bank.add(record(0), stamp_ns=i, descriptor=look)
            if i % 20 == 0:
                bank.find_like(query)
        gone = [i + 1 for i, (_, removed) in enumerate(frames) if removed]
        bank.remove(gone)
        rows = np.array([np.frombuffer(look, np.int8) for look in looks])
        scores = likeness(np.frombuffer(query, np.int8), rows)
        order = [i for i in np.argsort(-scores, kind="stable") if i + 1 not in gone]
        best = bank.find_like(query, limit=100)
        assert [(frame.id, score) for frame, score in best] == [(i + 1, scores[i]) for i in order]
        assert bank.descriptor_length() in (None, 128) and bank.verify() == []
        for i in order:
            assert bank.descriptor(i + 1) == looks[i]


def test_a_descriptor_of_a_place_takes_half_its_bytes_in_the_file(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    look, other = places.describe(picture).tobytes(), descriptor(1)
    with MemoryBank(tmp_path / "m.db") as bank:
        for one in (look, other):
            bank.add(record(0), stamp_ns=0, descriptor=one)
        bank.set_descriptor(2, look)
        bank.flush()
        sizes = bank._db.execute("SELECT length(descriptor) FROM descriptors").fetchall()
        assert sizes == [(places.LENGTH // 2,)] * 2
        assert bank.descriptor(1) == bank.descriptor(2) == look == bank.row(2, 1)[0]
        assert [whole.descriptor for whole in bank.whole(1, 2)] == [look, look]
        assert bank.find_like(look)[0][1] == 1.0


@pytest.mark.parametrize("change", ["descriptor = x'00'", "checksum = -7"])
def test_damage_of_a_packed_one_costs_its_frame_s_likeness_only(tmp_path, change, caplog):
    check_damage(tmp_path, small, change, caplog)


def test_a_file_of_the_twelfth_schema_is_read_as_it_is_and_brought_up_to_date(tmp_path):
    """In it frames 1 to 10 have gradients, 11 to 28 descriptors of places of 8 bits, 29 and 30
    none."""
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress((REPO / "test" / "data" / "bank12.db.gz").read_bytes()))

    def asked(bank):
        assert [bank.descriptor(i) for i in range(1, 11)] == [descriptor(i) for i in range(1, 11)]
        looks = [descriptor(i, 128) for i in range(11, 29)]
        assert [bank.descriptor(i) for i in range(11, 29)] == looks and bank.descriptor(29) is None
        assert found(bank, descriptor(20, 128), limit=1) == [20]
        assert found(bank, descriptor(5), limit=1) == [5] and bank.descriptor_length() == 128
        assert bank.find(label="dock")[0].id == 15 and bank.verify() == []

    with MemoryBank(path, readonly=True) as reader:
        asked(reader)
        with MemoryBank(path) as bank:
            for either in (reader, bank):
                asked(either)
            like = np.rint(np.frombuffer(descriptor(20, 128), np.int8) * (7 / 127))
            like = like.astype(np.int8).tobytes()
            new = bank.add(record(31), stamp_ns=31, pose=Pose(31, 0, 0), descriptor=like)
            bank.flush()
            for either in (reader, bank):
                assert found(either, like, limit=2) == [new, 20] and either.verify() == []
