"""Volumes in levels: values that jump, drawn volumes, and integers without loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.volume import level_table, level_volumes, levels, model, prediction, smoothing
from gaussvae_ros.volume.choice import sample_of
from gaussvae_ros.volume.chunks import quantised
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.format import NOWHERE, unpack
from gaussvae_ros.volume.layers import scaled
from gaussvae_ros.volume.level_fit import Fit, fit

CODEC = VolumeCodec()


def seen_from_one_side(side: int = 48) -> np.ndarray:
    """Distances to two balls, truncated and with noise, as a camera at low z sees them: behind
    their surfaces is nothing known.
    """
    z, y, x = np.mgrid[:side, :side, :side].astype(np.float32)
    rng, volume = np.random.default_rng(0), np.ones((side,) * 3, np.float32)
    for centre, radius in (((30, 16, 20), 11), ((22, 34, 30), 8)):
        off = np.sqrt(sum((a - c) ** 2 for a, c in zip((z, y, x), centre))) - radius
        volume = np.minimum(volume, np.clip(off / 4, -1, 1))
    volume += 0.01 * rng.normal(size=(1, side, side)).astype(np.float32)  # a ray's depth is off
    volume = np.clip(volume, -1, 1)
    volume[(volume == -1) | (np.maximum.accumulate(volume < -0.8, axis=0))] = np.nan
    return volume


def encoded(volume: np.ndarray, known: np.ndarray | None, fitted: Fit, ends=(0.0, 1.0)) -> bytes:
    return level_volumes.encode(volume, known, 50, ends, NOWHERE, model.load(), fitted)


@settings(max_examples=25)
@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.integers(1, 300),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_levels_come_back_exactly(shape, top, blended, holes, seed):
    rng = np.random.default_rng(seed)
    steps = rng.integers(-2, 3, shape) * (rng.random(shape) < rng.random())
    level = np.clip(np.cumsum(steps, -1) + rng.integers(0, top + 1), 0, top)
    volume = (level / top).astype(np.float32)
    known = rng.random(shape) > 0.3 if holes else None
    if holes:
        volume[~known] = np.nan
    plan = rng.integers(-3000, 3000, prediction.PLAN)
    plan[0], plan[prediction.OFF :] = blended, abs(plan[prediction.OFF :])
    table = rng.integers(0, len(levels.LIKELY), levels.CONTEXTS).astype(np.uint8)
    fitted = Fit(top, plan, table, np.zeros(smoothing.WEIGHTS, np.int8))
    record = unpack(encoded(volume, known, fitted))
    again = level_volumes.decode(record, np.zeros(3, np.int64), np.array(shape))
    assert np.array_equal(np.rint(again * top), np.where(known, level, np.nan) if holes else level,
                          equal_nan=True)  # fmt: skip


def test_a_camera_s_distances_are_packed_better_than_by_zstd():
    import zstandard

    volume = seen_from_one_side()
    data = CODEC.encode(volume, 40)
    again, known = CODEC.decode(data), ~np.isnan(volume)
    assert unpack(data).kind == "levels" and np.array_equal(np.isnan(again), ~known)
    error = np.mean((again - volume)[known] ** 2)
    for count in range(3, 255, 2):  # levels, of which zstd needs so many for that error
        rounded = np.rint(np.where(known, volume + 1, 2) / 2 * count).astype(np.uint8)
        if np.mean((rounded * 2.0 / count - 1 - volume)[known] ** 2) <= error:
            break
    assert 1.5 * len(data) < len(zstandard.ZstdCompressor(level=19).compress(rounded.tobytes()))


def test_distances_keep_their_sign_and_no_value_moves_by_more_than_a_level_and_a_half():
    volume = seen_from_one_side()
    for quality in (30, 60):
        data = CODEC.encode(volume, quality)
        again, top = CODEC.decode(data), unpack(data).top
        assert top % 2 and np.nanmax(abs(again - volume)) <= 1.5 * 2 / top + 1e-6
        far = abs(volume) > 2 / top
        assert np.array_equal(np.sign(again[far]), np.sign(volume[far]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_integers_lose_nothing_at_the_finest_qualities(dtype):
    rng = np.random.default_rng(1)
    drawn = rng.integers(-60, 60, (5, 1, 4)).repeat(9, 0).repeat(33, 1).repeat(10, 2)
    volume = (drawn + (100 if dtype == np.uint8 else -3000)).astype(dtype)
    data = CODEC.encode(volume, 95)
    assert unpack(data).kind == "levels" and np.array_equal(CODEC.decode(data), volume)


def test_a_field_with_little_noise_stays_in_blocks():
    volume = np.sin(np.mgrid[:40, :40, :40].sum(0) / 9).astype(np.float32)
    volume += 0.1 * np.random.default_rng(2).normal(size=volume.shape).astype(np.float32)
    assert unpack(CODEC.encode(volume, 20)).kind == "blocks"


def test_a_region_is_what_the_whole_has_there():
    volume = seen_from_one_side(70)
    data = CODEC.encode(volume, 40)
    assert unpack(data).kind == "levels"
    whole = CODEC.decode(data)
    for roi in ((0, 0, 0, 70, 70, 70), (31, 5, 60, 3, 30, 10), (32, 32, 32, 32, 32, 32),
                (69, 69, 69, 1, 1, 1)):  # fmt: skip
        part = tuple(slice(b, b + n) for b, n in zip(roi, roi[3:]))
        assert np.array_equal(CODEC.decode(data, roi), whole[part], equal_nan=True)


def test_the_weights_are_those_of_least_squares():
    rng = np.random.default_rng(3)
    wanted = (4 + 4 * np.sin(np.mgrid[:9, :8, :7].sum(0) / 3)).astype(np.float32)
    wanted += 0.1 * rng.normal(size=wanted.shape).astype(np.float32)
    q, none = np.rint(wanted).clip(0, 8).astype(np.int16), np.zeros((0, 0, 0), np.uint8)
    squares = np.zeros((2, smoothing.TERMS, smoothing.TERMS))
    products = np.zeros((2, smoothing.TERMS))
    smoothing.add_normal(q, none, wanted, 8, squares, products)
    rows, off = ([], []), ([], [])
    for place in np.ndindex(q.shape):
        if sum(place) % 2 == 0:
            terms = np.zeros(smoothing.TERMS, np.float32)
            which = smoothing.gather(q, none, *place, 8, terms)
            if which >= 0:
                rows[which].append(terms)
                off[which].append(wanted[place] - q[place])
    weights = smoothing.solve(squares, products).reshape(2, -1) / smoothing.UNIT
    for k in range(2):
        made = np.array(rows[k])
        best, *_ = np.linalg.lstsq(made, np.array(off[k]), rcond=None)
        ours = np.mean((made @ weights[k] - off[k]) ** 2)
        assert (
            ours <= np.mean((made @ best - off[k]) ** 2) * 1.1 + 1e-4 < np.mean(np.square(off[k]))
        )


def test_terms_are_sums_of_what_opposite_neighbours_differ_by():
    q = np.random.default_rng(4).integers(0, 9, (3, 3, 3)).astype(np.int16)
    none, terms = np.zeros((0, 0, 0), np.uint8), np.zeros(smoothing.TERMS, np.float32)
    assert smoothing.gather(q, none, 1, 1, 1, 8, terms) == 1
    off = q.ravel()[[14, 12]].astype(int) - q[1, 1, 1]  # along x
    assert terms[0] == off.clip(-1, 1).sum() and terms[13] == off.clip(-4, 4).sum()
    known = np.ones_like(q, np.uint8)
    known[1, 1, 2] = 0
    smoothing.gather(q, known, 1, 1, 1, 8, terms)
    assert terms[13] == min(max(off[1], -4), 4)


def test_a_plane_is_predicted_and_takes_next_to_nothing():
    z, y, x = np.mgrid[:32, :32, :32]
    volume = ((z + 2 * y + 3 * x) / 186).astype(np.float32)
    cubes = list(scaled(volume, None, (0.0, 1.0)))
    fitted = fit(cubes, 186)
    record = unpack(encoded(volume, None, fitted))
    assert record.starts[-1] - record.starts[0] < 400  # of 32,768 voxels


@given(st.integers(0, 2**32 - 1), st.integers(0, levels.CONTEXTS))
def test_tables_come_back(seed, changed):
    table, rng = level_table.even(), np.random.default_rng(seed)
    table[rng.integers(0, levels.CONTEXTS, changed)] = rng.integers(len(levels.LIKELY))
    assert np.array_equal(level_table.unpack(level_table.pack(table)), table)


def test_chances_are_those_that_were_counted():
    counts = np.zeros((levels.CONTEXTS, 2), np.int64)
    counts[5], counts[6] = (900, 100), (3, 0)
    table = level_table.of_counts(counts)
    assert abs(levels.LIKELY[table[5]] / 65536 - 0.9) < 0.03
    assert table[6] == table[5], "of few answers, what is beside them is more likely"


def test_a_sample_has_no_cubes_of_one_value():
    volume = np.zeros((70, 70, 70), np.uint8)
    volume[64:, :8, :8] = np.arange(8)
    sample, known = sample_of(volume, None)
    assert sample.shape == (32, 32, 32) and sample.any() and known is None
    assert sample_of(volume[:32], None)[0].size == 0
    holed = np.ones(volume.shape, bool)
    holed[64:, :8, :8] = False
    assert sample_of(volume, holed)[0].size == 0


def test_values_are_rounded_to_the_nearest_level():
    voxels = np.array([[[0, 0.24, 0.26, 0.5, 0.76, 1, np.nan]]], np.float32)
    assert quantised(voxels, 2).ravel().tolist() == [0, 0, 1, 1, 2, 2, 0]
