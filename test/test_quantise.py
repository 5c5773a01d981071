"""Fits onto the grid of a record: how little is lost, in how many bytes, on every kind of image."""

import hashlib
import os
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from test_entropy_grid import USED

from gaussvae_ros.codec import DEFAULT_MODEL
from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.evaluation.metrics import psnr
from gaussvae_ros.fit import EFFORTS, descend, to_splats
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.raster import cpu
from gaussvae_ros.raster.reference import rasterize
from gaussvae_ros.raster.view import render
from gaussvae_ros.sim.building import build
from gaussvae_ros.sim.camera import Sensor
from gaussvae_ros.sim.drive import FOCAL, SIZE, photograph, where
from gaussvae_ros.vae.models import Models
from gaussvae_ros.vae.quantise import (
    COARSEST,
    FINEST,
    axes,
    best_precision,
    log_size,
    quantise,
    solved_colours,
)

ROOT = Path(__file__).parents[1]
PRIOR = Models().load(DEFAULT_MODEL).prior


@lru_cache(1)
def frame() -> np.ndarray:  # uint8 [480, 640, 3]
    """What the simulated robot sees: edges, texture, shading, noise."""
    return photograph(build(0), Sensor(SIZE, FOCAL, 0), *where(np.array([3.0]), 30.0)[0], 0.0)


def sketch(width=160, height=120, seed=0) -> np.ndarray:  # uint8 [h, w, 3]
    """Soft shapes, hard edges and a little noise."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(
        rng.uniform(0, 255, (6, 8, 3)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    for _ in range(4):
        a, b = (tuple(int(v) for v in rng.uniform(0, 1, 2) * (width, height)) for _ in range(2))
        cv2.rectangle(image, a, b, rng.uniform(0, 255, 3).tolist(), -1)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def checker(width, height, side) -> np.ndarray:
    y, x = np.mgrid[:height, :width] // side
    return np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, 2)


def fitted(image, n, effort="fast"):
    return descend(Levels(image, n), EFFORTS[effort])


def quantised(image, n, effort="fast", seed=0) -> Grid:
    state = descend(Levels(image, n), EFFORTS[effort], seed)
    return quantise(Levels(image, n), state, best_precision(state), effort)


def picture(g: Grid) -> np.ndarray:
    return render(grid.to_splats(g))


def both(image, n, effort="fast") -> tuple[float, float]:
    """PSNR of a fit and of its record."""
    state = fitted(image, n, effort)
    g = quantise(Levels(image, n), state, best_precision(state), effort)
    fit = to_splats(state, g.size, g.colour.shape[1])
    return psnr(image, render(fit)), psnr(image, picture(g))


@pytest.mark.parametrize("n", [512, 128])
def test_little_is_lost(n):
    fit, record = both(frame(), n)
    assert record > fit - 0.9


def test_little_is_lost_in_grey():
    fit, record = both(np.ascontiguousarray(frame()[..., 1]), 256)
    assert record > fit - 0.9


def test_the_record_takes_what_the_prior_says():
    g = quantised(frame(), 512)
    data, bits = PRIOR.write(g), PRIOR.bits(g)
    assert 8 * len(data) == pytest.approx(sum(bits.values()), rel=0.01)
    assert 1000 < len(data) < 2700


def test_finer_is_longer_and_loses_less():
    image = sketch()
    state = fitted(image, 128)
    grids = [quantise(Levels(image, 128), state, 128 + more, "fast") for more in (16, 8, 0, -8)]
    sizes = [len(PRIOR.write(g)) for g in grids]
    scores = [psnr(image, picture(g)) for g in grids]
    assert sorted(sizes) == sizes and sizes[-1] > 1.4 * sizes[0]
    assert sorted(scores) == scores


def test_better_fits_are_rounded_finer():
    rough, exact = (
        np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8),
        np.full((90, 70, 3), 90, np.uint8),
    )
    precisions = [best_precision(fitted(image, 64)) for image in (exact, sketch(), rough)]
    assert (
        precisions == sorted(precisions) and precisions[0] == FINEST and precisions[2] == COARSEST
    )
    assert FINEST in USED and COARSEST in USED


def test_all_indices_are_those_that_a_record_can_hold():
    for image in (
        sketch(),
        checker(160, 120, 7),
        np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8),
    ):
        for precision in (USED[0], 128, USED[-1]):
            g = quantise(Levels(image, 64), fitted(image, 64), precision, "fast")
            parts = grid.shifts(
                g.scale,
                grid.shape(g.scale, g.aspect, g.angle, g.size, precision),
                g.size,
                precision,
            )
            count, half = np.multiply(*grid.angles(g.scale, g.aspect, precision)), grid.COLOURS // 2
            limits = [
                (g.scale, grid.SIZES),
                (g.aspect, grid.ASPECTS),
                (g.angle, count),
                (g.shift, parts),
            ]
            for index, end in [*limits, (g.colour + half, grid.COLOURS)]:
                assert index.dtype == np.int64 and (index >= 0).all() and (index < end).all()
            assert (np.diff(g.cell) >= 0).all()


SMALL = {
    "1x1": np.full((1, 1, 3), 200, np.uint8),
    "1x1 mono": np.full((1, 1), 9, np.uint8),
    "2x1": np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8),
    "32x32": sketch(32, 32),
    "300x1": sketch(300, 1),
    "1x300": sketch(1, 300)[..., 0],
    "black": np.zeros((50, 60, 3), np.uint8),
    "white": np.full((50, 60), 255, np.uint8),
    "red": np.tile(np.array([255, 0, 0], np.uint8), (40, 60, 1)),
    "noise": np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8),
    "checker": checker(80, 60, 1),
    "large checker": checker(80, 60, 10),
}


@pytest.mark.parametrize("name", SMALL)
def test_any_image(name):
    image = SMALL[name]
    g = quantised(image, 32)
    back = picture(g)
    assert back.shape == image.shape and len(PRIOR.write(g)) < 400
    if name in ("1x1", "1x1 mono", "black", "white", "red"):
        assert psnr(image, back) > 35
    elif name in ("32x32", "300x1", "1x300", "large checker"):
        flat = np.broadcast_to(image.mean((0, 1)).astype(np.uint8), image.shape)
        assert psnr(image, back) > psnr(image, flat) + 1


def test_a_large_image_takes_no_longer_than_its_splats_need():
    image = cv2.resize(frame(), (3840, 2160), interpolation=cv2.INTER_CUBIC)
    state = fitted(image, 256)
    begun = time.process_time()
    g = quantise(Levels(image, 256), state, 128, "fast")
    assert time.process_time() - begun < 30
    record, fit = (render(s, (640, 360)) for s in (grid.to_splats(g), to_splats(state, g.size, 3)))
    small = cv2.resize(image, (640, 360), interpolation=cv2.INTER_AREA)
    assert psnr(small, record) > psnr(small, fit) - 0.9


def test_the_fit_is_left_as_it_was():
    state = fitted(sketch(), 64)
    kept = state.geometry.copy(), state.colour.copy()
    quantise(Levels(sketch(), 64), state, 128, "fast")
    assert np.array_equal(state.geometry, kept[0]) and np.array_equal(state.colour, kept[1])


DIGEST = """if True:
    import sys
    import numpy as np
    sys.path.insert(0, "test")
    from test_quantise import digest
    for n in (300, 64):
        print(digest(np.load(f"{sys.argv[1]}/{n}.npy"), n))
"""


def digest(image, n) -> str:
    g = quantised(image, n, seed=3)
    arrays = (g.cell, g.scale, g.aspect, g.angle, g.shift, g.colour)
    return hashlib.sha256(bytes([g.precision]) + b"".join(a.tobytes() for a in arrays)).hexdigest()


def test_the_same_arguments_give_the_same_grid(tmp_path):
    """Twice in one process, and in another with one thread, in numba and in linear algebra."""
    images = {300: sketch(320, 240), 64: sketch()[..., 0].copy()}
    for n, image in images.items():
        np.save(tmp_path / f"{n}.npy", image)
    here, again = ([digest(image, n) for n, image in images.items()] for _ in range(2))
    names = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, "-c", DIGEST, str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **dict.fromkeys(names, "1")},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    assert here == again == done.stdout.split()


def some_splats(n, width, height, seed=0) -> np.ndarray:  # [n, 8]
    rng = np.random.default_rng(seed)
    xy, turn = rng.uniform(-0.05, 1.05, (n, 2)) * (width, height), rng.uniform(0, np.pi, (n, 1))
    return np.concatenate(
        [xy, rng.normal(1.2, 0.6, (n, 2)), turn, rng.uniform(0, 1, (n, 3))], 1
    ).astype(np.float32)


def test_sizes_and_axes_are_read_off_the_geometry():
    p = some_splats(50, 40, 30).astype(float)
    geometry, _ = cpu.split(p)
    np.testing.assert_allclose(log_size(geometry), (p[:, 2] + p[:, 3]) / 2, rtol=1e-9)
    ratio, theta = axes(geometry)
    turned = np.where(p[:, 2] > p[:, 3], p[:, 4], p[:, 4] + np.pi / 2) % np.pi
    np.testing.assert_allclose(ratio, np.abs(p[:, 2] - p[:, 3]), atol=1e-6)
    np.testing.assert_allclose(np.cos(2 * theta), np.cos(2 * turned), atol=1e-5)
    np.testing.assert_allclose(np.sin(2 * theta), np.sin(2 * turned), atol=1e-5)


def test_colours_are_a_least_squares_solution(monkeypatch):
    """Against the shares that the reference draws with, and numpy's dense least squares."""
    n, width, height = 40, 31, 23
    params, rng = some_splats(n, width, height), np.random.default_rng(1)
    target = rng.uniform(0, 1, (height, width, 3)).astype(np.float32)
    start = rng.uniform(0, 1, (n, 3)).astype(np.float32)
    shape = torch.tensor(params[:, :5], dtype=torch.float64)
    one_hot, nothing = (
        torch.cat([shape, m], 1).double() for m in (torch.eye(n), torch.zeros(n, n))
    )
    empty = rasterize(nothing, (width, height))  # what the background adds to each pixel
    share = (rasterize(one_hot, (width, height)) - empty).numpy().reshape(-1, n)
    wanted = (target - empty[..., :1].numpy()).reshape(-1, 3)
    best = np.linalg.lstsq(share, wanted, rcond=None)[0]

    def error(colour) -> float:
        return np.square(share @ colour - wanted).sum()

    errors = []
    for steps in (0, 1, 2, 4, 300):
        monkeypatch.setattr("gaussvae_ros.vae.quantise.SOLVER_STEPS", steps)
        errors.append(error(solved_colours(cpu.split(params)[0], start, target)))
    assert errors[0] == pytest.approx(error(start)) and sorted(errors, reverse=True) == errors
    assert errors[-1] < 1.002 * error(best)
    assert errors[3] - error(best) < 0.1 * (errors[0] - error(best))


def test_colours_of_splats_that_nobody_sees_stay():
    params = some_splats(3, 20, 20)
    params[1, :4] = -50, -50, 0, 0
    colour = np.array([[0.2] * 3, [0.7, 0.1, 0.3], [0.5] * 3], np.float32)
    solved = solved_colours(cpu.split(params)[0], colour, np.ones((20, 20, 3), np.float32))
    assert np.isfinite(solved).all() and np.array_equal(solved[1], colour[1])


def test_colours_make_up_for_what_was_lost_before():
    """They are found anew for shapes and places as rounded: wrong ones in the fit matter little."""
    image = sketch()
    state = fitted(image, 128)
    state.colour = np.full_like(state.colour, 0.5)
    grey = psnr(image, render(to_splats(state, (160, 120), 3)))
    record = quantise(Levels(image, 128), state, 128, "fast")
    assert psnr(image, render(grid.to_splats(record))) > grey + 8
