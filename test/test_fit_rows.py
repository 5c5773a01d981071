"""Steps of a fit that see some of the rows only: which rows, and what such a step does."""

import numpy as np
import pytest
from fits import a_descent, noise, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.fit import (
    PRICED,
    REFRESH,
    Level,
    Plan,
    adam,
    descend,
    follow,
)
from gaussvae_ros.fit.levels import Levels, rows_of, shrunk
from gaussvae_ros.fit.reseeding import reseed


@pytest.mark.parametrize("stride", range(1, 13))
def test_rows_in_turn_cover_all_rows(stride):
    """Each set of rows once in any `stride` steps, from step 0 on."""
    turns = [adam.first_row_of(step, stride) for step in range(5 * stride)]
    for first in range(0, 5 * stride, stride):
        assert sorted(turns[first : first + stride]) == list(range(stride))


def test_of_four_sets_of_rows_far_ones_follow_each_other():
    assert [adam.first_row_of(step, 4) for step in range(6)] == [0, 2, 1, 3, 0, 2]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 6),
    st.integers(32, 200),
    st.sampled_from([1.0, 4.0, 37.5, 600.0]),
    st.booleans(),
)
def test_the_sets_of_rows_are_those_of_the_picture(height, width, stride, n, pixels, mono):
    image = noise(height, width, *([] if mono else [3]), seed=height)
    whole = shrunk(image, n, pixels)
    rows = rows_of(whole, stride)
    sets = len(rows)
    assert 1 <= sets <= stride and rows.flags.c_contiguous and rows.dtype == np.uint8
    if mono:
        whole = np.repeat(whole[..., None], 3, 2)
    for first in range(sets):
        np.testing.assert_array_equal(rows[first], whole[first::sets])
    if len(whole) % stride == 0:
        assert sets == stride
    level = Levels(image, n).at(pixels, stride)
    assert level.dtype == np.float32
    np.testing.assert_array_equal(level, rows.astype(np.float32) / np.float32(255))


def test_more_splats_get_more_steps():
    """Up to 256 the least, from 512 on the most, between them ever more."""
    plan = Plan((Level(150, 4, 50), Level(600, 4, 40)), more=(0, 60))
    steps = [[level.steps for level in plan.of(n)] for n in (32, 256, 300, 400, 512, 8192)]
    assert steps[0] == steps[1] == [50, 40] and steps[-1] == steps[-2] == [50, 100]
    assert [50, 40] < steps[2] < steps[3] < [50, 100]
    assert Plan(plan.levels).of(8192) == plan.levels


def test_a_picture_is_never_enlarged_and_shrinks_to_whole_sets():
    image = noise(101, 90, 3)
    assert shrunk(image, 64, 1e9) is image
    small = shrunk(image, 64, 37.5)
    assert small.shape[0] % 4 == 0 and abs(small.shape[0] * small.shape[1] / 64 / 37.5 - 1) < 0.1


@pytest.mark.parametrize("stride, turn", [(1, 0), (2, 0), (2, 1), (3, 2), (4, 0), (4, 2)])
def test_a_step_on_some_rows_is_a_step_on_a_picture_of_those_rows(stride, turn):
    state = a_descent(8, (40, 12 * stride), seed=turn)
    state.geometry[:, :2] = state.geometry[:, :2] * 0.5 + np.array([10, 3 * stride])
    state.geometry[:, 4] += stride
    squeezed = adam.Descent(state.geometry.copy(), state.colour.copy())
    squeezed.geometry[:, 1] = (state.geometry[:, 1] - 0.5 - turn) / stride + 0.5
    squeezed.geometry[:, 3] *= stride
    squeezed.geometry[:, 4] /= stride
    target = np.random.default_rng(1).random((stride, 12, 40, 3)).astype(np.float32)
    step = next(k for k in range(stride) if adam.first_row_of(k, stride) == turn)
    # What came before must not count but for the turn and Adam's bias, which depend on the number.
    state.count, squeezed.count = step, step
    state.run(target, np.array([0.2]))
    squeezed.run(np.ascontiguousarray(target[turn : turn + 1]), np.array([0.2]))
    assert state.error == pytest.approx(squeezed.error)
    squeezed.geometry[:, 1] = (squeezed.geometry[:, 1] - 0.5) * stride + 0.5 + turn
    squeezed.geometry[:, 3] /= stride
    squeezed.geometry[:, 4] *= stride
    np.testing.assert_allclose(state.geometry, squeezed.geometry, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(state.colour, squeezed.colour, atol=1e-5)


def test_seen_at_a_level_and_back_it_is_the_same_fit():
    state = a_descent(9, (64, 48))
    before = state.geometry.copy()
    with state.seen_at((64, 48), np.empty((4, 6, 32, 3))):  # 24 rows of 32 px
        np.testing.assert_allclose(state.geometry[:, :2], before[:, :2] / 2)
    np.testing.assert_allclose(state.geometry, before)


def test_rows_in_turn_fit_as_well_as_all_rows():
    """Half of the rows in each step cost little of the PSNR; a quarter of them not half of it."""
    image = scene(128, 96)
    errors = {}
    for stride in (1, 2, 4):
        state = descend(Levels(image, 128), Plan((Level(np.inf, stride, 80),), last=0.1))
        rates = np.zeros(1)
        state.run(Levels(image, 128).at(np.inf), rates)  # measures all rows, moves nothing
        errors[stride] = state.error
    assert errors[2] < 1.15 * errors[1] and errors[4] < 1.5 * errors[1], errors


def test_the_rate_is_asked_anew_now_and_then_and_after_each_re_seeding():
    image, asked = scene(64, 48), []

    def rate(state):
        asked.append(state.count)
        return np.zeros((len(state.geometry), 54), np.float32)

    plan = Plan((Level(100, 1, 200),), share=0.1, every=10, until=0.75)
    state = descend(Levels(image, 40), plan, rate=rate)
    assert state.count == 200 and asked[0] == PRICED * 200
    assert set(range(asked[0], 151, 10)) <= set(asked)  # after each re-seeding
    assert 0 < np.diff([*asked, 200]).min() and np.diff([*asked, 200]).max() <= max(REFRESH, 10)
    asked.clear()
    follow(plan, 40, state, (64, 48), Levels(image, 40).at, reseed)
    assert not asked
