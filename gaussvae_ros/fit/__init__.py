"""Image to splats: seeds where the picture is busy, then gradient descent over a pyramid,
with useless splats moved.

from gaussvae_ros.fit import fit
splats = fit(image, n=512, effort="fast")
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gaussvae_ros.errors import ImageError
from gaussvae_ros.fit.adam import Descent
from gaussvae_ros.fit.levels import Levels
from gaussvae_ros.fit.reseeding import reseed
from gaussvae_ros.fit.seeding import seed_splats
from gaussvae_ros.splats import LOG_S1, LOG_S2, THETA, Splats

MIN_SPLATS, MAX_SPLATS = 32, 8192


class Level(NamedTuple):
    """Steps at one resolution, in pixels per splat, since that is what a splat can resolve.

    Each step draws every `stride`-th row only, the next step others. That keeps the detail of a
    large picture at the price of a small one: its rows are a sample whose gradient is right in the
    mean. What it is worth beside averaged
    pictures: docs/vae.md.
    """

    pixels: float  # per splat; no level is larger than the image
    stride: int
    steps: int


@dataclass(frozen=True)
class Plan:
    """How a fit spends its steps."""

    levels: tuple[Level, ...]  # coarse to fine
    share: float = 0.0  # of the splats that each re-seeding moves
    every: int = 10  # steps between two re-seedings
    until: float = 0.6  # share of all steps after which splats stay
    last: float = 0.02  # learning rate of the last step relative to the first, on a cosine
    more: tuple[int, ...] = ()  # steps that levels have more where splats are MANY

    def of(self, n: int) -> tuple[Level, ...]:
        """The levels of a fit of `n` splats."""
        more = self.more or (0,) * len(self.levels)
        share = min(max(math.log2(n / FEW) / math.log2(MANY / FEW), 0.0), 1.0)
        return tuple(
            Level(pixels, stride, steps + round(share * extra))
            for (pixels, stride, steps), extra in zip(self.levels, more, strict=True)
        )


# Splats up to which a fit has the fewest steps, and from which on the most: the more there are,
# the longer they take to settle beside each other.
FEW, MANY = 256, 512

EFFORTS = {
    "fast": Plan(
        (Level(150, 4, 50), Level(150, 2, 30), Level(600, 4, 40)), share=0.12, until=0.5, last=0.2
    ),
    "best": Plan(
        (Level(150, 4, 100), Level(600, 4, 400), Level(2400, 4, 100)),
        share=0.05,
        every=20,
        until=0.75,
    ),
}
PRICED = 0.5  # share of all steps after which bits count, too
# Of a bit per splat, in mean squared errors: somewhat more than a shorter record costs by other
# means (PSNR grows by 1.5 dB where bytes double, hence 0.026).
PRICE = 0.04
REFRESH = 30  # steps after which the distributions are taken anew
SEEDS, RESEEDS = 37.5, 75  # pixels per splat on which splats are seeded, and re-seeded at most


def fit(
    image: np.ndarray,  # uint8 [H, W, 3] RGB or [H, W] mono
    n: int = 512,
    effort: str = "fast",
    seed: int = 0,
) -> Splats:
    """Fit `n` splats to an image; the same arguments give the same splats.

    Args:
        effort: "fast" for a camera's rate (tens of milliseconds), "best" for the
            highest PSNR (about a second).

    Returns:
        Splats of the image's own size, in canonical form, with 3 colours or (mono) 1.

    Raises:
        ImageError: not such an image.
        ValueError: `n` or `effort` out of range.
    """
    check_image(image)
    check_arguments(n, effort)
    levels = Levels(image, n)
    return to_splats(descend(levels, EFFORTS[effort], seed), levels.size, levels.channels)


def check_image(image: np.ndarray) -> None:
    """Raise ImageError unless `image` is uint8 [H, W, 3] or [H, W] with at least one pixel."""
    if not isinstance(image, np.ndarray):
        raise ImageError(f"an image is a numpy array, not {type(image).__name__}")
    if image.dtype != np.uint8:
        raise ImageError(f"an image is uint8 (0 to 255), not {image.dtype}")
    if image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] != 3:
        raise ImageError(f"an image is [H, W, 3] RGB or [H, W] mono, not {list(image.shape)}")
    if not image.size:
        raise ImageError(f"the image is empty: {list(image.shape)}")


def check_arguments(n: int, effort: str) -> None:
    """Raise ValueError unless they are such as `fit` takes."""
    if not MIN_SPLATS <= n <= MAX_SPLATS:
        raise ValueError(f"a fit has {MIN_SPLATS} to {MAX_SPLATS} splats, not {n}")
    if effort not in EFFORTS:
        raise ValueError(f"effort is one of {', '.join(EFFORTS)}, not {effort!r}")


def descend(levels: Levels, plan: Plan, seed: int = 0, rate: Callable | None = None) -> Descent:
    """Run a plan on a checked image; returns the descent's state in pixels of that image.

    `rate(state)` gives the tables of what its numbers cost (see rate.py); without
    it only the error counts.
    """
    state = start(levels, seed)
    follow(plan, levels.n, state, levels.size, levels.at, reseed, rate)
    return state


def start(levels: Levels, seed: int) -> Descent:
    """A descent before its first step, in pixels of the image."""
    small, (width, height) = levels.at(SEEDS)[0], levels.size
    state = Descent(*seed_splats(small, levels.n, np.random.default_rng(seed)))
    state.rescale(width / small.shape[1], height / small.shape[0])
    return state


def follow(
    plan: Plan,
    n: int,  # splats of one
    state,
    size: tuple[int, int],
    target_at: Callable,
    reseed: Callable,
    rate: Callable | None = None,
) -> None:
    """Run a plan on one descent, or on many at once (fit/cuda.py), in pixels of
    images of `size` (w, h) px.

    `target_at(pixels per splat, stride)` gives a level's target [S, ..., h, w, 3] as
    `state` and `reseed` take it.
    """
    levels = plan.of(n)
    total = sum(level.steps for level in levels)
    rates = plan.last + (1 - plan.last) * 0.5 * (1 + np.cos(np.pi * np.arange(total) / total))
    done, priced = 0, None
    for pixels, stride, steps in levels:
        target, end = target_at(pixels, stride), done + steps
        coarse = target_at(min(pixels, RESEEDS), 1)
        while done < end:
            stop = min(end, (done // plan.every + 1) * plan.every)
            if rate and done >= PRICED * total and (priced is None or done >= priced[0] + REFRESH):
                priced = done, (rate(state), PRICE)
            with state.seen_at(size, target):
                state.run(target, rates[done:stop], *([priced[1]] if priced else []))
            done = stop
            if plan.share and done % plan.every == 0 and done <= plan.until * total:
                priced = None
                with state.seen_at(size, coarse):
                    reseed(state, coarse[0], plan.share)


def to_splats(state: Descent, size: tuple[int, int], channels: int) -> Splats:
    """A descent's splats in canonical form, for an image of `size` (w, h) px."""
    g = state.geometry
    yy = g[:, 4] ** 2
    xx, xy = g[:, 2] ** 2 + g[:, 3] ** 2 * yy, g[:, 3] * yy
    params = np.empty((len(g), 5 + channels), np.float32)
    params[:, :2] = g[:, :2]
    params[:, THETA] = 0.5 * np.arctan2(2 * xy, xx - yy)
    mean, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    params[:, LOG_S1] = 0.5 * np.log(mean + spread)
    # From the determinant: exact on thin splats.
    params[:, LOG_S2] = np.log(g[:, 2] * g[:, 4]) - params[:, LOG_S1]
    params[:, 5:] = state.colour[:, :channels]
    return Splats(params, size).canonical()
