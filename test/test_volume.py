"""Volumes as records: what comes back, what is exact, and what damage does."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.errors import GaussVaeError, RecordError, VolumeError
from gaussvae_ros.volume import block_volumes, model
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.format import NOWHERE, unpack

DATA = Path(__file__).parent / "data"
CODEC = VolumeCodec()


def smooth(shape, dtype=np.uint8, seed=0):
    """A few waves over the whole range of values, and flat in a corner."""
    at = np.indices(shape).astype(np.float64)
    rng = np.random.default_rng(seed)
    waves = sum(np.sin(np.tensordot(rng.uniform(-0.25, 0.25, 3), at, 1) + k) for k in range(5))
    made = np.clip((waves + 3) / 6, 0, 1)
    made[:9, :9, :9] = 0
    return (made * 250).astype(dtype) if np.dtype(dtype).kind in "iu" else made.astype(dtype)


def test_error_falls_and_bytes_grow_with_quality():
    volume = smooth((40, 33, 50))
    made = [CODEC.encode(volume, quality) for quality in (0, 25, 50, 75, 100)]
    errors = [np.mean((CODEC.decode(data) - volume.astype(float)) ** 2) for data in made]
    assert [len(data) for data in made] == sorted(len(data) for data in made)
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 9 and errors[4] < 0.25  # of squared grey levels
    assert len(made[2]) < volume.size / 15


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float16", "float32"])
def test_each_type_of_numbers_comes_back(dtype):
    volume = smooth((9, 17, 8), dtype)
    again = CODEC.decode(CODEC.encode(volume, 90))
    assert again.dtype == volume.dtype and again.shape == volume.shape
    top = 250 if np.dtype(dtype).kind in "iu" else 1
    assert np.abs(again.astype(float) - volume.astype(float)).max() < 0.02 * top


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 35)] * 3), st.integers(0, 100), st.integers(0, 2**31), st.booleans()
)
def test_any_size_comes_back_and_unknown_voxels_exactly(shape, quality, seed, holes):
    rng = np.random.default_rng(seed)
    volume = smooth(shape, np.float32, seed)
    if holes:
        volume[rng.random(shape) < rng.random()] = np.nan
    data = CODEC.encode(volume, quality, voxel_size=0.02, origin=(1, 2, -3))
    again = CODEC.decode(data)
    assert data == CODEC.encode(volume, quality, voxel_size=0.02, origin=(1, 2, -3))
    assert again.shape == shape and again.dtype == np.float32
    assert np.array_equal(np.isnan(again), np.isnan(volume))
    assert np.array_equal(CODEC.known(data), ~np.isnan(volume))
    record = unpack(data)
    assert record.voxel_size == np.float32(0.02) and record.origin == (1, 2, -3)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 3), st.integers(1, 8), st.integers(0, 2**31))
def test_few_values_come_back_exactly(shape, count, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 255, count).astype(np.uint8)
    blobs = rng.random(shape) * (1 + np.indices(shape).sum(0) // 7 % 3)
    volume = values[(blobs * count / 3).astype(int) % count]
    assert np.array_equal(CODEC.decode(CODEC.encode(volume, 0)), volume)
    holes = np.where(volume == values[0], np.nan, volume).astype(np.float32)
    data = CODEC.encode(holes)
    assert np.array_equal(CODEC.decode(data), holes, equal_nan=True)
    assert np.array_equal(CODEC.known(data), ~np.isnan(holes))


def test_a_region_is_what_the_whole_has_there():
    volume = smooth((70, 40, 67), np.float32)
    volume[20:30, :, 5:9] = np.nan
    for array in (volume, (volume > 0.5).astype(np.uint8)):
        data = CODEC.encode(array, 40)
        whole = CODEC.decode(data)
        for z, y, x, d, h, w in (
            (0, 0, 0, 1, 1, 1), (31, 7, 33, 9, 20, 3), (64, 32, 64, 6, 8, 3), (5, 0, 0, 60, 40, 67),
        ):  # fmt: skip
            part = CODEC.decode(data, (z, y, x, d, h, w)).astype(np.float64)
            there = whole[z : z + d, y : y + h, x : x + w].astype(np.float64)
            # but for rounding: a product of matrices adds in an order that their size says
            assert np.allclose(part, there, rtol=0, atol=1e-5, equal_nan=True)


def test_a_mask_is_kept_with_integers():
    volume, rng = smooth((20, 20, 20)), np.random.default_rng(0)
    known = rng.random(volume.shape) < 0.7
    data = CODEC.encode(volume, 80, known=known)
    again = CODEC.decode(data)
    assert np.array_equal(CODEC.known(data), known)
    assert not again[~known].any()
    assert np.abs(again[known].astype(int) - volume[known]).max() < 25
    nothing = CODEC.encode(volume, known=np.zeros_like(known))
    assert not CODEC.decode(nothing).any() and not CODEC.known(nothing).any()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["uint8", "int8", "uint16", "int16", "bool"]),
    st.tuples(*[st.integers(1, 35)] * 3),
    st.integers(1, 7),
    st.integers(0, 2**31),
)
def test_few_values_come_back_exactly_beside_a_mask(dtype, shape, count, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2, count) if dtype == "bool" else rng.integers(0, 127, count)
    volume = values.astype(dtype)[rng.integers(0, count, shape)]
    known = rng.random(shape) < rng.random()
    data = CODEC.encode(volume, 0, known=known)
    assert unpack(data).kind == "labels"
    assert np.array_equal(CODEC.known(data), known)
    again = CODEC.decode(data)
    assert again.dtype == dtype and np.array_equal(again, np.where(known, volume, 0))
    roi = [int(rng.integers(0, side)) for side in shape]
    roi += [int(rng.integers(1, side - at + 1)) for at, side in zip(roi, shape)]
    part = tuple(slice(at, at + length) for at, length in zip(roi[:3], roi[3:]))
    assert np.array_equal(CODEC.decode(data, roi), again[part])
    assert np.array_equal(CODEC.known(data, roi), known[part])


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "float16", "float32"])
@pytest.mark.parametrize("quality", [0, 50, 100])
def test_values_to_the_ends_of_their_type_come_back(dtype, quality):
    facts = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    at = smooth((17, 9, 20), np.float64)
    volume = (float(facts.min) * (1 - at) + float(facts.max) * at).astype(dtype)
    volume[0, 0, :2] = facts.min, facts.max
    if np.dtype(dtype).kind == "f":
        volume[5, 2:4] = np.nan
    data = CODEC.encode(volume, quality)
    again = CODEC.decode(data)
    assert np.array_equal(np.isnan(again), np.isnan(volume)) and not np.isinf(again).any()
    off = np.abs(again.astype(float) - volume.astype(float)) / (float(facts.max) - facts.min)
    assert np.sqrt(np.nanmean(off**2)) < (0.3, 0.1, 0.01)[quality // 50]


def test_how_an_array_lies_in_memory_makes_no_difference():
    volume = smooth((12, 10, 9), np.float32)
    known = np.random.default_rng(0).random(volume.shape) < 0.8
    data = CODEC.encode(volume, known=known)
    holes = np.where(known, volume, np.float32(np.nan))
    endless = np.where(known, volume, np.float32(np.inf))  # where it is unknown, and so all one
    assert CODEC.encode(holes) == data and CODEC.encode(endless, known=known) == data
    assert CODEC.encode(np.asfortranarray(volume), known=np.asfortranarray(known)) == data
    assert CODEC.encode(volume[::-1].copy()[::-1], known=known) == data
    assert CODEC.encode(np.ma.masked_array(volume, ~known)) == data
    grey = (volume * 200).astype(np.uint8)
    assert CODEC.encode(np.ma.masked_array(grey, ~known)) == CODEC.encode(grey, known=known)


def test_empty_and_constant_parts_take_next_to_nothing():
    assert len(CODEC.encode(np.full((128, 128, 128), 7, np.uint8))) < 100
    volume = np.zeros((128, 64, 64), np.uint8)
    few = len(CODEC.encode(smooth((32, 32, 32))))
    volume[:32, :32, :32] = smooth((32, 32, 32))
    assert len(CODEC.encode(volume)) < few + 50
    assert not CODEC.decode(CODEC.encode(volume))[48:].any()


def test_the_network_closes_seams_and_lowers_the_error():
    volume, box = smooth((48, 48, 48), np.float32, 3), (np.zeros(3, np.int64), np.full(3, 48))
    ends = float(volume.min()), float(volume.max())
    for quality, helps in ((20, True), (10, False), (60, False)):
        args = volume, None, quality, ends, NOWHERE, model.load()
        record = unpack(block_volumes.encode(*args))
        with_, without = (block_volumes.decode(record, *box, linear=k) for k in (False, True))
        if helps:
            assert np.mean((with_ - volume) ** 2) < np.mean((without - volume) ** 2)
        else:
            assert np.array_equal(with_, without)


def test_what_is_no_volume_is_refused():
    good = smooth((8, 8, 8))
    for bad in (good[0], good.astype(np.int64), good[:0], good.tolist(), good.astype(complex)):
        with pytest.raises(VolumeError):
            CODEC.encode(bad)
    with pytest.raises(VolumeError, match="infinite"):
        CODEC.encode(np.full((2, 2, 2), np.inf, np.float32))
    for arguments in (
        {"quality": -1}, {"quality": "x"}, {"voxel_size": 0}, {"origin": (0, 0)}, {"origin": 3},
        {"voxel_size": 1e-50}, {"voxel_size": 1e300}, {"voxel_size": "x"}, {"known": [[1]]},
    ):  # fmt: skip
        with pytest.raises(GaussVaeError):
            CODEC.encode(good, **arguments)
    data = CODEC.encode(good)
    for roi in ((0, 0, 0, 9, 1, 1), (-1, 0, 0, 1, 1, 1), (0, 0, 0, 0, 1, 1), (0, 0, 0, 1), 5,
                (2**63 - 1, 0, 0, 1, 1, 1), (10**30, 0, 0, 1, 1, 1)):  # fmt: skip
        with pytest.raises(GaussVaeError):
            CODEC.decode(data, roi)


def test_damage_is_an_error():
    data = CODEC.encode(smooth((20, 30, 10)))
    for at in range(0, len(data), 7):
        with pytest.raises(RecordError):
            CODEC.decode(data[:at])
        with pytest.raises(RecordError):
            CODEC.decode(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_record_that_lies_gives_an_array_or_an_error(data):
    volume = smooth((12, 34, 9), np.float32)
    volume[3:5] = np.nan
    kind = data.draw(st.sampled_from(["blocks", "labels", "levels"]))
    source = (volume > 0.4).astype(np.uint8) if kind == "labels" else volume
    made = CODEC.encode(source, 90 if kind == "levels" else 20)
    assert unpack(made).kind == kind
    body = bytearray(made[:-4])
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    made = bytes(body) + struct.pack("<I", zlib.crc32(body))
    try:
        record = unpack(made)
        if np.prod(record.shape) < 1e6:
            assert CODEC.decode(made).shape == CODEC.known(made).shape == record.shape
    except GaussVaeError:
        pass


def test_records_of_this_release_stay_readable():
    for name in ("blocks", "labels"):
        again = CODEC.decode((DATA / f"volume_{name}.bin").read_bytes())
        wanted = np.load(DATA / f"volume_{name}.npy")
        most = 0 if name == "labels" else 1  # floats may round otherwise on another machine
        assert np.abs(again.astype(int) - wanted).max() <= most


@pytest.mark.parametrize(("kind", "scale"), [(np.float16, 1e-6), (np.float32, 1e-44)])
@pytest.mark.filterwarnings("error")
def test_the_smallest_floats_are_no_division_by_zero(kind, scale):
    ramp = np.arange(40**3).reshape(40, 40, 40) % 7
    volume = (ramp * scale).astype(kind)
    back = VolumeCodec().decode(VolumeCodec().encode(volume, 90))
    assert np.abs(back.astype(float) - volume).max() <= 0.2 * float(volume.max())
