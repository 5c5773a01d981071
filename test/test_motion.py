"""Displacement fields: what they are, how they are coded, and how they are found."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussvae_ros.entropy.coder import Meter, Reader, Writer
from gaussvae_ros.entropy.motion import (
    HATS,
    LARGEST,
    LEVEL_OF,
    LEVELS,
    NONE,
    SIDE,
    Motion,
    bits,
    code_motion,
    moved,
    nodes,
    unit,
)
from gaussvae_ros.fit import motion as finding

SIZE = 640, 480


@st.composite
def motions(draw):
    levels = draw(st.integers(0, LEVELS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    wide = draw(st.sampled_from([0.3, 3.0, 100.0]))
    values = np.clip(np.round(rng.laplace(0, wide, (SIDE * SIDE, 2))), -LARGEST, LARGEST)
    return Motion(levels, np.where(LEVEL_OF[:, None] < levels, values, 0).astype(np.int64))


def test_hats_are_a_basis_of_all_fields():
    assert HATS.shape == (SIDE * SIDE, SIDE * SIDE)
    assert abs(np.linalg.det(HATS)) == pytest.approx(1)
    assert np.bincount(LEVEL_OF).tolist() == [4, 5, 16, 56]


@settings(max_examples=50, deadline=None)
@given(motions())
def test_a_field_is_read_as_it_was_written(field):
    writer, meter = Writer(), Meter()
    code_motion(writer, field)
    code_motion(meter, field)
    data = writer.finish()
    back = code_motion(Reader(data), None)
    assert back.levels == field.levels
    np.testing.assert_array_equal(back.coefficients, field.coefficients)
    assert len(data) * 8 <= meter.bits["motion"] + 64
    assert bits(field) == pytest.approx(meter.bits["motion"], abs=1)


def test_no_motion_moves_nothing():
    rng = np.random.default_rng(0)
    geometry = rng.uniform(1, 200, (50, 5))
    np.testing.assert_allclose(moved(geometry, NONE, SIZE), geometry, rtol=1e-12)


def test_an_affine_field_maps_splats_as_matrices_do():
    """Coefficients of the coarsest level alone are bilinear; these make one that is affine."""
    rng = np.random.default_rng(1)
    matrix = np.array([[1.04, 0.02], [-0.03, 0.97]])
    coarse = Motion(1, np.zeros((SIDE * SIDE, 2), np.int64))
    corners = np.array([[0, 0], [640, 0], [0, 480], [640, 480]], float)
    away = corners @ (matrix - np.eye(2)).T
    coarse.coefficients[:4] = np.round(away / unit(SIZE, 30))
    exact = coarse.coefficients[:4] * unit(SIZE, 30)
    matrix = np.eye(2) + np.stack([exact[1] / 640, exact[2] / 480], 1)
    geometry = np.stack([*rng.uniform(50, 400, (2, 30)), *np.ones((3, 30)) * [[9], [0.4], [5]]], 1)
    made = moved(geometry, coarse, SIZE)
    np.testing.assert_allclose(made[:, :2], geometry[:, :2] @ matrix.T, atol=2.2)
    for before, after in zip(geometry, made):
        root = np.array([[before[2], before[3] * before[4]], [0, before[4]]])
        new = np.array([[after[2], after[3] * after[4]], [0, after[4]]])
        np.testing.assert_allclose(
            new @ new.T, matrix @ root @ root.T @ matrix.T, rtol=0.02, atol=0.5
        )


def test_nodes_scale_with_the_frame():
    field = Motion(LEVELS, np.random.default_rng(2).integers(-9, 9, (SIDE * SIDE, 2)))
    np.testing.assert_allclose(nodes(field, (1280, 960), 9), 2 * nodes(field, (640, 480), 9))
    np.testing.assert_allclose(nodes(field, SIZE, 400), nodes(field, SIZE, 100) / 2)


def scene(rng) -> tuple[np.ndarray, np.ndarray]:  # geometry [N, 5], colour [N, 3]
    n = 300
    geometry = np.stack([rng.uniform(0, 640, n), rng.uniform(0, 480, n), *np.ones((3, n))], 1)
    geometry[:, 2:] *= rng.uniform(8, 25, (n, 1)) * [1, 0, 1]
    return geometry, rng.uniform(0, 1, (n, 3)).astype(np.float32)


@pytest.mark.parametrize("shift", [(6.0, -4.0), (-14.0, 9.0), (0.0, 0.0)])
def test_a_shifted_picture_is_found(shift):
    geometry, colour = scene(np.random.default_rng(3))
    image = np.round(finding.picture(geometry, colour, SIZE, SIZE) * 255).astype(np.uint8)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    seen = cv2.warpAffine(image, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
    found, _ = finding.find(geometry, colour, seen, 1e-7)
    middle = nodes(found, SIZE, 300)[2:-2, 2:-2]
    np.testing.assert_allclose(middle.reshape(-1, 2).mean(0), shift, atol=1.0)


def test_a_dearer_bit_makes_a_coarser_field():
    geometry, colour = scene(np.random.default_rng(4))
    image = np.round(finding.picture(geometry, colour, SIZE, SIZE) * 255).astype(np.uint8)
    ys, xs = np.mgrid[:480, :640].astype(np.float32)
    seen = cv2.remap(image, xs + 5 * np.sin(ys / 40), ys, cv2.INTER_LINEAR)
    sizes = [bits(finding.find(geometry, colour, seen, p)[0]) for p in (1e-9, 1e-6, 1e-2)]
    assert sizes[0] >= sizes[1] > sizes[2]
    assert finding.find(geometry, colour, seen, 1e-2)[0].levels == 0


def test_the_solver_and_the_basis_are_those_of_numpy():
    rng = np.random.default_rng(5)
    m = rng.normal(size=(2 * SIDE * SIDE, 200))
    a, b = m @ m.T, rng.normal(size=2 * SIDE * SIDE)
    np.testing.assert_allclose(finding._solve(a, b), np.linalg.solve(a, b), rtol=1e-6, atol=1e-9)
    basis = np.kron(np.eye(2), HATS)
    made = finding._in_hats(a, b)
    np.testing.assert_allclose(made[0], basis.T @ a @ basis, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(made[1], basis.T @ b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size, side", [((11, 7), 9), ((32, 24), 9), ((40, 5), 4), ((1, 30), 9)])
def test_the_normal_equations_are_those_of_the_residuals(size, side):
    """Against a row of numbers for each pixel and channel; also where columns have no pixel."""
    rng, n = np.random.default_rng(sum(size)), side * side
    dx, dy, away = rng.normal(0, 1, (3, size[1], size[0], 2))
    weight = rng.uniform(0, 1, size[::-1])
    rows, wanted = [], []
    for y, x, channel in np.ndindex(away.shape):
        u, v = ((c + 0.5) / s * (side - 1) for c, s in zip((x, y), size))
        hats = [np.maximum(1 - np.abs(np.arange(side) - place), 0) for place in (v, u)]
        nodes_ = np.outer(*hats).ravel() * np.sqrt(weight[y, x])
        rows.append(np.concatenate([dx[y, x, channel] * nodes_, dy[y, x, channel] * nodes_]))
        wanted.append(-away[y, x, channel] * np.sqrt(weight[y, x]))
    rows = np.array(rows)
    a, b = finding._normal(dx, dy, away, weight, side)
    assert a.shape == (2 * n, 2 * n)
    np.testing.assert_allclose(a, rows.T @ rows, atol=1e-9)
    np.testing.assert_allclose(b, rows.T @ np.array(wanted), atol=1e-9)
