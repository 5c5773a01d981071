"""Simulated volumes to learn from: truncated distances of rooms, and solids of smooth density."""

import numpy as np
from scipy import ndimage

SIDE = 96  # voxels
TRUNCATION = 5.0  # voxels, of distances


def room(seed: int) -> np.ndarray:  # float32 [96, 96, 96], NaN where unknown
    """What a depth camera's frames would fuse to: distance to a surface in front of and behind it,
    1 in free space, unknown where no ray came."""
    rng = np.random.default_rng([seed, 0])
    at = np.indices((SIDE,) * 3).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(3, 3)) * 0.25 + np.eye(3))[0].astype(np.float32)
    at = np.tensordot(turn, at - SIDE / 2, 1)
    distance = np.minimum(at[0] + rng.uniform(20, 40), at[1] + rng.uniform(20, 40))
    distance = np.minimum(distance, at[2] + rng.uniform(20, 40))
    for _ in range(rng.integers(4, 14)):
        distance = np.minimum(distance, _thing(at, rng))
    rough = ndimage.gaussian_filter(rng.normal(size=(SIDE,) * 3), rng.uniform(0.8, 2.5))
    distance = distance + rough / rough.std() * rng.uniform(0.1, 0.6)
    seen = distance > -rng.uniform(1, 5)
    shadow = ndimage.gaussian_filter(rng.normal(size=(SIDE,) * 3), rng.uniform(5, 12))
    seen &= shadow > np.quantile(shadow, rng.uniform(0, 0.4))
    made = np.clip(distance / TRUNCATION, -1, 1).astype(np.float32)
    return np.where(seen, made, np.float32(np.nan))


def solids(seed: int) -> np.ndarray:  # uint8 [96, 96, 96]
    """Things of several densities, blurred and noisy as a scanner sees them."""
    rng = np.random.default_rng([seed, 1])
    at = np.indices((SIDE,) * 3).astype(np.float32) - SIDE / 2
    made = np.zeros((SIDE,) * 3)
    for _ in range(rng.integers(3, 12)):
        made = np.where(_thing(at, rng) < 0, rng.uniform(0.2, 1), made)
    made = ndimage.gaussian_filter(made, rng.uniform(0.4, 2))
    noise = ndimage.gaussian_filter(rng.normal(size=made.shape), rng.uniform(0.3, 2))
    made = made + noise / noise.std() * rng.choice([0, 0.005, 0.02]) * (made > 0.02)
    return np.uint8(np.rint(255 * np.clip(made, 0, 1)))


def _thing(at: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distances to a ball, a box or a rod at a random place."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    off = np.tensordot(turn, at - rng.uniform(-40, 40, (3, 1, 1, 1)).astype(np.float32), 1)
    size = rng.uniform(3, 16, 3)
    kind = rng.integers(3)
    if kind == 0:
        return np.sqrt((off**2).sum(0)) - size[0]
    if kind == 1:
        return np.max([np.abs(off[k]) - size[k] for k in range(3)], 0)
    return np.maximum(np.hypot(off[0], off[1]) - size[0] / 2, np.abs(off[2]) - 2 * size[2])
