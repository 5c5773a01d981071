"""The encoder of predicted records: what it changes, and what it leaves."""

import cv2
import numpy as np
import pytest

from gaussvae_ros.entropy.changes import CHANGED, KEPT, NEW, Decoded, applied
from gaussvae_ros.raster.cpu import forward
from gaussvae_ros.vae import encoder
from gaussvae_ros.vae.models import Models
from gaussvae_ros.vae.prediction import View, cost_alone, error_of, predict, price_of, serves
from gaussvae_ros.vae.refine import best_of

PRIOR = Models().load("open").prior
SIZE = 320, 240


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Smooth ground with things on it."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(60, 200, (6, 8, 3)).astype(np.uint8), (400, 300))
    for _ in range(25):
        x, y, side = rng.integers(0, 380), rng.integers(0, 280), rng.integers(8, 40)
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(image, (int(x), int(y)), (int(x + side), int(y + side)), colour, -1)
    return cv2.GaussianBlur(image, (0, 0), 1)


@pytest.fixture(scope="module")
def reference(picture) -> Decoded:
    return Decoded.of(encoder.encode(cut(picture, 0, 0), 200, "fast", PRIOR))


def cut(picture: np.ndarray, x: int, y: int) -> np.ndarray:
    return np.ascontiguousarray(picture[20 + y : 20 + y + SIZE[1], 30 + x : 30 + x + SIZE[0]])


def test_a_small_motion_needs_few_changes(picture, reference):
    price, precision = price_of(reference, 100)
    image = cut(picture, 6, 4)
    made, error = predict(image, reference, price, precision)
    assert (made.kind == KEPT).mean() > 0.7 and made.motion.levels > 0
    assert error < 1.5 * error_of(cut(picture, 0, 0), reference)
    assert error == pytest.approx(error_of(image, applied(reference, made)))
    still = error_of(image, reference)
    assert error < still / 2


def test_the_same_picture_changes_nothing(picture, reference):
    made, error = predict(cut(picture, 0, 0), reference, *price_of(reference, 60))
    assert (made.kind == KEPT).mean() > 0.95
    assert error <= 1.02 * error_of(cut(picture, 0, 0), reference)


def test_what_comes_into_view_is_drawn_with_new_splats(picture, reference):
    image = cut(picture, 0, 0)
    image[60:140, 100:220] = (250, 40, 30)
    image[80:120, 120:200] = (20, 60, 240)
    made, error = predict(image, reference, *price_of(reference, 200))
    assert (made.kind == NEW).any() and (made.kind == CHANGED).any()
    assert len(made.new.cell) == (made.kind == NEW).sum()
    assert error < error_of(image, reference) / 4


def test_a_dearer_bit_changes_less(picture, reference):
    image, changed, errors = cut(picture, 12, -8), [], []
    for factor in (0.2, 1.0, 10.0):
        price, precision = price_of(reference, 100)
        made, error = predict(image, reference, factor * price, precision)
        changed.append((made.kind != KEPT).sum())
        errors.append(error)
    assert changed[0] > changed[1] > changed[2]
    assert errors[0] < errors[1] < errors[2]


def test_numbers_of_kept_splats_are_zero(picture, reference):
    made, _ = predict(cut(picture, 5, 5), reference, *price_of(reference, 150))
    other = made.kind != CHANGED
    assert not made.move[other].any() and not made.shape[other].any()
    assert not made.colour[other].any()
    changed = ~other
    assert ((made.move != 0).any(1) | (made.shape != 0).any(1) | (made.colour != 0).any(1))[
        changed
    ].all()


def test_a_frame_of_something_else_is_told(reference):
    noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    price, precision = price_of(reference, 100)
    assert predict(noise, reference, price, precision, 3 * cost_alone(reference, 100)) is None
    assert predict(noise, reference, price, precision) is not None


def test_a_finer_quality_has_a_cheaper_bit(reference):
    prices = [price_of(reference, n)[0] for n in (50, 100, 200)]
    costs = [cost_alone(reference, n) for n in (50, 100, 200)]
    assert prices == sorted(prices, reverse=True) and costs == sorted(costs, reverse=True)
    precisions = [price_of(reference, n)[1] for n in (50, 100, 200)]
    assert precisions == sorted(precisions, reverse=True)


def test_the_view_of_a_grey_image_has_three_equal_channels():
    grey = np.random.default_rng(2).integers(0, 256, (48, 64)).astype(np.uint8)
    view = View(grey, 40)
    assert view.whole.shape[2] == 3 and (view.whole == view.whole[..., :1]).all()
    stride = len(view.rows)
    np.testing.assert_array_equal(view.rows[1 % stride, 0], view.whole[1 % stride])


def test_the_best_variants_are_those_of_the_picture():
    """Squared errors of whole pictures, drawn anew for each choice in turn."""
    rng = np.random.default_rng(3)
    n, variants, size = 6, 3, (40, 30)
    params = np.stack([scattered(rng, n, size) for _ in range(variants)])
    target = rng.uniform(0, 1, (size[1], size[0], 3)).astype(np.float32)
    costs = rng.uniform(0, 20, (variants, n))
    from gaussvae_ros.raster.cpu import split

    pairs = [split(p) for p in params]
    chosen = best_of(
        np.stack([g for g, _ in pairs]), np.stack([c for _, c in pairs]), costs, target
    )
    now, mine = params[0].copy(), []
    for i in range(n):
        totals = []
        for v in range(variants):
            trial = now.copy()
            trial[i] = params[v, i]
            drawn = forward(trial.astype(np.float32), size)
            totals.append(float(np.square(drawn - target).sum()) + costs[v, i])
        mine.append(int(np.argmin(totals)))
        now[i] = params[mine[-1], i]
    assert chosen.tolist() == mine


def scattered(rng, n: int, size: tuple[int, int]) -> np.ndarray:  # [N, 8]
    return np.concatenate(
        [
            rng.uniform(0, size, (n, 2)),
            rng.uniform(1, 2.5, (n, 2)),
            rng.uniform(0, np.pi, (n, 1)),
            rng.uniform(0, 1, (n, 3)),
        ],
        1,
    ).astype(np.float32)


def test_noise_tells_nothing_of_a_picture(picture):
    """Its record alone is worse than any of the picture would be, and so would be the price."""
    image = cut(picture, 0, 0)
    noise = np.random.default_rng(0).integers(0, 256, image.shape).astype(np.uint8)
    assert not serves(Decoded.of(encoder.encode(noise, 128, "fast", PRIOR)), image, 128)
    assert serves(Decoded.of(encoder.encode(image, 128, "fast", PRIOR)), cut(picture, 9, 5), 128)


def test_few_splats_serve_no_frame_of_many(picture, reference):
    image = cut(picture, 6, 4)
    assert serves(reference, image, 300) and not serves(reference, image, 301)
