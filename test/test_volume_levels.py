"""Volumes in levels: values that jump, drawn volumes, and integers without loss."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.volume import (
    level_table,
    level_volumes,
    levels,
    model,
    padding,
    prediction,
    smoothing,
)
from gaussvae_ros.volume.choice import sample_of
from gaussvae_ros.volume.chunks import quantised
from gaussvae_ros.volume.codec import VolumeCodec
from gaussvae_ros.volume.format import NOWHERE, unpack
from gaussvae_ros.volume.layers import scaled
from gaussvae_ros.volume.level_fit import Fit, fit

CODEC = VolumeCodec()
DATA = Path(__file__).parent / "data"


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


def with_border(q: np.ndarray) -> np.ndarray:
    made = padding.padded(*q.shape)
    made[2:-1, 2:-1, 2:-1] = q
    return made


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


@pytest.fixture(scope="module", params=["coarse", "fine", "masked", "lossless", "nothing unknown"])
def whole(request) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A record of more than two chunks along each axis, all of its voxels, which are known."""
    volume = seen_from_one_side(70)[:, :67, :66]
    volume[50:, 10:40, :20] = np.nan  # as whole blocks
    known, kind = ~np.isnan(volume), request.param
    if kind != "coarse" and kind != "fine":
        volume = np.where(known, 100 * volume + 110, 0).astype(np.uint8)
    top = {"coarse": 5, "fine": 60, "masked": 7, "nothing unknown": 40}.get(kind)
    there = None if kind == "nothing unknown" else known
    ends = (float(volume[known].min()), float(volume[known].max()))
    fitted = fit(list(scaled(*sample_of(volume, there), ends)), top or int(ends[1] - ends[0]))
    data = encoded(volume, there, fitted, ends)
    again = CODEC.decode(data)
    if kind == "lossless":
        assert np.array_equal(again[known], volume[known])
    return data, again, np.ones_like(known) if there is None else known


def check_region(whole: tuple, begin, size) -> None:
    data, again, known = whole
    roi, part = (*begin, *size), tuple(slice(b, b + n) for b, n in zip(begin, size))
    assert np.array_equal(CODEC.decode(data, roi), again[part], equal_nan=True)
    assert np.array_equal(CODEC.known(data, roi), known[part])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_region_at_any_border_is_what_the_whole_has_there(whole, axis):
    last = whole[1].shape[axis]
    for begin, end in (  # along one axis: the first ones, at borders of chunks and blocks, the last
        (0, 1), (0, 32), (0, 33), (7, 9), (30, 31), (31, 32), (31, 33), (32, 33), (32, 64),
        (33, 63), (63, 64), (63, 65), (64, 65), (last - 1, last), (0, last),
    ):  # fmt: skip
        start, size = [29, 29, 29], [9, 9, 9]
        start[axis], size[axis] = begin, end - begin
        check_region(whole, start, size)


@settings(max_examples=20)
@given(data=st.data())
def test_any_region_is_what_the_whole_has_there(whole, data):
    shape = whole[1].shape
    begin = [data.draw(st.integers(0, side - 1)) for side in shape]
    check_region(
        whole, begin, [data.draw(st.integers(1, side - at)) for side, at in zip(shape, begin)]
    )


def test_records_of_earlier_releases_mean_the_same():
    for name, blended in (("levels", 0), ("levels_fine", 1)):
        data = (DATA / f"volume_{name}.bin").read_bytes()
        assert unpack(data).plan[0] == blended
        assert np.array_equal(CODEC.decode(data), np.load(DATA / f"volume_{name}.npy"))


def test_the_weights_are_those_of_least_squares():
    rng = np.random.default_rng(3)
    wanted = (4 + 4 * np.sin(np.mgrid[:9, :8, :7].sum(0) / 3)).astype(np.float32)
    wanted += 0.1 * rng.normal(size=wanted.shape).astype(np.float32)
    q = with_border(np.rint(wanted).clip(0, 8))
    squares = np.zeros((2, smoothing.TERMS, smoothing.TERMS))
    products = np.zeros((2, smoothing.TERMS))
    smoothing.add_normal(q, wanted, 8, squares, products)
    rows, off = ([], []), ([], [])
    for place in np.ndindex(wanted.shape):
        if sum(place) % 2 == 0:
            which, terms = terms_at(q, place, 8)
            if which >= 0:
                rows[which].append(terms)
                off[which].append(wanted[place] - q[2:, 2:, 2:][place])
    weights = smoothing.solve(squares, products).reshape(2, -1) / smoothing.UNIT
    for k in range(2):
        made = np.array(rows[k])
        best, *_ = np.linalg.lstsq(made, np.array(off[k]), rcond=None)
        ours = np.mean((made @ weights[k] - off[k]) ** 2)
        assert (
            ours <= np.mean((made @ best - off[k]) ** 2) * 1.1 + 1e-4 < np.mean(np.square(off[k]))
        )


def terms_at(q: np.ndarray, place: tuple, top: int) -> tuple[int, np.ndarray]:
    terms, reach = np.zeros(smoothing.TERMS, np.int64), padding.distances(q, smoothing.PAIRS)
    at = padding.index(q, *place)
    return smoothing.gather(q.reshape(-1), at, reach, top, terms), terms


def test_terms_are_sums_of_what_opposite_neighbours_differ_by():
    q = np.random.default_rng(4).integers(0, 9, (3, 3, 3))
    which, terms = terms_at(with_border(q), (1, 1, 1), 8)
    off = q.ravel()[[14, 12]] - q[1, 1, 1]  # along x
    assert which == 1 and terms[0] == off.clip(-1, 1).sum() and terms[13] == off.clip(-4, 4).sum()
    q[1, 1, 2] = padding.NONE
    assert terms_at(with_border(q), (1, 1, 1), 8)[1][13] == min(max(off[1], -4), 4)


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
    assert quantised(voxels, 2)[2, 2, 2:-1].tolist() == [0, 0, 1, 1, 2, 2, padding.NONE]
