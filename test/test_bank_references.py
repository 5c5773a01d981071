"""Predicted records: their envelope, and the frames that need others in a memory file."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaussvae_ros.errors import RecordError
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
