"""Where splats are, to the nearest cell: counts in the halves of halves, Z-order.

The image is laid into a square of 2^k by 2^k cells. Starting with all n splats in the square, each node says how many of
its m splats lie in its first half (halving y, then x, in turn), down to single cells. What is coded is thus the set of
splats, not a sequence, which spares log2(n!) bits, and the cells come out in Z-order (Morton 1966).
"""

import numpy as np

from gaussvae_ros.errors import RecordError

# Concentration of the beta-binomial law of such a split, by how many splats an even spread would put into the node:
# from clustered (above) to evenly spaced (below), as fits place them.
CONCENTRATION = ((64.0, 6), (16.0, 6), (4.0, 6), (1.0, 8), (0.0, 12))


def depth(size: tuple[int, int], n: int) -> int:
    """k for `n` splats on an image of `size` (w, h) px: cells about half as wide as the mean distance of splats."""
    k = 0
    while max(size) ** 2 * 4 * n > size[0] * size[1] << 2 * k and k < 15:
        k += 1
    return k


def code_cells(coder, size: tuple[int, int], n: int, cells: np.ndarray | None) -> np.ndarray:
    """Write or read the cells [n] (Z-order codes, sorted) of `n` splats."""
    k = depth(size, n)
    side = max(size) / 2**k  # px
    width, height = size[0] / side, size[1] / side  # in cells
    nodes, counts = np.zeros(1, np.int64), np.array([n])
    for level in range(2 * k - 1, -1, -1):  # bits of the code, from the top
        x, y = coordinates(nodes << level + 1)
        wide, tall = 1 << (level + 2) // 2, 1 << (level + 1) // 2  # of a node, in cells
        inside_x, inside_y = np.clip(width - x, 0, wide), np.clip(height - y, 0, tall)
        if level % 2:
            share = np.minimum(inside_y, tall // 2) / np.maximum(inside_y, 1e-9)
        else:
            share = np.minimum(inside_x, wide // 2) / np.maximum(inside_x, 1e-9)
        expected = n * inside_x * inside_y / (width * height)
        first = None if coder.reads else np.bincount(
            np.searchsorted(nodes, cells >> level + 1), ~(cells >> level) & 1, len(nodes)
        ).astype(np.int64)
        first = _split(coder, first, counts, share, expected)
        nodes = np.stack([2 * nodes, 2 * nodes + 1], 1).ravel()
        counts = np.stack([first, counts - first], 1).ravel()
        nodes, counts = nodes[counts > 0], counts[counts > 0]
    return np.repeat(nodes, counts)


def cell_of(xy: np.ndarray, size: tuple[int, int], n: int) -> np.ndarray:
    """Z-order codes [N] of the cells that points [N, 2] px lie in."""
    k = depth(size, n)
    last = [-(-side * 2**k // max(size)) - 1 for side in size]  # columns and rows that the image reaches
    at = np.clip((xy * (2**k / max(size))).astype(np.int64), 0, last)
    code = np.zeros(len(xy), np.int64)
    for bit in range(k):
        code |= (at[:, 0] >> bit & 1) << 2 * bit | (at[:, 1] >> bit & 1) << 2 * bit + 1
    return code


def corner(cells: np.ndarray, size: tuple[int, int], n: int) -> tuple[np.ndarray, float]:
    """Top left corners [N, 2] px of cells, and their side, px."""
    side = max(size) / 2 ** depth(size, n)
    return np.stack(coordinates(cells), 1) * side, side


def _split(coder, first, counts, share, expected):
    """Code how many of `counts` [nodes] lie in the first half, whose `share` of the node's area is given."""
    open_ = (share > 0) & (share < 1)
    out = np.where(share > 0, counts, 0)
    for lowest, concentration in CONCENTRATION:
        highest = next((low for low, _ in reversed(CONCENTRATION) if low > lowest), np.inf)
        rows = np.flatnonzero(open_ & (expected >= lowest) & (expected < highest))
        # large counts first: tables stay narrow
        for few, many in ((0, 8), (8, 64), (64, 1 << 30)):
            part = rows[(counts[rows] > few) & (counts[rows] <= many)]
            if len(part):
                alpha = np.clip(np.round(2 * concentration * share[part]), 1, 2 * concentration - 1).astype(np.int64)
                p = beta_binomial(counts[part], alpha, 2 * concentration - alpha)
                out[part] = coder.symbols(None if first is None else first[part], p)
    if coder.reads and (out > counts).any():
        raise RecordError("record is damaged: impossible splat positions")
    return out


def beta_binomial(m: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Unnormalised probabilities [nodes, max(m) + 1] of 0..m under the beta-binomial law with integer parameters.

    p(k) = C(k + alpha - 1, k) C(m - k + beta - 1, m - k), by its recurrence: only + - * /, so the same on all machines.
    """
    p = np.zeros((len(m), m.max() + 1))
    p[:, 0] = 1.0
    for k in range(1, p.shape[1]):
        left = np.maximum(m - k + 1, 0)
        p[:, k] = p[:, k - 1] * ((alpha + k - 1) * left) / (k * np.maximum(left + beta - 1, 1))
    return p


def coordinates(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of cells, from their Z-order codes."""
    x, y = np.zeros_like(codes), np.zeros_like(codes)
    for bit in range(16):
        x |= (codes >> 2 * bit & 1) << bit
        y |= (codes >> 2 * bit + 1 & 1) << bit
    return x, y
