"""Sets of splats that a fast rasteriser must get right, compared with the reference in float64."""

import numpy as np
import torch

from gaussvae_ros.raster import CUT, reference

SIZE = (37, 29)  # px; no multiple of any tile
GROUPS = {
    "position": slice(0, 2),
    "scale": slice(2, 4),
    "angle": slice(4, 5),
    "colour": slice(5, None),
}


def splats(
    n: int, size=SIZE, sigma=(0.5, 6.0), aspect=4.0, channels=3, seed=0
) -> np.ndarray:  # [n, 5 + C] float32
    """Random splats inside `size`: s1 log-uniform in `sigma` px, axes up to 1 : `aspect`."""
    rng = np.random.default_rng(seed)
    params = rng.uniform(-0.2, 1.2, (n, 5 + channels))
    params[:, :2] = rng.uniform(0, 1, (n, 2)) * size
    params[:, 2] = rng.uniform(*np.log(sigma), n)
    params[:, 3] = params[:, 2] - rng.uniform(0, np.log(aspect), n)
    turned = rng.random(n) < 0.5
    params[turned, 2:4] = params[turned, 3:1:-1]
    params[:, 4] = rng.uniform(-7, 7, n)
    return params.astype(np.float32)


def _with(params: np.ndarray, **columns) -> np.ndarray:
    for name, value in columns.items():
        params[
            :,
            {"x": 0, "y": 1, "log_s1": 2, "log_s2": 3, "theta": 4, "colour": slice(5, None)}[name],
        ] = value
    return params


def _cases() -> dict[str, tuple[np.ndarray, tuple[int, int]]]:
    across = np.linspace(-60, 100, 16)
    needles = splats(16, aspect=1.0, seed=7)
    return {
        "random": (splats(16, seed=1), SIZE),
        "tiny": (splats(40, sigma=(0.05, 0.4), seed=2), SIZE),
        "dots on pixel centres": (
            _with(splats(5, seed=3), x=[3.5, 9.501, 9.5, 0.499, 36.5], y=0.5, log_s1=-6, log_s2=-7),
            SIZE,
        ),
        "huge": (splats(12, sigma=(50, 3000), aspect=30, seed=4), SIZE),
        "needles": (_with(needles, log_s1=np.log(40), log_s2=np.log(0.04)), SIZE),
        "needles a thousand px long": (
            _with(needles.copy(), log_s1=np.log(1000), log_s2=0.0),
            SIZE,
        ),
        "needles along rows and columns": (
            _with(
                splats(8, seed=8),
                x=11.51,
                y=7.48,
                log_s1=3.0,
                log_s2=-3.9,
                theta=np.repeat([0, np.pi / 2], 4),
            ),
            SIZE,
        ),
        "half and wholly off-screen": (
            _with(splats(16, sigma=(3, 12), seed=5), x=across, y=across[::-1] * 0.7),
            SIZE,
        ),
        "nothing on screen": (_with(splats(4, seed=6), x=1e5, y=-1e5), SIZE),
        "one on top of the other": (
            _with(splats(6, seed=9), x=17.3, y=12.9, log_s1=1.4, log_s2=0.4, theta=0.6),
            SIZE,
        ),
        "twins": (np.repeat(splats(1, seed=10), 3, axis=0), SIZE),
        "alone": (splats(1, seed=11), SIZE),
        "apart": (
            _with(splats(6, sigma=(0.5, 1.5), seed=12), x=np.arange(6) * 6 + 3.2, y=14.8),
            SIZE,
        ),
        "round": (_with(splats(10, seed=13), log_s1=1.1, log_s2=1.1), SIZE),
        "bright": (
            _with(splats(12, seed=14), colour=np.linspace(-300, 300, 36).reshape(12, 3)),
            SIZE,
        ),
        "one colour": (_with(splats(12, seed=15), colour=[0.2, 0.5, 0.7]), SIZE),
        "mono": (splats(16, channels=1, seed=16), SIZE),
        "one pixel": (splats(3, (1, 1), seed=17), (1, 1)),
        "one tile": (splats(6, (16, 16), seed=18), (16, 16)),
        "one row": (splats(6, (50, 1), seed=19), (50, 1)),
        "wide": (splats(12, (1920, 3), sigma=(1, 60), aspect=100, seed=20), (1920, 3)),
    }


CASES = _cases()


def near_cut(params: np.ndarray, size: tuple[int, int], margin: float) -> np.ndarray:  # [h, w] bool
    """Pixels where rounding decides whether a splat is cut: q within `margin` of CUT^2.

    There a weight is about zero but its slope jumps, so two ways to round give two gradients.
    """
    x, y, log_s1, log_s2, theta = params.astype(np.float64)[:, :5, None, None].transpose(1, 0, 2, 3)
    dx, dy = np.arange(size[0]) + 0.5 - x, np.arange(size[1])[:, None] + 0.5 - y
    u = (np.cos(theta) * dx + np.sin(theta) * dy) / np.exp(log_s1)
    v = (np.cos(theta) * dy - np.sin(theta) * dx) / np.exp(log_s2)
    return (np.abs(u * u + v * v - CUT * CUT) < margin).any(0)


def assert_like_reference(
    render, params: np.ndarray, size: tuple[int, int], tolerance: float = 1e-4
) -> None:
    """`render(params [N, 5 + C], slope [h, w, C]) -> image, grad` against the reference.

    `slope` is the gradient of a made-up loss in the image, zero where `near_cut`. Errors are
    relative, norm against norm, for the image and for the gradient of each group of parameters.
    """
    doubtful = near_cut(params, size, margin=1e-4)
    assert doubtful.mean() < 0.01 or doubtful.sum() <= 1, "the case is all edge: it tests nothing"
    slope = (
        np.random.default_rng(99)
        .normal(size=(size[1], size[0], params.shape[1] - 5))
        .astype(np.float32)
    )
    slope[doubtful] = 0
    exact = torch.tensor(params, dtype=torch.float64, requires_grad=True)
    expected = reference.rasterize(exact, size)
    expected.backward(torch.tensor(slope, dtype=torch.float64))
    image, grad = render(params, slope)
    assert image.shape == expected.shape and grad.shape == params.shape
    errors = {"image": _relative(image, expected.detach().numpy())}
    for name, columns in GROUPS.items():
        errors[name] = _relative(grad[:, columns], exact.grad.numpy()[:, columns])
    assert max(errors.values()) <= tolerance, errors


def _relative(value: np.ndarray, expected: np.ndarray) -> float:
    # Less than that is rounding.
    return np.linalg.norm(value - expected) / max(np.linalg.norm(expected), 1e-9)
