"""The last choice of integers: never worse by distortion and rate, one number at a time."""

import numpy as np
import pytest
from fits import scene

from gaussvae_ros.entropy import grid
from gaussvae_ros.entropy.grid import Grid
from gaussvae_ros.fit import EFFORTS, descend
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.raster import BACKGROUND, EPS
from gaussvae_ros.raster.cpu import draw, planes
from gaussvae_ros.vae.quantise import quantise
from gaussvae_ros.vae.refine import PIXELS, PRICE, moved, refine

N, SIZE = 40, (160, 120)
NUMBERS = ("scale", "aspect", "angle", "shift", "colour")


def made(mono: bool = False) -> tuple[np.ndarray, Grid]:
    image = scene(*SIZE)
    image = image[..., 1] if mono else image
    levels = Levels(image, N)
    return image, quantise(levels, descend(levels, EFFORTS["fast"]), 132, "fast")


def squared_error(image: np.ndarray, g: Grid) -> float:
    """Of the picture that a grid draws at the size on which variants are compared."""
    target = Levels(image, N).at(PIXELS)[0].astype(float)
    height, width = target.shape[:2]
    sx, sy = width / SIZE[0], height / SIZE[1]
    canvas = planes((width, height))
    colour = np.broadcast_to(grid.rgb(g), (N, 3)).astype(np.float32)
    draw(grid.geometry(g) * [sx, sy, sx, sx / sy, sy], colour, canvas, width)
    sums = canvas[:, :, :width].astype(float)
    drawn = (sums[:, 1:] + EPS * BACKGROUND) / (sums[:, :1] + EPS)
    return float(np.square(drawn.transpose(0, 2, 1) - target).sum())


@pytest.mark.parametrize("mono", [False, True])
def test_a_choice_is_no_worse_by_error_and_bits(mono):
    image, g = made(mono)
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 1, N)

    def bits(rows: Grid) -> np.ndarray:
        return np.tile(weights, len(rows.cell) // N) * np.abs(rows.colour).sum(1)

    better = refine(Levels(image, N), g, bits)
    before, after = squared_error(image, g), squared_error(image, better)
    price = 2 / 3 * PRICE / N * before
    assert after + price * bits(better).sum() < before + price * bits(g).sum()
    changed = sum((getattr(g, name) != getattr(better, name)).sum() for name in NUMBERS)
    assert changed > N / 4
    assert (better.cell == g.cell).all() and better.precision == g.precision


def test_bits_that_cost_nothing_leave_the_error_alone():
    image, g = made()
    better = refine(Levels(image, N), g, lambda rows: np.zeros(len(rows.cell)))
    assert squared_error(image, better) < 0.999 * squared_error(image, g)


def test_a_high_price_buys_bits():
    """Of colours: splats grow grey as far as one step goes."""
    image, g = made()
    better = refine(Levels(image, N), g, lambda rows: 1e6 * np.abs(rows.colour).sum(1))
    assert (np.abs(better.colour).sum(1) <= np.abs(g.colour).sum(1)).all()


@pytest.mark.parametrize("mono", [False, True])
def test_variants_move_one_number_and_stay_in_range(mono):
    _, g = made(mono)
    variants = moved(g)
    assert len(variants) == 2 * (5 + g.colour.shape[1])
    turn = grid.theta(g.scale, g.aspect, g.angle, g.precision)
    for v in variants:
        assert v.cell is g.cell
        assert (v.scale >= 0).all() and (v.scale < grid.SIZES).all()
        assert (v.aspect >= 0).all() and (v.aspect < grid.ASPECTS).all()
        shapes = grid.shape(v.scale, v.aspect, v.angle, v.size, v.precision)
        parts = grid.shifts(v.scale, shapes, v.size, v.precision)
        assert (v.shift >= 0).all() and (v.shift < parts).all()
        assert (v.angle < np.multiply(*grid.angles(v.scale, v.aspect, v.precision))).all()
        assert (np.abs(v.scale - g.scale) <= 1).all()
        if (v.scale == g.scale).all() and (v.aspect == g.aspect).all():
            moves = (v.angle != g.angle).astype(int) + (v.shift != g.shift).any(1)
            same = (v.angle == g.angle) | (np.abs(v.angle - g.angle) == 1) | (v.angle == 0)
            same |= g.angle == 0  # round the half turn
            assert same.all() and (moves + (v.colour != g.colour).any(1)).max() >= 1
        else:  # the rest stays as near as its steps allow
            now = grid.theta(v.scale, v.aspect, v.angle, v.precision)
            steps = np.pi / np.multiply(*grid.angles(v.scale, v.aspect, v.precision))
            away = np.abs((now - turn + np.pi / 2) % np.pi - np.pi / 2)
            assert (away <= steps / 2 + 1e-9).all()


def test_what_a_splat_gains_is_what_drawing_it_says():
    """Each variant's error in `refine` is that of the picture redrawn with it."""
    image, g = made()
    alone = []

    def bits(rows: Grid) -> np.ndarray:  # forbids all but the first splat's variants
        out = np.zeros(len(rows.cell)).reshape(-1, N)
        out[1:, 1:] = 1e9
        return out.ravel()

    better = refine(Levels(image, N), g, bits)
    trials = [g, *moved(g)]
    for v in trials:
        swapped = Grid(
            g.size, g.precision, *(np.concatenate([getattr(v, name)[:1], getattr(g, name)[1:]])
            for name in ("cell", *NUMBERS))
        )  # fmt: skip
        alone.append(squared_error(image, swapped))
    assert squared_error(image, better) == pytest.approx(min(alone), rel=1e-5)
