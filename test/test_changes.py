"""Changes of a reference's splats: their geometry, and their coding under networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from priors import random_change_prior

from gaussvae_ros.entropy import changes, grid
from gaussvae_ros.entropy.changes import CHANGED, KEPT, NEW, Changes, Decoded, applied, changed
from gaussvae_ros.entropy.coder import Meter, Reader
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.entropy.motion import LEVEL_OF, SIDE, Motion, moved
from gaussvae_ros.errors import ModelError, RecordError
from gaussvae_ros.vae.change_prior import ChangePrior, _Moved, code

SIZE = 320, 240


def roots(geometry: np.ndarray) -> np.ndarray:  # [N, 2, 2]
    lxx, shear, lyy = geometry[:, 2:].T
    return np.stack([np.stack([lxx, shear * lyy], 1), np.stack([0 * lxx, lyy], 1)], 1)


def reference(rng, n: int, channels: int = 3, wild: float = 1.0) -> Decoded:
    geometry = np.stack(
        [
            rng.uniform(-20, 340, n),
            rng.uniform(-20, 260, n),
            np.exp(rng.normal(2, wild, n)),
            rng.normal(0, wild, n),
            np.exp(rng.normal(2, wild, n)),
        ],
        1,
    )
    colour = rng.uniform(-0.2, 1.2, (n, channels)) * np.ones((1, 3))
    return Decoded(SIZE, geometry, colour, channels, 130)


def some_changes(rng, ref: Decoded, precision: int, share: float) -> Changes:
    n, channels = len(ref.geometry), ref.channels
    kind = rng.choice([KEPT, CHANGED, NEW], n, p=[1 - share, share * 0.7, share * 0.3])
    some = (kind == CHANGED)[:, None]
    levels = int(rng.integers(0, 5))
    field = np.where(LEVEL_OF[:, None] < levels, rng.integers(-20, 20, (SIDE * SIDE, 2)), 0)
    move = rng.integers(-changes.MOVES, changes.MOVES + 1, (n, 2)) * some
    shape = rng.integers(-5, 6, (n, 3)) * some
    colour = rng.integers(-changes.COLOURS, changes.COLOURS + 1, (n, channels)) * some
    new = new_grid(rng, int((kind == NEW).sum()), n, channels, precision)
    return Changes(precision, Motion(levels, field), kind, move, shape, colour, new)


def new_grid(rng, count: int, n: int, channels: int, precision: int) -> Grid:
    from gaussvae_ros.entropy import cells

    xy = np.stack([rng.uniform(0, SIZE[0], count), rng.uniform(0, SIZE[1], count)], 1)
    cell = np.sort(cells.cell_of(xy, SIZE, n))
    scale, aspect = rng.integers(0, 60, count), rng.integers(0, 9, count)
    angle = rng.integers(0, 1 << 30, count) % np.multiply(*grid.angles(scale, aspect, precision))
    shapes = grid.shape(scale, aspect, angle, SIZE, precision, n)
    parts = grid.shifts(scale, shapes, SIZE, precision, n)
    shift = rng.integers(0, 1 << 30, (count, 2)) % parts
    colour = rng.integers(-20, 20, (count, channels))
    return Grid(SIZE, precision, cell, scale, aspect, angle, shift, colour)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_changes_of_shape_are_those_of_matrices(seed):
    """The covariance becomes L exp(M) L', M the symmetric matrix of the three numbers."""
    rng = np.random.default_rng(seed)
    geometry = reference(rng, 20).geometry
    move, shape = rng.normal(0, 5, (20, 2)), rng.uniform(-1.5, 1.5, (20, 3))
    made = changed(geometry, move, shape)
    matrices = np.stack([shape[:, [0, 1]], shape[:, [1, 2]]], 1)
    values, vectors = np.linalg.eigh(matrices)
    stretched = (vectors * np.exp(values)[:, None]) @ vectors.transpose(0, 2, 1)
    before, after = roots(geometry), roots(made)
    expected = before @ stretched @ before.transpose(0, 2, 1)
    scale = np.abs(expected).max((1, 2), keepdims=True)
    large = (made[:, 2] > 0.31) & (made[:, 4] > 0.31)
    found = after @ after.transpose(0, 2, 1)
    np.testing.assert_allclose((found / scale)[large], (expected / scale)[large], atol=1e-9)
    back_move, back_shape = changes.difference(geometry[large], made[large])
    np.testing.assert_allclose(back_move, move[large], atol=1e-6)
    np.testing.assert_allclose(back_shape, shape[large], atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 40, 300]),
    st.sampled_from([1, 3]),
    st.integers(100, 160),
    st.floats(0, 1),
)
def test_changes_are_read_as_they_were_written(seed, n, channels, precision, share):
    rng, model = np.random.default_rng(seed), random_change_prior(0)
    ref = reference(rng, n, channels)
    made = some_changes(rng, ref, precision, share)
    data = model.write(ref, made)
    back = model.read(data, ref, precision)
    for name in ("kind", "move", "shape", "colour"):
        np.testing.assert_array_equal(getattr(back, name), getattr(made, name), err_msg=name)
    assert back.motion.levels == made.motion.levels
    np.testing.assert_array_equal(back.motion.coefficients, made.motion.coefficients)
    for name in ("cell", "scale", "aspect", "angle", "shift", "colour"):
        np.testing.assert_array_equal(getattr(back.new, name), getattr(made.new, name))
    one, other = applied(ref, made), applied(ref, back)
    np.testing.assert_array_equal(one.geometry, other.geometry)
    np.testing.assert_array_equal(one.colour, other.colour)
    assert np.isfinite(one.geometry).all() and (one.geometry[:, [2, 4]] > 0).all()


def test_what_is_weighed_is_what_is_written():
    rng, model = np.random.default_rng(5), random_change_prior(1)
    ref = reference(rng, 200)
    made = some_changes(rng, ref, 130, 0.3)
    meter = Meter()
    code(meter, model, ref, 130, made)
    assert abs(len(model.write(ref, made)) * 8 - sum(meter.bits.values())) < 80
    assert meter.bits == model.bits(ref, made)
    assert set(meter.bits) >= {"motion", "change", "move_x", "shade2", "new_cells", "new_shifts"}


def test_kept_splats_stay_and_new_ones_take_the_places_of_others():
    rng = np.random.default_rng(6)
    ref = reference(rng, 50)
    made = some_changes(rng, ref, 130, 0.5)
    still = Motion(0, np.zeros((SIDE * SIDE, 2), np.int64))
    made = Changes(**{**vars(made), "motion": still})
    after = applied(ref, made)
    kept = made.kind == KEPT
    np.testing.assert_allclose(after.geometry[kept], ref.geometry[kept], rtol=1e-9)
    np.testing.assert_array_equal(after.colour[kept], ref.colour[kept])
    np.testing.assert_array_equal(after.geometry[made.kind == NEW], grid.geometry(made.new, 50))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_any_bytes_are_changes_or_an_error(data, precision, seed):
    rng = np.random.default_rng(seed)
    ref = reference(rng, 60, wild=2.0)
    try:
        after = applied(ref, random_change_prior(0).read(data, ref, precision))
    except RecordError:
        return
    assert np.isfinite(after.geometry).all() and np.isfinite(after.colour).all()


def elsewhere(rng, splats: Decoded) -> Decoded:
    """The same splats as exp, log, sin and cos of another machine make them: their last bits
    differ, but not those of places that come from + - * / alone."""
    geometry, colour = splats.geometry.copy(), splats.colour.copy()
    inexact = rng.random(len(geometry)) < 0.5
    geometry[inexact, 0] += 1e-14 * rng.integers(-9, 10, inexact.sum())
    geometry[:, 2:] *= 1 + 2e-16 * rng.integers(-9, 10, (len(geometry), 3))
    colour += 1e-16 * rng.integers(-9, 10, colour.shape)
    return Decoded(splats.size, geometry, colour, splats.channels, splats.precision)


def said_of(splats: Decoded, field: Motion) -> list[np.ndarray]:
    """What probabilities hang on, of splats that move with a field."""
    known = _Moved(Reader(b""), None, splats, moved(splats.geometry, field, SIZE), 130)
    known.begin(0.5)
    steps = known.steps
    return [known.x, known.y, known.about, known.opponent, known.ratio, known.shear,
            steps.move, steps.shape, steps.colour]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(0, 0), (5, 0), (3, -4), (-15, 20)]))
def test_probabilities_hang_on_no_last_bit(seed, motion):
    """Changes whose size and thinness, and motions whose length, lie half way between two of the
    numbers that contexts know are common: among 192 splats on 320x240 px, 5 is 4.5 px."""
    rng, n = np.random.default_rng(seed), 192
    ref = reference(rng, n)
    ref.geometry[:, 3], ref.geometry[:, 4] = 0, ref.geometry[:, 2]  # round
    shape = rng.integers(-64, 65, (n, 1)) / 128 * [[1, 0, -1]]
    geometry = changed(ref.geometry, np.zeros((n, 2)), shape)
    here = Decoded(SIZE, geometry, ref.colour, 3, 130)
    field = np.zeros((SIDE * SIDE, 2), np.int64)
    field[:4] = motion
    field = Motion(1, field)
    for one, other in zip(said_of(here, field), said_of(elsewhere(rng, here), field), strict=True):
        np.testing.assert_array_equal(one, other)


def test_networks_of_other_shapes_are_refused():
    made = {k: dict(v) for k, v in random_change_prior(0)._arrays.items()}
    made["change"]["weight0"] = made["change"]["weight0"][1:]
    with pytest.raises(ModelError, match="network for change"):
        ChangePrior(made)
